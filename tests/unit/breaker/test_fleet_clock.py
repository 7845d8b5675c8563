"""The fleet's time, from the store's answers."""

from __future__ import annotations

import json
from email.utils import formatdate
from random import Random

import pytest

from signet.breaker.config import BreakerConfig
from signet.breaker.fleetclock import MAX_CORRECTION_MS, FleetClock
from signet.breaker.intake import OutcomeIntake, Result
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import DEFAULT_NAME, OutcomeToken, decode
from signet.breaker.ticket import issue_ticket
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import NOW_MS


def hear(clock: FleetClock, true_ms: float, ahead_ms: float, took_ms: float = 10) -> None:
    """Let a clock that is ahead hear an answer."""
    date = formatdate(true_ms // 1000, usegmt=True)
    clock.heard(date, sent_ms=true_ms + ahead_ms - took_ms, received_ms=true_ms + ahead_ms)


@pytest.mark.parametrize("ahead_ms", [2_000, -2_000, 700, -700, 290_000, -290_000])
def test_a_clock_that_differs_comes_to_the_stores_time(ahead_ms: int) -> None:
    clock, rng, true_ms = FleetClock(), Random(3), float(NOW_MS)
    for _ in range(30):
        true_ms += rng.uniform(500, 1500)
        hear(clock, true_ms, ahead_ms)
        off_ms = clock.correct(round(true_ms) + ahead_ms) - true_ms
        assert abs(off_ms) <= 1_100  # after the first answer
    assert abs(off_ms) <= 250


def test_a_clock_that_may_be_right_is_left_alone() -> None:
    clock, rng, true_ms = FleetClock(), Random(4), float(NOW_MS)
    for _ in range(300):
        true_ms += rng.uniform(0, 1500)
        hear(clock, true_ms, rng.uniform(-40, 40), took_ms=rng.uniform(2, 900))
        assert clock.correct(123) == 123


def test_a_clock_that_is_set_is_followed_by_the_next_answer() -> None:
    clock = FleetClock()
    for number in range(20):
        hear(clock, NOW_MS + 970 * number, 2_000)
    hear(clock, NOW_MS + 60_000, -3_000)
    assert 1_900 <= clock.correct(0) <= 3_100
    hear(clock, NOW_MS + 61_000, 0)
    assert clock.correct(0) == 0


@pytest.mark.parametrize(
    "date",
    [
        None,
        7,
        "",
        "now",
        "Tue, 31 Feb 2026 00:00:00 GMT",
        "Tue, 01 Dec 2026 10:00:60 GMT",
        "Tue, 01 Dez 2026 10:00:00 GMT",
        "Tue, 01 Dec 2026 10:00:00 CET",
        "Tue, 01 Dec 0000 10:00:00 GMT",
        "Tue, 01 Dec 2026 10:00:00 GMT\n",
        "Tuesday, 01-Dec-26 10:00:00 GMT",
    ],
)
def test_an_answer_without_a_date_corrects_nothing(date: object) -> None:
    clock = FleetClock()
    clock.heard(date, sent_ms=0, received_ms=1)
    assert clock.correct(NOW_MS) == NOW_MS


def test_a_store_whose_clock_is_nonsense_moves_nothing() -> None:
    clock = FleetClock()
    hear(clock, NOW_MS, 3_600_000)
    assert clock.correct(NOW_MS) == NOW_MS
    hear(clock, NOW_MS, -MAX_CORRECTION_MS - 2_000)
    assert clock.correct(NOW_MS) == NOW_MS
    clock.heard(formatdate(0, usegmt=True), sent_ms=5, received_ms=4)  # set back while it waited
    assert clock.correct(NOW_MS) == NOW_MS


def test_keeper_and_reporter_go_by_the_fleets_time() -> None:
    def behind(now_ms: int) -> int:
        return now_ms + 2_000

    config, store = BreakerConfig(), MemoryBreakerStore()
    keeper = BreakerKeeper(DEFAULT_NAME, store, None, config, Random(7).random, lambda: 0.0, fleet_ms=behind)
    assert keeper.admit(NOW_MS).view.record.state_since_ms == NOW_MS + 2_000  # type: ignore[union-attr]
    keeper.arrived(keeper.admit(NOW_MS), NOW_MS)
    [(epoch, _bins)] = keeper._arrivals.drain().items()
    assert epoch == (NOW_MS + 2_000) // config.estimator.arrival_epoch_ms
    edge_ms = NOW_MS - NOW_MS % config.estimator.epoch_ms + config.estimator.epoch_ms - 1_000
    reporter = OutcomeReporter(store, config, lambda: 0.0, fleet_ms=behind)
    token = OutcomeToken(DEFAULT_NAME, 1, 1000)
    reporter.report(token, now_ms=edge_ms, latency_ms=1, error=False, slow=False)
    assert set(store.sums) == {f"{DEFAULT_NAME}#1#{(edge_ms + 2_000) // config.estimator.epoch_ms}"}


def test_an_environment_that_begins_takes_the_time_of_its_first_answer() -> None:
    clock, store = FleetClock(), MemoryBreakerStore()

    class Answering(MemoryBreakerStore):
        def read(self, name, items=()):
            found = store.read(name, items)
            hear(clock, NOW_MS, 5_000)
            return found

        def move(self, record):
            return store.move(record)

    config = BreakerConfig()
    keeper = BreakerKeeper(
        *(DEFAULT_NAME, Answering(), Queue(), config, Random(7).random, lambda: 0.0), fleet_ms=clock.correct
    )
    keeper.admit(NOW_MS + 5_000)
    written = decode(store.records[DEFAULT_NAME].state)
    assert abs(written.state_since_ms - NOW_MS) <= 1_100


def test_outcomes_that_are_sent_go_by_the_fleets_time() -> None:
    class Marks:
        def mark(self, receipts):
            return dict.fromkeys(receipts, True)

    config, store, key = BreakerConfig(), MemoryBreakerStore(), bytes(32)
    ahead_ms = config.estimator.epoch_ms
    intake = OutcomeIntake([key], Marks(), store, config, lambda now_ms: now_ms + ahead_ms)
    ticket = issue_ticket(
        key, f"{DEFAULT_NAME}/1/1000", "019a0000-0000-7000-8000-000000000000", now_s=NOW_MS // 1000
    )
    body = json.dumps({"outcomes": [{"ticket": ticket, "latency_ms": 1, "error": False}]}).encode()
    assert intake.take(body, now_ms=NOW_MS) == [Result.ACCEPTED]
    assert set(store.sums) == {f"{DEFAULT_NAME}#1#{(NOW_MS + ahead_ms) // config.estimator.epoch_ms}"}


class Queue:
    """Takes receipts."""

    def send(self, message: bytes, *, evidence: bytes | None = None) -> None:
        """Take one."""
