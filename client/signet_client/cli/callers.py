"""``signet callers``: the callers' public keys in one file, as verifiers read them."""

# ruff: noqa: PLC0415 - cryptography is loaded when the command runs, not for --help

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from signet.core.client import KEYID
from signet.core.encoding import encode_base64
from signet.core.errors import UsageError
from signet_client.files import writing
from signet_client.terminal import say, say_bytes


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("callers", short_help="Put callers' public keys into one file, for verifiers.")(callers)


def callers(
    *,
    keys: Annotated[
        list[str],
        typer.Argument(
            metavar="KEYID=FILE…", help="A key id, and the public key that you got from the caller."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; else standard output.")
    ] = None,
) -> None:
    """Write a file of callers' public keys, which signet verify --callers and verify.py --callers read.

    Get the keys from the callers: a list that the operator hands out is the operator's word again.
    """
    rows = [_row(text) for text in keys]
    named = [row["keyid"] for row in rows]
    if twice := sorted({keyid for keyid in named if named.count(keyid) > 1}):
        raise UsageError(f"{', '.join(twice)} is named twice; give each key id once")
    data = json.dumps(rows, indent=1).encode() + b"\n"
    if output is None:
        say_bytes(data)
        return
    with writing(output):
        output.write_bytes(data)
    say(f"wrote {output}: {len(rows)} callers' keys", err=True)


def _row(text: str) -> dict[str, str]:
    from signet.crypto.keyfiles import load_public
    from signet.crypto.keyforms import MAX_KEY_FILE_BYTES

    keyid, separator, name = text.rpartition("=")  # a key id may hold the sign, too
    if not separator or not KEYID.fullmatch(keyid) or not name:
        raise UsageError(
            f"{text!r} is not KEYID=FILE; give a key id and its public key, as in orders=orders.pub"
        )
    with Path(name).open("rb") as file:
        alg, public_key = load_public(file.read(MAX_KEY_FILE_BYTES + 1))
    return {"keyid": keyid, "alg": alg, "public_key": encode_base64(public_key)}
