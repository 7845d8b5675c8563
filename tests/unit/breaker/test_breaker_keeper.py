"""The breaker in an environment: it drives the shared state, loses no receipt, and fails no request."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from signet.breaker.admission import Admission
from signet.breaker.asked import FixedBreaker
from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate, Load
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.machine import BreakerRecord
from signet.breaker.pause import Pause
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import DEFAULT_NAME, OutcomeToken, decode, environments_of, first, read_snapshot
from signet.breaker.transitions import figures
from signet.core.decision import Reason
from signet.core.errors import MisconfiguredError, SignetError, UnavailableError
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.receipts.model import read_receipt
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import NOW_MS, World, digest, edit_header, own

CONFIG = BreakerConfig()
DENIED = MisconfiguredError("could not use the breaker", "grant what is missing")


class Queue:
    """Receipts that were sent; ``away`` loses the connection before, ``lost`` after a message is taken."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.away = False
        self.lost = False

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        if self.away:
            raise UnavailableError("away")
        self.sent.append(message)
        if self.lost:
            raise UnavailableError("taken, and the answer lost")

    def story(self) -> list[tuple[int, str, str]]:
        """Version, new state and cause of each receipt that was sent, in order."""
        found = [read_receipt(message, chained=False).members for message in self.sent]
        return [(r["breaker"]["version"], r["to"]["state"], r["cause"]) for r in found]


class Fleet:
    """Environments of the authorizer and one backend on one store, with a clock."""

    def __init__(self, size: int = 1) -> None:
        self.now_ms = self.asked_ms = NOW_MS
        self.store = MemoryBreakerStore()
        self.queue = Queue()
        self.told: list[SignetError] = []
        self.told_by_backend: list[SignetError] = []
        self.keepers = [self.keeper() for _ in range(size)]
        self.reporter = OutcomeReporter(self.store, CONFIG, self.clock, self.told_by_backend.append)
        self.turn = itertools.cycle(range(size))
        self.outcomes: Counter[str] = Counter()

    def clock(self) -> float:
        return max(self.now_ms, self.asked_ms) / 1000

    def keeper(self, config: BreakerConfig = CONFIG) -> BreakerKeeper:
        fleet = self

        class Keeper(BreakerKeeper):
            """Both of its clocks show the time it is asked at."""

            def admit(self, now_ms: int) -> Admission:
                fleet.asked_ms = now_ms
                return super().admit(now_ms)

        return Keeper(
            *(DEFAULT_NAME, self.store, self.queue, config, Random(7).random, self.clock),
            report=self.told.append,
        )

    @property
    def state(self) -> str:
        return decode(self.store.records[DEFAULT_NAME].state).state.value

    def request(self, *, slow: bool = False) -> None:
        keeper = self.keepers[next(self.turn)]
        admission = keeper.admit(self.now_ms)
        keeper.arrived(admission, self.now_ms)
        self.outcomes["admitted" if admission.admitted else "shed"] += 1
        if not admission.admitted:
            return
        token = OutcomeToken.parse(keeper.outcome_token(admission, objective_ms=1000))
        if token is not None:
            latency_ms = 2000.0 if slow else 5.0
            self.reporter.report(token, now_ms=self.now_ms, latency_ms=latency_ms, error=False, slow=slow)

    def run(self, seconds: float, *, slow: bool = False, until: str = "") -> None:
        end_ms = self.now_ms + round(seconds * 1000)
        while self.now_ms < end_ms and (not until or self.state != until):
            self.request(slow=slow)
            self.now_ms += 50


