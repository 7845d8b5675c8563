"""VERIFY.md, followed in a shell: its blocks, the shells, stand-ins for openssl, and forged packs."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import signet.pack.resources
from signet.core.canonical import canonicalize, parse
from signet.core.decision import Reason
from signet.log.keys import LocalSigner
from tests.corpus.world import KEYS_SEED
from tests.support.forgery import CHECKER, Files, edit, remade, unzip
from tests.support.packs import FIRST_DAY, PackLog, seeded_private_set

GUIDE = Path(signet.pack.resources.__file__).with_name("VERIFY.md").read_text()
QUICK, BY_HAND = GUIDE.split("## By hand")
#: Shells that read the blocks from standard input, as they stand there after a paste; none with ``-e``.
SHELLS = {
    "sh": ("/bin/sh",),
    "bash": ("bash", "--norc"),
    "interactive": ("bash", "--norc", "-i"),
}
#: The line after a verdict of GOOD: it must not claim more than was checked.
REMINDER = "Not looked at: what only the checkers check; the page lists it."
ALIVE = "this shell is still alive"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOOLS = ("cat", "mkdir", "mktemp", "rm", "tail", "tr")

_OPENSSL = """#!{python}
import sys
sys.path[:0] = {path!r}
from tests.support.stand_in_openssl import answer
code, said = answer(sys.argv[1:], {knows!r})
print(said, end="")
sys.exit(code)
"""


def blocks(text: str) -> list[str]:
    """The commands of a part of the page."""
    return _BLOCK.findall(text)


def tools(folder: Path, openssl: tuple[str, ...] | None, python: str = sys.executable) -> Path:
    """A folder of programs: what the page names, and an openssl that knows these algorithms.

    Without an openssl at all for None.
    """
    found = folder / "bin"
    found.mkdir()
    (found / "python3").symlink_to(python)
    for name in _TOOLS:
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"this machine has no {name}, with which the guide works")
        (found / name).symlink_to(program)
    if openssl is not None:
        program_text = _OPENSSL.format(python=sys.executable, path=sys.path, knows=openssl)
        (found / "openssl").write_text(program_text)
        (found / "openssl").chmod(0o755)
    return found


def follow(
    text: str,
    data: bytes,
    log_id: str,
    folder: Path,
    *,
    shell: tuple[str, ...] = SHELLS["sh"],
    openssl: tuple[str, ...] | None = ("ED25519", "ML-DSA-65"),
    programs: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run all commands of a part of the guide in one shell, as an auditor does who copies them."""
    (folder / "pack.zip").write_bytes(data)
    shutil.copy(CHECKER, folder / "verify.py")
    path = programs or tools(folder, openssl)
    commands = "".join(blocks(text))
    assert commands
    program = shutil.which(shell[0])
    if program is None:
        pytest.skip(f"this machine has no {shell[0]}")
    return subprocess.run(
        [program, *shell[1:]],
        input=f"{commands}\necho {ALIVE}\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            "PATH": str(path),
            "LOG_ID": log_id,
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )


def made_without_a_key() -> tuple[bytes, str]:
    """A pack in which a denied decision is an allowed one and all that needs no key fits it; and the log id.

    Chain, tree, heads and manifest are made anew. The keys are the log's own, the signatures of other keys.
    """
    honest, forged = (
        PackLog(signer=LocalSigner("example.com/log", seeded_private_set(seed)))
        for seed in (KEYS_SEED, KEYS_SEED + 1)
    )
    decided = forged.decide(3, FIRST_DAY)
    [denied] = [item for item in decided if item.reason is Reason.NONCE_REPLAYED]
    forged.close([replace(item, reason=Reason.OK) if item is denied else item for item in decided])
    files = {**unzip(forged.pack()), "keys.json": honest.keys()}
    return remade(_under_other_keys(files)), honest.log_id


def _under_other_keys(files: Files) -> Files:
    """The files with the log id and key ids of their ``keys.json`` in every place where such ids stand."""
    keys = parse(files["keys.json"])
    ids = {key["alg"]: key["keyid"] for key in keys["sets"][0]["keys"]}

    def rename(head: Any) -> None:
        head["log_id"] = keys["log_id"]
        for signature in head["signatures"]:
            signature["keyid"] = ids[signature["alg"]]

    files = edit(files, "manifest.json", lambda value: value.update(log_id=keys["log_id"]))
    for name in [name for name in files if name.startswith("sth")]:
        files = edit(files, name, rename)
    return files


def small_order() -> tuple[bytes, str]:
    """A pack whose Ed25519 key of the log is the neutral point, and the id of that log."""
    log = PackLog(signer=LocalSigner("example.com/log", seeded_private_set(KEYS_SEED)))
    log.close(log.decide(1, FIRST_DAY))
    files = unzip(log.pack())
    keys = parse(files["keys.json"])
    own = keys["sets"][0]["keys"][0]
    raw = bytes([1]) + bytes(31)
    own["public_key"] = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    own["keyid"] = hashlib.sha256(b"ed25519\n" + raw).hexdigest()[:32]
    pinned = canonicalize({"origin": keys["origin"], "keys": keys["sets"][0]["keys"]})
    keys["log_id"] = hashlib.sha256(b"signet-log-v1\n" + pinned).hexdigest()
    return remade(_under_other_keys({**files, "keys.json": canonicalize(keys)})), keys["log_id"]
