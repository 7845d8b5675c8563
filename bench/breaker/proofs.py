"""What needs no fault: late completions, mergeability, the ladder, a store that is down."""

from __future__ import annotations

import math
import os
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, replace
from decimal import Context, Decimal

from bench.breaker.fleet import KNOWN, START_MS, SignetFleet, Table
from bench.breaker.plan import Request
from bench.breaker.simulation import simulate
from bench.figures import Figure
from signet.breaker.accumulators import ArrivalAccumulator, OutcomeAccumulator, Sums, SumsKey, read_bins
from signet.breaker.admission import Admission
from signet.breaker.config import EstimatorConfig, LadderConfig
from signet.breaker.estimator import Estimate, arrival_epochs, decayed, measure_load
from signet.breaker.ladder import route_level
from signet.breaker.machine import decide, initial
from signet.core.vocabulary import BreakerLevel

_ESTIMATOR = EstimatorConfig()
_EMULATOR_DIGITS = 28
_SEED = 2001


def late_completions() -> list[Figure]:
    """Report 10,000 failures of requests that were admitted before the present generation began."""
    table = Table()
    table.record = replace(initial(START_MS), generation=5, version=9)
    accumulator = OutcomeAccumulator(_ESTIMATOR)
    for number in range(10_000):
        accumulator.add(4, START_MS + number, latency_ms=1000, error=True, slow=True)
    for key, sums in accumulator.drain().items():
        table.add_sums(key, sums)
    seen = sum(sums.count for sums in table.sums(5, START_MS + 10_000, _ESTIMATOR).values())
    return [
        Figure(
            "late completions that count for the new state", seen, "", 0.0, "10,000 failures, reported late"
        )
    ]


