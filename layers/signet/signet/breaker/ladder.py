"""full → relax → classical → shed: less work per request before fewer requests.

The rungs below ``SHED`` follow the pressure, one per dwell, with separate thresholds up and down. ``SHED`` is
the machine's: an open breaker sheds at once, from any rung, and only its trip leads there. So an
alarm (utilisation, expected wait) makes requests cheaper but never turns one away.

``CLASSICAL`` verifies only the classical half of a hybrid key, a downgrade that induced latency could bring
about: it is reached only if both the configuration's rungs and the route's policy name it.
"""

from __future__ import annotations

from collections.abc import Sequence

from signet.breaker.config import LadderConfig
from signet.breaker.estimator import Estimate
from signet.core.vocabulary import BreakerLevel, BreakerState

_ORDER = {rung: place for place, rung in enumerate(BreakerLevel)}


def next_rung(
    rung: BreakerLevel,
    *,
    since_ms: int,
    state: BreakerState,
    estimate: Estimate,
    now_ms: int,
    config: LadderConfig,
) -> BreakerLevel:
    """Return the rung to stand on now: the same, or a neighbour once the dwell is over.

    Args:
        rung: the present rung, never ``SHED``.
        since_ms: since when.
        state: the machine's state; anything but closed counts as pressure.
        estimate: the evidence.
        now_ms: the present moment.
        config: thresholds and dwell.
    """
    rungs = config.rungs[:-1]
    if rung not in rungs:  # the configuration lost it: step to the nearest that asks for more
        rung = max((known for known in rungs if _ORDER[known] < _ORDER[rung]), key=_ORDER.__getitem__)
    if now_ms - since_ms < config.dwell_ms:
        return rung
    place = rungs.index(rung)
    if state is not BreakerState.CLOSED or _pressed(estimate, config):
        return rungs[min(place + 1, len(rungs) - 1)]
    if _relieved(estimate, config):
        return rungs[max(place - 1, 0)]
    return rung


def route_level(level: BreakerLevel, ladder: Sequence[str]) -> BreakerLevel:
    """Return the rung in force on a route: the furthest of its ladder that is not beyond ``level``.

    An empty ladder is ``full`` alone. ``SHED`` is never softened: what is not admitted is not admitted.
    """
    if level is BreakerLevel.SHED or level is BreakerLevel.FULL:
        return level
    allowed = [rung for rung in BreakerLevel if rung.value in ladder and _ORDER[rung] <= _ORDER[level]]
    return allowed[-1] if allowed else BreakerLevel.FULL


def _pressed(estimate: Estimate, config: LadderConfig) -> bool:
    return (
        estimate.bad_share_lower > config.availability_floor
        or (estimate.rho or 0.0) >= config.up_rho
        or (estimate.wait_s or 0.0) * 1000 >= config.up_wait_ms
    )


def _relieved(estimate: Estimate, config: LadderConfig) -> bool:
    return (
        estimate.bad_share < config.down_bad_share
        and (estimate.rho or 0.0) < config.down_rho
        and (estimate.wait_s or 0.0) * 1000 < config.down_wait_ms
    )
