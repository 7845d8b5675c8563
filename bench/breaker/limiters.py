"""Adaptive concurrency limits, ports: how many requests may be in flight, from their latency alone.

Each stands as one proxy before the protected system and sees every request, which is its natural place.
Errors are no evidence for either; an answer that timed out has the latency of the timeout. Defaults are the
projects' own, smallest limits included.

``Gradient2``: Netflix concurrency-limits 0.5.2, ``Gradient2Limit`` within ``WindowedLimit``, the numbers of
that release (https://github.com/Netflix/concurrency-limits/tree/main/concurrency-limits-core, Apache 2.0). It
gives the limits that the library itself gave (tests/fixtures/gradient2.json).

``EnvoyGradient``: Envoy's gradient controller,
https://github.com/envoyproxy/envoy/blob/main/source/extensions/filters/http/adaptive_concurrency/controller/gradient_controller.cc
(Apache 2.0), with an exact median for its histogram, and one minimum-latency window a minute.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass, field
from typing import Final

from bench.breaker.plan import Request

_NS: Final = 1_000_000_000


@dataclass(slots=True)
class Gradient2:
    """The limit, from the gradient of the mean latency of a second against its long average; nanoseconds."""

    limit: float = 20.0
    least: float = 20.0
    most: float = 200.0
    queue: float = 4.0
    smoothing: float = 0.2
    tolerance: float = 1.5
    _next_ns: int = 0
    _sum_ns: int = 0
    _count: int = 0
    _in_flight: int = 0
    _long: float = 0.0
    _warm: int = 0
    _total: float = 0.0

    def sample(self, start_ns: int, rtt_ns: int, in_flight: int) -> None:
        """Take one latency, and how many were in flight when its request began, itself included."""
        if rtt_ns < 100_000:  # noqa: PLR2004 - the library's least latency
            return
        self._sum_ns += rtt_ns
        self._count += 1
        self._in_flight = max(self._in_flight, in_flight)
        if start_ns + rtt_ns > self._next_ns:
            count, total, peak = self._count, self._sum_ns, self._in_flight
            self._sum_ns = self._count = self._in_flight = 0
            self._next_ns = start_ns + rtt_ns + _NS
            if count >= 10:  # noqa: PLR2004 - the library's least window
                self._update(total // count, peak)

    def _update(self, short: int, in_flight: int) -> None:
        if self._warm < 10:  # noqa: PLR2004 - the library's warm-up
            self._warm += 1
            self._total += short
            self._long = self._total / self._warm
        else:
            self._long += 2 / 601 * (short - self._long)
        compared = self._long
        if compared / short > 2:  # noqa: PLR2004 - the library's
            self._long *= 0.95
        if in_flight < self.limit / 2:
            return
        gradient = max(0.5, min(1.0, self.tolerance * compared / short))
        wanted = self.limit * gradient + self.queue
        wanted = self.limit * (1 - self.smoothing) + wanted * self.smoothing
        self.limit = max(self.least, min(self.most, wanted))


class _Limiter:
    """A proxy that counts what is in flight."""

    def __init__(self) -> None:
        self._in_flight = self._passed = self._refused = 0

    def trips(self) -> list[int]:
        """Return nothing to speak of: a limit has no states."""
        return [0]

    def open_share(self, at_s: float) -> float:  # noqa: ARG002 - the protocol's signature
        """Return the share it refused since it was asked last."""
        refused, passed, self._refused, self._passed = self._refused, self._passed, 0, 0
        return refused / max(1, refused + passed)

    def _take(self, limit: float) -> bool:
        if self._in_flight >= limit:
            self._refused += 1
            return False
        self._in_flight += 1
        self._passed += 1
        return True


class Gradient2Fleet(_Limiter):
    """Netflix's limiter in front of all environments."""

    def __init__(self, environments: int, seed: int) -> None:  # noqa: ARG002 - as all fleets are built
        super().__init__()
        self.gradient = Gradient2()

    def admit(self, environment: int, at_s: float, request: Request) -> tuple[float, int] | None:  # noqa: ARG002 - the protocol's
        """Admit what the limit lets through."""
        return (at_s, self._in_flight) if self._take(int(self.gradient.limit)) else None

    def complete(
        self,
        environment: int,
        at_s: float,
        token: tuple[float, int],
        *,
        error: bool,
        slow: bool,
        latency_s: float,
    ) -> None:
        """Take the latency as a sample."""
        del environment, at_s, error, slow
        self._in_flight -= 1
        self.gradient.sample(round(token[0] * _NS), round(latency_s * _NS), token[1])


