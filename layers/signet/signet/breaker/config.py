"""Every number of the breaker, with its unit in its name."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from signet.core.errors import UsageError
from signet.core.vocabulary import BreakerLevel

# A weight below e^-28 = 7e-13 of the newest cannot change a sum within 1e-12.
_FORGOTTEN_TAUS: Final = 28
# Weights reach e^(epoch/tau); beyond these sums of heavy traffic would not fit 38 digits (``Sums``).
_MAX_EPOCH_TAUS: Final = 40
_MAX_EPOCH_SLOW_TAUS: Final = 10
_EPOCH_BINS: Final = 100


@dataclass(frozen=True, slots=True)
class EstimatorConfig:
    """How evidence is weighed.

    Attributes:
        fast_tau_ms: time constant that reacts.
        slow_tau_ms: time constant that is not blind at low traffic.
        epoch_ms: length of an epoch of sums; every landmark is a multiple of it.
        bin_ms: width of an arrival bin.
        arrival_epoch_ms: length of an epoch of arrival bins.
        load_window_ms: how far back arrivals count for the offered load.
        dispersion_window_ms: how far back arrivals count for the squared coefficient of variation.
        flush_delay_ms: arrivals younger than this are not all flushed yet, and not looked at.
        prior_samples: weight, in samples, of the belief that the system is healthy.
        prior_bad_share: that belief.
        wilson_z: standard normal quantile of the lower bound.
        sparse_samples: with fewer outcomes than that in the slow memory, whole epochs are counted.
        servers: requests the protected system works on at once; None if unknown, then neither utilisation
            nor waiting time is estimated.
    """

    fast_tau_ms: int = 1_500
    slow_tau_ms: int = 20_000
    epoch_ms: int = 60_000
    bin_ms: int = 250
    arrival_epoch_ms: int = 15_000
    load_window_ms: int = 3_000
    dispersion_window_ms: int = 60_000
    flush_delay_ms: int = 1_250
    prior_samples: float = 3.0
    prior_bad_share: float = 0.01
    wilson_z: float = 2.0
    sparse_samples: int = 10
    servers: int | None = None

    def __post_init__(self) -> None:
        _require(0 < self.fast_tau_ms < self.slow_tau_ms, "0 < fast_tau_ms < slow_tau_ms")
        _require(self.slow_tau_ms <= self.epoch_ms, "slow_tau_ms <= epoch_ms")
        _require(
            self.epoch_ms <= _MAX_EPOCH_TAUS * self.fast_tau_ms,
            f"epoch_ms <= {_MAX_EPOCH_TAUS} x fast_tau_ms, or sums outgrow 38 digits",
        )
        _require(
            self.epoch_ms <= _MAX_EPOCH_SLOW_TAUS * self.slow_tau_ms,
            f"epoch_ms <= {_MAX_EPOCH_SLOW_TAUS} x slow_tau_ms, or sums outgrow 38 digits",
        )
        _require(self.bin_ms > 0, "bin_ms > 0")
        _require(self.arrival_epoch_ms % self.bin_ms == 0, "arrival_epoch_ms is a multiple of bin_ms")
        _require(0 < self.bins_per_epoch <= _EPOCH_BINS, f"at most {_EPOCH_BINS} bins per arrival epoch")
        _require(self.flush_delay_ms >= 0, "flush_delay_ms >= 0")
        _require(
            self.bin_ms <= self.load_window_ms <= self.dispersion_window_ms,
            "bin_ms <= load_window_ms <= dispersion_window_ms",
        )
        _require(self.prior_samples >= 0, "prior_samples >= 0")
        _require(0 <= self.prior_bad_share <= 1, "prior_bad_share is a share")
        _require(self.wilson_z >= 0, "wilson_z >= 0")
        _require(self.sparse_samples > 0, "sparse_samples > 0")
        _require(self.servers is None or self.servers > 0, "servers > 0")

    @property
    def bins_per_epoch(self) -> int:
        """Arrival bins of one item."""
        return self.arrival_epoch_ms // self.bin_ms

    @property
    def epochs_read(self) -> int:
        """Epochs of sums a reader needs, the current one included, to lose less than 1e-12 of the weight."""
        return 1 + math.ceil(_FORGOTTEN_TAUS * self.slow_tau_ms / self.epoch_ms)

    @property
    def arrival_epochs_read(self) -> int:
        """Epochs of arrival bins a reader needs, the current one included."""
        return 1 + math.ceil((self.dispersion_window_ms + self.flush_delay_ms) / self.arrival_epoch_ms)


@dataclass(frozen=True, slots=True)
class LadderConfig:
    """When the ladder steps.

    Attributes:
        rungs: rungs in use, least first; from ``FULL`` to ``SHED``. ``CLASSICAL`` only where policy names it.
        dwell_ms: least time on a rung.
        availability_floor: bad share above which the ladder leaves ``FULL``.
        down_bad_share: bad share below which it steps back.
        up_rho: utilisation from which it leaves ``FULL``; alarms before the trip does.
        down_rho: utilisation below which it steps back.
        up_wait_ms: expected wait (Kingman) from which it leaves ``FULL``.
        down_wait_ms: expected wait below which it steps back.
    """

    rungs: tuple[BreakerLevel, ...] = (BreakerLevel.FULL, BreakerLevel.RELAX, BreakerLevel.SHED)
    dwell_ms: int = 2_000
    availability_floor: float = 0.10
    down_bad_share: float = 0.05
    up_rho: float = 0.90
    down_rho: float = 0.75
    up_wait_ms: int = 100
    down_wait_ms: int = 40

    def __post_init__(self) -> None:
        order = list(BreakerLevel)
        places = [order.index(rung) for rung in self.rungs]
        _require(places == sorted(set(places)), "rungs in the order full, relax, classical, shed")
        _require(
            self.rungs[:1] == (BreakerLevel.FULL,) and self.rungs[-1:] == (BreakerLevel.SHED,),
            "rungs from full to shed",
        )
        _require(self.dwell_ms > 0, "dwell_ms > 0")
        _require(
            0 <= self.down_bad_share < self.availability_floor <= 1, "down_bad_share < availability_floor"
        )
        _require(0 <= self.down_rho < self.up_rho, "down_rho < up_rho")
        _require(0 <= self.down_wait_ms < self.up_wait_ms, "down_wait_ms < up_wait_ms")


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When the machine moves.

    Attributes:
        trip_bad_share: opens when the lower bound of the bad share lies above.
        close_bad_share: closes when the bad share lies below.
        step_bad_share: a step of the ramp is good at or below this bad share.
        open_ms: first open interval; doubles with every failure until sustained health.
        max_open_ms: longest open interval; a failed first step costs a handful of requests, a long interval
            half of itself in good ones, on average, at any time the fault ends.
        health_ms: closed for this long counts as sustained health: interval and probation start over.
        close_dwell_ms: least time at full admission before closing; doubles with every flap.
        probation_share: after a flap, admission stays here for a time before it becomes full.
        probation_ms: least time there.
        max_flaps: flaps counted at most.
        probe_rps: most probes per second over the whole fleet while the first step lasts.
        probe_share: most of the offered requests admitted in the first step.
        step_fail_share: a step has failed above this bad share.
        settle_ms: after a cut, how long the load before it may still be felt.
        step_ms: least length of a step of the ramp.
        step_samples: outcomes a step needs.
        step_patience: lengths of a step after which a verdict is taken from what there is.
        safe_share: share of the ceiling up to which steps halve the distance.
        raise_share: what a step adds from there.
        grow_share: most that a step adds where the number of servers is unknown.
        max_raise_steps: most of these at once, well beyond the ceiling.
        ramp_rho: utilisation up to which steps are larger than that.
        cut_share: what remains of the admission after a bad step.
        deep_cut_share: what remains after a step that was mostly bad.
        max_cuts: cuts in a row before it opens again: less load did not help.
        hard_error_share: errors that load does not explain: up to this share requests are admitted all the
            same, since turning them away would cost more than one good answer for two errors.
        silent_probes: probes without an outcome that show silence.
        silent_ms: how old they have to be on average; probes at an even rate begin twice as long ago.
        refresh_ms: a cached state or an unflushed accumulator is at most this old when a request is decided.
        item_writes_per_s: most writes a second to one item; the interval stretches with the fleet.
        retry_jitter_ms: spread of Retry-After.
        unread_ms: how long the last state read holds while the store cannot be read: requests are shed to the
            end of an open interval, and probes go through from then on; a ramp's share stays. Then all are
            admitted.
        shed_retry_ms: Retry-After of a request shed while half open, before jitter.
        estimator: how evidence is weighed.
        ladder: when the ladder steps.
        policy_bundle: hex SHA-256 of the policy that set some of them; None where all are the code's own.
    """

    trip_bad_share: float = 0.30
    close_bad_share: float = 0.10
    step_bad_share: float = 0.12
    open_ms: int = 5_000
    max_open_ms: int = 8_000
    health_ms: int = 60_000
    close_dwell_ms: int = 5_000
    probation_share: float = 0.90
    probation_ms: int = 20_000
    max_flaps: int = 2
    probe_rps: float = 5.0
    probe_share: float = 0.30
    step_fail_share: float = 0.20
    settle_ms: int = 1_000
    step_ms: int = 800
    step_samples: int = 7
    step_patience: int = 4
    safe_share: float = 0.85
    raise_share: float = 0.03
    grow_share: float = 0.20
    max_raise_steps: int = 3
    ramp_rho: float = 0.80
    cut_share: float = 0.60
    deep_cut_share: float = 0.40
    max_cuts: int = 2
    hard_error_share: float = 0.667
    silent_probes: int = 5
    silent_ms: int = 9_000
    refresh_ms: int = 500
    item_writes_per_s: int = 300
    retry_jitter_ms: int = 3_000
    unread_ms: int = 20_000
    shed_retry_ms: int = 2_000
    estimator: EstimatorConfig = field(default_factory=EstimatorConfig)
    ladder: LadderConfig = field(default_factory=LadderConfig)
    policy_bundle: str | None = None

    def __post_init__(self) -> None:
        """Refuse contradictions.

        Raises:
            UsageError: a number contradicts another; the message names the rule.
        """
        _require(
            0 < self.close_bad_share <= self.step_bad_share < self.step_fail_share <= self.trip_bad_share < 1,
            "0 < close_bad_share <= step_bad_share < step_fail_share <= trip_bad_share < 1",
        )
        _require(0 < self.open_ms <= self.max_open_ms, "0 < open_ms <= max_open_ms")
        _require(0 < self.close_dwell_ms <= self.health_ms, "0 < close_dwell_ms <= health_ms")
        _require(0 < self.probation_share <= 1, "0 < probation_share <= 1")
        _require(self.probation_ms >= 0, "probation_ms >= 0")
        _require(self.max_flaps >= 0, "max_flaps >= 0")
        _require(self.probe_rps > 0, "probe_rps > 0")
        _require(0 < self.probe_share < 1, "0 < probe_share < 1")
        _require(self.step_ms > 0, "step_ms > 0")
        _require(self.settle_ms >= 0, "settle_ms >= 0")
        _require(self.step_samples > 0, "step_samples > 0")
        _require(self.step_patience > 0, "step_patience > 0")
        _require(0 < self.safe_share <= 1, "0 < safe_share <= 1")
        _require(self.max_raise_steps > 0, "max_raise_steps > 0")
        _require(self.ramp_rho > 0, "ramp_rho > 0")
        _require(0 < self.raise_share <= 1, "0 < raise_share <= 1")
        _require(0 < self.grow_share <= 1, "0 < grow_share <= 1")
        _require(0 < self.deep_cut_share <= self.cut_share < 1, "0 < deep_cut_share <= cut_share < 1")
        _require(self.max_cuts > 0, "max_cuts > 0")
        _require(0 < self.hard_error_share < 1, "0 < hard_error_share < 1")
        _require(self.silent_probes > 0, "silent_probes > 0")
        _require(self.silent_ms > 0, "silent_ms > 0")
        _require(self.refresh_ms > 0, "refresh_ms > 0")
        _require(self.item_writes_per_s > 0, "item_writes_per_s > 0")
        _require(self.retry_jitter_ms > 0, "retry_jitter_ms > 0")
        _require(self.unread_ms > 0, "unread_ms > 0")
        _require(self.shed_retry_ms > 0, "shed_retry_ms > 0")

    def refresh_interval_ms(self, environments: float) -> int:
        """Return how old a cached state may get when so many environments share an item."""
        return max(self.refresh_ms, math.ceil(1000 * environments / self.item_writes_per_s))


def _require(holds: bool, rule: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise UsageError(f"the breaker's configuration contradicts itself: it needs {rule}")
