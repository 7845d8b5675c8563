"""Good packs and bad ones, each bad one with the reason for which every verifier must refuse it.

    python -m tests.corpus OUT_DIR

writes them with an index; ``cases`` yields them in memory. Private keys, receipts and tampering are the same
in every run. (ML-DSA signatures are not: signing draws randomness.)
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.corpus import (
    evidence,
    heads,
    kept,
    lies,
    logkeys,
    members,
    proofs,
    receipts,
    rotation,
    words,
    world,
    zips,
)
from tests.corpus.case import Case

__all__ = ["Case", "bad_cases", "good_cases"]


def bad_cases() -> Iterator[Case]:
    """Yield every bad pack."""
    log = world.two_days()
    for module in (zips, members, receipts, heads, proofs, logkeys):
        yield from module.cases(log)
    yield from rotation.cases()
    yield from evidence.cases()
    yield from lies.cases()
    yield from words.cases()


def good_cases(*sizes: int) -> Iterator[Case]:
    """Yield every good pack, and one of each further size."""
    yield from world.good_cases(*sizes)
    yield from rotation.good_cases()
    yield from evidence.good_cases()
    yield from lies.good_cases()
    yield from words.good_cases()
    yield from kept.good_cases()
