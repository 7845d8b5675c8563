"""A breaker of its own for each backend, or for each client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.breaker.plan import Request
from bench.breaker.simulation import Fleet


class Keyed:
    """Fleets that know nothing of each other. A ``simulation.Fleet``."""

    def __init__(self, make: Callable[[], Fleet], key: Callable[[Request], int]) -> None:
        """Take how to make one, and what tells them apart."""
        self._make, self._key = make, key
        self.fleets: dict[int, Fleet] = {}

    def admit(self, environment: int, at_s: float, request: Request) -> tuple[Fleet, Any] | None:
        """Ask the one it concerns."""
        key = self._key(request)
        fleet = self.fleets.get(key)
        if fleet is None:
            fleet = self.fleets[key] = self._make()
        token = fleet.admit(environment, at_s, request)
        return None if token is None else (fleet, token)

    def complete(
        self,
        environment: int,
        at_s: float,
        token: tuple[Fleet, Any],
        *,
        error: bool,
        slow: bool,
        latency_s: float,
    ) -> None:
        """Tell the one that admitted it."""
        token[0].complete(environment, at_s, token[1], error=error, slow=slow, latency_s=latency_s)

    def trips(self) -> list[int]:
        """Return the trips of all."""
        return [trips for fleet in self.fleets.values() for trips in fleet.trips()]

    def open_share(self, at_s: float) -> float:
        """Return the mean of all."""
        return sum(fleet.open_share(at_s) for fleet in self.fleets.values()) / max(1, len(self.fleets))
