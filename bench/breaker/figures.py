"""Results by breaker, scenario and fleet, and figures made of them.

A figure with one value per fleet (1, 20, 100 environments; the protected system's servers unknown, known)
shows the worst one; the others stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from bench.breaker.runs import NO_BREAKER, OURS, TRIALS, Result, mean
from bench.figures import Figure

Value = Callable[[Result], float | None]


class Fleets(NamedTuple):
    """One kind of fleet: how many environments, and whether the servers are known."""

    environments: int
    known: bool

    def __str__(self) -> str:
        return f"N={self.environments}" + (" known" if self.known else "")


class Results:
    """Results by breaker, scenario and fleet size."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.all = results

    def has(self, scenario: str) -> bool:
        """Whether a scenario was run."""
        return any(result.job.scenario == scenario for result in self.all)

    def of(self, scenario: str, *, fleet: Fleets | None = None, breaker: str = OURS) -> list[Result]:
        """Return the results of a breaker in a scenario."""
        return [
            result
            for result in self.all
            if result.job.breaker == breaker
            and result.job.scenario == scenario
            and fleet in {None, Fleets(result.job.environments, result.job.known)}
        ]

    def fleets(self, scenario: str) -> list[Fleets]:
        """Return the fleets that were run."""
        return sorted({Fleets(result.job.environments, result.job.known) for result in self.of(scenario)})

    def means(self, scenario: str, value: Value, missing: float) -> dict[Fleets, float]:
        """Return the mean of a figure per fleet; ``missing`` stands for what never happened."""
        found = {}
        for fleet in self.fleets(scenario):
            found[fleet] = _mean([value(result) for result in self.of(scenario, fleet=fleet)], missing)
        return found

    def same_stream(self, ours: Result, breaker: str, scenario: str | None = None) -> Result | None:
        """Return what another breaker, or ours in another scenario, made of the same requests."""
        for result in self.of(scenario or ours.job.scenario, breaker=breaker):
            if result.job.seed == ours.job.seed and (breaker != OURS or _fleet(result) == _fleet(ours)):
                return result
        return None

    def best_peer(self, scenario: str, value: Value, missing: float, *, most: bool = False) -> str:
        """Return the peer with the best mean, in words."""
        found = {}
        for name in dict.fromkeys(result.job.breaker for result in self.all):
            values = [value(result) for result in self.of(scenario, breaker=name)]
            if name not in {OURS, NO_BREAKER, *TRIALS} and values:
                found[name] = _mean(values, missing)
        if not found:
            return ""
        name = (max if most else min)(found, key=found.__getitem__)
        return f"; best peer: {name} {short(found[name])}"


def short(value: float) -> str:
    """Write a value with three places."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three places


def each(by_fleet: Mapping[Fleets, float]) -> str:
    """Write the values of all fleets."""
    return ", ".join(f"{fleet}: {short(value)}" for fleet, value in by_fleet.items())


def worst(
    results: Results,
    what: str,
    scenario: str,
    value: Value,
    *,
    unit: str,
    limit: float,
    missing: float = 0.0,
    at_least: bool = False,
) -> Figure:
    """Return the figure of the fleet whose mean is the worst, beside the others and the best peer."""
    by_fleet = results.means(scenario, value, missing)
    peer = results.best_peer(scenario, value, missing, most=at_least)
    shown = (min if at_least else max)(by_fleet.values())
    return Figure(what, shown, unit, limit, each(by_fleet) + peer, at_least=at_least)


def good_shed(result: Result) -> float:
    """Return the share of the good requests turned away, in per cent."""
    return 100 * result.good_shed_share


def _fleet(result: Result) -> Fleets:
    return Fleets(result.job.environments, result.job.known)


def _mean(values: Iterable[float | None], missing: float) -> float:
    return mean(missing if one is None else one for one in values) or 0.0