def mergeability(*, quick: bool) -> list[Figure]:
    """Compare many writers with one stream; count digits; estimate Ca2; lose and repeat ADDs."""
    difference, digits = split_and_shuffled(writers=50, outcomes=5_000 if quick else 40_000, seed=_SEED)
    figures = [
        Figure("50 writers in any order against one stream", difference, "relative", 1e-12, "12 epochs"),
        Figure("significant digits of a sum", digits, "", 38.0, "after every ADD, at 28 digits' rounding"),
    ]
    for true in (0.25, 1.0, 4.0):
        found = measured_ca2(true, runs=5 if quick else 20)
        beside = f"mean of 60 s windows at 120 rps over 20 environments: {found:.2f}"
        figures.append(Figure(f"Ca2 off from {true:g}", 100 * abs(found / true - 1), "%", 20.0, beside))
    scenarios = ("errors 100 %",) if quick else ("healthy", "errors 100 %", "errors 40 %", "latency x10")
    runs = [(name, seed) for name in scenarios for seed in range(_SEED, _SEED + 2)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        extra = sum(pool.map(extra_trips, *zip(*runs, strict=True)))
    beside = "1 % of ADDs lost, 1 % applied twice: " + ", ".join(scenarios)
    return [*figures, Figure("extra transitions from closed", extra, "", 0.0, beside)]


def split_and_shuffled(*, writers: int, outcomes: int, seed: int) -> tuple[float, int]:
    """Return the greatest relative difference of any sum to one stream's, and the most digits a sum has had.

    The outcomes span 12 epochs. Each writer flushes at random times, flushes are ADDed in random order, with
    decimal arithmetic of 28 digits as the emulator has it. Compared are the sums of each item, with those of
    one reporter that never flushed, and what a reader makes of them, with weights taken directly; in floats.
    """
    rng = random.Random(seed)  # noqa: S311 - a simulation
    span_ms = 12 * _ESTIMATOR.epoch_ms
    accumulators = [OutcomeAccumulator(_ESTIMATOR) for _ in range(writers)]
    flushes: list[tuple[SumsKey, Sums]] = []
    whole, single = OutcomeAccumulator(_ESTIMATOR), [0.0] * 8
    end_ms = START_MS + span_ms
    for at_ms in sorted(START_MS + rng.randrange(span_ms) for _ in range(outcomes)):
        latency_ms, error = rng.expovariate(1 / 40), rng.random() < 0.2  # noqa: PLR2004 - some
        accumulator = rng.choice(accumulators)
        for one in (accumulator, whole):
            one.add(1, at_ms, latency_ms=latency_ms, error=error, slow=False)
        _weigh(single, end_ms - at_ms, latency_ms / 1000, error=error)
        if rng.random() < 0.1:  # noqa: PLR2004 - now and then
            flushes += accumulator.drain().items()
    for accumulator in accumulators:
        flushes += accumulator.drain().items()
    rng.shuffle(flushes)
    items, digits = _added(flushes)
    epochs = {key.epoch: Sums.from_attributes(item) for key, item in items.items()}
    total = decayed(epochs, now_ms=end_ms, config=_ESTIMATOR)
    pairs = list(zip(_weighed(total), single, strict=True))
    for key, sums in whole.drain().items():
        pairs += zip(_weighed(epochs[key.epoch]), _weighed(sums), strict=True)
    return max(abs(one - other) / other for one, other in pairs if one or other), digits


def _weighed(sums: Sums) -> list[float]:
    return list(astuple(sums)[:8])


def _weigh(single: list[float], age_ms: int, latency_s: float, *, error: bool) -> None:
    fast = math.exp(-age_ms / _ESTIMATOR.fast_tau_ms)
    slow = math.exp(-age_ms / _ESTIMATOR.slow_tau_ms)
    bad = float(error)
    parts = (fast, fast * bad, fast * bad, fast * latency_s, slow, slow * bad, slow * latency_s)
    for place, part in enumerate((*parts, slow * latency_s * latency_s)):
        single[place] += part


def _added(flushes: list[tuple[SumsKey, Sums]]) -> tuple[dict[SumsKey, dict[str, Decimal]], int]:
    """ADD as the emulator does; return the items and the most digits an exact sum would have had."""
    rounded, exact = Context(prec=_EMULATOR_DIGITS), Context(prec=60)
    items: dict[SumsKey, dict[str, Decimal]] = {}
    digits = 0
    for key, sums in flushes:
        item = items.setdefault(key, {})
        for name, text in sums.to_increments().items():
            before = item.get(name, Decimal(0))
            digits = max(digits, len(exact.add(before, Decimal(text)).normalize(exact).as_tuple().digits))
            item[name] = rounded.add(before, Decimal(text))
    return items, digits


def measured_ca2(true: float, *, runs: int) -> float:
    """Return the mean estimate over a minute of renewal arrivals at 120 rps, split over 20 environments."""
    found = []
    for seed in range(_SEED, _SEED + runs):
        rng = random.Random(seed)  # noqa: S311 - a simulation
        accumulators = [ArrivalAccumulator(_ESTIMATOR) for _ in range(20)]
        at_s, end_s = 0.0, 62.0
        while (at_s := at_s + _gap(rng, true, 1 / 120)) < end_s:
            rng.choice(accumulators).add(START_MS + round(at_s * 1000))
        now_ms = START_MS + round(end_s * 1000)
        items: dict[int, dict[str, str | Decimal | int]] = {}
        for accumulator in accumulators:
            for epoch, item in accumulator.drain().items():
                stored = items.setdefault(epoch, {})
                for name, count in item.items():
                    stored[name] = int(stored.get(name, 0)) + int(count)
        wanted = {epoch: items[epoch] for epoch in arrival_epochs(now_ms, _ESTIMATOR) if epoch in items}
        found.append(measure_load(read_bins(wanted, _ESTIMATOR), now_ms=now_ms, config=_ESTIMATOR).ca2)
    return sum(found) / len(found)


def _gap(rng: random.Random, ca2: float, mean_s: float) -> float:
    """Return a gap of this squared coefficient of variation: gamma up to 1, hyperexponential above."""
    if ca2 <= 1:
        return rng.gammavariate(1 / ca2, mean_s * ca2)
    often = 0.5 * (1 + ((ca2 - 1) / (ca2 + 1)) ** 0.5)
    share = often if rng.random() < often else 1 - often
    return rng.expovariate(2 * share / mean_s)


def extra_trips(name: str, seed: int, environments: int = 20) -> int:
    """Return how many trips more there are if 1 % of all ADDs are lost and 1 % take effect twice."""
    rng = random.Random(f"copies {seed}")  # noqa: S311 - a simulation

    def copies() -> int:
        drawn = rng.random()
        return 0 if drawn < 0.01 else 2 if drawn < 0.02 else 1  # noqa: PLR2004 - one per cent each

    exact = SignetFleet(environments, seed, config=KNOWN)
    simulate(name, seed, exact, environments)
    faulty = SignetFleet(environments, seed, config=KNOWN, copies=copies)
    simulate(name, seed, faulty, environments)
    return max(0, sum(faulty.trips()) - sum(exact.trips()))


def ladder_and_store() -> list[Figure]:
    """Walk the ladder under pressure; ask for classical against the policy; take the store away."""
    jumps, classical = ladder_walk(KNOWN.ladder)
    named = replace(KNOWN.ladder, rungs=tuple(BreakerLevel))
    jumps += ladder_walk(named)[0]
    softened = sum(
        route_level(level, ("full", "relax", "shed")) is BreakerLevel.CLASSICAL for level in BreakerLevel
    )
    weakened, admitted = store_down(_SEED)
    return [
        Figure(
            "steps of more than one rung, or within a dwell",
            jumps,
            "",
            0.0,
            "600 s of random pressure, twice",
        ),
        Figure("classical reached without policy", classical + softened, "", 0.0),
        Figure(
            "store down: admitted with less than full", weakened, "", 0.0, f"of {admitted} admitted meanwhile"
        ),
    ]


def ladder_walk(ladder: LadderConfig) -> tuple[int, int]:
    """Return how many steps broke the rule, and how often ``CLASSICAL`` was in force though no rung."""
    config = replace(KNOWN, ladder=ladder)
    rng = random.Random(_SEED)  # noqa: S311 - a simulation
    record, broken, classical = initial(START_MS), 0, 0
    order = list(ladder.rungs)
    for now_ms in range(START_MS, START_MS + 600_000, 250):
        estimate = Estimate(
            bad_share_lower=rng.choice((0.0, 0.12, 0.2)), bad_share=rng.choice((0.0, 0.2)), rho=rng.random()
        )
        transition = decide(record, estimate, now_ms, config)
        if transition is None:
            continue
        before, record = record, transition.after
        if before.rung is not record.rung:
            apart = abs(order.index(before.rung) - order.index(record.rung))
            broken += apart != 1 or now_ms - before.rung_since_ms < ladder.dwell_ms
        classical += record.level is BreakerLevel.CLASSICAL and BreakerLevel.CLASSICAL not in order
    return broken, classical


def store_down(seed: int) -> tuple[int, int]:
    """Take the store away in a brown-out; return the admissions below ``FULL``, and all, meanwhile."""
    down_from_s, down_to_s = 100.0, 160.0
    fleet = _Watched(20, seed, config=KNOWN, store_down=lambda at_s: down_from_s <= at_s < down_to_s)
    simulate("brown-out", seed, fleet, 20)
    return fleet.weakened, fleet.admitted


class _Watched(SignetFleet):
    """Counts what is admitted by a view that could not be refreshed."""

    weakened = 0
    admitted = 0

    def admit(self, environment: int, at_s: float, request: Request) -> Admission | None:
        """Admit or shed, and note with what level."""
        admission = super().admit(environment, at_s, request)
        if admission is not None and admission.view is not None and not admission.view.reached:
            self.admitted += 1
            self.weakened += admission.level is not BreakerLevel.FULL
        return admission
