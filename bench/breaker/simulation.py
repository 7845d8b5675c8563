"""Requests, a fleet of breakers, a protected system with a queue; what came of it.

A discrete-event simulation. Arrivals are the clock; completions are delivered to the breakers in between, in
their order. The queue is exact for FIFO G/G/c: what has to be known is when each server becomes free.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bench.breaker.scenarios import SYSTEM, Request, Scenario, requests, scenario

_REFUSED_S: Final = 0.010


class Fleet(Protocol):
    """Breakers of one kind in front of the protected system; one or many, sharing what they share."""

    def admit(self, environment: int, at_s: float, draw: float) -> Any | None:
        """Return what ``complete`` will need, or None to turn the request away."""
        ...

    def complete(
        self, environment: int, at_s: float, token: Any, *, error: bool, slow: bool, latency_s: float
    ) -> None:
        """Take note of an outcome."""
        ...

    def trips(self) -> list[int]:
        """Return, per breaker, how often it went from closed to open."""
        ...

    def open_share(self, at_s: float) -> float:
        """Return the state as a number for pictures: 0 closed, 1 open, between: half open."""
        ...


@dataclass(slots=True)
class Second:
    """What happened in one second."""

    offered: int = 0
    shed: int = 0
    bad: int = 0
    latency_s: float = 0.0
    open_share: float = 0.0


@dataclass(slots=True)
class Run:
    """What came of one run.

    Attributes:
        plan: the scenario.
        seconds: what happened, second by second, by time of arrival.
        good_shed: requests turned away that would have succeeded.
        good: requests let through that succeeded in time.
        bad: requests let through that failed or were slow.
        trips: per breaker.
    """

    plan: Scenario
    seconds: list[Second]
    good_shed: int = 0
    good: int = 0
    bad: int = 0
    trips: list[int] = field(default_factory=list)


class _Queue:
    """FIFO service by so many servers: the times they become free, in a heap."""

    def __init__(self, plan: Scenario) -> None:
        self._plan = plan
        self._free = [0.0] * SYSTEM.servers
        self._lost = plan.servers_lost

    def wait_s(self, at_s: float) -> float:
        """Return how long a request that arrives now would wait."""
        if self._lost and self._plan.fault_from_s is not None and at_s >= self._plan.fault_from_s:
            for _ in range(self._lost):
                heapq.heapreplace(self._free, max(self._free[0], self._plan.fault_to_s or 0.0))
            self._lost = 0
        return max(0.0, self._free[0] - at_s)

    def serve(self, begin_s: float, service_s: float) -> None:
        """Give the next free server work."""
        heapq.heapreplace(self._free, begin_s + service_s)


def simulate(name: str, seed: int, fleet: Fleet, environments: int) -> Run:
    """Run a scenario against a fleet."""
    plan = scenario(name, seed)
    run = Run(plan, [Second() for _ in range(int(plan.length_s) + 1)])
    queue = _Queue(plan)
    pending: list[tuple[float, int, int, Any, bool, bool, float]] = []
    for number, request in enumerate(requests(name, seed)):
        while pending and pending[0][0] <= request.at_s:
            done_s, _, environment, token, error, slow, latency_s = heapq.heappop(pending)
            fleet.complete(environment, done_s, token, error=error, slow=slow, latency_s=latency_s)
        environment = int(request.route * environments)
        fate = _fate(plan, queue, request)
        token = fleet.admit(environment, request.at_s, request.draw)
        second = run.seconds[int(request.at_s)]
        if second.offered == 0:
            second.open_share = fleet.open_share(request.at_s)
        second.offered += 1
        if token is None:
            second.shed += 1
            run.good_shed += fate.good
            continue
        if fate.begin_s is not None:
            queue.serve(fate.begin_s, fate.service_s)
        if fate.good:
            run.good += 1
        else:
            run.bad += 1
            second.bad += 1
        second.latency_s += fate.latency_s
        done_s = request.at_s + fate.latency_s
        outcome = (done_s, number, environment, token, fate.error, fate.slow, fate.latency_s)
        heapq.heappush(pending, outcome)
    run.trips = fleet.trips()
    return run


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of a request if it is admitted; ``begin_s`` is None if it is refused at once."""

    begin_s: float | None
    service_s: float
    latency_s: float
    error: bool
    slow: bool

    @property
    def good(self) -> bool:
        return not (self.error or self.slow)


def _fate(plan: Scenario, queue: _Queue, request: Request) -> _Fate:
    wait_s = queue.wait_s(request.at_s)
    if wait_s > SYSTEM.backlog_s:
        return _Fate(None, 0.0, _REFUSED_S, error=True, slow=False)
    begin_s = request.at_s + wait_s
    service_s = request.service_s * plan.slowdown(begin_s)
    latency_s = wait_s + service_s
    if latency_s > SYSTEM.timeout_s:
        return _Fate(begin_s, service_s, SYSTEM.timeout_s, error=True, slow=True)
    error = request.luck < plan.error_share(request.at_s)
    return _Fate(begin_s, service_s, latency_s, error=error, slow=latency_s > SYSTEM.slow_s)
