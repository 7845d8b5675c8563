"""What a real API brings (``hardships``), each figure beside its target and the best peer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from bench.breaker.figures import Results, each, good_shed, short, worst
from bench.breaker.hardships import SPARSE, STORE_FAILS
from bench.breaker.runs import LIMITERS, NO_BREAKER, OURS, TRIALS, Result, mean
from bench.figures import TIMES, Figure

_NEVER: Final = 1000.0
_PROBES: Final = 5.0

#: Which peers are asked beside those that every scenario has.
OF_EACH: Final = {
    "one of three down": ("Hystrix per backend", "Powertools per backend"),
    "poison client": ("Hystrix per client", "resilience4j per client"),
    "noisy client": ("Hystrix per client", "resilience4j per client"),
}


def unequal(results: Results) -> list[Figure]:
    """Several backends, unequal callers, a backend that falls silent."""
    limits = {"one of three down": 1.0, "poison client": 5.0, "noisy client": 5.0}
    figures = [
        worst(results, f"others' good requests shed, {name}", name, _bystanders, unit="%", limit=limit)
        for name, limit in limits.items()
        if results.has(name)
    ]
    if results.has("silent"):
        by_fleet = results.means("silent", lambda result: result.recovery_s, _NEVER)
        what = "99 % admitted after the reports stopped while open"
        figures.append(Figure(what, max(by_fleet.values()), "s", 30.0, each(by_fleet)))
    return figures


def slow_answers(results: Results) -> list[Figure]:
    """Slowness that no shedding mends: a cache that has to fill, slow routes, cold starts."""
    figures = [
        _share(results, f"goodput of that without a breaker, {name}", name, (NO_BREAKER,))
        for name in ("cache emptied", "slow by nature")
        if results.has(name)
    ]
    return [*figures, *_deploy(results)]


def overload(results: Results) -> list[Figure]:
    """Where overload is the fault, and bursts that are none."""
    figures = [
        _share(results, f"goodput of the best limiter's, {name}", name, LIMITERS)
        for name in ("retries x3", "diurnal")
        if results.has(name)
    ]
    burst = "burst after a failed one"
    if results.has(burst):
        admitted = lambda result: float(max(result.first_seconds, default=0))  # noqa: E731 - a figure's value
        limit = _PROBES + 3 * math.sqrt(_PROBES)
        what = "let through in the first second after quiet"
        by_fleet = results.means(burst, admitted, 0.0)
        figures.append(Figure(what, max(by_fleet.values()), "", limit, each(by_fleet)))
    return figures + [
        worst(results, f"good shed, {name}", name, good_shed, unit="%", limit=5.0)
        for name in (burst, "cron bursts")
        if results.has(name)
    ]


def sparse(results: Results) -> list[Figure]:
    """Outages under a few requests a minute."""
    return [
        worst(
            results,
            f"requests until an outage is noticed, {name}",
            name,
            lambda result: None if result.noticed_after is None else float(result.noticed_after),
            unit="",
            limit=12.0,
            missing=_NEVER,
        )
        for name in (f"sparse {rate}/min" for rate in SPARSE)
        if results.has(name)
    ]


def store_and_clocks(results: Results) -> list[Figure]:
    """Calls of the store that fail, clocks that differ; with the breaker's own keeper and reporter."""
    figures = []
    for name in (f"store {percent} %" for percent in STORE_FAILS):
        if results.has(name):
            times = results.means(name, lambda result: _times_bad(results, result), 0.0)
            figures.append(
                Figure(
                    f"bad let through of that with no failure, {name}",
                    max(times.values()),
                    TIMES,
                    2.0,
                    each(times),
                )
            )
            after = sum(result.trips_after for result in results.of(name))
            figures.append(Figure(f"trips after the fault, {name}", after, "", 0.0))
    name = "clocks ±2 s"
    if results.has(name):
        trips = sum(result.trips for result in results.of(name))
        peer = results.best_peer(name, good_shed, 0.0)
        shed = each(results.means(name, good_shed, 0.0))
        figures.append(Figure(f"trips at 25 % errors, {name}", trips, "", 0.0, f"good shed, %: {shed}{peer}"))
    return figures


def _bystanders(result: Result) -> float:
    return 100 * result.bystanders_shed_share


def _times_bad(results: Results, ours: Result) -> float | None:
    without = results.same_stream(ours, OURS, "store 0 %")
    return None if without is None else ours.bad / max(1, without.bad)


def _share(results: Results, what: str, name: str, references: Iterable[str]) -> Figure:
    """Return our goodput in per cent of the best reference's on the same requests; at least 95."""
    best: dict[str, list[int]] = {}

    def share(ours: Result) -> float | None:
        found = {one: results.same_stream(ours, one) for one in references}
        goods = {one: result.good for one, result in found.items() if result is not None}
        for one, good in goods.items():
            best.setdefault(one, []).append(good)
        return 100 * ours.good / max(goods.values()) if goods else None

    by_fleet = results.means(name, share, 0.0)
    for trial in TRIALS:
        best[trial] = [result.good for result in results.of(name, breaker=trial)]
    told = ", ".join(f"{one} {short(mean(goods) or 0)}" for one, goods in best.items() if goods)
    return Figure(what, min(by_fleet.values()), "%", 95.0, f"{each(by_fleet)}; {told}", at_least=True)


def _deploy(results: Results) -> list[Figure]:
    """Good requests shed by a deploy, against twice the bad ones that were spared by it."""
    name = "deploy"
    if not results.has(name):
        return []

    def excess(ours: Result) -> float:
        without = results.same_stream(ours, NO_BREAKER)
        spared = without.bad - ours.bad if without else 0
        return ours.good_shed - 2.0 * spared

    by_fleet = results.means(name, excess, 0.0)
    shed = each(results.means(name, lambda result: float(result.good_shed), 0.0))
    peer = results.best_peer(name, lambda result: float(result.good_shed), 0.0)
    what = "good shed beyond twice the bad spared, deploy"
    return [Figure(what, max(by_fleet.values()), "", 0.0, f"{each(by_fleet)}; good shed: {shed}{peer}")]
