"""Good packs and bad ones, each bad one with the reason for which every verifier must refuse it.

    python -m tests.corpus OUT_DIR

writes them with an index; ``good_cases`` and ``bad_cases`` hold them in memory. Private keys, receipts and
tampering are the same in every run. (ML-DSA signatures are not: signing draws randomness.)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from tests.corpus import (
    evidence,
    heads,
    kept,
    later,
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


@cache
def bad_cases() -> tuple[Case, ...]:
    """Return every bad pack: made once a process, for who reads it changes nothing in it."""
    return tuple(_bad_cases())


@cache
def good_cases(*sizes: int) -> tuple[Case, ...]:
    """Return every good pack, and one of each further size; made once a process too."""
    return (*_good_cases(), *world.cases_of_sizes(*sizes))


def _bad_cases() -> Iterator[Case]:
    log = world.two_days()
    for module in (zips, members, receipts, heads, proofs, logkeys):
        yield from module.cases(log)
    yield from rotation.cases()
    yield from evidence.cases()
    yield from lies.cases()
    yield from words.cases()
    yield from later.cases()


@cache
def _good_cases() -> tuple[Case, ...]:
    return (
        *world.good_cases(),
        *rotation.good_cases(),
        *evidence.good_cases(),
        *lies.good_cases(),
        *words.good_cases(),
        *later.good_cases(),
        *kept.good_cases(),
    )
