"""The eight properties of a breaker that does not flap, each figure beside its target and the best peer.

Where a figure has one value per fleet size (1, 20, 100 environments), the worst is shown and the others stand
beside it. The configuration was chosen on seeds 1 to 12; these figures come from others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bench.breaker import pictures, proofs
from bench.breaker.runs import Job, Result, breakers, mean, run_all
from bench.figures import Figure, Section
from bench.timing import Report

FLEETS: Final = (1, 20, 100)
_FIRST_SEED: Final = 1001
_PEERS_FLEET: Final = 20

_DETECTED: Final = {"errors 100 %": 4.0, "latency x10": 6.5, "errors 40 %": 8.0}
_CONSTANT: Final = ("errors 30 %", "errors 50 %", "square 50±10 %")
_REPEATED: Final = {"deep 55/5 %": (4.0, 30.0), "blinking": (3.0, 37.0)}
_PARTIAL: Final = {"brown-out": (49_000.0, 18.0), "surge x2.5": (54_000.0, 25.0)}
_RECOVERED: Final = ("errors 100 %", "errors 40 %", "latency x10", "brown-out", "surge x2.5")
_CALM: Final = ("healthy", "low traffic", "errors 20 %")
_SLOW: Final = "slow recovery"
_FAULTS: Final = tuple(dict.fromkeys((*_DETECTED, *_CONSTANT, *_REPEATED, *_PARTIAL, _SLOW)))
# Faults that repeat or heal slowly: what a run shows depends on where its intervals happen to end.
_SPREAD: Final = (*_REPEATED, _SLOW)
_QUICK: Final = ("errors 100 %", "errors 40 %", "brown-out", "deep 55/5 %", "low traffic")

Value = Callable[[Result], float | None]


def measure(report: Report, *, quick: bool) -> tuple[Section, ...]:
    """Run all breakers through all scenarios and hold ours against the targets."""
    results = Results(run_all(_jobs(quick=quick), report))
    report("breaker: pictures")
    drawn = pictures.draw(["errors 100 %"] if quick else ["errors 100 %", "brown-out"])
    return (
        Section("9.1 Breaker: detection", _detection(results), notes=_notes(results, drawn)),
        Section("9.2 Breaker: no flapping", _flapping(results)),
        Section("9.3 Breaker: no false trips", _false_trips(results)),
        Section("9.4 Breaker: partial shed", _partial(results)),
        Section("9.5 Breaker: recovery", _recovery(results)),
        Section("9.6 Breaker: half-open containment", [*_containment(results), *proofs.late_completions()]),
        Section("9.7 Breaker: mergeability", proofs.mergeability(quick=quick)),
        Section("9.8 Breaker: ladder and store failure", proofs.ladder_and_store()),
    )


class Results:
    """Results by breaker, scenario and fleet size."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.all = results

    def has(self, scenario: str) -> bool:
        """Whether a scenario was run."""
        return any(result.job.scenario == scenario for result in self.all)

    def of(self, scenario: str, *, environments: int | None = None, breaker: str = "signet") -> list[Result]:
        """Return the results of a breaker in a scenario."""
        return [
            result
            for result in self.all
            if result.job.breaker == breaker
            and result.job.scenario == scenario
            and environments in {None, result.job.environments}
        ]

    def fleets(self, scenario: str) -> list[int]:
        """Return the fleet sizes that were run."""
        return sorted({result.job.environments for result in self.of(scenario)})

    def means(self, scenario: str, value: Value, missing: float) -> dict[int, float]:
        """Return the mean of a figure per fleet size; ``missing`` stands for what never happened."""
        found = {}
        for fleet in self.fleets(scenario):
            values = [value(result) for result in self.of(scenario, environments=fleet)]
            found[fleet] = mean(missing if one is None else one for one in values) or 0.0
        return found

    def best_peer(self, scenario: str, value: Value, missing: float, *, most: bool = False) -> str:
        """Return the peer with the best mean, in words."""
        found = {}
        for name in breakers():
            values = [value(result) for result in self.of(scenario, breaker=name)]
            if name != "signet" and values:
                found[name] = mean(missing if one is None else one for one in values) or 0.0
        if not found:
            return ""
        name = (max if most else min)(found, key=found.__getitem__)
        return f"; best peer: {name} {_short(found[name])}"


def _jobs(*, quick: bool) -> list[Job]:
    if quick:
        return [Job("signet", name, _FIRST_SEED, _PEERS_FLEET) for name in _QUICK]
    jobs = []
    for fleet in FLEETS:
        for name in _FAULTS:
            many = fleet == _PEERS_FLEET or name in _SPREAD
            jobs += [Job("signet", name, seed, fleet) for seed in _seeds(4 if many else 2)]
        calm = 10 if fleet == _PEERS_FLEET else 2
        jobs += [Job("signet", name, seed, fleet) for name in _CALM for seed in _seeds(calm)]
    for peer in breakers():
        if peer != "signet":
            jobs += [Job(peer, name, seed, _PEERS_FLEET) for name in _FAULTS for seed in _seeds(1)]
    return jobs


def _seeds(count: int) -> range:
    return range(_FIRST_SEED, _FIRST_SEED + count)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three places


def _beside(by_fleet: dict[int, float]) -> str:
    return ", ".join(f"N={fleet}: {_short(value)}" for fleet, value in by_fleet.items())


