"""Reporting outcomes from where they show: in the backend, on the side.

A report never makes a request fail, and never waits for long: after a failure nothing is tried for a while,
and what comes meanwhile is added up. What may have taken place is never repeated (``additions``). The more
environments are busy, the seldomer each of them stores (``pace``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from signet.breaker.accumulators import OutcomeAccumulator
from signet.breaker.additions import Additions
from signet.breaker.callers import CallerAccumulator, callers_item
from signet.breaker.config import BreakerConfig
from signet.breaker.fleetclock import uncorrected
from signet.breaker.pace import Pace
from signet.breaker.pause import MisconfigurationReporter, Pause, Report, is_quick, unheard
from signet.breaker.snapshot import KEPT_S, OutcomeToken, sums_item
from signet.core.ports import BreakerStore


@dataclass(slots=True)
class OutcomeReporter:
    """Adds outcomes up and stores the sums; safe to share between threads.

    Attributes:
        store: where they go.
        config: the breaker's numbers; the same ones for every reporter and reader.
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``): says when to store.
        tell: is told what a person has to change before the store can be used, once per pause.
        fleet_ms: turns this machine's time into the fleet's, Unix milliseconds (``fleetclock``).
    """

    store: BreakerStore
    config: BreakerConfig
    clock: Callable[[], float]
    tell: Report = unheard
    fleet_ms: Callable[[int], int] = uncorrected
    _accumulators: dict[str, OutcomeAccumulator] = field(default_factory=dict, init=False)
    _callers: dict[str, CallerAccumulator] = field(default_factory=dict, init=False)
    _flushed_ms: int | None = field(default=None, init=False)
    _pause: Pause = field(default_factory=Pause, init=False)
    _refused: MisconfigurationReporter = field(init=False)
    _pace: Pace = field(init=False)
    _additions: Additions = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._refused = MisconfigurationReporter(self.tell)
        self._pace = Pace(self.config, self.clock)
        self._additions = Additions(self.store, self.clock, self._pace.learn)

    def report(self, token: OutcomeToken, *, now_ms: int, latency_ms: float, error: bool, slow: bool) -> None:
        """Count one outcome; stores what has come together if that is due.

        Args:
            token: of the admission.
            now_ms: when the request was completed, Unix milliseconds.
            latency_ms: how long it took.
            error: it failed.
            slow: it took longer than the latency objective.
        """
        now_ms = self.fleet_ms(now_ms)
        with self._lock:
            accumulator = self._accumulators.setdefault(token.name, OutcomeAccumulator(self.config.estimator))
            if token.caller is not None:
                callers = self._callers.setdefault(token.name, CallerAccumulator())
                callers.add(token.caller, now_ms, bad=error or slow)
            if token.caller is None or not token.caller.blamed:
                accumulator.add(token.generation, now_ms, latency_ms=latency_ms, error=error, slow=slow)
            now_s = self.clock()
            due = self._flushed_ms is None or round(1000 * now_s) - self._flushed_ms >= self._pace.interval_ms
            if due and self._pause.is_over(now_s):
                self._flush(now_ms, now_s)

    def _flush(self, now_ms: int, now_s: float) -> None:
        self._flushed_ms = round(1000 * now_s)
        expires_at = now_ms // 1000 + KEPT_S
        accumulators, self._accumulators = self._accumulators, {}
        for name, accumulator in accumulators.items():
            for key, sums in accumulator.drain().items():
                amounts = {**sums.to_increments(), **self._pace.told()}
                self._additions.put(sums_item(name, key), amounts, expires_at=expires_at)
        for name, callers in self._callers.items():
            epoch, amounts = callers.drain()
            if amounts:
                self._additions.put(callers_item(name, epoch), amounts, expires_at=expires_at)
        began_s = self.clock()
        error = self._additions.flush()
        self._pace.flushed()
        if error is None:
            self._pause.answered()
            self._refused.answered()
        else:
            self._pause.failed(now_s, quickly=is_quick(error, self.clock() - began_s))
            self._refused.failed(error, now_s)
