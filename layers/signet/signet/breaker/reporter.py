"""Reporting outcomes from where they show: in the backend, on the side.

A report never makes a request fail, and never waits for long: what cannot be stored is dropped, and after a
failure nothing is tried for a while. Additions are never repeated, since one whose answer was lost may have
taken place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from signet.breaker.accumulators import OutcomeAccumulator
from signet.breaker.callers import CallerAccumulator, callers_item
from signet.breaker.config import BreakerConfig
from signet.breaker.pause import MisconfigurationReporter, Pause, Report, unheard
from signet.breaker.snapshot import KEPT_S, OutcomeToken, sums_item
from signet.core.errors import UnavailableError
from signet.core.ports import BreakerStore


@dataclass(slots=True)
class OutcomeReporter:
    """Adds outcomes up and stores the sums; safe to share between threads.

    Attributes:
        store: where they go.
        config: the breaker's numbers; the same ones for every reporter and reader.
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``): says when to store.
        tell: is told what a person has to change before the store can be used, once per pause.
    """

    store: BreakerStore
    config: BreakerConfig
    clock: Callable[[], float]
    tell: Report = unheard
    _accumulators: dict[str, OutcomeAccumulator] = field(default_factory=dict, init=False)
    _callers: dict[str, CallerAccumulator] = field(default_factory=dict, init=False)
    _flushed_s: float | None = field(default=None, init=False)
    _pause: Pause = field(default_factory=Pause, init=False)
    _refused: MisconfigurationReporter = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._refused = MisconfigurationReporter(self.tell)

    def report(self, token: OutcomeToken, *, now_ms: int, latency_ms: float, error: bool, slow: bool) -> None:
        """Count one outcome; stores what has come together if the last time is a refresh interval ago.

        Args:
            token: of the admission.
            now_ms: when the request was completed, Unix milliseconds.
            latency_ms: how long it took.
            error: it failed.
            slow: it took longer than the latency objective.
        """
        with self._lock:
            accumulator = self._accumulators.setdefault(token.name, OutcomeAccumulator(self.config.estimator))
            if token.caller is not None:
                callers = self._callers.setdefault(token.name, CallerAccumulator())
                callers.add(token.caller, now_ms, bad=error or slow)
            if token.caller is None or not token.caller.blamed:
                accumulator.add(token.generation, now_ms, latency_ms=latency_ms, error=error, slow=slow)
            now_s = self.clock()
            due = self._flushed_s is None or now_s - self._flushed_s >= self.config.refresh_ms / 1000
            if due and self._pause.is_over(now_s):
                self._flush(now_ms, now_s)

    def _flush(self, now_ms: int, now_s: float) -> None:
        self._flushed_s = now_s
        accumulators, self._accumulators = self._accumulators, {}
        told = [
            (sums_item(name, key), sums.to_increments())
            for name, accumulator in accumulators.items()
            for key, sums in accumulator.drain().items()
        ]
        for name, callers in self._callers.items():
            epoch, amounts = callers.drain()
            told += [(callers_item(name, epoch), amounts)] if amounts else []
        for item, amounts in told:
            try:
                self.store.add(item, amounts, expires_at=now_ms // 1000 + KEPT_S)
            except UnavailableError as error:
                self._pause.failed(now_s)
                self._refused.failed(error, now_s)
                return
        self._pause.answered()
        self._refused.answered()