def _worst(
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
    by_fleet = results.means(scenario, value, missing)
    peer = results.best_peer(scenario, value, missing, most=at_least)
    shown = (min if at_least else max)(by_fleet.values())
    return Figure(what, shown, unit, limit, _beside(by_fleet) + peer, at_least=at_least)


def _detection(results: Results) -> list[Figure]:
    figures, spreads = [], []
    for name, limit in _DETECTED.items():
        if not results.has(name):
            continue
        shown = f"half of a second's requests shed, {name}"
        never = 600.0
        figures.append(
            _worst(
                results, shown, name, lambda result: result.detection_s, unit="s", limit=limit, missing=never
            )
        )
        by_fleet = results.means(name, lambda result: result.detection_s, never)
        spreads.append(max(by_fleet.values()) - min(by_fleet.values()))
    return [*figures, Figure("spread over N", max(spreads), "s", 2.0)]


def _flapping(results: Results) -> list[Figure]:
    figures = []
    for name in filter(results.has, _CONSTANT):
        ours = results.of(name)
        peer = results.best_peer(name, lambda result: result.flaps + result.oscillations, 0.0)
        flaps = sum(result.flaps for result in ours)
        swings = sum(result.oscillations for result in ours)
        beside = f"{len(ours)} runs: {flaps:.0f} flaps, {swings} oscillations{peer} (a run)"
        figures.append(Figure(f"flaps and oscillations, {name}", flaps + swings, "", 0.0, beside))
    for name, (swings_limit, shed_limit) in _REPEATED.items():
        if not results.has(name):
            continue
        figures += [
            _worst(results, f"flaps a run, {name}", name, lambda result: result.flaps, unit="", limit=1.0),
            _worst(
                results,
                f"oscillations a run, {name}",
                name,
                lambda result: float(result.oscillations),
                unit="",
                limit=swings_limit,
            ),
            _worst(results, f"good shed, {name}", name, _good_shed, unit="%", limit=shed_limit),
        ]
    return figures


def _good_shed(result: Result) -> float:
    return 100 * result.good_shed_share


def _false_trips(results: Results) -> list[Figure]:
    spans = {"healthy": "600 s at 120 rps, 2 % bad", "low traffic": "1 h at 2 rps, 2 % bad"}
    figures = []
    for name in filter(results.has, _CALM):
        ours = results.of(name)
        trips = sum(result.trips for result in ours)
        what = f"trips, {spans.get(name, 'constant 20 % errors')}"
        figures.append(Figure(what, trips, "", 0.0, f"{len(ours)} runs over N={results.fleets(name)}"))
    return figures


def _partial(results: Results) -> list[Figure]:
    figures = []
    for name, (goodput, shed) in _PARTIAL.items():
        if results.has(name):
            figures += [
                _worst(
                    results,
                    f"goodput, {name}",
                    name,
                    lambda result: float(result.good),
                    unit="",
                    limit=goodput,
                    at_least=True,
                ),
                _worst(results, f"good shed, {name}", name, _good_shed, unit="%", limit=shed),
            ]
    return figures


def _recovery(results: Results) -> list[Figure]:
    figures = [
        _worst(
            results,
            f"99 % admitted after {name}",
            name,
            lambda result: result.recovery_s,
            unit="s",
            limit=20.0,
        )
        for name in _RECOVERED
        if results.has(name)
    ]
    if results.has(_SLOW):
        figures += [
            _worst(
                results,
                "let through bad, slow recovery",
                _SLOW,
                lambda result: float(result.bad),
                unit="",
                limit=550.0,
            ),
            _worst(results, "flaps, slow recovery", _SLOW, lambda result: result.flaps, unit="", limit=0.0),
        ]
    return figures


def _containment(results: Results) -> list[Figure]:
    ours = [result for result in results.all if result.job.breaker == "signet" and result.ramps]
    figures = []
    excess = {}
    for fleet in sorted({result.job.environments for result in ours}):
        ramps = [ramp for result in ours if result.job.environments == fleet for ramp in result.ramps]
        excess[fleet] = _sigmas(ramps)
    figures.append(
        Figure("first steps above min(30 %, 5 rps)", max(excess.values()), "sigma", 3.0, _beside(excess))
    )
    single = [_sigmas([ramp]) for result in ours for ramp in result.ramps]
    above = sum(one > 3.0 for one in single)  # noqa: PLR2004 - three standard deviations
    beside = f"of {len(single)} first steps {above} above 3 sigma, the highest {max(single):.1f}"
    figures.append(Figure("share of first steps above 3 sigma", 100 * above / len(single), "%", 1.0, beside))
    admitted = sum(result.admitted_while_open for result in ours)
    figures.append(Figure("admitted while open, caches refreshed", admitted, "", 0.0, f"{len(ours)} runs"))
    return figures


def _sigmas(ramps: Iterable[tuple[float, int, int]]) -> float:
    """Return by how many standard deviations more was admitted than the rate allows."""
    allowed = admitted = 0.0
    for length_s, offered, through in ramps:
        allowed += min(0.30 * offered, 5.0 * length_s)
        admitted += through
    return (admitted - allowed) / math.sqrt(max(1.0, allowed))


def _notes(results: Results, drawn: Sequence[str]) -> list[str]:
    ours = sum(result.job.breaker == "signet" for result in results.all)
    peers = len(results.all) - ours
    return [
        f"{ours} runs of the shipped breaker, {peers} of peers (N={_PEERS_FLEET}); seeds from {_FIRST_SEED}.",
        "The breaker was tuned on seeds 1 to 12.",
        "pybreaker and Powertools are the real libraries; the other peers follow their published rules.",
        f"Pictures: {', '.join(drawn)}",
    ]
