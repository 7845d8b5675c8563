"""Requests, a fleet of breakers, protected systems; what came of it.

A discrete-event simulation. Arrivals, new ones and clients' further tries, are the clock; completions are
delivered to the breakers in between, in their order.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.breaker.plan import Request, Scenario
from bench.breaker.scenarios import requests, scenario
from bench.breaker.systems import Fate, Protected

_FIRST_PAUSE_S = 0.1
_SHED_S = 0.010


class Fleet(Protocol):
    """Breakers of one kind in front of the protected system; one or many, sharing what they share."""

    def admit(self, environment: int, at_s: float, request: Request) -> Any | None:
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
        bystanders_shed: of those turned away, the ones that have no part in the fault.
        bystanders: of the good ones let through, the same.
        noticed_after: requests offered from the fault's start until one was turned away; None if none was.
        trips: per breaker.
    """

    plan: Scenario
    seconds: list[Second]
    good_shed: int = 0
    good: int = 0
    bad: int = 0
    bystanders_shed: int = 0
    bystanders: int = 0
    noticed_after: int | None = None
    trips: list[int] = field(default_factory=list)


def simulate(name: str, seed: int, fleet: Fleet, environments: int) -> Run:
    """Run a scenario against a fleet."""
    return _Simulation(name, seed, fleet, environments).run()


class _Simulation:
    def __init__(self, name: str, seed: int, fleet: Fleet, environments: int) -> None:
        self.plan = scenario(name, seed)
        self._stream = requests(name, seed)
        self._fleet, self._environments = fleet, environments
        self._run = Run(self.plan, [Second() for _ in range(int(self.plan.length_s) + 1)])
        self._systems = [Protected(self.plan, number) for number in range(len(self.plan.backends))]
        self._pending: list[tuple[float, int, int, Any, Fate]] = []
        self._again: list[Request] = []
        self._rng = random.Random(f"tries {name} {seed}")  # noqa: S311 - a simulation
        self._number = self._since_fault = 0

    def run(self) -> Run:
        for request in self._stream:
            while self._again and self._again[0].at_s <= request.at_s:
                self._take(heapq.heappop(self._again))
            self._take(request)
        self._run.trips = self._fleet.trips()
        return self._run

    def _take(self, request: Request) -> None:
        run, at_s = self._run, request.at_s
        self._deliver(at_s)
        environment = int(request.route * self._environments)
        system = self._systems[request.backend]
        fate = system.fate(request, at_s)
        token = self._fleet.admit(environment, at_s, request)
        second = run.seconds[int(at_s)]
        if second.offered == 0:
            second.open_share = self._fleet.open_share(at_s)
        second.offered += 1
        bystands = (request.backend if len(self._systems) > 1 else request.client) > 0
        good = fate.good
        if self._since_fault or at_s >= (self.plan.fault_from_s or 0.0):
            self._since_fault += 1
        if token is None:
            second.shed += 1
            run.good_shed += good
            run.bystanders_shed += good and bystands
            if run.noticed_after is None and self._since_fault:
                run.noticed_after = self._since_fault
            self._try_again(request, at_s + _SHED_S)
            return
        system.serve(request, fate)
        second.latency_s += fate.latency_s
        done_s = at_s + fate.latency_s
        if good:
            run.good += 1
            run.bystanders += bystands
        else:
            run.bad += 1
            second.bad += 1
            self._try_again(request, done_s)
        self._number += 1
        heapq.heappush(self._pending, (done_s, self._number, environment, token, fate))

    def _deliver(self, at_s: float) -> None:
        pending, silent_s = self._pending, self.plan.silent_from_s
        while pending and pending[0][0] <= at_s:
            done_s, _, environment, token, fate = heapq.heappop(pending)
            if silent_s is None or done_s < silent_s:
                self._fleet.complete(
                    environment, done_s, token, error=fate.error, slow=fate.slow, latency_s=fate.latency_s
                )

    def _try_again(self, request: Request, known_s: float) -> None:
        if request.tries >= self.plan.retries:
            return
        at_s = known_s + _FIRST_PAUSE_S * 2**request.tries * self._rng.uniform(0.5, 1.5)
        if at_s < self.plan.length_s:
            rng = self._rng
            heapq.heappush(
                self._again,
                request._replace(
                    at_s=at_s,
                    luck=rng.random(),
                    route=rng.random(),
                    draw=rng.random(),
                    tries=request.tries + 1,
                ),
            )
