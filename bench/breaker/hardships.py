"""What a real API brings: several backends, unequal callers, caches, deploys, bursts, stores and clocks.

None of these served to choose the breaker's numbers.
"""

from __future__ import annotations

import math
import random
from typing import Final

from bench.breaker.faults import FAULT_FROM, SHIFT_S, Build, brownout, errors
from bench.breaker.plan import BASE_ERROR, RPS, Scenario, System, constant, during, plan

#: How many requests a minute sparse traffic has.
SPARSE: Final = (2, 6, 12)
#: Shares of the calls of the store that fail.
STORE_FAILS: Final = (20, 35, 50)
#: One burst comes each so many seconds, over half a second; the third is the one that fails.
BURST_EVERY_S: Final = 60.0
BURST_SIZE: Final = 500
_BURSTS: Final = 24
_OFFENDER_RPS: Final = {"poison": 60.0, "noisy": 12.0}


def _one_down(name: str, rng: random.Random) -> Scenario:
    """One of three backends is down; it gets 35 % of the requests."""
    fault = (FAULT_FROM, 180 + rng.uniform(0, SHIFT_S))
    return plan(name, 300, fault, backends=(0.35, 0.40, 0.25), error_share=during(*fault, 1.0, BASE_ERROR))


def _silent(name: str, rng: random.Random) -> Scenario:
    """An outage, and a repair that forgot the reports: from then on nothing is heard."""
    repaired_s = 72 + rng.uniform(0, 10)
    fault = (FAULT_FROM, repaired_s)
    return plan(
        name, 300, fault, error_share=during(*fault, 1.0, BASE_ERROR), silent_from_s=repaired_s
    )  # fmt: skip


def _cache_emptied(name: str, _: random.Random) -> Scenario:
    """An answer that is not cached takes 0.4 s more; each one served is cached."""
    return plan(name, 300, (FAULT_FROM, FAULT_FROM + 60), cache_keys=800, delay_s=0.4)


def _slow_by_nature(name: str, _: random.Random) -> Scenario:
    """35 % of the answers take 0.3 s more than the system's work, at any load."""
    return plan(name, 300, None, delayed_share=0.35, delay_s=0.3)


def _offender(kind: str) -> Build:
    def build(name: str, rng: random.Random) -> Scenario:
        fault = (FAULT_FROM, 180 + rng.uniform(0, SHIFT_S))
        more = _OFFENDER_RPS[kind]
        return plan(
            name,
            300,
            fault,
            peak_rps=RPS + more,
            offered_rps=during(*fault, RPS + more, RPS),
            offender_share=during(*fault, more / (RPS + more), 0.0),
            offender_fails=kind == "poison",
            offender_work_s=1.0 if kind == "noisy" else 0.0,
        )

    return build


def _retries(name: str, rng: random.Random) -> Scenario:
    """A brown-out whose clients try each request up to three times more."""
    return brownout(name, rng, retries=3)


def _diurnal(name: str, _: random.Random) -> Scenario:
    """Two days of six minutes: 40 to 280 requests a second, for a system that can serve 200."""
    return plan(
        name,
        720,
        None,
        peak_rps=280.0,
        offered_rps=lambda at_s: 160 - 120 * math.cos(2 * math.pi * at_s / 360),
    )


def _deploy(name: str, rng: random.Random) -> Scenario:
    """A serverless backend is replaced three times; a new instance takes 3 s to start."""
    deploys = tuple(begin_s + rng.uniform(0, SHIFT_S) for begin_s in (60, 150, 240))
    system = System(timeout_s=10.0, cold_start_s=3.0)
    return plan(name, 360, (deploys[0], deploys[-1] + 10), system=system, deploys=deploys)


def _bursts(*, failed: bool) -> Build:
    def build(name: str, _: random.Random) -> Scenario:
        begins = [BURST_EVERY_S / 2 + BURST_EVERY_S * number for number in range(_BURSTS)]
        fault = (begins[2] - 10, begins[2] + 20)
        return plan(
            name,
            _BURSTS * BURST_EVERY_S,
            fault if failed else None,
            system=System(servers=1000),
            offered_rps=constant(0.0),
            peak_rps=1 / BURST_EVERY_S,
            bursts=tuple((begin_s, 0.5, BURST_SIZE) for begin_s in begins),
            error_share=during(*fault, 1.0, BASE_ERROR) if failed else constant(BASE_ERROR),
        )

    return build


def _sparse(per_minute: int) -> Build:
    def build(name: str, rng: random.Random) -> Scenario:
        begin_s = 600 + rng.uniform(0, SHIFT_S)
        fault = (begin_s, begin_s + 40 * 60 / per_minute)
        return plan(
            name, fault[1] + 300, fault, peak_rps=per_minute / 60, error_share=during(*fault, 1.0, BASE_ERROR)
        )

    return build


def _store(percent: int) -> Build:
    return errors(1.0, stream="errors 100 %", deployed=True, store_fails=percent / 100)


HARDSHIPS: Final[dict[str, Build]] = {
    "one of three down": _one_down,
    "silent": _silent,
    "cache emptied": _cache_emptied,
    "slow by nature": _slow_by_nature,
    "poison client": _offender("poison"),
    "noisy client": _offender("noisy"),
    "retries x3": _retries,
    "diurnal": _diurnal,
    "deploy": _deploy,
    "burst after a failed one": _bursts(failed=True),
    "cron bursts": _bursts(failed=False),
    **{f"sparse {rate}/min": _sparse(rate) for rate in SPARSE},
    "store 0 %": _store(0),
    **{f"store {percent} %": _store(percent) for percent in STORE_FAILS},
    "clocks ±2 s": errors(0.25, deployed=True, clock_skew_s=2.0),
}
