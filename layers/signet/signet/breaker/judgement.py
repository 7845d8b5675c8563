"""What shedding cannot mend: a fault that load does not explain, and a backend that says nothing.

**Futile.** An overloaded backend gets well when little is let through. One whose answers are just as bad
then has another fault: a cache that fills only by the requests it serves, a route that is slow by nature, a
fixed share of errors. The bad share that stays is the *floor*. Above it the ramp goes on to full admission,
and only what is clearly worse than it, or of another kind, is held against the backend. Errors that are most
of all answers are never a floor: there shedding spares more than it costs.

**Silent.** Probes were let through and no outcome came: that says nothing of the backend's health.
"""

from __future__ import annotations

from typing import Final

from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate, wilson_lower, wilson_upper
from signet.breaker.record import BreakerRecord
from signet.core.vocabulary import PPM

_FEW: Final = 4
#: Decayed outcomes below which none came lately: the last one is seven seconds old.
_FADED: Final = 0.01


def is_silent(estimate: Estimate, config: BreakerConfig) -> bool:
    """Tell whether probes went out long enough ago and no outcomes come (any more)."""
    unheard = estimate.probe_count - estimate.count
    return (
        estimate.count < config.step_samples
        and estimate.samples < _FADED
        and unheard >= config.silent_probes
        and estimate.probe_age_ms >= config.silent_ms
    )


def futile(record: BreakerRecord, estimate: Estimate, config: BreakerConfig) -> int:
    """Return the bad share that stays at low admission, in ppm; 0 unless load is clearly not the fault.

    Lateness counts only if it was lateness that tripped: a backend that comes back from an outage cold is
    late at any load, and more load would keep it so.
    """
    count = estimate.count
    if count < _FEW:
        return 0
    bad, late = estimate.bad_count / count, estimate.late_count / count
    errors = bad - late
    other_kind = late > errors if not record.late else errors > late
    hard = wilson_lower(errors, count, 1.0) > _hard(config)
    better = wilson_upper(bad, count, 1.0) < record.trip_ppm / PPM
    good = wilson_lower(bad, count, 1.0) <= config.step_bad_share
    if other_kind or hard or better or good:
        return 0
    return max(record.trip_ppm, round(PPM * bad))


def worst_known(record: BreakerRecord, estimate: Estimate, config: BreakerConfig) -> int:
    """Return the bad share that the fault is known to make, in ppm, by the trip and by probes that failed.

    A breaker trips on the first answers of an outage, at a third of them bad. Answers that are better than
    those of the outage itself are no floor, although they are no better than those first ones.
    """
    count = estimate.count
    # With the wide bound: it is kept, and four of four also fail now and then where half of all do.
    z = config.estimator.wilson_z
    failed = wilson_lower(estimate.bad_count / count, count, z) if count >= _FEW else 0.0
    return max(record.trip_ppm, round(PPM * failed))


def beyond_floor(
    record: BreakerRecord, estimate: Estimate, config: BreakerConfig, *, z: float | None = None
) -> bool:
    """Tell whether answers are clearly worse than the floor, or bad in another way.

    Args:
        record: one with a floor.
        estimate: of its generation.
        config: the limits.
        z: also hold the counts of the step against them, with bounds of that many standard deviations.
    """
    late_limit = (1 + record.floor_ppm / PPM) / 2 if record.late else config.trip_bad_share
    error_limit = config.trip_bad_share if record.late else _hard(config)
    if estimate.error_lower > error_limit or estimate.late_lower > late_limit:
        return True
    count = estimate.count
    if z is None or count < _FEW:
        return False
    late = estimate.late_count / count
    errors = estimate.bad_count / count - late
    return wilson_lower(errors, count, z) > error_limit or wilson_lower(late, count, z) > late_limit


def _hard(config: BreakerConfig) -> float:
    return max(config.hard_error_share, config.trip_bad_share)  # a policy may trip late


def floor_is_gone(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> bool:
    """Tell whether answers are good again: by the counts of a step, or for some time once it is closed."""
    count = estimate.count
    if record.closed_at_ms < record.generation_since_ms:
        return (
            count > 0
            and wilson_upper(estimate.bad_count / count, count, config.estimator.wilson_z)
            <= config.step_bad_share
        )
    dwelt = now_ms - record.generation_since_ms >= config.health_ms
    return dwelt and count >= config.step_samples and estimate.slow_share < config.close_bad_share
