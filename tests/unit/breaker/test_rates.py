"""Limits of single callers: what a fleet lets through, what it remembers, and what it tells the store."""

from __future__ import annotations

import math
from random import Random

import pytest

from signet.breaker.config import BreakerConfig
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.rates import Rates, epoch_s, name_caller
from signet.core.encoding import encode_base64url
from signet.core.rates import RateLimit
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import NOW_MS

TEN = RateLimit(10, 1, 20, "orders ")
KEY = bytes(32)
ALICE, BOB = (name_caller(KEY, "orders", keyid) for keyid in ("alice", "bob"))


class Fleet:
    """Environments of an authorizer on one store; each has the clock of all."""

    def __init__(self, size: int) -> None:
        self.now_ms = NOW_MS
        self.store = MemoryBreakerStore()
        self.keepers = [self.keeper() for _ in range(size)]

    def keeper(self) -> BreakerKeeper:
        return BreakerKeeper(
            "orders", self.store, None, BreakerConfig(), Random(7).random, lambda: self.now_ms / 1000
        )

    def request(self, environment: int, limit: RateLimit = TEN, caller: bytes = ALICE) -> bool:
        """Ask one environment, as the verifier does; True if the request is let through."""
        keeper = self.keepers[environment]
        admission = keeper.admit(self.now_ms)
        if keeper.limited(limit, caller) is not None:
            return False
        keeper.taken(limit, caller)
        keeper.arrived(admission, self.now_ms)
        return True


@pytest.fixture
def driven(monkeypatch: pytest.MonkeyPatch) -> type[Fleet]:
    """A fleet whose environments read statistics, as those with a queue do."""

    class Queue:
        def send(
            self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None
        ) -> None:
            """Take a receipt: there are none here."""

    def keeper(self: Fleet) -> BreakerKeeper:
        return BreakerKeeper(
            "orders", self.store, Queue(), BreakerConfig(), Random(7).random, lambda: self.now_ms / 1000
        )

    monkeypatch.setattr(Fleet, "keeper", keeper)
    return Fleet


def bound(limit: RateLimit, size: int, seconds: float) -> float:
    """Return what the module's docstring promises."""
    share = limit.burst / size
    allowance = share + 2 * math.sqrt(share) + 1
    return 2 * limit.burst + seconds / limit.token_s + 2 * size * (allowance + 3)


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("spread", ["even", "one by one", "by turns of a second"])
def test_a_flood_of_one_caller_gets_no_more_than_the_bound(
    driven: type[Fleet], size: int, spread: str
) -> None:
    fleet, rng = driven(size), Random(f"{size} {spread}")
    seconds, passed, later = 30, 0, 0
    for number in range(seconds * 180):
        fleet.now_ms = NOW_MS + number * 1000 // 180
        environment = {
            "even": rng.randrange(size),
            "one by one": number % size,
            "by turns of a second": number // 180 % size,
        }[spread]
        let_through = fleet.request(environment)
        passed += let_through
        later += let_through and number >= seconds * 90
    assert passed <= bound(TEN, size, seconds)
    # What was let through too much at first is waited for: in the long run it is the rate.
    assert 0.9 * 10 * seconds / 2 <= later <= 10 * seconds / 2 + TEN.burst


def test_a_caller_within_the_limit_is_never_refused_wherever_the_requests_land(driven: type[Fleet]) -> None:
    for seed in range(3):
        fleet, rng = driven(10), Random(seed)
        refused = 0
        for second in range(30):
            landed = rng.randrange(10)
            for number in range(9):  # nine at once each second, half of the time all in one environment
                fleet.now_ms = NOW_MS + second * 1000 + number * 30
                refused += not fleet.request(landed if second % 2 else rng.randrange(10))
        assert refused == 0


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    rates = Rates(300)
    taken = 0
    while rates.wait_s(TEN, ALICE, 5.0) is None:
        rates.take(TEN, ALICE, 5.0)
        taken += 1
    assert (taken, rates.wait_s(TEN, ALICE, 5.0)) == (20, pytest.approx(0.1))
    assert rates.wait_s(TEN, ALICE, 5.11) is None
    assert rates.wait_s(TEN, BOB, 5.0) is None  # another caller has a bucket of its own


def test_a_fresh_environment_learns_what_others_let_through(driven: type[Fleet]) -> None:
    fleet = driven(2)
    while fleet.request(0):
        fleet.now_ms += 40
    fleet.now_ms += 500
    fleet.request(0)  # tells
    fleet.request(1, caller=BOB)  # its first, so it asks for items from now on
    fleet.now_ms += 500
    passed = sum(fleet.request(1) for _ in range(20))
    assert passed <= 12  # a second's ten and a rounding: not another burst


