"""What is remembered ends by the first of two clocks: Lambda stops the one, people set the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from signet.breaker.config import BreakerConfig
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.machine import initial
from signet.breaker.presented import Presented
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import DEFAULT_NAME, OutcomeToken, encode
from signet.core.client import Status
from signet.core.clocks import UNKNOWN_S, Elapsed
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import BreakerState
from signet.handshake.registry import CachedRegistry
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import World
from tests.unit.policy.test_policy_source import DEPLOYED_SHA256, REFRESH_S, STRICT, STRICT_SHA256, Site

CONFIG = BreakerConfig()


@dataclass
class TwoClocks:
    """A monotonic and a wall clock that need not agree, in seconds."""

    monotonic_s: float = 5_000.0
    wall_s: float = 1_795_392_000.0
    made: Elapsed = field(init=False)

    def elapsed(self) -> Elapsed:
        self.made = Elapsed(monotonic=lambda: self.monotonic_s, wall=lambda: self.wall_s)
        return self.made

    def pass_together(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds

    def freeze(self, seconds: float) -> None:
        """The environment is frozen: only the world goes on."""
        self.wall_s += seconds

    def stop_the_wall(self, seconds: float) -> None:
        self.monotonic_s += seconds

    def set_back(self, _seconds: float) -> None:
        self.wall_s -= 3600

    def set_back_after_a_freeze(self, seconds: float) -> None:
        """Asked in between, and in the end both clocks show what they showed when it began."""
        self.freeze(seconds / 2)
        self.made()
        self.wall_s -= seconds / 2


PARTINGS = [
    TwoClocks.pass_together,
    TwoClocks.freeze,
    TwoClocks.stop_the_wall,
    TwoClocks.set_back,
    TwoClocks.set_back_after_a_freeze,
]
Parting = Callable[[TwoClocks, float], None]
each_parting = pytest.mark.parametrize("part", PARTINGS, ids=lambda part: part.__name__)


@pytest.mark.parametrize("part", PARTINGS[:3], ids=lambda part: part.__name__)
def test_time_goes_on_by_the_clock_that_moved_further(part: Parting) -> None:
    clocks = TwoClocks()
    elapsed = clocks.elapsed()
    assert elapsed() == 0
    part(clocks, 40)
    clocks.pass_together(5)
    assert elapsed() == 45
    assert elapsed() == 45


def test_freezes_between_steps_of_the_other_clock_add_up() -> None:
    clocks = TwoClocks()
    elapsed = clocks.elapsed()
    for _ in range(10):
        clocks.freeze(4)
        elapsed()
        clocks.stop_the_wall(2)
        elapsed()
    assert elapsed() == 60


def test_nobody_knows_how_long_it_was_when_the_wall_clock_went_back() -> None:
    clocks = TwoClocks()
    elapsed = clocks.elapsed()
    clocks.wall_s -= 0.001
    assert elapsed() == UNKNOWN_S
    clocks.pass_together(7)
    assert elapsed() == UNKNOWN_S + 7


@each_parting
def test_a_revoked_key_is_refused_within_a_minute_by_either_clock(part: Parting) -> None:
    world, clocks = World(), TwoClocks()
    registered = world.clients
    world.clients = CachedRegistry(registered, clocks.elapsed())  # type: ignore[assignment]
    assert world.reason(world.sign(world.event())) == "ok"
    known = registered.entries["caller-1"]
    registered.entries["caller-1"] = replace(known, status=Status.REVOKED)
    assert world.reason(world.sign(world.event())) == "ok"
    part(clocks, 60)
    assert world.reason(world.sign(world.event())) == "key_revoked"


@each_parting
def test_a_key_that_was_unknown_is_looked_up_again_within_a_minute(part: Parting) -> None:
    world, clocks = World(), TwoClocks()
    cached = CachedRegistry(world.clients, clocks.elapsed())
    assert cached.get("late") is None
    world.register("late")
    assert cached.get("late") is None
    part(clocks, 60)
    assert cached.get("late") is not None


@each_parting
def test_a_pushed_policy_is_in_force_within_the_refresh_time_by_either_clock(part: Parting) -> None:
    site, clocks = Site(), TwoClocks()
    site.clock = clocks.elapsed()
    source = site.environment()
    assert source.current().bundle_sha256 == DEPLOYED_SHA256
    site.push(STRICT)
    assert source.current().bundle_sha256 == DEPLOYED_SHA256
    part(clocks, REFRESH_S)
    assert source.current().bundle_sha256 == STRICT_SHA256


@each_parting
def test_the_breakers_state_is_read_again_when_it_is_old_by_either_clock(part: Parting) -> None:
    store, clocks = MemoryBreakerStore(), TwoClocks()
    keeper = BreakerKeeper(DEFAULT_NAME, store, None, CONFIG, Random(7).random, clocks.elapsed())

    def judged() -> BreakerState | None:
        return keeper.admit(int(clocks.wall_s * 1000)).facts.state

    assert judged() is BreakerState.CLOSED
    now_ms = int(clocks.wall_s * 1000)
    opened = replace(initial(now_ms), state=BreakerState.OPEN, open_until_ms=now_ms + 8_000)
    store.records[DEFAULT_NAME] = StoredBreaker(DEFAULT_NAME, 1, encode(opened))
    assert judged() is BreakerState.CLOSED
    part(clocks, CONFIG.refresh_ms / 1000)
    assert judged() is BreakerState.OPEN


@each_parting
def test_a_shed_proof_is_forgotten_when_it_is_old_by_either_clock(part: Parting) -> None:
    store, clocks = MemoryBreakerStore(), TwoClocks()
    keeper = BreakerKeeper(DEFAULT_NAME, store, None, CONFIG, Random(7).random, clocks.elapsed())

    def load_of_a_copy() -> int:
        keeper.turned_away(Presented(bytes(32), 330_000), 1_795_392_000_000)
        return sum(int(count) for bins in keeper._arrivals.drain().values() for count in bins.values())

    assert [load_of_a_copy(), load_of_a_copy()] == [1, 0]
    part(clocks, 330)
    assert [load_of_a_copy(), load_of_a_copy()] == [1, 0]


@each_parting
def test_an_open_breaker_whose_store_is_away_ends_by_either_clock(part: Parting) -> None:
    store, clocks = MemoryBreakerStore(), TwoClocks()
    keeper = BreakerKeeper(DEFAULT_NAME, store, None, CONFIG, Random(7).random, clocks.elapsed())
    now_ms = int(clocks.wall_s * 1000)
    opened = replace(initial(now_ms), state=BreakerState.OPEN, open_until_ms=now_ms + CONFIG.max_open_ms)
    store.records[DEFAULT_NAME] = StoredBreaker(DEFAULT_NAME, 1, encode(opened))
    assert not keeper.admit(now_ms).admitted
    store.away = True
    clocks.pass_together(CONFIG.refresh_ms / 1000)
    assert not keeper.admit(int(clocks.wall_s * 1000)).admitted
    part(clocks, CONFIG.unread_ms / 1000)
    assert keeper.admit(int(clocks.wall_s * 1000)).admitted


@each_parting
def test_a_store_that_failed_is_tried_again_by_either_clock(part: Parting) -> None:
    store, clocks = MemoryBreakerStore(), TwoClocks()
    keeper = BreakerKeeper(DEFAULT_NAME, store, None, CONFIG, Random(7).random, clocks.elapsed())
    store.away = True
    for _ in range(3):
        assert keeper.admit(int(clocks.wall_s * 1000)).view is None
    store.away = False
    assert keeper.admit(int(clocks.wall_s * 1000)).view is None
    part(clocks, 1)
    assert keeper.admit(int(clocks.wall_s * 1000)).view is not None


@each_parting
def test_outcomes_are_reported_when_they_are_old_by_either_clock(part: Parting) -> None:
    store, clocks = MemoryBreakerStore(), TwoClocks()
    reporter = OutcomeReporter(store, CONFIG, clocks.elapsed())

    def report() -> int:
        now_ms = int(clocks.wall_s * 1000)
        reporter.report(
            OutcomeToken(DEFAULT_NAME, 1, 1000), now_ms=now_ms, latency_ms=1, error=False, slow=False
        )
        return sum(int(item["count"]) for item in store.sums.values())

    assert [report(), report(), report()] == [1, 1, 1]
    part(clocks, 2 * CONFIG.refresh_ms / 1000)
    assert report() == 4
