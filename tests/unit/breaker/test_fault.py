"""A fault is injected as ordered, ends by itself, and costs a read at most twice a second."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from signet.breaker.fault import MAX_LATENCY_MS, Fault, FaultInjector
from signet.core.errors import MisconfiguredError, SignetError, UnavailableError, UsageError


@dataclass
class Backend:
    """A backend's clock, its naps, and what was ordered from it."""

    fault: Fault | None = None
    now_ms: int = 1_000_000
    naps: list[float] = field(default_factory=list)
    reads: int = 0
    draw: float = 0.5
    away: bool = False
    error: UnavailableError = field(default_factory=lambda: UnavailableError("away"))
    told: list[SignetError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.injector = FaultInjector(
            *(self.ordered, lambda: self.now_ms, self.naps.append, lambda: self.draw),
            *(lambda: self.now_ms / 1000, self.told.append),
        )

    def ordered(self, now_ms: int) -> Fault | None:
        assert now_ms == self.now_ms
        self.reads += 1
        if self.away:
            raise self.error
        return self.fault


def test_latency_and_errors_come_as_ordered() -> None:
    backend = Backend(Fault(latency_ms=250, error_ppm=400_000, until_ms=1_010_000), draw=0.39)
    assert backend.injector.inject()
    backend.draw = 0.4
    assert not backend.injector.inject()
    assert backend.naps == [0.25, 0.25]


def test_a_fault_ends_by_itself_even_if_it_was_read_before() -> None:
    backend = Backend(Fault(latency_ms=250, error_ppm=1_000_000, until_ms=1_000_100))
    assert backend.injector.inject()
    backend.now_ms += 100
    assert not backend.injector.inject()
    assert backend.naps == [0.25]


def test_orders_are_read_at_most_twice_a_second() -> None:
    backend = Backend()
    for _ in range(50):
        assert not backend.injector.inject()
        backend.now_ms += 20
    assert backend.reads == 2


def test_a_store_that_is_away_fails_no_request() -> None:
    backend = Backend(Fault(latency_ms=1, error_ppm=1_000_000, until_ms=2_000_000), away=True)
    assert not backend.injector.inject()
    assert backend.naps == []
    assert backend.told == []


def test_orders_that_may_not_be_read_are_told_seldom_and_read_on() -> None:
    backend = Backend(away=True, error=MisconfiguredError("could not read", "grant what is missing"))
    for _ in range(640):  # 32 s
        assert not backend.injector.inject()
        backend.now_ms += 50
    assert backend.told == [backend.error] * 6  # at 0, 1, 3, 7, 15 and 31 s
    assert backend.reads > 50
    backend.away, backend.fault = False, Fault(latency_ms=0, error_ppm=1_000_000, until_ms=2_000_000)
    assert backend.injector.inject()


@pytest.mark.parametrize(
    "wrong", [(-1, 0, 0), (MAX_LATENCY_MS + 1, 0, 0), (0, -1, 0), (0, 1_000_001, 0), (0, 0, -1)]
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        Fault(*wrong)


def test_a_fault_at_the_bounds_is_taken() -> None:
    assert not Fault(0, 0, 0).holds(0)
    assert not Fault(0, 0, 0).strikes(0.0)
    assert Fault(MAX_LATENCY_MS, 1_000_000, 1).holds(0)
    assert Fault(10_000, 1_000_000, 1).strikes(0.999_999_9)


def test_a_fault_of_one_backend_strikes_no_other() -> None:
    backend = Backend(Fault(latency_ms=5, error_ppm=1_000_000, until_ms=2_000_000, backend="orders"))
    assert not backend.injector.inject("backend")
    assert not backend.injector.inject()
    assert backend.naps == []
    assert backend.injector.inject("orders")


def test_a_silent_fault_keeps_outcomes_back_while_it_lasts() -> None:
    backend = Backend(Fault(latency_ms=0, error_ppm=0, until_ms=2_000_000, backend="orders", silent=True))
    assert backend.injector.silences("orders")
    assert not backend.injector.silences("backend")
    assert not backend.injector.inject("orders")
    backend.now_ms = 2_000_000
    assert not backend.injector.silences("orders")
