"""The callers of ``examples/orders/callers``, each run as a program of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.world import ROOT

SOURCES = ROOT / "examples" / "orders" / "callers"
BUILT = ROOT / ".local" / "example-callers"
LANGUAGES = ("python", "node", "go", "java")


@dataclass(frozen=True, slots=True)
class Called:
    """What a caller printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def status(self) -> int:
        return int(self.out.split(" ", 1)[0])

    @property
    def body(self) -> str:
        return self.out.split(" ", 1)[1].strip()


def call(language: str, *arguments: str | Path) -> Called:
    """Run a caller; skip where its language is not on this machine."""
    done = subprocess.run(
        [*_command(language), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    return Called(done.returncode, done.stdout, done.stderr)


@cache
def _command(language: str) -> tuple[str, ...]:
    match language:
        case "python":
            return sys.executable, "-W", "error", str(SOURCES / "call.py")
        case "node":
            if int(_told(_tool("node"), "--version").lstrip("v").split(".")[0]) < 20:
                pytest.skip("node is older than 20")
            return _tool("node"), str(SOURCES / "call.mjs")
        case "go":
            _build(_tool("go"), "build", "-o", str(_folder() / "call"), str(SOURCES / "call.go"))
            return (str(_folder() / "call"),)
        case "java":
            if int(_told(_tool("javac"), "-version").split()[1].split(".")[0]) < 17:
                pytest.skip("javac is older than 17")
            _build(_tool("javac"), "-Xlint:all", "-Werror", "-d", str(_folder()), str(SOURCES / "Call.java"))
            return _tool("java"), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", str(_folder()), "Call"
    raise ValueError(language)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _folder() -> Path:
    BUILT.mkdir(parents=True, exist_ok=True)
    return BUILT


def _build(*command: str) -> None:
    """Compile with nothing from the network: the callers need their language's own library only."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=280, env=_offline(), cwd=_folder()
    )
    assert done.returncode == 0, done.stderr


def _offline() -> Mapping[str, str]:
    return {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GO111MODULE": "off"}
