"""How far the ramp goes with one step: up while it is good, and back after a bad one. Shares in ppm."""

from __future__ import annotations

import math

from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate
from signet.core.vocabulary import PPM


def raised(admit_ppm: int, ceiling_ppm: int, estimate: Estimate, config: BreakerConfig) -> int:
    """Return the share after a good step, at most all.

    Without a ceiling it doubles; where the number of servers is unknown it adds ``grow_share`` at most, since
    outcomes come late, and what a step too far lets through meanwhile is all bad. With a ceiling it halves
    its distance to a point safely below, then probes on by small steps, which grow again once the ceiling
    turns out to be gone (the shape of CUBIC, RFC 9438).

    The servers shall not be busier than ``ramp_rho``: a queue shows only after the step that made it was
    found good, by outcomes of requests that still passed it, while their latency tells beforehand how much
    would be in service. Small steps go on, since the number of servers may be wrong.
    """
    step = round(PPM * config.raise_share)
    if ceiling_ppm == 0:
        most = config.grow_share if config.estimator.servers is None else 1.0
        wanted = admit_ppm + min(admit_ppm, round(PPM * most))
    else:
        towards = (round(config.safe_share * ceiling_ppm) - admit_ppm) // 2
        wanted = admit_ppm + max(step, towards, min(admit_ppm - ceiling_ppm, config.max_raise_steps * step))
    return min(PPM, wanted, max(admit_ppm + step, bearable(estimate, config)))


def saturated(admit_ppm: int, estimate: Estimate, config: BreakerConfig) -> bool:
    """Whether even a small step is more than the servers can bear."""
    return bearable(estimate, config) < min(PPM, admit_ppm + round(PPM * config.raise_share))


def bearable(estimate: Estimate, config: BreakerConfig) -> int:
    """Return the share that keeps the servers ``ramp_rho`` busy; all if their number is unknown.

    By Little's law: what is offered, times the latency of what was admitted, would be in service. The mean of
    a few latencies is taken with its standard error on top (1/sqrt(n) of it, at a usual coefficient of
    variation of one): the first to come back are the fast ones.
    """
    servers, error = config.estimator.servers, 1 / math.sqrt(max(1, estimate.count))
    in_service = estimate.load.offered_rps * estimate.latency_s * (1 + error)
    if servers is None or in_service <= config.ramp_rho * servers:
        return PPM
    return round(PPM * config.ramp_rho * servers / in_service)


def cut(admit_ppm: int, estimate: Estimate, config: BreakerConfig) -> int:
    """Return the share after a bad step: cut deeper if most of it failed."""
    deep = estimate.bad_count > 2 * config.trip_bad_share * estimate.count
    return round((config.deep_cut_share if deep else config.cut_share) * admit_ppm)
