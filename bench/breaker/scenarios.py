"""What goes wrong, and the stream of requests; both from a seed alone, so that all breakers see the same.

Ends of faults are shifted by 0 to 45 s per seed: no timer of a breaker can happen to fit them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

OverTime = Callable[[float], float]
Build = Callable[[str, random.Random], "Scenario"]

_FAULT_FROM: Final = 60.0
_AFTERMATH_S: Final = 240.0
_SHIFT_S: Final = 45.0


@dataclass(frozen=True, slots=True)
class System:
    """The protected system: a FIFO queue in front of ``servers``, and its clients' timeout.

    Attributes:
        servers: requests worked on at once.
        service_s: mean service time; lognormal.
        service_scv: squared coefficient of variation of the service time.
        slow_s: latency objective.
        timeout_s: a client gives up; the work is done all the same.
        backlog_s: a request that would wait longer fails at once.
    """

    servers: int = 8
    service_s: float = 0.040
    service_scv: float = 1.0
    slow_s: float = 0.200
    timeout_s: float = 1.0
    backlog_s: float = 5.0


SYSTEM: Final = System()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault over time. Seconds count from the start of the run.

    Attributes:
        name: as in the tables.
        length_s: of the run.
        fault_from_s: when the fault begins; None if there is none.
        fault_to_s: when it ends.
        slowdown: factor on the service time.
        error_share: share of requests that fail in every case.
        offered_rps: rate of requests.
        peak_rps: its maximum.
        servers_lost: servers that are away during the fault.
    """

    name: str
    length_s: float
    fault_from_s: float | None
    fault_to_s: float | None
    slowdown: OverTime
    error_share: OverTime
    offered_rps: OverTime
    peak_rps: float
    servers_lost: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One offered request.

    Attributes:
        at_s: when it arrives.
        service_s: how long a healthy server works on it.
        luck: uniform; it fails where ``luck < error_share``.
        route: uniform; which environment takes it.
        draw: uniform; for breakers that throw dice.
    """

    at_s: float
    service_s: float
    luck: float
    route: float
    draw: float


def scenario(name: str, seed: int) -> Scenario:
    """Return the scenario as this seed has it.

    Raises:
        KeyError: there is no such scenario.
    """
    rng = random.Random(f"{name} {seed}")  # noqa: S311 - a simulation
    return _SCENARIOS[name](name, rng)


@lru_cache(maxsize=2)
def requests(name: str, seed: int) -> tuple[Request, ...]:
    """Return the stream of requests: Poisson arrivals, thinned where the rate is below its peak."""
    plan = scenario(name, seed)
    rng = random.Random(f"requests {name} {seed}")  # noqa: S311 - a simulation
    spread = math.log(1 + SYSTEM.service_scv)
    mu, sigma = math.log(SYSTEM.service_s) - spread / 2, math.sqrt(spread)
    stream = []
    at_s = 0.0
    while (at_s := at_s + rng.expovariate(plan.peak_rps)) < plan.length_s:
        drawn = Request(at_s, rng.lognormvariate(mu, sigma), rng.random(), rng.random(), rng.random())
        if rng.random() * plan.peak_rps < plan.offered_rps(at_s):
            stream.append(drawn)
    return tuple(stream)


_RPS: Final = 120.0
_BASE_ERROR: Final = 0.001
# With the 1 % that is slow by chance this makes 2 % bad.
_TWO_PERCENT_BAD: Final = 0.0105


def _constant(value: float) -> OverTime:
    return lambda _: value


def _during(begin_s: float, end_s: float, value: float, otherwise: float) -> OverTime:
    return lambda at_s: value if begin_s <= at_s < end_s else otherwise


def _ramp(at_s: float, begin_s: float, end_s: float, first: float, last: float) -> float:
    done = min(1.0, max(0.0, (at_s - begin_s) / (end_s - begin_s)))
    return first + done * (last - first)


def _plan(
    name: str,
    length_s: float,
    fault: tuple[float, float] | None,
    *,
    slowdown: OverTime | None = None,
    error_share: OverTime | None = None,
    offered_rps: OverTime | None = None,
    peak_rps: float = _RPS,
    servers_lost: int = 0,
) -> Scenario:
    begin_s, end_s = fault or (None, None)
    return Scenario(
        name=name,
        length_s=length_s,
        fault_from_s=begin_s,
        fault_to_s=end_s,
        slowdown=slowdown or _constant(1.0),
        error_share=error_share or _constant(_BASE_ERROR),
        offered_rps=offered_rps or _constant(peak_rps),
        peak_rps=peak_rps,
        servers_lost=servers_lost,
    )


def _healthy(length_s: float, rps: float, error_share: float) -> Build:
    def build(name: str, _: random.Random) -> Scenario:
        return _plan(name, length_s, None, error_share=_constant(error_share), peak_rps=rps)

    return build


def _errors(share: float) -> Build:
    def build(name: str, rng: random.Random) -> Scenario:
        fault = (_FAULT_FROM, 180 + rng.uniform(0, _SHIFT_S))
        return _plan(name, 480, fault, error_share=_during(*fault, share, _BASE_ERROR))

    return build


def _latency_ramp(name: str, rng: random.Random) -> Scenario:
    end_s = 200 + rng.uniform(0, _SHIFT_S)

    def slowdown(at_s: float) -> float:
        if at_s < end_s:
            return _ramp(at_s, _FAULT_FROM, _FAULT_FROM + 20, 1, 10)
        return _ramp(at_s, end_s, end_s + 20, 10, 1)

    return _plan(name, 520, (_FAULT_FROM, end_s + 20), slowdown=slowdown)


def _brownout(name: str, rng: random.Random) -> Scenario:
    return _plan(name, 520, (_FAULT_FROM, 240 + rng.uniform(0, _SHIFT_S)), servers_lost=SYSTEM.servers // 2)


def _surge(name: str, rng: random.Random) -> Scenario:
    fault = (_FAULT_FROM, 150 + rng.uniform(0, _SHIFT_S))
    return _plan(name, 460, fault, offered_rps=_during(*fault, 2.5 * _RPS, _RPS), peak_rps=2.5 * _RPS)


def _square(high: float, low: float, half_s: float, waves: int, noise: float) -> Build:
    def build(name: str, rng: random.Random) -> Scenario:
        edges = [_FAULT_FROM]
        for _ in range(2 * waves - 1):
            edges.append(edges[-1] + half_s * rng.uniform(0.8, 1.2))
        wobble = [rng.uniform(-noise, noise) for _ in range(int(edges[-1]) + 1)]

        def error_share(at_s: float) -> float:
            if not edges[0] <= at_s < edges[-1]:
                return _BASE_ERROR
            half = sum(edge <= at_s for edge in edges) - 1
            return max(_BASE_ERROR, (low if half % 2 else high) + wobble[int(at_s)])

        return _plan(name, edges[-1] + _AFTERMATH_S, (edges[0], edges[-1]), error_share=error_share)

    return build


def _blinking(name: str, rng: random.Random) -> Scenario:
    outages = [(_FAULT_FROM, _FAULT_FROM + 8)]
    while len(outages) < 10:  # noqa: PLR2004 - the scenario's own number
        begin_s = outages[-1][1] + rng.uniform(14, 30)
        outages.append((begin_s, begin_s + 8))

    def error_share(at_s: float) -> float:
        return 1.0 if any(begin_s <= at_s < end_s for begin_s, end_s in outages) else _BASE_ERROR

    end_s = outages[-1][1]
    return _plan(name, end_s + _AFTERMATH_S, (_FAULT_FROM, end_s), error_share=error_share)


def _slow_recovery(name: str, rng: random.Random) -> Scenario:
    """An outage, then cold caches: eight times slower, healing over two minutes."""
    down_s = 120 + rng.uniform(0, _SHIFT_S)
    return _plan(
        name,
        down_s + 420,
        (_FAULT_FROM, down_s + 120),
        slowdown=lambda at_s: 1.0 if at_s < down_s else _ramp(at_s, down_s, down_s + 120, 8, 1),
        error_share=_during(_FAULT_FROM, down_s, 1.0, _BASE_ERROR),
    )


_SCENARIOS: Final[dict[str, Build]] = {
    "healthy": _healthy(600, _RPS, _TWO_PERCENT_BAD),
    "low traffic": _healthy(3600, 2.0, _TWO_PERCENT_BAD),
    "errors 20 %": _errors(0.20),
    "errors 30 %": _errors(0.30),
    "errors 40 %": _errors(0.40),
    "errors 50 %": _errors(0.50),
    "errors 100 %": _errors(1.0),
    "latency x10": _latency_ramp,
    "brown-out": _brownout,
    "surge x2.5": _surge,
    "square 50±10 %": _square(0.60, 0.40, 10, 15, 0.05),
    "square 30±10 %": _square(0.40, 0.20, 10, 15, 0.05),
    "deep 55/5 %": _square(0.55, 0.05, 20, 8, 0.0),
    "blinking": _blinking,
    "slow recovery": _slow_recovery,
}

NAMES: Final = tuple(_SCENARIOS)
