"""What the sums of all reporters say at one moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from signet.breaker.accumulators import Sums
from signet.breaker.config import EstimatorConfig
from signet.core.vocabulary import PPM, BreakerLevel, BreakerState
from signet.receipts.model import BreakerFacts

_US: Final = 1_000_000
# Waiting time diverges at full utilisation; a receipt needs a number.
_MAX_RHO: Final = 0.999
_MIN_BINS: Final = 8
# What a receipt can carry (docs/formats.md).
_MAX_FIGURE: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Load:
    """The offered load.

    Attributes:
        offered_rps: requests per second over the load window, shed ones included.
        ca2: squared coefficient of variation of the gaps between arrivals; 1 (Poisson) while it is unknown.
    """

    offered_rps: float = 0.0
    ca2: float = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The evidence of one generation.

    Attributes:
        samples: decayed count of outcomes, fast time constant.
        bad_share: share of bad outcomes (error or slow), fast, with the prior.
        bad_share_lower: lower Wilson bound of the bad share; the greatest of both time constants and, where
            traffic is sparse, of the newest epochs.
        slow_share: share of bad outcomes, slow, with the prior.
        error_lower: lower Wilson bound of the share of errors, fast.
        late_lower: lower Wilson bound of the share of outcomes that were late and no errors, fast.
        late: most of what is bad is late, and no error.
        error_share: share of errors, fast, with the prior.
        latency_s: mean latency, fast; 0 without samples.
        count: outcomes of the generation, not decayed.
        bad_count: bad ones among them.
        late_count: late ones among these, that were no errors.
        probe_count: requests of the generation that were admitted while half open.
        probe_age_ms: how long ago that was, on average.
        bad_age_ms: how old what is bad is, on average; by the ratio of its weights under both time constants.
        cs2: squared coefficient of variation of latency, slow; 0 without samples.
        rho: utilisation of the protected system; None if its servers are unknown.
        wait_s: expected wait by Kingman's formula; None if utilisation is unknown.
        load: what is offered.
    """

    samples: float = 0.0
    bad_share: float = 0.0
    bad_share_lower: float = 0.0
    slow_share: float = 0.0
    error_lower: float = 0.0
    late_lower: float = 0.0
    late: bool = False
    error_share: float = 0.0
    latency_s: float = 0.0
    count: int = 0
    bad_count: int = 0
    late_count: int = 0
    probe_count: int = 0
    probe_age_ms: float = 0.0
    bad_age_ms: float = 0.0
    cs2: float = 0.0
    rho: float | None = None
    wait_s: float | None = None
    load: Load = Load()

    def facts(
        self, state: BreakerState, level: BreakerLevel, header_budget: int | None = None
    ) -> BreakerFacts:
        """Return the figures as receipts carry them."""
        return BreakerFacts(
            state=state,
            level=level,
            latency_ewma_us=whole(self.latency_s * _US),
            error_ewma_ppm=whole(self.error_share * PPM),
            rho_ppm=None if self.rho is None else whole(self.rho * PPM),
            kingman_wq_us=None if self.wait_s is None else whole(self.wait_s * _US),
            header_budget=header_budget,
        )


def whole(figure: float) -> int:
    """Return a measured figure as a receipt carries it: rounded, and no larger than a receipt can say."""
    return round(min(figure, _MAX_FIGURE))


