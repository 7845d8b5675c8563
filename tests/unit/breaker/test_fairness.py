"""One caller whose requests fail is shed before all are; none is as long as all is well."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random

import pytest

from signet.breaker.callers import Caller, CallerAccumulator, numbered, places_of
from signet.breaker.config import BreakerConfig
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.rates import name_caller
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import OutcomeToken, decode
from signet.breaker.ticket import issue_ticket, read_ticket
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import NOW_MS

CONFIG = BreakerConfig()
RECEIPT = "01890a5d-ac96-774b-bcce-b302099a8057"


def number(keyid: str) -> int:
    return numbered(name_caller(bytes(32), "", "orders", keyid))


GOOD = [number(f"good {n}") for n in range(9)]
BAD = [number(f"bad {n}") for n in range(6)]


class Queue:
    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        """Take the receipt of a transition."""


class Scene:
    """Environments of an authorizer, and one backend, on one store; each caller has a rate of its own."""

    def __init__(self, size: int = 2) -> None:
        self.now_ms = NOW_MS
        self.store = MemoryBreakerStore()
        self.rng = Random(5)
        self.keepers = [self.keeper() for _ in range(size)]
        self.reporter = OutcomeReporter(self.store, CONFIG, lambda: self.now_ms / 1000)
        self.shed: Counter[int] = Counter()
        self.served: Counter[int] = Counter()

    def keeper(self) -> BreakerKeeper:
        clock = lambda: self.now_ms / 1000  # noqa: E731 - a clock is a function
        return BreakerKeeper("orders", self.store, Queue(), CONFIG, self.rng.random, clock)

    @property
    def state(self) -> str:
        return decode(self.store.records["orders"].state).state.value

    def request(self, caller: int, *, bad: bool) -> None:
        keeper = self.rng.choice(self.keepers)
        admission = keeper.admit(self.now_ms)
        named, wait_s = keeper.spared(caller, self.now_ms)
        if wait_s is None and not named.blamed:
            keeper.arrived(admission, self.now_ms)
        if wait_s is not None or not admission.admitted:
            self.shed[caller] += 1
            return
        self.served[caller] += 1
        token = OutcomeToken.parse(keeper.outcome_token(admission, objective_ms=100, caller=named))
        assert token is not None
        self.reporter.report(token, now_ms=self.now_ms, latency_ms=5, error=bad, slow=False)

    def run(self, seconds: float, bad: dict[int, float], *, good: list[int] = GOOD, rps: int = 80) -> None:
        """Send requests; ``bad``: callers with a chance to be next, all of whose requests fail."""
        for _ in range(round(seconds * rps)):
            self.now_ms += 1000 // rps
            draw = self.rng.random()
            for caller, chance in bad.items():
                draw -= chance
                if draw < 0:
                    self.request(caller, bad=True)
                    break
            else:
                self.request(self.rng.choice(good), bad=False)


def test_one_poisonous_caller_is_shed_alone_and_let_back_when_its_requests_are_good() -> None:
    scene = Scene()
    scene.run(5, {})
    scene.run(60, {BAD[0]: 0.45})
    assert scene.state == "closed"
    assert set(scene.shed) == {BAD[0]}
    assert scene.served[BAD[0]] < 60 * 80 * 0.45 * 0.15
    scene.run(46, {}, good=[*GOOD, BAD[0]])
    scene.shed.clear()
    scene.run(5, {}, good=[*GOOD, BAD[0]])
    assert not scene.shed


def test_two_at_once_are_found_and_six_are_no_few() -> None:
    scene = Scene()
    scene.run(40, {BAD[0]: 0.25, BAD[1]: 0.25})
    assert (scene.state, set(scene.shed)) == ("closed", set(BAD[:2]))
    many = Scene()
    many.run(16, dict.fromkeys(BAD, 0.1))
    assert set(many.shed) > set(BAD)  # the breaker opened, for all


def test_many_bad_keys_one_after_the_other_cannot_have_all_slots_blamed() -> None:
    """Or innocent callers would be in two blamed slots by chance."""
    scene = Scene()
    for caller in [*BAD, *(number(f"more {n}") for n in range(4))]:
        scene.run(5, {caller: 0.5})
        for keeper in scene.keepers:
            blamed = frozenset().union(*keeper._offenders._blamed.values())
            assert max(sum(place[0] == row for place in blamed) for row in "01") <= 3


def test_a_backend_that_is_down_is_the_fault_of_no_caller() -> None:
    scene = Scene()
    scene.run(5, {})
    scene.run(4, dict.fromkeys(GOOD, 1 / 9))
    assert scene.state == "open"
    assert not any("x" in name for item in scene.store.sums.values() for name in item)
    alone = Scene()
    alone.run(4, {BAD[0]: 1.0})
    assert alone.state == "open"


def test_where_the_breaker_would_not_open_no_caller_is_blamed() -> None:
    scene = Scene()
    scene.run(40, {BAD[0]: 0.2})
    assert scene.state == "closed"
    assert not scene.shed


def test_a_caller_that_overloads_the_backend_cannot_have_another_one_blamed() -> None:
    """It makes everything fail for a while: then nothing tells the callers apart."""
    scene = Scene()
    for _ in range(6):
        scene.run(2, {BAD[0]: 0.4, **dict.fromkeys(GOOD, 0.6 / 9)})
        scene.run(2, {BAD[0]: 0.4})
    blamed = [name for item in scene.store.sums.values() for name in item if name[0] == "x"]
    assert {name[1:] for name in blamed} <= set(places_of(BAD[0]))


def test_a_fresh_environment_sheds_whom_others_blamed_and_lets_a_few_through() -> None:
    scene = Scene()
    scene.run(20, {BAD[0]: 0.45})
    fresh = scene.keeper()
    fresh.admit(scene.now_ms)
    assert fresh.spared(GOOD[0], scene.now_ms) == (Caller(GOOD[0], blamed=False), None)
    waits = []
    for _ in range(1_000):
        scene.now_ms += 10
        named, wait_s = fresh.spared(BAD[0], scene.now_ms)
        assert named == Caller(BAD[0], blamed=True)
        waits.append(wait_s)
    assert 2 <= waits.count(None) <= 10  # probes: one a second, over all environments
    assert min(wait_s for wait_s in waits if wait_s is not None) >= CONFIG.max_open_ms / 1000


def test_a_blame_holds_while_all_are_shed() -> None:
    """Nothing is heard of the blamed then; let back with the others, they would make the ramp fail."""
    scene = Scene()
    scene.run(20, {BAD[0]: 0.45})
    down = {BAD[0]: 0.4, **dict.fromkeys(GOOD, 0.6 / 9)}
    scene.run(40, down)
    assert scene.state == "open"
    assert scene.keepers[0]._offenders.is_blamed(BAD[0], scene.now_ms)
    assert not any(scene.keepers[0]._offenders.is_blamed(caller, scene.now_ms) for caller in GOOD)


def test_a_blame_of_a_clock_that_was_set_back_does_not_hold_for_as_long_as_that_was() -> None:
    scene = Scene(size=1)
    scene.run(20, {BAD[0]: 0.45})
    [keeper] = scene.keepers
    assert keeper._offenders.is_blamed(BAD[0], scene.now_ms)
    back_ms = scene.now_ms - 3_600_000
    assert not keeper._offenders.is_blamed(BAD[0], back_ms)
    keeper._offenders.learn([], {}, environments=1, now_ms=back_ms, at_s=scene.now_ms / 1000)
    assert not any(keeper._offenders._blamed.values())


def test_outcomes_are_told_in_the_present_epoch_after_a_clock_was_set_back() -> None:
    accumulator = CallerAccumulator()
    accumulator.add(Caller(BAD[0], blamed=False), NOW_MS, bad=True)
    back_ms = NOW_MS - 3_600_000
    for n in range(3):
        accumulator.add(Caller(BAD[1], blamed=False), back_ms + n, bad=True)
    epoch, amounts = accumulator.drain()
    assert epoch == back_ms // 15_000
    assert set(amounts.values()) == {"3"}
    accumulator.add(Caller(BAD[1], blamed=False), back_ms + 3_000, bad=False)
    accumulator.add(Caller(BAD[1], blamed=False), back_ms + 2_999, bad=False)  # of another thread
    assert set(accumulator.drain()[1].values()) == {"2"}


def test_a_caller_in_the_slot_of_another_one_is_found_by_its_other_slot() -> None:
    crowd = next(n for n in range(10_000) if places_of(number(f"x {n}"))[1] == places_of(BAD[0])[1])
    scene = Scene()
    scene.run(30, {BAD[0]: 0.4}, good=[*GOOD[:1], number(f"x {crowd}")])
    assert (scene.state, set(scene.shed)) == ("closed", {BAD[0]})


def test_outcomes_of_blamed_callers_move_no_breaker() -> None:
    store = MemoryBreakerStore()
    reporter = OutcomeReporter(store, CONFIG, lambda: 1.0)
    token = OutcomeToken("orders", 1, 100, Caller(BAD[0], blamed=True))
    reporter.report(token, now_ms=NOW_MS, latency_ms=1, error=True, slow=False)
    [(item, sums)] = store.sums.items()
    assert item == f"orders#callers#{NOW_MS // 15_000}"
    assert {name[0] for name in sums} == {"m", "d"}


def test_nothing_is_told_of_callers_while_all_is_well() -> None:
    scene = Scene()
    scene.run(20, {})
    assert {item.split("#")[1] for item in scene.store.sums} == {"arrivals", "1"}
    reads = scene.keepers[0]._offenders.items("orders", scene.now_ms)
    assert reads == []
    accumulator = CallerAccumulator()
    for n in range(30):
        accumulator.add(Caller(BAD[0], blamed=False), NOW_MS + n, bad=n == 29)
    assert accumulator.drain()[1] == {}  # one of thirty
    accumulator.add(Caller(BAD[0], blamed=False), NOW_MS + 100, bad=True)
    assert set(accumulator.drain()[1].values()) == {"31", "2"}


def test_callers_are_counted_in_a_fixed_number_of_slots() -> None:
    accumulator = CallerAccumulator()
    for n in range(5_000):
        accumulator.add(Caller(number(str(n)), blamed=False), NOW_MS, bad=True)
    _, amounts = accumulator.drain()
    assert len(amounts) == 2 * 2 * 64
    assert accumulator.drain()[1] == {}


@pytest.mark.parametrize("caller", [None, Caller(0, blamed=False), Caller(2**28 - 1, blamed=True)])
def test_tokens_with_and_without_a_caller_are_read_and_fit_a_ticket(caller: Caller | None) -> None:
    token = OutcomeToken("x" * 32, 10**15 - 1, 29_000, caller)
    assert OutcomeToken.parse(str(token)) == token
    read = read_ticket([bytes(32)], issue_ticket(bytes(32), str(token), RECEIPT, now_s=9), now_s=9)
    assert read is not None
    assert read.token == token
    assert OutcomeToken.parse("orders/1/100") == OutcomeToken("orders", 1, 100)  # of an older authorizer


@pytest.mark.parametrize("caller", ["", "c", "x1234567", "c123456", "c12345678", "cABCDEF0", "c1234567/"])
def test_what_names_no_caller_is_no_token(caller: str) -> None:
    assert OutcomeToken.parse(f"orders/1/100/{caller}") is None


def test_counts_that_no_backend_should_have_written_blame_no_caller() -> None:
    scene = Scene()
    scene.run(2, {})
    item = scene.store.sums.setdefault(f"orders#callers#{scene.now_ms // 15_000}", {})
    for place in places_of(GOOD[0]):
        item[f"b{place}"] = Decimal("1e40")
        item[f"n{place}"] = Decimal(-3)
    scene.run(20, {BAD[0]: 0.45})
    assert GOOD[0] not in scene.shed