@pytest.mark.parametrize("size", [1, 5])
def test_a_fault_is_one_cycle_with_one_receipt_each(size: int) -> None:
    fleet = Fleet(size)
    fleet.run(5)
    fleet.run(20, slow=True, until="open")
    fleet.run(60, until="closed")
    fleet.run(10)
    story = fleet.queue.story()
    states = [state for state, _ in itertools.groupby(state for _version, state, _cause in story)]
    assert states[-3:] == ["open", "half_open", "closed"]
    assert set(states[:-3]) <= {"closed"}  # the ladder's rung, before the trip
    versions = [version for version, _state, _cause in story]
    assert versions == sorted(set(versions))
    assert fleet.store.records[DEFAULT_NAME].unsent == ()


def test_the_receipt_of_a_transition_survives_a_queue_that_is_away() -> None:
    fleet = Fleet(2)
    fleet.run(5)
    fleet.queue.away = True
    fleet.run(20, slow=True, until="open")
    assert fleet.queue.sent == []
    assert len(fleet.store.records[DEFAULT_NAME].unsent) >= 1
    fleet.queue.away = False
    fleet.run(3)
    assert ("open", "tripped") in [(state, cause) for _version, state, cause in fleet.queue.story()]
    assert fleet.store.records[DEFAULT_NAME].unsent == ()


def test_the_receipt_of_a_crashed_environment_is_sent_by_another() -> None:
    fleet = Fleet()
    fleet.run(5)
    send, fleet.queue.send = fleet.queue.send, _crash  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        fleet.run(20, slow=True)
    fleet.queue.send = send  # type: ignore[method-assign]
    fleet.keepers = [fleet.keeper()]
    fleet.run(2)
    assert fleet.queue.story() != []
    assert len(fleet.queue.sent) == len(set(fleet.queue.sent))


def _crash(_message: bytes, *, evidence: bytes | None = None) -> None:
    raise KeyboardInterrupt


def test_a_receipt_that_is_sent_twice_is_the_same_receipt() -> None:
    fleet = Fleet()
    fleet.run(5)
    fleet.queue.lost = True
    fleet.run(20, slow=True, until="open")
    fleet.queue.lost = False
    fleet.run(3)
    ids = Counter(read_receipt(message, chained=False).id for message in fleet.queue.sent)
    assert max(ids.values()) > 1
    assert len(set(fleet.queue.sent)) == len(ids)


def test_state_is_read_at_most_twice_a_second_and_only_when_a_request_comes() -> None:
    fleet = Fleet()
    fleet.request()
    before = fleet.store.calls["read"]
    for _ in range(100):
        fleet.keepers[0].admit(fleet.now_ms)
    assert fleet.store.calls["read"] == before
    fleet.run(10)
    assert fleet.store.calls["read"] - before <= 20
    fleet.now_ms += 3_600_000
    assert fleet.store.calls["read"] - before <= 20


def test_a_store_that_is_away_leaves_the_last_state_and_full_verification() -> None:
    fleet = Fleet()
    fleet.run(5)
    fleet.run(20, slow=True, until="open")
    fleet.store.away = True
    fleet.now_ms += CONFIG.refresh_ms
    admission = fleet.keepers[0].admit(fleet.now_ms)
    assert (admission.admitted, admission.facts.state) == (False, BreakerState.OPEN)
    fleet.now_ms += CONFIG.unread_ms
    admission = fleet.keepers[0].admit(fleet.now_ms)
    assert (admission.admitted, admission.level) == (True, BreakerLevel.FULL)


def test_a_store_that_was_never_there_admits_and_verifies_in_full() -> None:
    fleet = Fleet()
    fleet.store.away = True
    for _ in range(50):
        admission = fleet.keepers[0].admit(fleet.now_ms)
        assert (admission.admitted, admission.level) == (True, BreakerLevel.FULL)
        fleet.now_ms += 10
    assert fleet.store.calls["read"] == 4  # and after a few tries the store is left alone for a while