def estimate(
    epochs: Mapping[int, Sums], load: Load, *, generation_since_ms: int, now_ms: int, config: EstimatorConfig
) -> Estimate:
    """Estimate from the sums of one generation; sums that make no sense together are no evidence.

    Args:
        epochs: sums by epoch number; those of ``sum_epochs(now_ms)`` are all that matter.
        load: the offered load (``measure_load``).
        generation_since_ms: when the generation began.
        now_ms: the moment to estimate for.
        config: how evidence is weighed.
    """
    total = decayed(epochs, now_ms=now_ms, config=config)
    bad_share, fast_lower = _share(total.fast_n, total.fast_bad, config)
    slow_share, slow_lower = _share(total.slow_n, total.slow_bad, config)
    error_share, error_lower = _share(total.fast_n, total.fast_error, config)
    late = max(0.0, total.fast_bad - total.fast_error)
    sparse = _sparse_lower(epochs, config) if total.slow_n < config.sparse_samples else (0.0, 0.0, 0.0)
    probed_ms = sum(
        epoch * config.epoch_ms * sums.probe_count + sums.probe_ms for epoch, sums in epochs.items()
    )
    latency = total.fast_latency / total.fast_n if total.fast_n > 0 else 0.0
    cs2 = _scv(total.slow_n, total.slow_latency, total.slow_latency_sq)
    rho = wait = None
    if config.servers is not None:
        rho = _in_flight(total, now_ms - generation_since_ms, config) / config.servers
        wait = kingman_wait(rho, latency, load.ca2, cs2, config.servers)
    found = Estimate(
        samples=total.fast_n,
        bad_share=bad_share,
        bad_share_lower=max(fast_lower, slow_lower, sparse[0]),
        slow_share=slow_share,
        error_lower=max(error_lower, sparse[1]),
        late_lower=max(_share(total.fast_n, late, config)[1], sparse[2]),
        late=2 * total.late_count > total.bad_count if total.fast_n < 1 else late > total.fast_error,
        error_share=error_share,
        latency_s=latency,
        count=total.count,
        bad_count=total.bad_count,
        late_count=min(total.late_count, total.bad_count),
        probe_count=total.probe_count,
        probe_age_ms=now_ms - probed_ms / total.probe_count if total.probe_count else 0.0,
        bad_age_ms=_age_ms(total.fast_bad, total.slow_bad, config),
        cs2=cs2,
        rho=rho,
        wait_s=wait,
        load=load,
    )
    measured = (latency, cs2, bad_share, slow_share, error_share, total.fast_n, rho or 0.0, wait or 0.0)
    return found if all(map(math.isfinite, measured)) else Estimate(load=load)


def sum_epochs(now_ms: int, config: EstimatorConfig) -> range:
    """Return the numbers of the epochs a reader needs; the last may be ahead by a writer's clock."""
    current = now_ms // config.epoch_ms
    return range(current - config.epochs_read + 1, current + 2)


def arrival_epochs(now_ms: int, config: EstimatorConfig) -> range:
    """Return the numbers of the arrival epochs a reader needs."""
    current = now_ms // config.arrival_epoch_ms
    return range(current - config.arrival_epochs_read + 1, current + 1)


def decayed(epochs: Mapping[int, Sums], *, now_ms: int, config: EstimatorConfig) -> Sums:
    """Return the sums over all epochs, weighed as of ``now_ms``: an outcome of age a weighs e^(-a/tau)."""
    total = Sums()
    for epoch, sums in epochs.items():
        age_ms = now_ms - epoch * config.epoch_ms
        scaled = sums.scale(math.exp(-age_ms / config.fast_tau_ms), math.exp(-age_ms / config.slow_tau_ms))
        total = total.merge(scaled)
    return total


def _sparse_lower(epochs: Mapping[int, Sums], config: EstimatorConfig) -> tuple[float, float, float]:
    """Return the greatest lower bounds over the newest epochs, not decayed: of bad, of errors, of late ones.

    Two requests a minute weigh too little under any time constant that also reacts. So the newest epochs are
    taken together until there are ``sparse_samples`` outcomes in them.
    """
    total = Sums()
    bounds = [0.0, 0.0, 0.0]
    for epoch in sorted(epochs, reverse=True):
        total = total.merge(epochs[epoch])
        weight = total.count + config.prior_samples
        counts = (total.bad_count, total.bad_count - total.late_count, total.late_count)
        for place, bad in enumerate(counts):
            share = (bad + config.prior_samples * config.prior_bad_share) / max(weight, 1.0)
            bounds[place] = max(
                bounds[place], wilson_lower(min(1.0, max(0.0, share)), weight, config.wilson_z)
            )
        if total.count >= config.sparse_samples:
            break
    return bounds[0], bounds[1], bounds[2]


