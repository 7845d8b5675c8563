"""Good packs and bad ones, each bad one with the reason for which every verifier must refuse it.

    python -m tests.corpus OUT_DIR

writes them with an index; ``good_cases`` and ``bad_cases`` hold them in memory. Private keys, receipts and
tampering are the same in every run. (ML-DSA signatures are not: signing draws randomness.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain
from typing import Final

from tests.corpus import (
    callers,
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
from tests.support.packs import PackLog
from tests.support.shared import made_once

__all__ = ["Case", "bad_cases", "good_cases", "sample"]


@cache
def bad_cases() -> tuple[Case, ...]:
    """Return every bad pack: made once a run, for who reads it changes nothing in it."""
    return tuple(
        chain.from_iterable(made_once({f"bad-{name}": make for name, make in _BAD.items()}).values())
    )


@cache
def good_cases(*sizes: int) -> tuple[Case, ...]:
    """Return every good pack, and one of each further size; made once a run too."""
    return (*_good_cases(), *world.cases_of_sizes(*sizes))


@cache
def _good_cases() -> tuple[Case, ...]:
    return tuple(
        chain.from_iterable(made_once({f"good-{name}": make for name, make in _GOOD.items()}).values())
    )


def sample(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Return the first bad pack of each group and code, and every tenth good one."""
    bad = {(case.group, case.code): case for case in reversed([case for case in cases if not case.good])}
    return (*[case for case in cases if case.good][::10], *reversed(bad.values()))


def _of_two_days(cases: Callable[[PackLog], Iterable[Case]]) -> Callable[[], tuple[Case, ...]]:
    return lambda: tuple(cases(world.two_days()))


def _of_its_own(cases: Callable[[], Iterable[Case]]) -> Callable[[], tuple[Case, ...]]:
    return lambda: tuple(cases())


#: In the order of the index; workers that need the corpus at the same time share the modules out.
_BAD: Final = {
    **{
        module.__name__.rpartition(".")[2]: _of_two_days(module.cases)
        for module in (zips, members, receipts, heads, proofs, logkeys)
    },
    **{
        module.__name__.rpartition(".")[2]: _of_its_own(module.cases)
        for module in (rotation, evidence, lies, words, later, callers)
    },
}
_GOOD: Final = {
    module.__name__.rpartition(".")[2]: _of_its_own(module.good_cases)
    for module in (world, rotation, evidence, lies, words, later, callers, kept)
}
