"""The page's sources by themselves: types, format, and the tests of its modules in Node."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.webpage import SOURCES, built_page, install


def npm(script: str) -> str:
    install()
    done = subprocess.run(
        ["npm", "run", "--silent", script],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_types_and_format_are_right() -> None:
    npm("check")


def test_the_modules_keep_to_their_definitions() -> None:
    assert "# fail 0" in npm("test")


def test_the_same_sources_give_the_same_page(tmp_path: Path) -> None:
    page = built_page()
    again = tmp_path / "verify.html"
    subprocess.run(["node", "build.mjs", str(again)], cwd=SOURCES, check=True, capture_output=True)
    assert again.read_bytes() == page.read_bytes()