@dataclass(slots=True)
class EnvoyGradient:
    """The limit, from the median latency of 0.1 s against the least, measured at 3 in flight."""

    limit: int = 3
    least: int = 3
    most: int = 1000
    buffer: float = 0.25
    update_s: float = 0.1
    interval_s: float = 60.0
    jitter: float = 0.15
    requests: int = 50
    _samples: list[float] = field(default_factory=list)
    _deferred: int = 3
    _measuring: bool = True
    _epoch_s: float = 0.0
    _measure_s: float = math.inf
    _update_s: float = math.inf
    _min_rtt_s: float = 0.0
    _at_least: int = 0

    def tick(self, at_s: float) -> None:
        """Do what the timers would have done by now."""
        while not self._measuring and min(self._update_s, self._measure_s) <= at_s:
            if self._measure_s <= self._update_s:
                self._begin(self._measure_s)
                return
            self._update_s += self.update_s
            if self._samples:
                self._set(self._wanted())
                if self._at_least >= 5:  # noqa: PLR2004 - Envoy's: the least latency is measured anew
                    self._measure_s = min(self._measure_s, self._update_s)

    def sample(self, began_s: float, at_s: float, latency_s: float, draw: float) -> None:
        """Take one latency; those of requests from before the present measurement are none."""
        if began_s < self._epoch_s:
            return
        self._samples.append(latency_s)
        if self._measuring and len(self._samples) >= self.requests:
            self._min_rtt_s = self._median()
            self._measuring = False
            self._set(self._deferred)
            self._measure_s = at_s + self.interval_s * (1 + self.jitter * draw)
            self._update_s = at_s + self.update_s

    def _begin(self, at_s: float) -> None:
        self._measuring, self._epoch_s = True, at_s
        self._deferred, self.limit, self._at_least = self.limit, self.least, 0
        self._samples.clear()

    def _wanted(self) -> int:
        gradient = (1 + self.buffer) * self._min_rtt_s / max(1e-6, self._median())
        limit = self.limit * max(0.5, min(2.0, gradient))
        return max(self.least, min(self.most, int(limit + math.sqrt(limit))))

    def _set(self, limit: int) -> None:
        self._at_least = self._at_least + 1 if self.limit == limit == self.least else 0
        self.limit = limit

    def _median(self) -> float:
        found = statistics.median(self._samples)
        self._samples.clear()
        return found


class EnvoyFleet(_Limiter):
    """Envoy's filter in front of all environments."""

    def __init__(self, environments: int, seed: int) -> None:  # noqa: ARG002 - as all fleets are built
        super().__init__()
        self.gradient = EnvoyGradient()
        self._rng = random.Random(f"envoy {seed}")  # noqa: S311 - a simulation

    def admit(self, environment: int, at_s: float, request: Request) -> float | None:  # noqa: ARG002 - the protocol's
        """Admit what the limit lets through."""
        self.gradient.tick(at_s)
        return at_s if self._take(int(self.gradient.limit)) else None

    def complete(
        self,
        environment: int,
        at_s: float,
        token: float,
        *,
        error: bool,
        slow: bool,
        latency_s: float,
    ) -> None:
        """Take the latency as a sample."""
        del environment, error, slow
        self._in_flight -= 1
        self.gradient.tick(at_s)
        self.gradient.sample(token, at_s, latency_s, self._rng.random())
