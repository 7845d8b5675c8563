"""Closed → open → half open → closed.

``decide`` looks at the shared record and at the evidence of its generation, and proposes the next record.
The proposer writes it on the condition that the stored version is still the one that was read; of any
number of proposals one wins, the others read again. A new generation starts from empty sums, so outcomes of
requests admitted before it cannot move it.

Half open is a ramp. Its first step lets at most ``probe_rps`` through over the whole fleet: every environment
admits the same share, probes per offered request, and needs to know nothing of the others. Good steps double
the share; a bad one is cut, and the share that failed is remembered as a ceiling to approach from below: an
overloaded system is served at what it can bear. Load that fails although it was cut twice opens again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate, wilson_lower
from signet.breaker.ladder import next_rung
from signet.breaker.ramp import cut, raised, saturated
from signet.core.vocabulary import PPM, BreakerLevel, BreakerState

_EARLY_SAMPLES = 4
_MANY_STEPS = 10


class Cause(StrEnum):
    """Why a record changed."""

    TRIPPED = "tripped"
    INTERVAL_OVER = "interval_over"
    STEP_GOOD = "step_good"
    STEP_BAD = "step_bad"
    STEP_UNDECIDED = "step_undecided"
    STEP_SETTLED = "step_settled"
    PROBES_FAILED = "probes_failed"
    RECOVERED = "recovered"
    RUNG_UP = "rung_up"
    RUNG_DOWN = "rung_down"


@dataclass(frozen=True, slots=True)
class BreakerRecord:
    """The state all environments share; one item. Times are Unix milliseconds.

    Attributes:
        version: counts writes; the condition of the next one.
        generation: of the evidence; changes with every state and every step of the ramp.
        generation_since_ms: when it began.
        state: closed, open, half open.
        state_since_ms: when the state began.
        open_until_ms: end of the open interval.
        doublings: how often the open interval doubled.
        flaps: how often it opened again, from closed or from half the admission, without sustained health.
        closed_at_ms: when it last closed; 0 if never.
        admit_ppm: share of offered requests admitted while half open.
        first_step: the ramp stands on its first step.
        settling: the share was just cut; what completes now still waited behind the load before the cut.
        cuts: cuts in a row, without a good step in between.
        ceiling_ppm: share at which the ramp last failed; 0 if it has not.
        rung: of the ladder, for requests that are admitted; never ``SHED``.
        rung_since_ms: when it was reached.
    """

    version: int = 0
    generation: int = 0
    generation_since_ms: int = 0
    state: BreakerState = BreakerState.CLOSED
    state_since_ms: int = 0
    open_until_ms: int = 0
    doublings: int = 0
    flaps: int = 0
    closed_at_ms: int = 0
    admit_ppm: int = PPM
    first_step: bool = False
    settling: bool = False
    cuts: int = 0
    ceiling_ppm: int = 0
    rung: BreakerLevel = BreakerLevel.FULL
    rung_since_ms: int = 0

    @property
    def level(self) -> BreakerLevel:
        """The level in force: ``SHED`` while open, else the rung."""
        return BreakerLevel.SHED if self.state is BreakerState.OPEN else self.rung

    def to_attributes(self) -> dict[str, int | str | bool]:
        """Return the item's attributes."""
        return asdict(self)

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> BreakerRecord:
        """Read an item; numbers may be ``int``, ``Decimal`` or decimal strings.

        Raises:
            KeyError, ValueError: the item is not a record.
        """
        values: dict[str, Any] = {}
        for name, default in initial(0).to_attributes().items():
            found = attributes[name]
            if isinstance(default, bool):
                if not isinstance(found, bool):
                    raise ValueError(f"{name} is no truth value")  # noqa: TRY004 - one error for a bad item
                values[name] = found
            else:
                values[name] = int(found) if isinstance(default, int) else str(found)
        values["state"] = BreakerState(values["state"])
        values["rung"] = BreakerLevel(values["rung"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Transition:
    """A proposal: write ``after`` if the stored version is still ``before.version``.

    Attributes:
        before: the record the decision was made on.
        after: the record to write; its version is one more.
        cause: why.
        estimate: the figures that caused it.
    """

    before: BreakerRecord
    after: BreakerRecord
    cause: Cause
    estimate: Estimate

    @property
    def changes_state(self) -> bool:
        """Whether the state changes; steps of the ramp and rungs of the ladder do not."""
        return self.before.state is not self.after.state

    @property
    def changes_level(self) -> bool:
        """Whether the level in force changes."""
        return self.before.level is not self.after.level


def initial(now_ms: int) -> BreakerRecord:
    """Return the record of a breaker that has none yet: closed, on the ladder's first rung."""
    return BreakerRecord(
        version=1, generation=1, generation_since_ms=now_ms, state_since_ms=now_ms, rung_since_ms=now_ms
    )


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
    if estimate.bad_share_lower <= config.trip_bad_share:
        return None
    again = record.closed_at_ms > 0 and now_ms - record.closed_at_ms < config.health_ms
    flaps = min(record.flaps + 1, config.max_flaps) if again else 0
    doublings = record.doublings + 1 if again else 0
    return Cause.TRIPPED, _opened(replace(record, flaps=flaps), doublings, now_ms, config)


def _open(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    if now_ms < record.open_until_ms:
        return None
    admit = round(PPM * probe_share(estimate.load.offered_rps, config))
    return Cause.INTERVAL_OVER, replace(
        _fresh(record, now_ms),
        state=BreakerState.HALF_OPEN,
        state_since_ms=now_ms,
        admit_ppm=admit,
        first_step=True,
        cuts=0,
        ceiling_ppm=0,
    )


def probe_share(offered_rps: float, config: BreakerConfig) -> float:
    """Return the share of offered requests that makes at most ``probe_rps`` over the whole fleet."""
    if offered_rps <= 0:
        return config.probe_share
    return min(config.probe_share, config.probe_rps / offered_rps)


def _half_open(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    elapsed_ms = now_ms - record.generation_since_ms
    if record.settling:
        return (Cause.STEP_SETTLED, _fresh(record, now_ms)) if elapsed_ms >= config.settle_ms else None
    count = estimate.count
    share = estimate.bad_count / count if count else 0.0
    full = elapsed_ms >= config.step_ms and count >= config.step_samples
    # Sure of a failure the step ends early; once it is full, less certainty is enough.
    z, limit = (1.0, config.step_fail_share) if full else (config.estimator.wilson_z, config.trip_bad_share)
    failed = count >= _EARLY_SAMPLES and wilson_lower(share, count, z) > limit
    if failed or estimate.bad_share_lower > config.trip_bad_share:
        return _back(record, estimate, now_ms, config)
    quiet = elapsed_ms > _MANY_STEPS * config.step_ms and count > 0 and share == 0
    patient = elapsed_ms <= config.step_patience * config.step_ms
    if quiet or (full and share <= config.step_bad_share):
        wait = patient and saturated(record.admit_ppm, estimate, config)
        return None if wait else _up(record, estimate, now_ms, config)
    if patient or not full:
        return None
    if share > config.step_fail_share:
        return _back(record, estimate, now_ms, config)
    return Cause.STEP_UNDECIDED, replace(_fresh(record, now_ms), first_step=record.first_step)


def _up(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    dwell_ms = config.close_dwell_ms * 2 ** (record.flaps + 1)
    dwelt = now_ms - record.generation_since_ms >= dwell_ms
    if record.admit_ppm < PPM:
        probation = round(PPM * config.probation_share) if record.flaps else PPM
        if record.admit_ppm >= probation and not dwelt:
            return None
        admit = raised(record.admit_ppm, record.ceiling_ppm, estimate, config)
        admit = min(admit, probation) if record.admit_ppm < probation else PPM
        return Cause.STEP_GOOD, replace(_fresh(record, now_ms), admit_ppm=admit, cuts=0)
    if not dwelt or estimate.bad_share >= config.close_bad_share:
        return None
    return Cause.RECOVERED, replace(
        _fresh(record, now_ms), state=BreakerState.CLOSED, state_since_ms=now_ms, closed_at_ms=now_ms
    )


def _back(record: BreakerRecord, estimate: Estimate, now_ms: int, config: BreakerConfig) -> _Move:
    floor = round(2 * PPM * probe_share(estimate.load.offered_rps, config))
    if record.admit_ppm <= floor or record.cuts >= config.max_cuts:
        relapsed = max(record.admit_ppm, record.ceiling_ppm) >= PPM // 2
        flaps = min(record.flaps + 1, config.max_flaps) if relapsed else record.flaps
        opened = _opened(replace(record, flaps=flaps), record.doublings + 1, now_ms, config)
        return Cause.PROBES_FAILED, opened
    return Cause.STEP_BAD, replace(
        _fresh(record, now_ms),
        admit_ppm=cut(record.admit_ppm, estimate, config),
        ceiling_ppm=record.ceiling_ppm if record.cuts else record.admit_ppm,
        settling=True,
        cuts=record.cuts + 1,
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
