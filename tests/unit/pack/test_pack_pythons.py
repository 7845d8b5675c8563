"""One day, one pack: byte for byte the same on every supported Python that this machine has.

And what is in the pack for its checker, who has any of them: the steps by hand, and verify.py.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import signet
from tests.corpus.world import two_days
from tests.support.by_hand import BY_HAND, follow, tools
from tests.support.forgery import CHECKER
from tests.support.packs import log_with_days

# The real builder over a folder: it needs nothing but the standard library.
BUILD = """
import datetime, hashlib, io, pathlib, sys, zlib
sys.path.insert(0, sys.argv[1])
from signet.pack.build import build_pack, plan_pack
root = pathlib.Path(sys.argv[2])
class Folder:
    def get(self, key):
        path = root / key
        return path.read_bytes() if path.is_file() else None
    def list(self, prefix):
        return sorted(str(path.relative_to(root)) for path in (root / prefix).rglob("*") if path.is_file())
plan = plan_pack(Folder(), sys.argv[3], today=datetime.date(2026, 12, 1))
out = io.BytesIO()
build_pack(Folder(), plan, spool=io.BytesIO(), out=out)
print(zlib.ZLIB_RUNTIME_VERSION, hashlib.sha256(out.getvalue()).hexdigest())
"""


def pythons() -> list[Path]:
    """Other interpreters of supported versions: on the PATH and under pyenv; one of each version."""
    roots = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    roots += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin"))
    programs = [root / f"python3.{minor}" for minor in range(11, 15) for root in roots]
    found: dict[str, Path] = {}
    for program in programs:
        if "shims" not in program.parts and program.is_file():  # a shim runs the configured Python
            found.setdefault(program.name, program)
    found.pop(f"python3.{sys.version_info.minor}", None)
    return list(found.values())


@pytest.mark.parametrize("python", pythons() or [None], ids=lambda path: path.name if path else "none")
def test_another_python_builds_the_same_bytes(python: Path | None, tmp_path: Path) -> None:
    if python is None:
        pytest.skip("no other Python from 3.11 to 3.14 is on this machine")
    log = log_with_days(3, 600, chains=2)
    for key, body in log.store.objects.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    layer = str(Path(signet.__file__).parents[1])
    done = subprocess.run(
        [str(python), "-I", "-S", "-W", "error", "-c", BUILD, layer, str(tmp_path), str(log.heads[-1].date)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version, digest = done.stdout.split()
    if version != zlib.ZLIB_RUNTIME_VERSION:
        pytest.skip(
            f"{python.name} deflates with zlib {version}, this Python with {zlib.ZLIB_RUNTIME_VERSION}"
        )
    assert digest == hashlib.sha256(log.pack()).hexdigest()


@pytest.mark.parametrize("python", pythons() or [None], ids=lambda path: path.name if path else "none")
def test_a_pack_is_checked_by_another_python(python: Path | None, tmp_path: Path) -> None:
    if python is None:
        pytest.skip("no other Python from 3.11 to 3.14 is on this machine")
    log = two_days()
    programs = tools(tmp_path, ("ED25519", "ML-DSA-65"), str(python))
    done = follow(BY_HAND, log.pack(), log.log_id, tmp_path, programs=programs)
    assert "\nGOOD: 5 receipts of 2026-11-24\n" in done.stdout, done
    started = subprocess.run(
        [str(python), "-I", "-S", "-W", "error", str(CHECKER), str(tmp_path / "pack.zip")],
        capture_output=True,
        text=True,
        check=False,
    )
    # Without its one package it can check no keys, and says so in a sentence.
    assert started.returncode == 2, started.stderr
    assert "this checker needs the Python package cryptography 50 or newer" in started.stderr
    assert started.stdout.count("  ok  ") == 2
