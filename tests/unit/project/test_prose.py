"""Docstrings, comments, messages and pages name who acts: engineers read them in their second language."""

from __future__ import annotations

import re

import pytest

from tests.support.world import ROOT

RIDDLE = re.compile(
    r"\b(?:(?:who|whom|what|which|wher)ever|(?:no|some|any|every)body|(?:some|any|every)one|no one)\b",
    re.IGNORECASE,
)
#: A place that is clean comes in, and none goes out. ADRs stay as decided.
LIBRARY = tuple(
    f"layers/signet/signet/{name}"
    for name in (
        "__init__.py",
        "audit",
        "aws",
        "backend",
        "breaker",
        "core",
        "crypto",
        "gateway",
        "handshake",
        "log",
        "pack",
        "policy",
        "receipts",
        "decisionlog.py",
        "telemetry.py",
    )
)
WEB = tuple(f"web/verify/{name}" for name in ("src", "test", "README.md", "build.mjs"))
PLACES = (
    *LIBRARY,
    *WEB,
    "functions",
    "template.yaml",
    "client",
    "edge",
    "local",
    "bench",
    "policy",
    "tools",
    "tests",
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
)
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md"))
#: What the tests send or expect as data.
DATA = re.compile(
    r"""["']nobody(?:-has-this-profile|-at-all)?["']|["']nobody knows["']|["']someone["']"""
    r"""|whoever makes one up has no key\."""
)
#: Spells the words out: above.
OWN = "tests/unit/project/test_prose.py"
SUFFIXES = {".py", ".md", ".cfg", ".yaml", ".sh", ".in", ".rego", ".json", ".ts", ".mjs", ".html"}


@pytest.mark.parametrize("place", [*PLACES, *PAGES])
def test_a_sentence_names_who_acts(place: str) -> None:
    path = ROOT / place
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.suffix in SUFFIXES]
    assert files, "the place was renamed: name it here as it is called now"
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sorted(files)
        if file.relative_to(ROOT).as_posix() != OWN
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if RIDDLE.search(DATA.sub("", line) if place == "tests" else line)
    ]
    assert not found, "say who or what: " + "\n".join(found)
