"""Closed → open → half open → closed.

``decide`` looks at the shared record and at the evidence of its generation, and proposes the next record.
The proposer writes it on the condition that the stored version is still the one that was read; of any
number of proposals one wins, the others read again. A new generation starts from empty sums, so outcomes of
requests admitted before it cannot move it.

Half open is a ramp. Its first step lets at most ``probe_rps`` through over the whole fleet. Good steps double
the share; a bad one is cut, and the share that failed is remembered as a ceiling to approach from below: an
overloaded system is served at what it can bear. Load that fails although it was cut twice opens again, unless
load is not the fault (``judgement.futile``): then the ramp goes on above what stays bad at any load.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate, wilson_lower
from signet.breaker.judgement import beyond_floor, floor_is_gone, futile, is_silent, worst_known
from signet.breaker.ladder import next_rung
from signet.breaker.ramp import cut, raised, saturated
from signet.breaker.record import BreakerRecord, Cause, Transition, initial
from signet.core.vocabulary import PPM, BreakerLevel, BreakerState

__all__ = ["BreakerRecord", "Cause", "Transition", "decide", "initial", "probe_share"]

_EARLY_SAMPLES: Final = 4
_MANY_STEPS: Final = 10
_MOST_RAISES: Final = 8


def decide(
    record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig
) -> Transition | None:
    """Propose the next transition, or None.

    Args:
        record: as read.
        estimate: the evidence of ``record.generation``.
        now_ms: the present moment, Unix milliseconds.
        config: when the machine moves.
    """
    rules = {BreakerState.CLOSED: _closed, BreakerState.OPEN: _open, BreakerState.HALF_OPEN: _half_open}
    seen = _believed(record, now_ms, config)
    found = rules[record.state](seen, estimate, now_ms, config) or _rung(seen, estimate, now_ms, config)
    if found is None:
        return None
    cause, after = found
    return Transition(record, replace(after, version=record.version + 1), cause, estimate)


_Move = tuple[Cause, BreakerRecord] | None


def _believed(record: BreakerRecord, now_ms: int, config: BreakerConfig) -> BreakerRecord:
    """Return the record without times that only a clock can have said that was ahead, or was set back since.

    Left as they are they would keep the breaker open, or on its rung, until that clock's time has come.
    """
    latest = max(record.state_since_ms, record.generation_since_ms, record.rung_since_ms)
    if latest <= now_ms + config.max_open_ms:  # clocks of one fleet are less than that apart
        return record
    past_ms = now_ms - config.health_ms
    return replace(
        record,
        state_since_ms=min(record.state_since_ms, past_ms),
        generation_since_ms=min(record.generation_since_ms, past_ms),
        rung_since_ms=min(record.rung_since_ms, past_ms),
        open_until_ms=min(record.open_until_ms, now_ms),
        closed_at_ms=min(record.closed_at_ms, past_ms),
    )


def _closed(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    if record.floor_ppm and floor_is_gone(record, estimate, now_ms, config):
        return Cause.RECOVERED, replace(record, floor_ppm=0)
    if estimate.bad_share_lower <= config.trip_bad_share:
        return None
    if record.floor_ppm and not beyond_floor(record, estimate, config):
        return None
    again = record.closed_at_ms > 0 and now_ms - record.closed_at_ms < config.health_ms
    flaps = min(record.flaps + 1, config.max_flaps) if again else 0
    doublings = record.doublings + 1 if again else 0
    share = round(PPM * max(estimate.bad_share, config.trip_bad_share))
    tripped = replace(record, flaps=flaps, trip_ppm=share, late=estimate.late)
    opened = _opened(tripped, doublings, now_ms, config)
    if estimate.bad_age_ms < opened.open_until_ms - now_ms:
        return Cause.TRIPPED, opened
    # The newest bad outcome is older than the interval is long: it is over already, and probes are due.
    return Cause.TRIPPED, _probing(opened, estimate, now_ms, config)


def _open(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    if now_ms < record.open_until_ms:
        return None
    return Cause.INTERVAL_OVER, _probing(_fresh(record, now_ms), estimate, now_ms, config)


def _probing(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> BreakerRecord:
    return replace(
        record,
        state=BreakerState.HALF_OPEN,
        state_since_ms=now_ms,
        admit_ppm=round(PPM * probe_share(estimate.load.offered_rps, config)),
        first_step=True,
        cuts=0,
        ceiling_ppm=0,
        open_until_ms=min(record.open_until_ms, now_ms),
    )


def probe_share(offered_rps: float, config: BreakerConfig) -> float:
    """Return the share of offered requests that makes at most ``probe_rps`` over the whole fleet."""
    if offered_rps <= 0:
        return config.probe_share
    return min(config.probe_share, config.probe_rps / offered_rps)


def _half_open(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    elapsed_ms = now_ms - record.generation_since_ms
    if is_silent(estimate, config):
        return Cause.SILENT, _closing(replace(record, silent=True), now_ms)
    if record.settling:
        return (Cause.STEP_SETTLED, _fresh(record, now_ms)) if elapsed_ms >= config.settle_ms else None
    return _step(record, estimate, now_ms, config)


def _step(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    elapsed_ms, count = now_ms - record.generation_since_ms, estimate.count
    share = estimate.bad_count / count if count else 0.0
    full = elapsed_ms >= config.step_ms and count >= config.step_samples
    if _failed(record, estimate, config, full=full):
        return _back(record, estimate, now_ms, config)
    quiet = elapsed_ms > _MANY_STEPS * config.step_ms and count > 0 and share == 0
    patient = elapsed_ms <= config.step_patience * config.step_ms
    good = quiet or (full and (record.floor_ppm > 0 or share <= config.step_bad_share))
    if good and not (patient and saturated(record.admit_ppm, estimate, config)):
        return _up(record, estimate, now_ms, config)
    if good or patient or not full:
        return None
    if share > config.step_fail_share:
        return _back(record, estimate, now_ms, config)
    return Cause.STEP_UNDECIDED, replace(_fresh(record, now_ms), first_step=record.first_step)


def _failed(record: BreakerRecord, estimate: Estimate, config: BreakerConfig, *, full: bool) -> bool:
    """Whether a step has failed. Sure of it, it ends early; once it is full, less certainty is enough."""
    if record.floor_ppm:
        return beyond_floor(record, estimate, config, z=1.0 if full else config.estimator.wilson_z)
    z, limit = (1.0, config.step_fail_share) if full else (config.estimator.wilson_z, config.trip_bad_share)
    count = estimate.count
    failed = count >= _EARLY_SAMPLES and wilson_lower(estimate.bad_count / count, count, z) > limit
    return failed or estimate.bad_share_lower > config.trip_bad_share


def _up(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    elapsed_ms = now_ms - record.generation_since_ms
    dwelt = elapsed_ms >= config.close_dwell_ms * 2 ** (record.flaps + 1)
    if record.floor_ppm and floor_is_gone(record, estimate, now_ms, config):
        record = replace(record, floor_ppm=0)
    if record.admit_ppm < PPM:
        probation = round(PPM * config.probation_share) if record.flaps and not record.floor_ppm else PPM
        if record.admit_ppm >= probation and elapsed_ms < config.probation_ms:
            return None
        admit = _raised(record, estimate, elapsed_ms, config)
        admit = min(admit, probation) if record.admit_ppm < probation else PPM
        return Cause.STEP_GOOD, replace(_fresh(record, now_ms), admit_ppm=admit, cuts=0)
    if not dwelt:
        return None
    if record.floor_ppm:
        return Cause.FUTILE, _closing(record, now_ms)
    return (
        (Cause.RECOVERED, _closing(record, now_ms)) if estimate.bad_share < config.close_bad_share else None
    )


def _raised(record: BreakerRecord, estimate: Estimate, elapsed_ms: int, config: BreakerConfig) -> int:
    """Return the share after a good step; after a quiet one as far as the time would have sufficed."""
    admit = record.admit_ppm
    if record.first_step:  # a surge since then has lowered what was let through
        admit = min(admit, round(PPM * probe_share(estimate.load.offered_rps, config)))
    quiet = elapsed_ms // (_MANY_STEPS * config.step_ms) if estimate.count < config.step_samples else 0
    for _ in range(max(1, min(quiet, _MOST_RAISES))):
        admit = raised(admit, record.ceiling_ppm, estimate, config)
    return admit


def _back(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    floor = round(2 * PPM * probe_share(estimate.load.offered_rps, config))
    if record.admit_ppm <= floor or record.cuts >= config.max_cuts:
        stays_ppm = 0 if record.floor_ppm else futile(record, estimate, config)
        if stays_ppm:
            admit = raised(record.admit_ppm, 0, estimate, config)
            return Cause.STEP_FUTILE, replace(
                _fresh(record, now_ms), admit_ppm=admit, floor_ppm=stays_ppm, cuts=0, ceiling_ppm=0
            )
        # Above a floor a failed ramp says that the floor was wrong, and nothing of a fault that comes and
        # goes: without one the next ramp waits no longer for it.
        relapsed = record.floor_ppm == 0 and max(record.admit_ppm, record.ceiling_ppm) >= PPM // 2
        flaps = min(record.flaps + 1, config.max_flaps) if relapsed else record.flaps
        known = replace(record, flaps=flaps, trip_ppm=worst_known(record, estimate, config))
        opened = _opened(known, record.doublings + 1, now_ms, config)
        return Cause.PROBES_FAILED, opened
    return Cause.STEP_BAD, replace(
        _fresh(record, now_ms),
        admit_ppm=cut(record.admit_ppm, estimate, config),
        ceiling_ppm=record.ceiling_ppm if record.cuts else record.admit_ppm,
        settling=True,
        cuts=record.cuts + 1,
    )


def _closing(record: BreakerRecord, now_ms: int) -> BreakerRecord:
    closed = _fresh(record, now_ms)
    return replace(
        closed, state=BreakerState.CLOSED, state_since_ms=now_ms, closed_at_ms=now_ms, admit_ppm=PPM
    )


def _opened(record: BreakerRecord, doublings: int, now_ms: int, config: BreakerConfig) -> BreakerRecord:
    enough = math.ceil(math.log2(config.max_open_ms / config.open_ms))
    doublings = min(doublings, enough)
    interval_ms = min(config.max_open_ms, config.open_ms * 2**doublings)
    return replace(
        _fresh(record, now_ms),
        state=BreakerState.OPEN,
        state_since_ms=now_ms,
        open_until_ms=now_ms + interval_ms,
        doublings=doublings,
        admit_ppm=0,
        floor_ppm=0,
        silent=False,
    )


def _fresh(record: BreakerRecord, now_ms: int) -> BreakerRecord:
    return replace(
        record,
        generation=record.generation + 1,
        generation_since_ms=now_ms,
        first_step=False,
        settling=False,
    )


def _rung(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    rung = next_rung(
        record.rung,
        since_ms=record.rung_since_ms,
        state=record.state,
        estimate=estimate,
        now_ms=now_ms,
        config=config.ladder,
    )
    if rung is record.rung:
        return None
    order = list(BreakerLevel)
    cause = Cause.RUNG_UP if order.index(rung) > order.index(record.rung) else Cause.RUNG_DOWN
    return cause, replace(record, rung=rung, rung_since_ms=now_ms)
