"""Many runs, on all cores, and their figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from bench.breaker.fleet import SignetFleet
from bench.breaker.scenarios import NAMES
from bench.breaker.simulation import Fleet, Run, Second, simulate

_LOW_RPS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Job:
    """One run: which breaker, which scenario, which seed, how many environments."""

    breaker: str
    scenario: str
    seed: int
    environments: int


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one run.

    Attributes:
        job: what ran.
        detection_s: from the fault's start until half of a second's requests are shed; None if never.
        flaps: trips after the first, mean over the breakers.
        oscillations: times the fleet's shed share rose over 50 % again after it had been below 5 %.
        good_shed_share: of the requests that would have succeeded, the share turned away.
        good: requests let through that succeeded in time.
        bad: requests let through during the fault that did not.
        recovery_s: from the fault's end until 99 % are admitted and 90 % good, for good; None without fault.
        trips: of all breakers together.
        ramps: our breaker alone: per first step of a ramp, its length in s, requests offered and admitted.
        admitted_while_open: our breaker alone.
    """

    job: Job
    detection_s: float | None
    flaps: float
    oscillations: int
    good_shed_share: float
    good: int
    bad: int
    recovery_s: float | None
    trips: int
    ramps: tuple[tuple[float, int, int], ...] = ()
    admitted_while_open: int = 0


Build = Callable[[int, int], Fleet]


def breakers() -> dict[str, Build]:
    """Return how to build each breaker: from the number of environments and a seed."""
    from bench.breaker.libraries import PowertoolsFleet, PybreakerFleet  # noqa: PLC0415 - only where they run
    from bench.breaker.peers import HystrixFleet, Resilience4jFleet, ThrottlingFleet  # noqa: PLC0415 - as above

    return {
        "signet": SignetFleet,
        "pybreaker": PybreakerFleet,
        "resilience4j": Resilience4jFleet,
        "Hystrix": HystrixFleet,
        "SRE throttling": ThrottlingFleet,
        "Powertools": PowertoolsFleet,
    }


def run_job(job: Job) -> Result:
    """Run one job."""
    fleet = breakers()[job.breaker](job.environments, job.seed)
    return figures(job, simulate(job.scenario, job.seed, fleet, job.environments), fleet)


def run_all(jobs: Sequence[Job], report: Callable[[str], None] = lambda _: None) -> list[Result]:
    """Run jobs on all cores; results in the order of the jobs."""
    ordered = sorted(jobs, key=lambda job: (NAMES.index(job.scenario), job.seed))
    results: dict[Job, Result] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, result in enumerate(pool.map(run_job, ordered, chunksize=4), start=1):
            results[result.job] = result
            if done % 100 == 0:
                report(f"breaker: {done} of {len(ordered)} runs")
    return [results[job] for job in jobs]


def figures(job: Job, run: Run, fleet: Fleet) -> Result:
    """Measure a run."""
    plan = run.plan
    detection = recovery = None
    oscillations = 0
    if plan.fault_from_s is not None and plan.fault_to_s is not None:
        detection = _detection(run.seconds, plan.fault_from_s)
        recovery = _recovery(run.seconds, plan.fault_to_s, 5 if plan.peak_rps > _LOW_RPS else 20)
        oscillations = _oscillations(run.seconds[int(plan.fault_from_s) :])
    ours = fleet if isinstance(fleet, SignetFleet) else None
    return Result(
        job=job,
        detection_s=detection,
        flaps=sum(max(0, trips - 1) for trips in run.trips) / len(run.trips),
        oscillations=oscillations,
        good_shed_share=run.good_shed / max(1, run.good_shed + run.good),
        good=run.good,
        bad=_bad_in_fault(run),
        recovery_s=recovery,
        trips=sum(run.trips),
        ramps=_ramps(ours) if ours else (),
        admitted_while_open=ours.admitted_while_open if ours else 0,
    )


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is there; None of nothing."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _ramps(fleet: SignetFleet) -> tuple[tuple[float, int, int], ...]:
    return tuple(
        (max(1, ramp.ended_ms - ramp.began_ms) / 1000, ramp.offered, ramp.admitted) for ramp in fleet.ramps
    )


def _bad_in_fault(run: Run) -> int:
    plan = run.plan
    if plan.fault_from_s is None or plan.fault_to_s is None:
        return run.bad
    return sum(second.bad for second in run.seconds[int(plan.fault_from_s) : int(plan.fault_to_s)])


def _shed_share(seconds: Sequence[Second]) -> float:
    return sum(second.shed for second in seconds) / max(1, sum(second.offered for second in seconds))


def _detection(seconds: Sequence[Second], begin_s: float) -> float | None:
    for number in range(int(begin_s), len(seconds)):
        if seconds[number].offered >= 3 and 2 * seconds[number].shed >= seconds[number].offered:  # noqa: PLR2004 - fewer say nothing
            return number + 1 - begin_s
    return None


def _recovery(seconds: Sequence[Second], end_s: float, window: int) -> float:
    recovered = 0.0
    for number in range(int(end_s), len(seconds) - window, window):
        span = seconds[number : number + window]
        offered = sum(second.offered for second in span)
        shed, bad = sum(second.shed for second in span), sum(second.bad for second in span)
        if (shed >= 3 and shed > 0.01 * offered) or (bad >= 3 and bad > 0.10 * offered):  # noqa: PLR2004 - fewer say nothing
            recovered = number + window - end_s
    return recovered


def _oscillations(seconds: Sequence[Second]) -> int:
    rises, high = 0, False
    for number in range(len(seconds) - 3):
        share = _shed_share(seconds[number : number + 3])
        if not high and share >= 0.5:  # noqa: PLR2004 - by definition
            rises, high = rises + 1, True
        elif high and share <= 0.05:  # noqa: PLR2004 - by definition
            high = False
    return max(0, rises - 1)