def test_no_limit_no_calls_and_no_memory(driven: type[Fleet]) -> None:
    fleet = driven(1)
    for number in range(20):
        fleet.now_ms = NOW_MS + number * 300
        fleet.keepers[0].arrived(fleet.keepers[0].admit(fleet.now_ms), fleet.now_ms)
    assert {item.split("#")[1] for item in fleet.store.sums} == {"arrivals"}
    assert len(fleet.keepers[0]._rates) == 0


def test_who_asks_without_a_token_taken_leaves_nothing_to_tell() -> None:
    """A copy of a proof gets as far as this, and no further."""
    rates = Rates(300)
    for number in range(50):
        assert rates.wait_s(TEN, ALICE, float(number)) is None
    assert rates.drain("orders", NOW_MS, 50.0) == {}


def test_an_environment_alone_with_a_store_that_is_away_goes_on_with_its_own_bucket(
    driven: type[Fleet],
) -> None:
    fleet = driven(2)
    assert fleet.request(0)
    assert fleet.request(1)
    fleet.store.away = True
    passed = 0
    for number in range(10 * 50):
        fleet.now_ms = NOW_MS + 1000 + number * 20
        passed += fleet.request(number % 2)
    each = TEN.burst + 10 * 10
    assert each <= passed <= 2 * each + 2
    fleet.store.away = False
    fleet.now_ms += 60_000
    assert fleet.request(0)


def test_what_is_remembered_is_bounded_and_an_emptied_bucket_stays_empty() -> None:
    rates = Rates(300, size=100)
    for _ in range(TEN.burst):
        rates.take(TEN, ALICE, 1.0)
    for number in range(500):
        rates.take(TEN, name_caller(KEY, str(number)), 1.0)
    assert len(rates) == 100
    assert rates.wait_s(TEN, ALICE, 1.0) == pytest.approx(0.1)  # forgotten exactly, and owed all the same
    assert rates.wait_s(TEN, ALICE, 3.1) is None


def test_an_item_names_a_bounded_number_of_callers_and_heavy_ones_first(driven: type[Fleet]) -> None:
    fleet = driven(1)
    many = RateLimit(1, 1, 200, "orders ")
    for number in range(3_000):
        fleet.now_ms = NOW_MS + number * 30
        fleet.request(0, many, name_caller(KEY, str(number)))
        if number % 4 == 0:
            fleet.request(0, many, ALICE)
    assert max(len(item) for name, item in fleet.store.sums.items() if "#rates#" in name) <= 128 + 16
    told = [item for name, item in fleet.store.sums.items() if "#rates#" in name]
    assert sum(int(item.get(encode_base64url(ALICE), 0)) for item in told) > 250


def test_two_limits_in_one_group_hold_each_for_itself(driven: type[Fleet]) -> None:
    """The check refuses such a policy; a route whose limit is another one must still not refill the first."""
    fleet = driven(1)
    other = TEN._replace(burst=21)
    fleet.request(0)
    fleet.now_ms += 1_000
    passed = sum(fleet.request(0, limit) for limit in (TEN, other) * 200)
    assert passed <= TEN.burst + other.burst
    fleet.now_ms += 1_000
    fleet.request(0)
    told = [item for name, item in fleet.store.sums.items() if "#rates#" in name]
    assert sum(int(item.get(encode_base64url(ALICE), 0)) for item in told) == passed + 1


def test_sums_that_no_environment_wrote_count_nothing() -> None:
    for text in ("-5", "1.5", "9" * 12, "٣", "x"):
        rates = Rates(300)
        rates.take(TEN, BOB, 0.0)
        [item, *_] = rates.items("orders", NOW_MS)
        assert item.startswith("orders#rates#15#")
        rates.learn([{}, {encode_base64url(ALICE): text}, {}], environments=1, now_ms=NOW_MS, at_s=0.0)
        assert rates.wait_s(TEN, ALICE, 0.0) is None


def test_an_epoch_is_at_least_as_long_as_a_bucket_takes_to_fill() -> None:
    for requests, per_s, burst in ((10, 1, 20), (1, 60, 60), (7, 60, 11), (1_000_000, 1, 1), (1, 1, 3600)):
        limit = RateLimit(requests, per_s, burst, "g")
        assert epoch_s(limit) >= max(15, limit.burst * limit.token_s)
        assert epoch_s(limit) <= 2 * max(15, limit.burst * limit.token_s)


def test_a_caller_s_name_needs_the_key() -> None:
    assert name_caller(KEY, "orders", "alice") == ALICE != name_caller(b"other", "orders", "alice")
    assert len(ALICE) == 9
