"""Faults of one system with one kind of caller: errors, latency, lost capacity, and their shapes over time.

Ends of faults are shifted by 0 to 45 s per seed: no timer of a breaker can happen to fit them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from bench.breaker.plan import BASE_ERROR, RPS, SYSTEM, Scenario, constant, during, plan, ramp

Build = Callable[[str, random.Random], Scenario]

FAULT_FROM: Final = 60.0
AFTERMATH_S: Final = 240.0
SHIFT_S: Final = 45.0

# With the 1 % that is slow by chance this makes 2 % bad.
_TWO_PERCENT_BAD: Final = 0.0105


def _healthy(length_s: float, rps: float, error_share: float) -> Build:
    def build(name: str, _: random.Random) -> Scenario:
        return plan(name, length_s, None, error_share=constant(error_share), peak_rps=rps)

    return build


def errors(share: float, **rest: Any) -> Build:
    """Return a fault in which a share of the requests fails."""

    def build(name: str, rng: random.Random) -> Scenario:
        fault = (FAULT_FROM, 180 + rng.uniform(0, SHIFT_S))
        return plan(name, 480, fault, error_share=during(*fault, share, BASE_ERROR), **rest)

    return build


def _latency_ramp(name: str, rng: random.Random) -> Scenario:
    end_s = 200 + rng.uniform(0, SHIFT_S)

    def slowdown(at_s: float) -> float:
        if at_s < end_s:
            return ramp(at_s, FAULT_FROM, FAULT_FROM + 20, 1, 10)
        return ramp(at_s, end_s, end_s + 20, 10, 1)

    return plan(name, 520, (FAULT_FROM, end_s + 20), slowdown=slowdown)


def brownout(name: str, rng: random.Random, **rest: Any) -> Scenario:
    """Half of the servers are away."""
    fault = (FAULT_FROM, 240 + rng.uniform(0, SHIFT_S))
    return plan(name, 520, fault, servers_lost=SYSTEM.servers // 2, **rest)


def _surge(name: str, rng: random.Random) -> Scenario:
    fault = (FAULT_FROM, 150 + rng.uniform(0, SHIFT_S))
    return plan(name, 460, fault, offered_rps=during(*fault, 2.5 * RPS, RPS), peak_rps=2.5 * RPS)


def _square(high: float, low: float, half_s: float, waves: int, noise: float) -> Build:
    def build(name: str, rng: random.Random) -> Scenario:
        edges = [FAULT_FROM]
        for _ in range(2 * waves - 1):
            edges.append(edges[-1] + half_s * rng.uniform(0.8, 1.2))
        wobble = [rng.uniform(-noise, noise) for _ in range(int(edges[-1]) + 1)]

        def error_share(at_s: float) -> float:
            if not edges[0] <= at_s < edges[-1]:
                return BASE_ERROR
            half = sum(edge <= at_s for edge in edges) - 1
            return max(BASE_ERROR, (low if half % 2 else high) + wobble[int(at_s)])

        return plan(name, edges[-1] + AFTERMATH_S, (edges[0], edges[-1]), error_share=error_share)

    return build


def _blinking(name: str, rng: random.Random) -> Scenario:
    outages = [(FAULT_FROM, FAULT_FROM + 8)]
    while len(outages) < 10:  # noqa: PLR2004 - the scenario's own number
        begin_s = outages[-1][1] + rng.uniform(14, 30)
        outages.append((begin_s, begin_s + 8))

    def error_share(at_s: float) -> float:
        return 1.0 if any(begin_s <= at_s < end_s for begin_s, end_s in outages) else BASE_ERROR

    end_s = outages[-1][1]
    return plan(name, end_s + AFTERMATH_S, (FAULT_FROM, end_s), error_share=error_share)


def _slow_recovery(name: str, rng: random.Random) -> Scenario:
    """An outage, then cold caches: eight times slower, healing over two minutes."""
    down_s = 120 + rng.uniform(0, SHIFT_S)
    return plan(
        name,
        down_s + 420,
        (FAULT_FROM, down_s + 120),
        slowdown=lambda at_s: 1.0 if at_s < down_s else ramp(at_s, down_s, down_s + 120, 8, 1),
        error_share=during(FAULT_FROM, down_s, 1.0, BASE_ERROR),
    )


FAULTS: Final[dict[str, Build]] = {
    "healthy": _healthy(600, RPS, _TWO_PERCENT_BAD),
    "low traffic": _healthy(3600, 2.0, _TWO_PERCENT_BAD),
    "errors 20 %": errors(0.20),
    "errors 30 %": errors(0.30),
    "errors 40 %": errors(0.40),
    "errors 50 %": errors(0.50),
    "errors 100 %": errors(1.0),
    "latency x10": _latency_ramp,
    "brown-out": brownout,
    "surge x2.5": _surge,
    "square 50±10 %": _square(0.60, 0.40, 10, 15, 0.05),
    "square 30±10 %": _square(0.40, 0.20, 10, 15, 0.05),
    "deep 55/5 %": _square(0.55, 0.05, 20, 8, 0.0),
    "blinking": _blinking,
    "slow recovery": _slow_recovery,
}
