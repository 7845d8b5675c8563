"""Many runs, on all cores, and their figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from bench.breaker.deployed import DeployedFleet
from bench.breaker.fleet import SHIPPED, START_MS, Ramp, SignetFleet
from bench.breaker.keyed import Keyed
from bench.breaker.scenarios import NAMES, scenario
from bench.breaker.simulation import Fleet, Run, Second, simulate
from signet.breaker.config import BreakerConfig
from signet.breaker.machine import Cause

_LOW_RPS: Final = 20.0
# What is on its way as a fault ends may still trip a breaker.
_IN_FLIGHT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Job:
    """One run: which breaker, which scenario, which seed, how many environments.

    ``known``: our breaker knows how many servers the protected system has; by default it does not.
    """

    breaker: str
    scenario: str
    seed: int
    environments: int
    known: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one run.

    Attributes:
        job: what ran.
        detection_s: from the fault's start until half of a second's requests are shed; None if never.
        flaps: trips after the first, mean over the breakers.
        oscillations: times the fleet's shed share rose over 50 % again after it had been below 5 %.
        good_shed_share: of the requests that would have succeeded, the share turned away.
        good_shed: how many these were.
        bystanders_shed_share: the same, of requests that have no part in the fault.
        good: requests let through that succeeded in time.
        bad: requests let through during the fault that did not.
        recovery_s: from the fault's end until 99 % are admitted and 90 % good, for good; None without fault.
        trips: of all breakers together.
        trips_after: trips later than five seconds after the fault; our breaker alone.
        noticed_after: requests offered from the fault's start until one was turned away; None if none was.
        ramps: our breaker alone: per first step of a ramp, its length in s, requests offered and admitted.
        first_seconds: our breaker alone: per ramp, what was admitted within its first second.
        admitted_while_open: our breaker alone.
    """

    job: Job
    detection_s: float | None
    flaps: float
    oscillations: int
    good_shed_share: float
    good_shed: int
    bystanders_shed_share: float
    good: int
    bad: int
    recovery_s: float | None
    trips: int
    trips_after: int = 0
    noticed_after: int | None = None
    ramps: tuple[tuple[float, int, int], ...] = ()
    first_seconds: tuple[int, ...] = ()
    admitted_while_open: int = 0


Build = Callable[[int, int], Fleet]


OURS: Final = "signet"
NO_BREAKER: Final = "no breaker"
#: Adaptive concurrency limits, which the scenarios of overload are held against.
LIMITERS: Final = ("gradient2", "Envoy")
#: A limit on the rate that is told what the system can serve.
TOLD: Final = "rate told"
#: One that has to find out.
AIMD: Final = "rate AIMD"
#: No products: they say what a limit on the rate would bring.
TRIALS: Final = (TOLD, AIMD)
_OF_EACH: Final = (" per backend", " per client")


def peers() -> dict[str, Build]:
    """Return how to build each peer: from the number of environments and a seed."""
    from bench.breaker.libraries import PowertoolsFleet, PybreakerFleet  # noqa: PLC0415 - only where they run
    from bench.breaker.limiters import EnvoyFleet, Gradient2Fleet  # noqa: PLC0415 - as above
    from bench.breaker.peers import HystrixFleet, NoBreaker, Resilience4jFleet, ThrottlingFleet  # noqa: PLC0415 - as above

    return {
        "pybreaker": PybreakerFleet,
        "resilience4j": Resilience4jFleet,
        "Hystrix": HystrixFleet,
        "SRE throttling": ThrottlingFleet,
        "Powertools": PowertoolsFleet,
        "gradient2": Gradient2Fleet,
        "Envoy": EnvoyFleet,
        NO_BREAKER: NoBreaker,
    }


