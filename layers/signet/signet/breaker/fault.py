"""A fault to order: what a demonstration backend injects into its answers, for the breaker to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from signet.breaker.pause import MisconfigurationReporter, Report, unheard
from signet.core.errors import UnavailableError, UsageError
from signet.core.vocabulary import PPM

#: Longest latency that can be ordered: a REST API gives up on its integration after 29 s.
MAX_LATENCY_MS: Final = 10_000
_READ_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Fault:
    """What a backend shall inject, and until when.

    Attributes:
        latency_ms: added to every request, milliseconds.
        error_ppm: share of requests that fail, parts per million.
        until_ms: when it is over, Unix milliseconds; a fault that is not taken back ends by itself.
        backend: name of the breaker whose requests it strikes; None for all.
        silent: whether no outcome is reported meanwhile.
    """

    latency_ms: int
    error_ppm: int
    until_ms: int
    backend: str | None = None
    silent: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.latency_ms <= MAX_LATENCY_MS:
            raise UsageError(f"a fault adds 0 to {MAX_LATENCY_MS} ms of latency")
        if not 0 <= self.error_ppm <= PPM:
            raise UsageError("a fault's share of errors lies between 0 and 1")
        if self.until_ms < 0:
            raise UsageError("a fault cannot end before 1970")

    def holds(self, now_ms: int) -> bool:
        """Tell whether it is still in force."""
        return now_ms < self.until_ms

    def strikes(self, draw: float) -> bool:
        """Tell whether a request fails, given a uniform draw from [0, 1)."""
        return draw * PPM < self.error_ppm


@dataclass(slots=True)
class FaultInjector:
    """Waits and fails as ordered; reads the order at most twice a second, and only when a request comes.

    Attributes:
        ordered: returns the fault in force at a Unix time in milliseconds, or None.
        now_ms: the clock, Unix milliseconds.
        sleep: waits for a number of seconds.
        draw: a uniform draw from [0, 1).
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``): says when to read.
        report: is told what a person has to change before orders can be read, in longer and longer intervals.
    """

    ordered: Callable[[int], Fault | None]
    now_ms: Callable[[], int]
    sleep: Callable[[float], None]
    draw: Callable[[], float]
    clock: Callable[[], float]
    report: Report = unheard
    _fault: Fault | None = field(default=None, init=False)
    _read_at_s: float | None = field(default=None, init=False)
    _refused: MisconfigurationReporter = field(init=False)

    def __post_init__(self) -> None:
        self._refused = MisconfigurationReporter(self.report)

    def inject(self, backend: str | None = None) -> bool:
        """Wait as ordered; True if the request shall fail.

        Args:
            backend: name of the breaker that let the request in, or None if that is not known.
        """
        fault = self._in_force(backend)
        if fault is None:
            return False
        self.sleep(fault.latency_ms / 1000)
        return fault.strikes(self.draw())

    def silences(self, backend: str | None = None) -> bool:
        """Tell whether no outcome of a request shall be reported."""
        fault = self._in_force(backend)
        return fault is not None and fault.silent

    def _in_force(self, backend: str | None) -> Fault | None:
        now_ms = self.now_ms()
        at_s = self.clock()
        if self._read_at_s is None or at_s - self._read_at_s >= _READ_EVERY_S:
            self._read_at_s = at_s
            try:
                self._fault = self.ordered(now_ms)
            except UnavailableError as error:
                self._fault = None  # a store that is away is no reason to fail a request
                self._refused.failed(error, at_s)
            else:
                self._refused.answered()
        fault = self._fault
        if fault is None or not fault.holds(now_ms) or fault.backend not in {None, backend}:
            return None
        return fault
