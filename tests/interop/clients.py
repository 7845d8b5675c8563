"""Callers that share no code with Signet: the README's in Python, and one in JavaScript."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signet.crypto.suites import PrivateKey

ROOT = Path(__file__).resolve().parents[2]
NODE_SOURCES = Path(__file__).with_name("node")
NODE_HOME = ROOT / ".local" / "interop-node"
_EXAMPLE = re.compile(r"```python\n(import os\nimport httpx\n.*?)```", re.DOTALL)
_SNIPPET = re.compile(r"```python\n(# call\.py .*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """What is called, and as whom."""

    url: str
    challenge_url: str
    key: Path
    keyid: str


def write_key(key: PrivateKey, folder: Path) -> Path:
    """Write a private key as any tool would: PKCS#8 PEM."""
    (half,) = key.halves
    path = folder / f"{key.alg}.pem"
    path.write_bytes(half.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def readme_client() -> str:
    """Return the program in the README's section "Write your own client in 30 lines"."""
    (program,) = _SNIPPET.findall((ROOT / "README.md").read_text())
    return program


def call_in_python(target: Target, folder: Path, *content: str) -> tuple[int, str]:
    """Run the README's program in an empty folder, with nothing of this project on its path."""
    program = folder / "call.py"
    program.write_text(readme_client())
    arguments = (target.url, target.challenge_url, str(target.key), target.keyid, *content)
    done = subprocess.run(
        [sys.executable, "-W", "error", "call.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    status, _, body = done.stdout.partition(" ")
    return int(status), body.strip()


def run_readme_example(base_url: str, folder: Path) -> dict[str, Any]:
    """Run the README's first example in Python, which has its key in ``me.pem``; return what it printed."""
    (program,) = _EXAMPLE.findall((ROOT / "README.md").read_text())
    assert "params=" in program
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env={**os.environ, "SIGNET_URL": base_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = ast.literal_eval(done.stdout)
    return answer


def call_in_node(target: Target, alg: str, *content: str) -> tuple[int, str]:
    """Run the JavaScript caller."""
    arguments = (target.url, target.challenge_url, str(target.key), target.keyid, alg, *content)
    done = subprocess.run(
        ["node", "call.mjs", *arguments],
        cwd=node_home(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["status"], answer["body"]


@cache
def node_home() -> Path:
    """Return where the JavaScript caller is installed, from its lock file; skip where that cannot be."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    wanted = {name: (NODE_SOURCES / name).read_bytes() for name in ("package.json", "package-lock.json")}
    NODE_HOME.mkdir(parents=True, exist_ok=True)
    shutil.copy(NODE_SOURCES / "call.mjs", NODE_HOME)
    installed = NODE_HOME / "node_modules" / ".package-lock.json"
    if installed.exists() and all((NODE_HOME / n).read_bytes() == data for n, data in wanted.items()):
        return NODE_HOME
    for name, data in wanted.items():
        (NODE_HOME / name).write_bytes(data)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command, cwd=NODE_HOME, capture_output=True, text=True, check=False, timeout=120
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not reach its registry")
    if done.returncode != 0:
        pytest.skip(f"npm cannot install the JavaScript caller: {done.stderr.strip().splitlines()[-1:]}")
    return NODE_HOME
