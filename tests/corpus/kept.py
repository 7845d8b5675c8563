"""Packs that earlier versions wrote (``tests/support/kept.py``): good for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.corpus.case import Case
from tests.corpus.world import facts_of

FOLDER = Path(__file__).parents[1] / "fixtures" / "kept"
PACKS = ("pack-2026-11-23.zip",)
LOG_ID = "2de8cd1b200bd9a4dd65ba380f99f779d4c975ea40bcd2829390b08d154d4232"


def good_cases() -> Iterator[Case]:
    """Yield each of them."""
    for name in PACKS:
        data = (FOLDER / name).read_bytes()
        yield Case(f"kept-{name.removesuffix('.zip')}", "kept", data, LOG_ID, facts=facts_of(data, LOG_ID))