def _age_ms(fast: float, slow: float, config: EstimatorConfig) -> float:
    """Return the age at which one outcome would weigh this much under either time constant."""
    if slow <= 0:
        return 0.0
    rate = 1 / config.fast_tau_ms - 1 / config.slow_tau_ms
    return max(0.0, math.log(slow / fast) / rate) if fast > 0 else math.inf


def wilson_upper(share: float, samples: float, z: float) -> float:
    """Return the upper bound of a binomial share (Wilson, as below); 1 without samples."""
    return 1.0 - wilson_lower(1.0 - share, samples, z)


def wilson_lower(share: float, samples: float, z: float) -> float:
    """Return the lower bound of a binomial share (Wilson, JASA 22, 1927); 0 without samples."""
    if samples <= 0:
        return 0.0
    z2 = z * z / samples
    spread = z * math.sqrt(max(0.0, share * (1 - share) / samples + z2 / (4 * samples)))
    return (share + z2 / 2 - spread) / (1 + z2)


def kingman_wait(rho: float, service_s: float, ca2: float, cs2: float, servers: int) -> float:
    """Return the expected wait in seconds of a G/G/c queue.

    Kingman (1961), extended to c servers by Sakasegawa (Ann. Inst. Stat. Math. 29, 1977); with one server it
    is Kingman's formula. Within 20 % from 90 % utilisation on, of little use at 60 %: an alarm, not a trip.
    """
    if rho <= 0:
        return 0.0
    busy = min(rho, _MAX_RHO)
    queueing = busy ** (math.sqrt(2 * (servers + 1)) - 1) / (1 - busy)
    return float(queueing) * service_s / servers * (ca2 + cs2) / 2


def measure_load(bins: Mapping[int, int], *, now_ms: int, config: EstimatorConfig) -> Load:
    """Estimate the offered load from arrivals per bin (``read_bins``).

    Ca2 is the index of dispersion of the counts, taken from successive differences (von Neumann 1941), so
    that a change of the rate does not pass for burstiness.
    """
    end = (now_ms - config.flush_delay_ms) // config.bin_ms
    recent = range(end - config.load_window_ms // config.bin_ms, end)
    offered = sum(bins.get(number, 0) for number in recent) / (len(recent) * config.bin_ms / 1000)
    oldest = max(min(bins, default=end), end - config.dispersion_window_ms // config.bin_ms)
    counts = [bins.get(number, 0) for number in range(oldest, end)]
    total = sum(counts)
    if len(counts) < _MIN_BINS or total == 0:
        return Load(offered)
    steps = sum((later - earlier) ** 2 for earlier, later in pairwise(counts))
    variance = steps / (2 * (len(counts) - 1))
    return Load(offered, variance * len(counts) / total)


def _share(samples: float, bad: float, config: EstimatorConfig) -> tuple[float, float]:
    """Return a share with the prior, and its lower bound.

    A ratio of decayed sums with a prior, not a running average: after a gap that would give a single
    sample nearly all the weight. With weights e^(-a/tau) at a steady rate, n = sum w is worth
    (sum w)^2 / sum w^2 = 2n independent samples.
    """
    weight = samples + config.prior_samples
    if weight <= 0:
        return 0.0, 0.0
    share = min(1.0, (bad + config.prior_samples * config.prior_bad_share) / weight)
    return share, wilson_lower(share, 2 * samples + config.prior_samples, config.wilson_z)


def _scv(weight: float, total: float, squares: float) -> float:
    if weight <= 0 or total <= 0:
        return 0.0
    return max(0.0, squares * weight / (total * total) - 1)


def _in_flight(total: Sums, age_ms: int, config: EstimatorConfig) -> float:
    """Return the mean number of requests in the system, by Little's law: completions per second x latency."""
    tau = config.fast_tau_ms / 1000
    seen = -math.expm1(-max(age_ms, 1) / config.fast_tau_ms)
    return total.fast_latency / (tau * seen)
