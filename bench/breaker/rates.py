"""Limits on the rate, where an authorizer stands: what adaptive concurrency could bring there. Not shipped.

An authorizer decides before a request and never sees it end; outcomes come late, in sums. So it cannot count
what is in flight. A share of the offered requests, or a rate, is all that it can set.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bench.breaker.peers import PerEnvironment
from bench.breaker.plan import Request, Scenario

_BINS_PER_S: Final = 4


class _Offered:
    """The offered rate over two seconds, as late as arrivals are when a reader sees all of them."""

    late: Final = 5
    bins: Final = 8

    def __init__(self) -> None:
        self._bins: dict[int, int] = {}

    def count(self, at_s: float) -> None:
        number = int(at_s * _BINS_PER_S)
        self._bins[number] = self._bins.get(number, 0) + 1

    def rps(self, at_s: float) -> float:
        number = int(at_s * _BINS_PER_S) - self.late
        return sum(self._bins.get(number - back, 0) for back in range(self.bins)) * _BINS_PER_S / self.bins


class ToldRateFleet(PerEnvironment):
    """A reference: told what the system can serve, it admits a share that makes 90 % of it.

    Of 85, 90 and 95 % this serves most of a day over capacity.
    """

    share: Final = 0.9

    def __init__(self, plan: Scenario) -> None:
        """Take the scenario, which says how many servers there are."""
        super().__init__(1, 0)
        self._plan = plan
        self._offered = _Offered()

    def admit(self, environment: int, at_s: float, request: Request) -> str | None:  # noqa: ARG002 - the protocol's
        """Throw the dice."""
        self._offered.count(at_s)
        allowed_rps = self.share * self._capacity_rps(at_s)
        return "told" if request.draw * self._offered.rps(at_s) < allowed_rps else None

    def complete(
        self, environment: int, at_s: float, token: str, *, error: bool, slow: bool, latency_s: float
    ) -> None:
        """Look at nothing."""

    def _capacity_rps(self, at_s: float) -> float:
        plan = self._plan
        struck = (plan.fault_from_s or 0.0) <= at_s < (plan.fault_to_s or 0.0)
        servers = plan.system.servers - (plan.servers_lost if struck else 0)
        return servers / plan.system.service_s


class AimdRateFleet(PerEnvironment):
    """A trial: more by 1 % where few answers are late, back to 95 % of the rate at which a tenth was.

    Evidence is a second late. After a cut half of the rate is let through for a second, so that the queue of
    the time before drains. It trips at nothing, and cannot tell a load that is too high from a slow route.
    """

    up: Final = 1.01
    back: Final = 0.95
    drained: Final = 0.5
    few: Final = 0.05
    many: Final = 0.10
    samples: Final = 40
    every_s: Final = 0.5
    late_s: Final = 1.0
    window_s: Final = 3.0

    def __init__(self, environments: int, seed: int) -> None:
        super().__init__(environments, seed)
        self._offered = _Offered()
        self._done: deque[tuple[float, float, bool]] = deque()
        self._rate: float | None = None
        self._goal: float | None = None
        self._since_s = self._next_s = 0.0

    def admit(self, environment: int, at_s: float, request: Request) -> float | None:  # noqa: ARG002 - the protocol's
        """Throw the dice; the token is the time."""
        self._offered.count(at_s)
        if at_s >= self._next_s:
            self._next_s = at_s + self.every_s
            self._step(at_s)
        admitted = self._rate is None or request.draw * self._offered.rps(at_s) < self._rate
        return at_s if admitted else None

    def complete(
        self, environment: int, at_s: float, token: float, *, error: bool, slow: bool, latency_s: float
    ) -> None:
        """Note whether the answer was late."""
        del environment, error, latency_s
        self._done.append((at_s, token, slow))

    def _step(self, at_s: float) -> None:
        while self._done and self._done[0][0] < at_s - self.window_s:
            self._done.popleft()
        if self._goal is not None:
            if at_s - self._since_s > self.late_s:
                self._rate, self._goal, self._since_s = self._goal, None, at_s
            return
        seen = [
            slow for done_s, began_s, slow in self._done
            if done_s < at_s - self.late_s and began_s >= self._since_s
        ]  # fmt: skip
        if len(seen) < self.samples or at_s - self._since_s < 2 * self.late_s:
            return
        self._judge(sum(seen) / len(seen), at_s)

    def _judge(self, late: float, at_s: float) -> None:
        offered_rps = self._offered.rps(at_s)
        if late > self.many:
            rate = offered_rps if self._rate is None else self._rate
            self._rate, self._goal, self._since_s = self.drained * rate, self.back * rate, at_s
        elif self._rate is not None and late < self.few:
            grown = self.up * self._rate
            self._rate = grown if grown < 1.3 * offered_rps else None
            self._since_s = at_s - self.late_s
