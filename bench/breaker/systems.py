"""The protected system: what becomes of a request if it is let through, and what that costs the next ones."""

from __future__ import annotations

import heapq
import math
from typing import Final, NamedTuple

from bench.breaker.plan import BASE_ERROR, Request, Scenario

_REFUSED_S: Final = 0.010
_WARM_AT_START: Final = 50


class Fate(NamedTuple):
    """What becomes of a request if it is admitted.

    Attributes:
        begin_s: when work on it begins; None if it is refused at once.
        service_s: how long a server works on it.
        latency_s: what its client sees.
        error: it fails.
        slow: it takes longer than the objective.
    """

    begin_s: float | None
    service_s: float
    latency_s: float
    error: bool
    slow: bool

    @property
    def good(self) -> bool:
        """Whether it succeeds in time."""
        return not (self.error or self.slow)


class Protected:
    """One backend. Its queue is exact for FIFO G/G/c: it knows when each server becomes free."""

    def __init__(self, plan: Scenario, number: int) -> None:
        """Make the backend of this number, at rest."""
        self._plan, self._system = plan, plan.system
        self._struck = number == 0
        self._lost = plan.servers_lost if self._struck else 0
        self._serverless = plan.system.cold_start_s > 0
        self._free = [0.0] * (_WARM_AT_START if self._serverless else plan.system.servers)
        self._deploys = list(plan.deploys)
        self._cached = dict.fromkeys(range(plan.cache_keys), 0.0)
        self._emptied_s = plan.fault_from_s if plan.cache_keys else None

    def fate(self, request: Request, at_s: float) -> Fate:
        """Return what would become of a request that arrives now."""
        if self._serverless:
            return self._instance(request, at_s)
        plan, system = self._plan, self._system
        wait_s = self._wait_s(at_s)
        if wait_s > system.backlog_s:
            return Fate(None, 0.0, _REFUSED_S, error=True, slow=False)
        begin_s = at_s + wait_s
        service_s = request.service_s * (plan.slowdown(begin_s) if self._struck else 1.0)
        latency_s = wait_s + service_s
        if request.delayed or (plan.cache_keys and self._misses(request, at_s)):
            latency_s += plan.delay_s
        if latency_s > system.timeout_s:
            return Fate(begin_s, service_s, system.timeout_s, error=True, slow=True)
        return Fate(begin_s, service_s, latency_s, self._fails(request, at_s), latency_s > system.slow_s)

    def serve(self, request: Request, fate: Fate) -> None:
        """Let the request through."""
        if fate.begin_s is None:
            return
        end_s = fate.begin_s + fate.service_s
        if self._serverless and not (self._free and self._free[0] <= fate.begin_s):
            heapq.heappush(self._free, end_s)
        else:
            heapq.heapreplace(self._free, end_s)
        if self._plan.cache_keys and request.key not in self._cached:
            self._cached[request.key] = fate.begin_s + fate.latency_s

    def _wait_s(self, at_s: float) -> float:
        plan = self._plan
        if self._lost and plan.fault_from_s is not None and at_s >= plan.fault_from_s:
            for _ in range(self._lost):
                heapq.heapreplace(self._free, max(self._free[0], plan.fault_to_s or 0.0))
            self._lost = 0
        return max(0.0, self._free[0] - at_s)

    def _instance(self, request: Request, at_s: float) -> Fate:
        while self._deploys and self._deploys[0] <= at_s:
            self._deploys.pop(0)
            self._free = []
        warm = bool(self._free) and self._free[0] <= at_s
        service_s = request.service_s + (0.0 if warm else self._system.cold_start_s)
        return Fate(
            at_s, service_s, service_s, self._fails(request, at_s), service_s > self._system.slow_s
        )  # fmt: skip

    def _misses(self, request: Request, at_s: float) -> bool:
        if self._emptied_s is not None and at_s >= self._emptied_s:
            self._emptied_s = None
            self._cached = {}
        return self._cached.get(request.key, math.inf) > at_s

    def _fails(self, request: Request, at_s: float) -> bool:
        plan = self._plan
        if plan.offender_fails and request.client == 0:
            return True
        return request.luck < (plan.error_share(at_s) if self._struck else BASE_ERROR)
