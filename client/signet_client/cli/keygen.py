"""``signet keygen``: a key pair in two files."""

# ruff: noqa: PLC0415 - cryptography is loaded when the command runs, not for --help

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from signet.core.errors import UsageError
from signet_client.cli.common import JsonOption, print_facts, print_json
from signet_client.files import writing

if TYPE_CHECKING:
    from signet.crypto.suites import PrivateKey

_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644
_ALG_HELP = "Suite: ed25519, ecdsa-p256-sha256, ml-dsa-65, ed25519+ml-dsa-65 or ecdsa-p256+ml-dsa-65."


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("keygen")(keygen)


def keygen(
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Private key file; the public key goes to FILE.pub.")
    ],
    alg: Annotated[str, typer.Option("--alg", help=_ALG_HELP)] = "ed25519",
    force: Annotated[
        bool, typer.Option("--force", help="Replace existing files: the old key is lost.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key pair."""
    key, public = make_key(alg, output, force=force)
    if as_json:
        print_json({"keyid": key.key_id, "alg": alg, "private_key": str(output), "public_key": str(public)})
        return
    print_facts(
        [
            ("key id", key.key_id),
            ("private key", f"{output} (keep it to yourself)"),
            ("public key", public),
            ("next", f"signet clients add --key {public}"),
        ]
    )


def make_key(alg: str, path: Path, *, force: bool = False) -> tuple[PrivateKey, Path]:
    """Generate a key and write both files; return the key and the public file's path.

    Raises:
        UsageError: there is no such suite, or a file exists and ``force`` is False.
    """
    from signet.crypto import keyfiles, suites

    if alg not in suites.NAMES:
        raise UsageError(f"there is no algorithm {alg!r}; use one of {', '.join(suites.NAMES)}")
    if not path.name:
        raise UsageError("the output has to be a file; give a name such as me.pem")
    public = path.with_name(path.name + ".pub")
    for existing in (path, public):
        if existing.exists() and not existing.is_file():  # --force would put a key in place of /dev/null
            raise UsageError(f"{existing} exists already and is no ordinary file; choose another name")
        if existing.exists() and not force:
            raise UsageError(f"{existing} exists already; choose another name, or --force to lose that key")
    key = suites.get(alg).generate()
    _write(path, keyfiles.dump_private(key), _PRIVATE_MODE, force=force)
    _write(public, keyfiles.dump_public(key), _PUBLIC_MODE, force=force)
    return key, public


def _write(path: Path, content: bytes, mode: int, *, force: bool) -> None:
    """Write a file in one step: never half a key under its name, never readable by others meanwhile."""
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}; make it first")
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        with writing(path), os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(mode)
        if force:
            Path(temporary).replace(path)
        else:
            path.hardlink_to(temporary)  # refuses to replace, also a file that was just made
    finally:
        Path(temporary).unlink(missing_ok=True)