def test_a_watcher_follows_and_drives_nothing() -> None:
    fleet = Fleet()
    watcher = BreakerKeeper(DEFAULT_NAME, fleet.store, None, CONFIG, Random(7).random, fleet.clock)
    assert watcher.admit(fleet.now_ms).admitted
    assert fleet.store.records == {}
    fleet.run(5)
    fleet.run(20, slow=True, until="open")
    calls = Counter(fleet.store.calls)
    fleet.now_ms += 60_000
    assert watcher.admit(fleet.now_ms).level is BreakerLevel.SHED
    assert fleet.store.calls - calls == {"read": 1}


def test_sums_of_outcomes_are_kept_for_an_hour() -> None:
    fleet = Fleet()
    fleet.reporter.report(
        OutcomeToken(DEFAULT_NAME, 1, 1000), now_ms=fleet.now_ms, latency_ms=1, error=False, slow=False
    )
    assert set(fleet.store.kept_until_s.values()) == {fleet.now_ms // 1000 + 3600}


def test_a_backend_whose_store_is_away_tries_seldom_and_never_fails() -> None:
    fleet = Fleet()
    fleet.store.away = True
    for _ in range(1000):
        fleet.reporter.report(
            OutcomeToken(DEFAULT_NAME, 1, 1000), now_ms=fleet.now_ms, latency_ms=1, error=False, slow=False
        )
        fleet.now_ms += 50
    assert 20 <= fleet.store.calls["add"] <= 30  # in 50 s: what fails at once costs nothing

    fleet = Fleet()
    fleet.store.away, add = True, fleet.store.add

    def slow(item, amounts, *, expires_at):
        fleet.now_ms += 500
        return add(item, amounts, expires_at=expires_at)

    fleet.store.add = slow  # type: ignore[method-assign]
    for _ in range(1000):
        fleet.reporter.report(
            OutcomeToken(DEFAULT_NAME, 1, 1000), now_ms=fleet.now_ms, latency_ms=1, error=False, slow=False
        )
        fleet.now_ms += 50
    assert fleet.store.calls["add"] <= 7


def test_a_table_that_may_not_be_used_is_told_once_per_pause_and_admits() -> None:
    fleet = Fleet()
    fleet.store.away, fleet.store.error = True, DENIED
    fleet.run(32)
    assert set(fleet.outcomes) == {"admitted"}
    assert fleet.told == [DENIED] * 6  # at 0, 1, 3, 7, 15 and 31 s
    fleet.store.away = False
    fleet.run(60)
    assert fleet.state == "closed"
    fleet.store.away = True
    fleet.run(1.5)
    assert len(fleet.told) == 8  # after an answer at once, and the pauses begin with 1 s again


def test_receipts_that_may_not_be_sent_are_told_once_per_pause_though_they_are_tried_on() -> None:
    fleet = Fleet()
    fleet.run(5)
    tries: list[int] = []

    def denied(_message: bytes, *, evidence: bytes | None = None) -> None:
        tries.append(fleet.now_ms)
        raise DENIED

    fleet.queue.send = denied  # type: ignore[method-assign]
    fleet.run(20, slow=True, until="open")
    fleet.run(30)
    assert 2 <= len(fleet.told) <= 6
    assert len(tries) > 3 * len(fleet.told)


def test_an_outage_that_passes_is_told_to_nobody() -> None:
    fleet = Fleet()
    fleet.run(5)
    fleet.queue.away = True
    fleet.run(20, slow=True, until="open")
    fleet.store.away = True
    fleet.run(30)
    assert fleet.told == fleet.told_by_backend == []


def test_a_report_that_fails_fails_no_request() -> None:
    fleet = Fleet()
    fleet.store.away, fleet.store.error = True, DENIED

    def broken(_error: SignetError) -> None:
        raise OSError("no log")

    keeper = BreakerKeeper(
        *(DEFAULT_NAME, fleet.store, fleet.queue, CONFIG, Random(7).random, fleet.clock), report=broken
    )
    assert keeper.admit(fleet.now_ms).admitted
    assert fleet.store.calls["read"] == 1


def test_a_backend_that_may_not_report_says_so_once_per_pause() -> None:
    fleet = Fleet()
    fleet.store.away, fleet.store.error = True, DENIED
    for _ in range(640):  # 32 s
        fleet.reporter.report(
            OutcomeToken(DEFAULT_NAME, 1, 1000), now_ms=fleet.now_ms, latency_ms=1, error=False, slow=False
        )
        fleet.now_ms += 50
    assert fleet.told_by_backend == [DENIED] * fleet.store.calls["add"] == [DENIED] * 6


def test_pauses_double_up_to_half_a_minute_and_end_with_an_answer() -> None:
    pause = Pause()
    lengths = []
    now_s = 0.0
    for _ in range(7):
        pause.failed(now_s)
        start = now_s
        while not pause.is_over(now_s):
            now_s += 0.5
        lengths.append(now_s - start)
    assert lengths == [1, 2, 4, 8, 16, 30, 30]
    pause.answered()
    assert pause.is_over(0)


@pytest.mark.parametrize(
    "text",
    ["", "backend", "b/1", "b/-1/9", "b/01/9", "b/1/0", "b/1/09", "B/1/9", "b/1/9\n", "a#b/1/9", 7, None],
)
def test_what_is_no_outcome_token_is_none(text: object) -> None:
    assert OutcomeToken.parse(text) is None
    assert OutcomeToken.parse(str(OutcomeToken("backend", 12, 250))) == OutcomeToken("backend", 12, 250)


# --- what a caller controls


def _shedding(state: BreakerState) -> Callable[[World], Fleet]:
    def build(world: World) -> Fleet:
        fleet = Fleet()
        fleet.run(5)
        fleet.run(20, slow=True, until=state.value if state is BreakerState.OPEN else "open")
        if state is BreakerState.HALF_OPEN:
            fleet.run(20, until="half_open")
            fleet.keepers[0].draw = lambda: 0.999
        world.breaker = fleet.keepers[0]
        world.now_ms = fleet.now_ms
        return fleet

    return build


@pytest.mark.parametrize(
    ("state", "reason"),
    [(BreakerState.OPEN, Reason.BREAKER_OPEN), (BreakerState.HALF_OPEN, Reason.HALF_OPEN_FULL)],
)
def test_only_verified_requests_learn_that_the_backend_is_spared_and_keep_their_nonce(
    state: BreakerState, reason: Reason
) -> None:
    world = World()
    _shedding(state)(world)
    decision = world.verifier.judge(own(world.sign(world.event())), now_ms=world.now_ms)
    assert decision.reason is reason
    assert decision.context.admission.retry_after_s is not None
    assert decision.context.outcome_token == ""
    assert world.nonces.spent == {}
    assert world.reason(world.event()) == "challenge_required"
    forged = edit_header(world.sign(world.event()), "Signature", lambda v: v[:10] + "AAAA" + v[14:])
    assert world.reason(forged) == "bad_signature"


def test_a_route_whose_ladder_has_no_shed_is_not_shed() -> None:
    world = World()
    world.register("auditor", roles=frozenset({"auditor"}))
    fleet = _shedding(BreakerState.OPEN)(world)
    before = dict(fleet.store.sums)
    event = world.event("POST", "/compliance/pack", headers={"Content-Digest": digest(b"")})
    event = world.sign(event, keyid="auditor")
    decision = world.verifier.judge(own(event), now_ms=world.now_ms)
    assert decision.reason is Reason.OK
    assert decision.context.outcome_token == ""
    assert decision.context.breaker.level is BreakerLevel.RELAX
    assert fleet.store.sums == before


def test_retry_after_is_no_shorter_than_the_rest_of_the_open_interval() -> None:
    world = World()
    fleet = _shedding(BreakerState.OPEN)(world)
    record = decode(fleet.store.records[DEFAULT_NAME].state)
    for passed_ms in (0, 1000, 4000):
        admission = fleet.keepers[0].admit(fleet.now_ms + passed_ms)
        assert admission.retry_after_s is not None
        assert admission.retry_after_s * 1000 >= record.open_until_ms - fleet.now_ms - passed_ms


def test_own_stores_count_only_behind_verification() -> None:
    world = World()
    fleet = Fleet()
    world.breaker = fleet.keepers[0]
    fleet.request()

    def away(*_arguments: Any, **_options: Any) -> Any:
        raise UnavailableError("away")

    spend, world.nonces.spend = world.nonces.spend, away  # type: ignore[method-assign]
    assert world.reason(world.sign(world.event())) == "store_unavailable"
    world.nonces.spend = spend  # type: ignore[method-assign]
    world.clients.get = away  # type: ignore[method-assign]
    for _ in range(5):  # a caller with a nonce may ask for any key
        assert world.reason(world.sign(world.event())) == "store_unavailable"
    world.breaker.admit(world.now_ms + CONFIG.refresh_ms)
    snapshot = read_snapshot(
        fleet.store, DEFAULT_NAME, now_ms=world.now_ms + CONFIG.refresh_ms, config=CONFIG
    )
    assert snapshot is not None
    assert (snapshot.estimate.count, snapshot.estimate.bad_count) == (
        2,
        1,
    )  # the backend's, and the nonce store's


@pytest.mark.long
def test_100_000_bad_requests_leave_state_and_statistics_unchanged() -> None:
    world = World()
    fleet = Fleet()
    world.breaker = fleet.keepers[0]
    fleet.run(2)
    fleet.keepers[0].admit(fleet.now_ms + CONFIG.refresh_ms)  # what was counted so far is stored
    world.now_ms = fleet.now_ms + CONFIG.refresh_ms
    record, sums = (
        fleet.store.records[DEFAULT_NAME],
        json.dumps(fleet.store.sums, default=str, sort_keys=True),
    )
    forged = edit_header(world.sign(world.event()), "Signature", lambda v: v[:10] + "AAAA" + v[14:])
    unknown = world.sign(world.event(), keyid="nobody")
    events = [world.event(), forged, unknown]
    reasons: Counter[str] = Counter()
    for number in range(100_000):
        # One in twenty goes through a real signature check; the rest is refused or challenged before.
        event = events[1 + number // 20 % 2] if number % 20 == 0 else events[0]
        now_ms = world.now_ms + number // 50  # 50,000 requests per second
        reasons[world.verifier.judge(own(event), now_ms=now_ms).reason.value] += 1
    assert reasons == {"challenge_required": 95_000, "bad_signature": 2_500, "unknown_key": 2_500}
    world.breaker.admit(world.now_ms + 10_000)
    assert fleet.store.records[DEFAULT_NAME] == record
    assert json.dumps(fleet.store.sums, default=str, sort_keys=True) == sums
    assert fleet.queue.sent == []


def test_a_fixed_breaker_admits_and_asks_for_no_report() -> None:
    fixed = FixedBreaker(BreakerLevel.RELAX)
    admission = fixed.admit(NOW_MS)
    assert (admission.admitted, admission.level, admission.facts.state) == (
        True,
        BreakerLevel.RELAX,
        None,
    )
    assert fixed.outcome_token(admission, objective_ms=1000) == ""


def writes_per_s(fleet: Fleet, seconds: int) -> float:
    """Additions per second, of keepers that all have a request each tenth of a second."""
    before = fleet.store.calls["add"]
    for _ in range(seconds * 10):
        for keeper in fleet.keepers:
            keeper.arrived(keeper.admit(fleet.now_ms), fleet.now_ms)
        fleet.now_ms += 100
    return (fleet.store.calls["add"] - before) / seconds


def test_the_interval_stretches_with_the_fleet_to_the_rate_that_an_item_bears_and_stays_there() -> None:
    config = BreakerConfig(item_writes_per_s=4)
    fleet = Fleet(0)
    fleet.keepers = [fleet.keeper(config) for _ in range(8)]
    epoch_s = config.estimator.arrival_epoch_ms // 1000
    assert writes_per_s(fleet, 2) >= 12  # no process knows yet how many there are
    writes_per_s(fleet, 2 * epoch_s)
    for _ in range(
        4
    ):  # no epoch later is it another rate: what follows a stretched interval is measured alike
        assert 3 <= writes_per_s(fleet, epoch_s) <= 5
    reads = fleet.store.calls["read"]
    writes_per_s(fleet, epoch_s)
    assert 3 <= (fleet.store.calls["read"] - reads) / epoch_s <= 5
    fleet.keepers = fleet.keepers[:1]  # the others are gone: the one that is left looks often again
    writes_per_s(fleet, 3 * epoch_s)
    assert 1.8 <= writes_per_s(fleet, epoch_s) <= 2.4


def test_a_small_fleet_looks_as_often_as_it_may() -> None:
    fleet = Fleet(3)
    writes_per_s(fleet, 40)
    assert 5.5 <= writes_per_s(fleet, 15) <= 6.6


@pytest.mark.parametrize("amount", ["9" * 15, "9" * 16, "1E+30", "-5", "0.5", "x"])
def test_no_sum_makes_environments_look_away_for_long(amount: str) -> None:
    epochs = [{}, {"interval_ms": amount}, {}]
    longest_ms = CONFIG.refresh_interval_ms(environments_of(epochs, CONFIG.estimator))
    assert CONFIG.refresh_ms <= longest_ms <= 33_334


def test_who_does_not_know_the_generation_asks_for_the_state_before_the_sums() -> None:
    class Asked(MemoryBreakerStore):
        def read(self, name, items=()):
            asked.append(len(items))
            return super().read(name, items)

    asked: list[int] = []
    store = Asked()
    assert read_snapshot(store, DEFAULT_NAME, now_ms=NOW_MS, config=CONFIG) is None
    assert asked == [0]
    assert store.move(first(DEFAULT_NAME, NOW_MS))
    asked.clear()
    snapshot = read_snapshot(store, DEFAULT_NAME, now_ms=NOW_MS, config=CONFIG)
    assert snapshot is not None
    assert [bool(count) for count in asked] == [False, True]
    asked.clear()
    assert (
        read_snapshot(
            store, DEFAULT_NAME, now_ms=NOW_MS, config=CONFIG, generation=snapshot.record.generation
        )
        is not None
    )
    assert [bool(count) for count in asked] == [True], "one round trip where the generation is known"


def test_the_figures_of_a_transition_are_those_of_its_estimate() -> None:
    after = replace(first_record(), state=BreakerState.CLOSED, admit_ppm=250_000)
    measured = Estimate(
        bad_share=0.5,
        bad_share_lower=0.25,
        error_share=0.125,
        latency_s=0.75,
        count=12,
        load=Load(offered_rps=1.5),
    )
    known = {
        "bad_share_ppm": 500_000,
        "bad_share_lower_ppm": 250_000,
        "error_ewma_ppm": 125_000,
        "latency_ewma_us": 750_000,
        "outcomes_milli": 12_000,
        "offered_rps_milli": 1_500,
        "admit_ppm": 250_000,
    }
    assert figures(measured, after) == known
    served = replace(measured, rho=0.875, wait_s=2.5)
    assert figures(served, after) == {**known, "rho_ppm": 875_000, "kingman_wq_us": 2_500_000}
    opened = replace(after, state=BreakerState.OPEN, state_since_ms=NOW_MS, open_until_ms=NOW_MS + 5_000)
    assert figures(measured, opened) == {**known, "open_ms": 5_000}


def first_record() -> BreakerRecord:
    return decode(first(DEFAULT_NAME, NOW_MS).state)
