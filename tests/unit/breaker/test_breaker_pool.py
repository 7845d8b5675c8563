"""A breaker for each backend: what happens to one is nothing to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from signet.breaker.config import BreakerConfig
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.pool import BreakerPool, Breakers, OneBreaker
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import OutcomeToken
from signet.core.ports import StoredBreaker
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import NOW_MS

CONFIG = BreakerConfig()
APIS = ("orders", "stock")


@dataclass(frozen=True)
class Step:
    """A request to ``GET /items`` of one of two APIs: when, whose, how it ends, and what else goes wrong."""

    at_ms: int
    api: str
    error: bool
    store_failed: bool


class Queue:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        self.sent.append(message)


class Environment:
    """One authorizer, and a backend of each API, on one store."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.store, self.queue = MemoryBreakerStore(), Queue()
        self.breakers: Breakers = BreakerPool(self.keeper)
        self.reporters = {api: OutcomeReporter(self.store, CONFIG, self.clock) for api in APIS}
        self.admitted: Counter[tuple[str, bool]] = Counter()

    def clock(self) -> float:
        return self.now_ms / 1000

    def keeper(self, name: str) -> BreakerKeeper:
        return BreakerKeeper(name, self.store, self.queue, CONFIG, Random(7).random, self.clock)

    def request(self, step: Step) -> None:
        self.now_ms = step.at_ms
        breaker = self.breakers.of(step.api)
        admission = breaker.admit(self.now_ms)
        breaker.arrived(admission, self.now_ms)
        self.admitted[step.api, admission.admitted] += 1
        if not admission.admitted:
            return
        if step.store_failed:
            breaker.failed(admission, self.now_ms)
            return
        token = OutcomeToken.parse(breaker.outcome_token(admission, objective_ms=1000))
        if token is not None:
            report = self.reporters[step.api].report
            report(token, now_ms=self.now_ms, latency_ms=5.0, error=step.error, slow=False)

    def told_of(self, name: str) -> tuple[StoredBreaker | None, Mapping[str, Mapping[str, Decimal]]]:
        """State and sums of one breaker."""
        of_it = {item: sums for item, sums in self.store.sums.items() if item.startswith(f"{name}#")}
        return self.store.records.get(name), of_it


def steps(seed: int) -> list[Step]:
    """Interleave requests of both, each with good and bad times of its own."""
    rng = Random(seed)
    at_ms, found = NOW_MS, []
    bad = {api: [rng.random() < 0.5 for _ in range(12)] for api in APIS}
    while at_ms < NOW_MS + 60_000:
        at_ms += rng.randrange(1, 120)
        api = rng.choice(APIS)
        phase = bad[api][(at_ms - NOW_MS) // 5_000 % 12]
        found.append(Step(at_ms, api, phase and rng.random() < 0.9, phase and rng.random() < 0.05))
    return found


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_neither_of_two_apis_with_equal_routes_moves_the_others_breaker(seed: int) -> None:
    both = steps(seed)
    together = Environment()
    alone = {api: Environment() for api in APIS}
    for step in both:
        together.request(step)
        alone[step.api].request(step)
    for api in APIS:
        assert together.told_of(api) == alone[api].told_of(api)
        for admitted in (True, False):
            assert together.admitted[api, admitted] == alone[api].admitted[api, admitted]
    sent = [message for one in alone.values() for message in one.queue.sent]
    assert Counter(together.queue.sent) == Counter(sent)
    assert set(together.store.records) == set(APIS)


def test_such_a_run_trips_and_sheds() -> None:
    """Or the property above would say nothing."""
    run = Environment()
    for step in steps(3):
        run.request(step)
    assert min(run.admitted[api, False] for api in APIS) > 20


def _one_down(environment: Environment) -> float:
    """Return the share shed of requests to a backend that is well, while another, 35 % of all, is down."""
    rng, at_ms = Random(11), NOW_MS
    while at_ms < NOW_MS + 120_000:
        at_ms += 20
        down = rng.random() < 0.35 and at_ms > NOW_MS + 5_000
        environment.request(Step(at_ms, "stock" if down else "orders", error=down, store_failed=False))
    shed, served = environment.admitted["orders", False], environment.admitted["orders", True]
    return shed / (shed + served)


def test_a_backend_that_is_down_costs_the_other_nothing() -> None:
    apart = Environment()
    assert _one_down(apart) == 0
    assert apart.admitted["stock", False] > 1_000  # and is spared itself
    shared = Environment()
    shared.breakers = OneBreaker(shared.keeper("backend"))
    assert _one_down(shared) > 0.05  # what one breaker for both sheds of good requests


def test_a_backend_of_two_reports_each_outcome_under_the_name_in_its_token() -> None:
    store = MemoryBreakerStore()
    reporter = OutcomeReporter(store, CONFIG, lambda: 1.0)
    for name in APIS:
        for _ in range(3):
            token = OutcomeToken(name, 1, 1000)
            reporter.report(token, now_ms=NOW_MS, latency_ms=1.0, error=True, slow=False)
    assert {item.partition("#")[0] for item in store.sums} == {"orders"}  # the rest waits for the next flush
    reporter.clock = lambda: 2.0
    token = OutcomeToken("stock", 1, 1000)
    reporter.report(token, now_ms=NOW_MS, latency_ms=1.0, error=True, slow=False)
    counted = Counter(dict.fromkeys(APIS, 0))
    for item, sums in store.sums.items():
        counted[item.partition("#")[0]] += int(sums["count"])
    assert counted == {"orders": 3, "stock": 4}