def build(job: Job) -> Fleet:
    """Build the breakers of a job. ``Hystrix per client`` is a Hystrix for each client.

    Raises:
        KeyError: there is no such breaker.
    """
    plan = scenario(job.scenario, job.seed)
    if job.breaker == OURS:
        config = _known(plan.system.servers) if job.known else SHIPPED
        if (
            plan.deployed or plan.offender_share is not None
        ):  # callers are told apart by keeper and reporter alone
            return DeployedFleet(job.environments, job.seed, plan=plan, config=config)
        if len(plan.backends) > 1:
            return Keyed(lambda: _signet(job, config), lambda request: request.backend)
        return _signet(job, config)
    if job.breaker in TRIALS:
        from bench.breaker.rates import AimdRateFleet, ToldRateFleet  # noqa: PLC0415 - only where they run

        return ToldRateFleet(plan) if job.breaker == TOLD else AimdRateFleet(job.environments, job.seed)
    for suffix in _OF_EACH:
        if job.breaker.endswith(suffix):
            return _of_each(peers()[job.breaker.removesuffix(suffix)], suffix.rsplit(" ", 1)[-1], job)
    return peers()[job.breaker](job.environments, job.seed)


def _known(servers: int) -> BreakerConfig:
    return replace(SHIPPED, estimator=replace(SHIPPED.estimator, servers=servers))


def _of_each(make: Build, of: str, job: Job) -> Keyed:
    return Keyed(lambda: make(job.environments, job.seed), lambda request: int(getattr(request, of)))


def _signet(job: Job, config: BreakerConfig) -> SignetFleet:
    return SignetFleet(job.environments, job.seed, config=config)


def run_job(job: Job) -> Result:
    """Run one job."""
    fleet = build(job)
    return figures(job, simulate(job.scenario, job.seed, fleet, job.environments), fleet)


def run_all(jobs: Sequence[Job], report: Callable[[str], None] = lambda _: None) -> list[Result]:
    """Run jobs on all cores; results in the order of the jobs."""
    ordered = sorted(dict.fromkeys(jobs), key=lambda job: (NAMES.index(job.scenario), job.seed))
    results: dict[Job, Result] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, result in enumerate(pool.map(run_job, ordered, chunksize=2), start=1):
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
    ours = _ours(fleet)
    ramps = [ramp for one in ours for ramp in one.ramps]
    return Result(
        job=job,
        detection_s=detection,
        flaps=sum(max(0, trips - 1) for trips in run.trips) / len(run.trips),
        oscillations=oscillations,
        good_shed_share=run.good_shed / max(1, run.good_shed + run.good),
        good_shed=run.good_shed,
        bystanders_shed_share=run.bystanders_shed / max(1, run.bystanders_shed + run.bystanders),
        good=run.good,
        bad=_bad_in_fault(run),
        recovery_s=recovery,
        trips=sum(run.trips),
        trips_after=_trips_after(fleet, plan.fault_to_s or 0.0),
        noticed_after=run.noticed_after,
        ramps=_ramps(ramps),
        first_seconds=tuple(ramp.first_second for ramp in ramps),
        admitted_while_open=sum(one.admitted_while_open for one in ours),
    )


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is there; None of nothing."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _ours(fleet: Fleet) -> list[SignetFleet]:
    found = list(fleet.fleets.values()) if isinstance(fleet, Keyed) else [fleet]
    return [one for one in found if isinstance(one, SignetFleet)]


def _ramps(ramps: Sequence[Ramp]) -> tuple[tuple[float, int, int], ...]:
    return tuple(
        (max(1, ramp.ended_ms - ramp.began_ms) / 1000, ramp.offered, ramp.admitted) for ramp in ramps
    )


def _trips_after(fleet: Fleet, end_s: float) -> int:
    if isinstance(fleet, DeployedFleet):
        times = fleet.trips_ms
    else:
        moves = [move for one in _ours(fleet) for move in one.table.transitions]
        times = [at_ms for at_ms, move in moves if move.cause is Cause.TRIPPED]
    return sum(at_ms > START_MS + 1000 * (end_s + _IN_FLIGHT_S) for at_ms in times)


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
