"""The record all environments share, and what it is changed by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from signet.breaker.estimator import Estimate
from signet.core.vocabulary import PPM, BreakerLevel, BreakerState

# Members that records of earlier versions do not have: during a deployment old environments write without.
_LATER: Final = frozenset({"trip_ppm", "late", "floor_ppm", "silent"})


class Cause(StrEnum):
    """Why a record changed."""

    TRIPPED = "tripped"
    INTERVAL_OVER = "interval_over"
    STEP_GOOD = "step_good"
    STEP_BAD = "step_bad"
    STEP_UNDECIDED = "step_undecided"
    STEP_SETTLED = "step_settled"
    STEP_FUTILE = "step_futile"
    PROBES_FAILED = "probes_failed"
    RECOVERED = "recovered"
    SILENT = "silent"
    FUTILE = "futile"
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
        trip_ppm: bad share at the last trip, or since as probes failed for certain; 0 if there was none.
        late: it tripped because answers were late, not because they were errors.
        floor_ppm: bad share that stays however little is admitted: load is not the fault; 0 if there is none.
        silent: it closed because no outcome came; until one comes it knows nothing.
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
    trip_ppm: int = 0
    late: bool = False
    floor_ppm: int = 0
    silent: bool = False

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
            found = attributes.get(name, default) if name in _LATER else attributes[name]
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
