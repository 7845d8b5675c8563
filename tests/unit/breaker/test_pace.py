"""How often backends' environments store outcomes."""

from __future__ import annotations

from collections import Counter, deque
from random import Random

import pytest

from signet.breaker.config import BreakerConfig
from signet.breaker.pace import Pace
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import DEFAULT_NAME, OutcomeToken
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import NOW_MS

CONFIG = BreakerConfig()
# DynamoDB's limit for one partition, so for one item:
# docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
LIMIT = 1000


def writes_by_second(environments: int, seconds: int, *, starts_s: float) -> list[deque[float]]:
    """Let busy environments report; return when each item was added to."""
    rng, now_s = Random(11), 0.0
    store = MemoryBreakerStore()
    added: dict[str, deque[float]] = {}

    class Watched(MemoryBreakerStore):
        def add(self, item, amounts, *, expires_at):
            added.setdefault(item, deque()).append(now_s)
            return store.add(item, amounts, expires_at=expires_at)

    watched = Watched()
    reporters = [OutcomeReporter(watched, CONFIG, lambda: now_s) for _ in range(environments)]
    due = [(rng.uniform(0, starts_s), number) for number in range(environments)]
    token = OutcomeToken(DEFAULT_NAME, 1, 1000)
    steps = 20  # requests a second and environment
    for step in range(seconds * steps):
        for begins_s, number in due:
            now_s = (step + begins_s / max(starts_s, 1e-9)) / steps
            if now_s >= begins_s:
                reporters[number].report(
                    token, now_ms=NOW_MS + int(1000 * now_s), latency_ms=5, error=False, slow=False
                )
    assert sum(int(sums["count"]) for sums in store.sums.values()) > 0.7 * environments * steps * seconds
    return list(added.values())


@pytest.mark.parametrize("starts_s", [0.05, 3.0], ids=["at once", "one by one"])
def test_five_hundred_busy_backends_stay_below_what_an_item_bears(starts_s: float) -> None:
    most, later = 0, Counter[int]()
    for times in writes_by_second(500, 8, starts_s=starts_s):
        window: deque[float] = deque()
        for at_s in sorted(times):
            window.append(at_s)
            while window[0] <= at_s - 1:
                window.popleft()
            most = max(most, len(window))
            later[int(at_s)] += 1
    assert most < LIMIT
    assert max(count for second, count in later.items() if second >= 4) < 1.5 * CONFIG.item_writes_per_s


def test_one_backend_stores_twice_a_second() -> None:
    [times, *_] = writes_by_second(1, 10, starts_s=0.05)
    assert 16 <= len(times) <= 20


@pytest.mark.parametrize("text", ["", "-5", "1E+30", "0.5", "x", "9" * 16, "²"])
def test_sums_that_cannot_be_read_say_nothing(text: str) -> None:
    now_s = 0.0
    pace = Pace(CONFIG, lambda: now_s)
    pace.learn("a", pace.told(), {"interval_ms": "1000"})
    now_s = 1.0
    pace.learn("a", pace.told(), {"interval_ms": text})
    pace.flushed()
    assert pace.interval_ms == 2 * CONFIG.refresh_ms


def test_no_sum_makes_a_backend_silent_for_long() -> None:
    now_s = 0.0
    pace = Pace(CONFIG, lambda: now_s)
    pace.learn("a", pace.told(), {"interval_ms": "0"})
    now_s = 0.5
    pace.learn("a", pace.told(), {"interval_ms": "9" * 15})
    pace.flushed()
    assert 2 * CONFIG.refresh_ms < pace.interval_ms <= 33_334


def test_what_is_remembered_of_items_is_bounded() -> None:
    pace = Pace(CONFIG, lambda: 0.0)
    for number in range(1000):
        pace.learn(str(number), pace.told(), {"interval_ms": "1000"})
        pace.flushed()
    assert len(pace._seen) == 16
