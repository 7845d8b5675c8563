"""The breaker's small parts: tokens, items, pauses, and the proofs that were counted, each at its bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from signet.breaker.accumulators import SumsKey
from signet.breaker.asked import FixedBreaker
from signet.breaker.config import BreakerConfig
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.machine import initial
from signet.breaker.pause import MisconfigurationReporter, Pause
from signet.breaker.presented import SIZE, CountedProofs, Presented
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import (
    DEFAULT_NAME,
    INTERVALS,
    KEPT_S,
    OutcomeToken,
    arrivals_item,
    decode,
    encode,
    environments_of,
    first,
    read_snapshot,
    sums_item,
)
from signet.core.errors import MisconfiguredError, UnavailableError
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import BreakerLevel
from tests.fakes.breakers import MemoryBreakerStore

CONFIG = BreakerConfig()
ESTIMATOR = CONFIG.estimator
T0 = 1_760_000_000_000
PAGE = (Path(__file__).parents[3] / "docs" / "breaker.md").read_text()


# --- Tokens and items ---------------------------------------------------------------------------


def test_a_token_is_what_it_is_written_as() -> None:
    token = OutcomeToken("backend", 17, 250)
    assert str(token) == "backend/17/250"
    assert OutcomeToken.parse(str(token)) == token
    assert OutcomeToken.parse("a/0/1") == OutcomeToken("a", 0, 1)
    longest = f"a{'-' * 31}/{'9' * 15}/99999"
    assert str(OutcomeToken.parse(longest)) == longest


WRONG = ("", "a/1", "a/1/0", "a/01/1", "a/1/01", "A/1/1", f"a{'-' * 32}/1/1", f"a/{'9' * 16}/1")
WRONG += ("a/1/100000", "a/1/1\n", "a/-1/1", "1/1/1")


@pytest.mark.parametrize("text", [*WRONG, None, 7, b"a/1/1"])
def test_what_is_no_token_is_none(text: object) -> None:
    assert OutcomeToken.parse(text) is None


def test_items_are_named_by_generation_and_epoch() -> None:
    assert sums_item("backend", SumsKey(generation=3, epoch=29)) == "backend#3#29"
    assert arrivals_item("backend", 7) == "backend#arrivals#7"
    assert (DEFAULT_NAME, KEPT_S) == ("backend", 3600)


@pytest.mark.parametrize("state", [b"", b"[]", b"{}", b'"x"', b"\xff", b'{"version":"x"}'])
def test_a_state_that_is_none_is_a_store_that_is_down(state: bytes) -> None:
    with pytest.raises(UnavailableError):
        decode(state)


def test_a_state_is_stored_in_one_form() -> None:
    assert decode(encode(initial(T0))) == initial(T0)
    assert encode(initial(T0)).startswith(b'{"admit_ppm":1000000,"ceiling_ppm":0,"closed_at_ms":0,')
    assert first("x", T0) == StoredBreaker("x", 1, encode(initial(T0)))


@pytest.mark.parametrize(
    ("told", "environments"),
    [
        ("0", 0.0),
        ("15000", 1.0),
        ("7500", 0.5),
        ("150000000", 10_000.0),
        ("150000001", 10_000.0),
        ("9" * 15, 10_000.0),
        ("9" * 16, 0.0),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("٣", 0.0),
        ("", 0.0),
    ],
)
def test_environments_are_counted_over_the_last_complete_epoch(told: str, environments: float) -> None:
    noise = {INTERVALS: "600000"}
    assert environments_of([noise, {INTERVALS: told}, noise], ESTIMATOR) == environments
    assert environments_of([noise, {}, noise], ESTIMATOR) == 0.0


def test_a_snapshot_needs_a_state_and_its_own_generation() -> None:
    store = MemoryBreakerStore()
    for generation in (None, 1):
        assert read_snapshot(store, "backend", now_ms=T0, config=CONFIG, generation=generation) is None
    assert store.calls["read"] == 2
    store.move(first("backend", T0))
    epoch = T0 // ESTIMATOR.epoch_ms
    store.add(sums_item("backend", SumsKey(1, epoch)), {"count": "5", "bad_count": "2"}, expires_at=0)
    store.add(sums_item("backend", SumsKey(1, epoch - 1)), {"count": "-1"}, expires_at=0)
    store.add(sums_item("backend", SumsKey(2, epoch)), {"count": "9"}, expires_at=0)
    lately = T0 // ESTIMATOR.arrival_epoch_ms - 1
    store.add(arrivals_item("backend", lately), {INTERVALS: "30000", "b00": "60"}, expires_at=0)
    for generation, reads in ((None, 2), (1, 1), (8, 2)):
        store.calls.clear()
        found = read_snapshot(store, "backend", now_ms=T0, config=CONFIG, generation=generation)
        assert found is not None
        assert (found.estimate.count, found.estimate.bad_count, found.environments) == (5, 2, 2.0)
        assert store.calls["read"] == reads


def test_a_state_that_changes_at_each_read_is_given_up_after_three() -> None:
    store = MemoryBreakerStore()
    store.move(first("backend", T0))
    read = store.read

    def moving(name: str, items: tuple[str, ...] = ()) -> object:
        found = read(name, items)
        stored = store.records[name]
        record = decode(stored.state)
        later = {**record.to_attributes(), "generation": record.generation + 1}
        store.records[name] = StoredBreaker(name, 1, encode(type(record).from_attributes(later)))
        return found

    store.read = moving  # type: ignore[assignment]
    with pytest.raises(UnavailableError, match="kept changing"):
        read_snapshot(store, "backend", now_ms=T0, config=CONFIG, generation=99)
    assert store.calls["read"] == 3


# --- Pauses -------------------------------------------------------------------------------------


def test_a_store_is_left_alone_for_longer_and_longer_up_to_half_a_minute() -> None:
    pause, lengths = Pause(), []
    for _ in range(7):
        pause.failed(100.0)
        lengths.append(next(s / 2 for s in range(200) if pause.is_over(100.0 + s / 2)))
    assert lengths == [1, 2, 4, 8, 16, 30, 30]
    pause.answered()
    assert pause.is_over(0.0)
    pause.failed(0.0)
    assert (pause.is_over(0.99), pause.is_over(1.0)) == (False, True)


def test_only_what_a_person_has_to_change_is_told_and_what_the_telling_raises_goes_no_further() -> None:
    told: list[object] = []

    def report(error: object) -> None:
        told.append(error)
        raise ValueError

    denied = MisconfiguredError("could not read", "grant it")
    reporter = MisconfigurationReporter(report)
    reporter.failed(UnavailableError("away"), 0.0)
    assert told == []
    reporter.failed(denied, 0.0)
    reporter.failed(denied, 0.99)
    assert told == [denied]
    reporter.answered()
    reporter.failed(denied, 0.99)
    assert told == [denied, denied]


# --- Proofs that were counted -------------------------------------------------------------------


def test_a_proof_counts_once_until_its_time_is_over() -> None:
    counted = CountedProofs()
    proof = Presented(b"n", 500)
    assert counted.is_new(proof, at_s=10.0)
    assert not counted.is_new(proof, at_s=10.499)
    assert counted.is_new(proof, at_s=10.5)
    assert len(counted) == 1
    assert counted.is_new(Presented(b"m", 500), at_s=11.0)  # at the very end of the other one
    assert len(counted) == 1


def test_as_many_proofs_are_remembered_as_the_page_says() -> None:
    assert f"{SIZE:,}" in PAGE
    counted = CountedProofs(size=2)
    for nonce in (b"a", b"b", b"c"):
        assert counted.is_new(Presented(nonce, 1_000), at_s=0.0)
    assert len(counted) == 2
    assert not counted.is_new(Presented(b"b", 1_000), at_s=0.0)
    assert counted.is_new(Presented(b"a", 1_000), at_s=0.0)


# --- Reporting ----------------------------------------------------------------------------------


def test_outcomes_are_stored_once_per_interval_and_kept_for_an_hour() -> None:
    store, now_s = MemoryBreakerStore(), [1_000.0]
    reporter = OutcomeReporter(store, CONFIG, lambda: now_s[0])
    token = OutcomeToken("backend", 1, 250)

    def report() -> int:
        reporter.report(token, now_ms=T0, latency_ms=1.0, error=True, slow=False)
        return store.calls["add"]

    assert report() == 1
    now_s[0] += 0.999  # how many environments there are is not known yet
    assert report() == 1
    now_s[0] += 0.001
    assert report() == 2
    now_s[0] += 0.499
    assert report() == 2
    now_s[0] += 0.001
    assert report() == 3
    item = sums_item("backend", SumsKey(1, T0 // ESTIMATOR.epoch_ms))
    assert store.kept_until_s == {item: T0 // 1000 + 3600}
    assert (store.sums[item]["count"], store.sums[item]["bad_count"]) == (5, 5)


def test_after_a_failure_the_store_is_left_alone_and_what_was_counted_is_dropped() -> None:
    store, now_s, told = MemoryBreakerStore(), [1_000.0], []
    reporter = OutcomeReporter(store, CONFIG, lambda: now_s[0], told.append)
    store.away, store.error = True, MisconfiguredError("could not write", "grant it")
    token = OutcomeToken("backend", 1, 250)
    for later_s in (0.0, 0.6, 0.39):
        now_s[0] += later_s
        reporter.report(token, now_ms=T0, latency_ms=1.0, error=False, slow=False)
    assert (store.calls["add"], told) == (1, [store.error])
    now_s[0] += 0.02
    store.away = False
    reporter.report(token, now_ms=T0, latency_ms=1.0, error=False, slow=False)
    [sums] = store.sums.values()
    assert sums["count"] == 3
    store.away = True
    now_s[0] += 1.0
    reporter.report(token, now_ms=T0, latency_ms=1.0, error=False, slow=False)
    assert told == [store.error] * 2


# --- The keeper ---------------------------------------------------------------------------------


class Clock:
    """Seconds and milliseconds of one clock."""

    def __init__(self) -> None:
        self.ms = T0

    def __call__(self) -> float:
        return self.ms / 1000


class Taken:
    """A queue that takes everything."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        self.sent.append(message)


