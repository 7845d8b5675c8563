"""The wheel as its users get it: pip, an empty environment, the index reachable."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def closure(name: str) -> set[str]:
    """Everything that the lock file says one distribution needs, on any platform."""
    locked = {one["name"]: one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            needs = [*locked[one].get("dependencies", [])]
            needs += [
                need for extra in locked[one].get("optional-dependencies", {}).values() for need in extra
            ]
            waiting += [need["name"] for need in needs]
    return found


def test_pip_fetches_what_is_declared_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True, capture_output=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = tmp_path / "env/bin/python"
    done = subprocess.run(
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--report",
            "got.json",
            wheel,
        ],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "got.json").read_text())
    got = {re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower(): one for one in report["install"]}
    assert got.keys() <= closure("signet-pch")
    assert [name for name in got if name.startswith("signet")] == ["signet-pch"]
    assert got["signet-pch"]["download_info"]["url"].startswith("file:")
    said = subprocess.run(
        [tmp_path / "env/bin/signet", "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert said.stdout.startswith("signet ")
