"""Calls of the store that fail: what is added, what is read, and what is decided meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from signet.breaker.additions import Additions
from signet.breaker.config import BreakerConfig
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.patient import PatientStore
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import DEFAULT_NAME, OutcomeToken
from signet.core.errors import MisconfiguredError, NotDoneError, UnavailableError
from signet.core.ports import StoredBreaker
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import NOW_MS

CONFIG = BreakerConfig()
LOST = UnavailableError("the answer is lost")
REFUSED = NotDoneError("too many requests")


class Failing(MemoryBreakerStore):
    """``fates``: of the next calls. ``after``: the call takes effect, and its answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.fates: list[UnavailableError | str | None] = []
        self.now_s = 0.0
        self.slow_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def add(self, item: str, amounts: Mapping[str, str], *, expires_at: int) -> Mapping[str, str]:
        after = self._meet()
        sums = super().add(item, amounts, expires_at=expires_at)
        self._lose(after=after)
        return sums

    def read(
        self, name: str, items: Sequence[str] = ()
    ) -> tuple[StoredBreaker | None, Sequence[Mapping[str, str]]]:
        self._meet()
        return super().read(name, items)

    def move(self, record: StoredBreaker) -> bool:
        after = self._meet()
        moved = super().move(record)
        self._lose(after=after)
        return moved

    def _meet(self) -> bool:
        fate = self.fates.pop(0) if self.fates else None
        if fate is not None:
            self.now_s += self.slow_s
        if isinstance(fate, UnavailableError):
            raise fate
        return fate == "after"

    def _lose(self, *, after: bool) -> None:
        if after:
            raise LOST


@pytest.mark.parametrize(
    ("fate", "counted"), [(None, "1"), (REFUSED, "1"), (LOST, None), ("after", "1")], ids=str
)
def test_an_addition_counts_at_most_once_and_is_lost_only_where_it_may_have_counted(fate, counted) -> None:
    store = Failing()
    additions = Additions(store, store.clock)
    additions.put("a", {"count": "1"}, expires_at=1)
    store.fates = [fate]
    assert (additions.flush() is None) == (fate in {None, REFUSED})  # what was refused is tried again
    assert additions.flush() is None
    assert additions.flush() is None
    assert (str(store.sums["a"]["count"]) if "a" in store.sums else None) == counted


def test_additions_that_wait_become_one_and_keep_every_digit() -> None:
    store = Failing()
    additions = Additions(store, store.clock)
    amounts = ["12345678901234567890123.0000000000001", "0.0000000000001", "1"]
    for amount in amounts:
        additions.put("a", {"fast_n": amount, "count": "1"}, expires_at=1)
    assert len(additions) == 1
    added = []
    additions.learn = lambda _item, amounts, _sums: added.append(amounts)
    additions.flush()
    assert added == [{"fast_n": "12345678901234567890124.0000000000002", "count": "3"}]


def test_a_failure_that_took_time_ends_a_flush_and_what_was_not_tried_waits() -> None:
    store = Failing()
    additions = Additions(store, store.clock)
    for item in "abc":
        additions.put(item, {"count": "1"}, expires_at=1)
    store.fates, store.slow_s = [LOST], 0.5
    assert additions.flush() is LOST
    assert len(additions) == 2
    assert additions.flush() is None
    assert set(store.sums) == {"b", "c"}


def test_what_waits_is_bounded_in_number_and_age() -> None:
    store = Failing()
    store.away, store.error = True, REFUSED
    additions = Additions(store, store.clock)
    for number in range(1000):
        additions.put(str(number), {"count": "1"}, expires_at=1)
        additions.flush()
    assert len(additions) == 64
    store.away = False
    store.now_s += 61
    additions.put("new", {"count": "1"}, expires_at=1)
    assert additions.flush() is None
    assert set(store.sums) == {"new"}


@pytest.mark.parametrize(
    ("failure", "slow_s", "calls"),
    [(LOST, 0.0, 4), (LOST, 0.5, 1), (REFUSED, 0.0, 3), (MisconfiguredError("no", "grant it"), 0.0, 1)],
    ids=["at once", "slowly", "too many calls", "no permission"],
)
def test_reads_are_repeated_where_that_costs_and_harms_nothing(failure, slow_s, calls) -> None:
    store = Failing()
    store.fates, store.slow_s = [failure] * 9, slow_s
    with pytest.raises(UnavailableError):
        PatientStore(store, store.clock).read(DEFAULT_NAME)
    assert 9 - len(store.fates) == calls


def test_a_transition_whose_answer_is_lost_is_read_as_the_one_that_took_place() -> None:
    store = Failing()
    keeper = BreakerKeeper(DEFAULT_NAME, store, Sent(), CONFIG, Random(7).random, store.clock)
    store.fates = [None, "after"]  # nothing is stored; the first state is written
    assert keeper.admit(NOW_MS).view is not None
    assert store.records[DEFAULT_NAME].version == 1


class Sent:
    """Takes receipts."""

    def send(self, message: bytes, *, evidence: bytes | None = None) -> None:
        """Take one."""


def test_late_sums_stay_with_the_state_that_they_are_of() -> None:
    store = Failing()
    reporter = OutcomeReporter(store, CONFIG, store.clock)

    def report(generation: int, *, error: bool) -> None:
        token = OutcomeToken(DEFAULT_NAME, generation, 1000)
        now_ms = NOW_MS + int(1000 * store.now_s)
        reporter.report(token, now_ms=now_ms, latency_ms=1, error=error, slow=False)

    store.away, store.error = True, REFUSED
    for _ in range(100):
        report(3, error=True)
        store.now_s += 0.05
    store.away = False
    for _ in range(100):
        report(4, error=False)
        store.now_s += 0.05
    by_generation: Counter[str] = Counter()
    for item, sums in store.sums.items():
        by_generation[f"{item.split('#')[1]} bad"] += int(sums.get("bad_count", 0))
        by_generation[f"{item.split('#')[1]} all"] += int(sums["count"])
    assert (by_generation["3 bad"], by_generation["3 all"]) == (100, 100)
    assert by_generation["4 bad"] == 0
    assert by_generation["4 all"] > 50