def keeper(store: MemoryBreakerStore, clock: Clock) -> BreakerKeeper:
    return BreakerKeeper("backend", store, Taken(), CONFIG, lambda: 0.5, clock)


def test_what_was_counted_is_added_with_the_interval_to_the_newest_epoch_alone() -> None:
    store, clock = MemoryBreakerStore(), Clock()
    one = keeper(store, clock)
    admission = one.admit(clock.ms)
    epoch = T0 // ESTIMATOR.arrival_epoch_ms
    one.arrived(admission, T0)
    one.arrived(admission, T0 + ESTIMATOR.arrival_epoch_ms)
    one.arrived(admission, T0 + ESTIMATOR.arrival_epoch_ms)
    clock.ms += 500
    one.admit(clock.ms)
    assert INTERVALS not in store.sums[arrivals_item("backend", epoch)]
    newest = store.sums[arrivals_item("backend", epoch + 1)]
    assert newest.pop(INTERVALS) == 500
    assert sum(newest.values()) == 2
    assert set(store.kept_until_s.values()) == {clock.ms // 1000 + 3600}


def test_a_view_is_read_anew_when_its_interval_is_over_and_not_before() -> None:
    store, clock = MemoryBreakerStore(), Clock()
    one = keeper(store, clock)
    assert one.admit(clock.ms).generation == 1
    store.calls.clear()
    for later_ms, reads in ((499, 0), (1, 1), (499, 1), (1, 2)):
        clock.ms += later_ms
        one.admit(clock.ms)
        assert store.calls["read"] == reads


def test_failures_count_once_per_proof_and_only_of_a_known_generation() -> None:
    store, clock = MemoryBreakerStore(), Clock()
    one = keeper(store, clock)
    known = one.admit(clock.ms)
    proof = Presented(b"n", 60_000)
    for _ in range(3):
        one.failed(known, clock.ms, proof)
        one.turned_away(proof, clock.ms)
    one.failed(known, clock.ms)
    one.failed(FixedBreaker().admit(clock.ms), clock.ms)
    clock.ms += 500
    one.admit(clock.ms)
    [sums] = [sums for item, sums in store.sums.items() if "arrivals" not in item]
    assert (sums["count"], sums["bad_count"], sums["fast_error"]) == (2, 2, sums["fast_n"])
    assert "fast_latency" not in sums
    [arrivals] = [sums for item, sums in store.sums.items() if "arrivals" in item]
    assert arrivals.pop(INTERVALS) == 500
    assert sum(arrivals.values()) == 1


def test_a_breaker_that_never_moves_stands_on_its_rung() -> None:
    admission = FixedBreaker(BreakerLevel.RELAX).admit(T0)
    assert (admission.level, admission.rung) == (BreakerLevel.RELAX, BreakerLevel.RELAX)
    assert (admission.generation, admission.retry_after_s, admission.view) == (None, None, None)
    assert FixedBreaker().outcome_token(admission, objective_ms=1) == ""
    assert FixedBreaker().admit(T0).level is BreakerLevel.FULL
