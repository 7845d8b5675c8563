"""Peers by their documented semantics, one instance per environment unless said otherwise.

resilience4j 2 (https://resilience4j.readme.io/docs/circuitbreaker), Hystrix 1.5
(https://github.com/Netflix/Hystrix/wiki/Configuration), adaptive throttling (Site Reliability Engineering,
chapter 21, "Handling Overload"). Defaults are the projects' own, but that calls slower than the latency
objective count as slow where the project can count them: its default of 60 s sees nothing here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from bench.breaker.plan import Request

_CLOSED, _OPEN, _HALF_OPEN = "closed", "open", "half_open"


@dataclass(slots=True)
class _Instance:
    """One circuit breaker of an environment."""

    state: str = _CLOSED
    opened_s: float = 0.0
    trips: int = 0
    outcomes: deque[tuple[float, bool, bool]] = field(default_factory=deque)
    errors: int = 0
    slow: int = 0
    permits: int = 0
    checked_s: float = 0.0


class PerEnvironment:
    """What breakers that share nothing have in common."""

    def __init__(self, environments: int, seed: int) -> None:  # noqa: ARG002 - as all fleets are built
        self._instances = [_Instance() for _ in range(environments)]

    def trips(self) -> list[int]:
        """Return the trips of each instance."""
        return [instance.trips for instance in self._instances]

    def open_share(self, at_s: float) -> float:  # noqa: ARG002 - the protocol's signature
        """Return the share of instances that are not closed."""
        return sum(instance.state != _CLOSED for instance in self._instances) / len(self._instances)

    @staticmethod
    def _open(instance: _Instance, at_s: float) -> None:
        instance.trips += instance.state == _CLOSED
        instance.state = _OPEN
        instance.opened_s = at_s
        _forget(instance)


def _forget(instance: _Instance) -> None:
    instance.outcomes.clear()
    instance.errors = instance.slow = 0


class NoBreaker(PerEnvironment):
    """Lets everything through."""

    def admit(self, environment: int, at_s: float, request: Request) -> str:  # noqa: ARG002 - the protocol's
        """Admit."""
        return _CLOSED

    def complete(
        self, environment: int, at_s: float, token: str, *, error: bool, slow: bool, latency_s: float
    ) -> None:
        """Look at nothing."""


class Resilience4jFleet(PerEnvironment):
    """Count-based window of 100, at least 100 calls, 50 % errors or slow, open 60 s, 10 permitted probes."""

    window: Final = 100
    threshold: Final = 0.5
    open_s: Final = 60.0
    probes: Final = 10

    def admit(self, environment: int, at_s: float, request: Request) -> str | None:  # noqa: ARG002 - the protocol's
        """Admit while closed, then as many probes as are permitted."""
        instance = self._instances[environment]
        if instance.state == _CLOSED:
            return _CLOSED
        if instance.state == _OPEN:
            if at_s < instance.opened_s + self.open_s:
                return None
            instance.state, instance.permits = _HALF_OPEN, self.probes
            _forget(instance)
        if instance.permits == 0:
            return None
        instance.permits -= 1
        return _HALF_OPEN

    def complete(
        self, environment: int, at_s: float, token: str, *, error: bool, slow: bool, latency_s: float
    ) -> None:  # fmt: skip
        """Evaluate the window, or the probes once all are back."""
        del latency_s
        instance = self._instances[environment]
        if token != instance.state:
            return
        instance.outcomes.append((at_s, error, slow))
        instance.errors += error
        instance.slow += slow
        if len(instance.outcomes) > self.window:
            _, old_error, old_slow = instance.outcomes.popleft()
            instance.errors -= old_error
            instance.slow -= old_slow
        count = len(instance.outcomes)
        if count < (self.probes if instance.state == _HALF_OPEN else self.window):
            return
        if max(instance.errors, instance.slow) >= self.threshold * count:
            self._open(instance, at_s)
        elif instance.state == _HALF_OPEN:
            instance.state = _CLOSED
            _forget(instance)


class HystrixFleet(PerEnvironment):
    """Rolling 10 s, at least 20 requests, 50 % errors, health looked at every 0.5 s, sleep 5 s, one probe."""

    volume: Final = 20
    threshold: Final = 0.5
    sleep_s: Final = 5.0
    window_s: Final = 10.0
    snapshot_s: Final = 0.5

    def admit(self, environment: int, at_s: float, request: Request) -> str | None:  # noqa: ARG002 - the protocol's
        """Admit while closed, then one probe per sleep."""
        instance = self._instances[environment]
        if instance.state == _CLOSED and at_s - instance.checked_s >= self.snapshot_s:
            self._check(instance, at_s)
        if instance.state == _CLOSED:
            return _CLOSED
        if instance.state == _OPEN and at_s > instance.opened_s + self.sleep_s:
            instance.state = _HALF_OPEN
            return _HALF_OPEN
        return None

    def complete(
        self, environment: int, at_s: float, token: str, *, error: bool, slow: bool, latency_s: float
    ) -> None:  # fmt: skip
        """Count; the probe decides at once."""
        del slow, latency_s
        instance = self._instances[environment]
        if token == _HALF_OPEN:
            if error:
                self._open(instance, at_s)
            else:
                instance.state = _CLOSED
                _forget(instance)
        elif instance.state == _CLOSED:
            instance.outcomes.append((at_s, error, False))
            instance.errors += error

    def _check(self, instance: _Instance, at_s: float) -> None:
        instance.checked_s = at_s
        while instance.outcomes and instance.outcomes[0][0] < at_s - self.window_s:
            instance.errors -= instance.outcomes.popleft()[1]
        count = len(instance.outcomes)
        if count >= self.volume and instance.errors >= self.threshold * count:
            self._open(instance, at_s)


class ThrottlingFleet(PerEnvironment):
    """Adaptive throttling: reject with (requests - K accepts) / (requests + 1), K = 2, over two minutes.

    It has no states; a trip is counted when the chance of rejection passes 50 % after it was below 5 %.
    """

    multiplier: Final = 2.0
    window_s: Final = 120.0

    def __init__(self, environments: int, seed: int) -> None:
        super().__init__(environments, seed)
        self._accepted: list[deque[float]] = [deque() for _ in range(environments)]

    def admit(self, environment: int, at_s: float, request: Request) -> str | None:
        """Throw the dice."""
        instance, accepted = self._instances[environment], self._accepted[environment]
        while instance.outcomes and instance.outcomes[0][0] < at_s - self.window_s:
            instance.outcomes.popleft()
        while accepted and accepted[0] < at_s - self.window_s:
            accepted.popleft()
        count = len(instance.outcomes)
        reject = max(0.0, (count - self.multiplier * len(accepted)) / (count + 1))
        instance.outcomes.append((at_s, False, False))
        if reject >= 0.5 and instance.state == _CLOSED:  # noqa: PLR2004 - by definition
            instance.state, instance.trips = _OPEN, instance.trips + 1
        elif reject <= 0.05:  # noqa: PLR2004 - by definition
            instance.state = _CLOSED
        return _CLOSED if request.draw >= reject else None

    def complete(
        self, environment: int, at_s: float, token: str, *, error: bool, slow: bool, latency_s: float
    ) -> None:  # fmt: skip
        """Count what the backend accepted."""
        del token, slow, latency_s
        if not error:
            self._accepted[environment].append(at_s)
