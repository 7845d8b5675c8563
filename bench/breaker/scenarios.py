"""What goes wrong, and the stream of requests; both from a seed alone, so that all breakers see the same."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Final

from bench.breaker.faults import FAULTS
from bench.breaker.hardships import HARDSHIPS
from bench.breaker.plan import Request, Scenario

_SCENARIOS: Final = {**FAULTS, **HARDSHIPS}
#: Clients beside the offender.
_CLIENTS: Final = 9

NAMES: Final = tuple(_SCENARIOS)


@lru_cache(maxsize=4)
def scenario(name: str, seed: int) -> Scenario:
    """Return the scenario as this seed has it.

    Raises:
        KeyError: there is no such scenario.
    """
    build = _SCENARIOS[name]
    stream = build(name, random.Random(0)).stream  # noqa: S311 - a simulation
    return build(name, random.Random(f"{stream} {seed}"))  # noqa: S311 - as above


@lru_cache(maxsize=2)
def requests(name: str, seed: int) -> tuple[Request, ...]:
    """Return the stream of requests: Poisson arrivals, thinned where the rate is below its peak; bursts."""
    plan = scenario(name, seed)
    system = plan.system
    rng = random.Random(f"requests {plan.stream} {seed}")  # noqa: S311 - a simulation
    spread = math.log(1 + system.service_scv)
    mu, sigma = math.log(system.service_s) - spread / 2, math.sqrt(spread)

    def drawn(at_s: float) -> Request:
        return Request(at_s, rng.lognormvariate(mu, sigma), rng.random(), rng.random(), rng.random())

    stream = []
    at_s = 0.0
    while (at_s := at_s + rng.expovariate(plan.peak_rps)) < plan.length_s:
        request = drawn(at_s)
        if rng.random() * plan.peak_rps < plan.offered_rps(at_s):
            stream.append(request)
    for begin_s, length_s, count in plan.bursts:
        stream += [drawn(begin_s + rng.uniform(0, length_s)) for _ in range(count)]
    return tuple(_told(sorted(stream), plan, random.Random(f"callers {plan.stream} {seed}")))  # noqa: S311 - as above


def _told(stream: list[Request], plan: Scenario, rng: random.Random) -> Iterator[Request]:
    """Say whom each request is for, who sends it, and what it asks."""
    if not (plan.has_bystanders or plan.delayed_share or plan.cache_keys):
        yield from stream
        return
    until = list(accumulate(plan.backends))
    for request in stream:
        place = rng.random() * until[-1]
        offends = plan.offender_share is not None and rng.random() < plan.offender_share(request.at_s)
        yield request._replace(
            backend=next((number for number, end in enumerate(until) if place < end), 0),
            client=0 if offends else rng.randrange(1, _CLIENTS + 1),
            service_s=plan.offender_work_s if offends and plan.offender_work_s else request.service_s,
            delayed=rng.random() < plan.delayed_share,
            key=rng.randrange(plan.cache_keys) if plan.cache_keys else 0,
        )
