"""Docstrings, comments, messages and pages name who acts: engineers read them in their second language."""

from __future__ import annotations

import re

import pytest

from tests.support.world import ROOT

RIDDLE = re.compile(
    r"\b(?:(?:who|whom|what|which|wher)ever|(?:no|some|any|every)body|(?:some|any|every)one|no one)\b",
    re.IGNORECASE,
)
#: A place that is clean comes in, and none goes out. Not yet in: handshake, pack, aws, backend.py of the
#: library; functions, template.yaml, docs/operations.md. ADRs stay as decided.
LIBRARY = tuple(
    f"layers/signet/signet/{name}"
    for name in (
        "__init__.py",
        "audit",
        "breaker",
        "core",
        "crypto",
        "log",
        "policy",
        "receipts",
        "telemetry.py",
    )
)
WEB = tuple(f"web/verify/{name}" for name in ("src", "test", "README.md", "build.mjs"))
PLACES = (
    *LIBRARY,
    *WEB,
    *("client", "edge", "local", "bench", "tools", "README.md", "SECURITY.md", "CHANGELOG.md"),
)
PAGES = sorted(
    page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md") if page.name != "operations.md"
)
SUFFIXES = {".py", ".md", ".cfg", ".yaml", ".sh", ".in", ".ts", ".mjs", ".html"}


@pytest.mark.parametrize("place", [*PLACES, *PAGES])
def test_a_sentence_names_who_acts(place: str) -> None:
    path = ROOT / place
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.suffix in SUFFIXES]
    assert files, "the place was renamed: name it here as it is called now"
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sorted(files)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if RIDDLE.search(line)
    ]
    assert not found, "say who or what: " + "\n".join(found)
