"""The logs that the corpus is made from; keys and receipts are the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from tests.corpus.case import Case
from tests.support.forgery import library
from tests.support.packs import FIRST_DAY, PackLog, log_with_days, seeded_private_set

KEYS_SEED = 1
PRIVATE = seeded_private_set(KEYS_SEED)


@cache
def two_days() -> PackLog:
    """A day of three receipts, then one of five, in one chain: what is tampered with."""
    return log_with_days(3, 5, keys_seed=KEYS_SEED)


def good_cases() -> Iterator[Case]:
    """Packs to be found good: of every size around the edges of tiles, of several chains, with gaps."""
    yield from cases_of_sizes(0, 1, 2, 255, 256, 257)
    yield _good("257-receipts-in-3-chains", log_with_days(2, 257, chains=3, keys_seed=KEYS_SEED))
    yield _good("first-day", log_with_days(4, keys_seed=KEYS_SEED))
    yield _good("first-day-without-receipts", log_with_days(0, keys_seed=KEYS_SEED))
    yield _good("days-without-receipts-before", log_with_days(0, 0, 4, keys_seed=KEYS_SEED))
    yield _good("days-without-receipts-after", log_with_days(4, 0, 0, keys_seed=KEYS_SEED))
    yield _good("thirty-days", log_with_days(*range(30), keys_seed=KEYS_SEED))
    lossy = log_with_days(keys_seed=KEYS_SEED)
    lossy.close(lossy.decide(6, FIRST_DAY, skip=(2, 3, 5)))
    yield _good("with-lost-decisions", lossy)


def cases_of_sizes(*sizes: int) -> Iterator[Case]:
    """Good packs of so many receipts."""
    for count in sizes:
        yield _good(f"{count}-receipts", log_with_days(2, count, keys_seed=KEYS_SEED))


def _good(name: str, log: PackLog) -> Case:
    data = log.pack()
    return Case(name, "good", data, log.log_id, facts=facts_of(data, log.log_id))


#: Remarks that depend on how a verifier is called, and on what it knows beside the pack.
OWN_REMARKS = {"log_id_not_pinned", "policy_absent", "other_checker", "checker_unsigned"}


def facts_of(data: bytes, log_id: str, callers: bytes | None = None) -> dict[str, object]:
    """What the library says of a good pack; every other verifier must say the same."""
    report = library(data, log_id, callers=callers)
    assert report.good, report.failures
    return {
        "date": report.date,
        "receipts": report.receipts,
        "tree_size": report.tree_size,
        "heads": report.heads,
        "decisions": dict(report.decisions),
        "summarised": dict(report.summarised),
        "proven": {found.value: number for found, number in report.proven.items()},
        "remarks": sorted({notice.code for notice in report.notices} - OWN_REMARKS),
        "gaps": [[gap.emitter, gap.first, gap.last] for gap in report.gaps],
    }
