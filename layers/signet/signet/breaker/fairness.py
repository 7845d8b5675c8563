"""One caller's fault is that caller's: who is shed before all are.

    <name>#arrivals#<epoch>    "x" with a place: who is blamed

When the breaker would open, and the outcomes of all but a few callers (``callers``) are good, those few are
blamed and the breaker stays closed. So no caller is shed for slow or bad answers as long as the breaker would
not shed all. A caller is blamed who is in a blamed slot of both rows: one in 4,000 others is too.

A blame holds to the end of the next epoch. Meanwhile a request in two seconds of blamed callers goes through,
over the whole fleet. These outcomes are counted apart, and for nothing else: if they are bad, the blame is
renewed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from signet.breaker.callers import EPOCH_MS, ROWS, callers_item, places_of, row_of
from signet.breaker.config import BreakerConfig
from signet.breaker.counts import count_of
from signet.breaker.estimator import wilson_lower
from signet.breaker.record import Cause, Transition
from signet.breaker.snapshot import Snapshot
from signet.core.vocabulary import BreakerState

#: Requests of blamed callers a second that go through, over the whole fleet: each may take a second's work.
PROBE_RPS: Final = 0.5
#: Most slots of a row that are blamed at once: where many callers are bad, none of them is the one.
_MOST: Final = 3
#: Outcomes of others that it takes to call these good; bad outcomes that it takes to blame.
_LEAST_REST: Final = 10
_LEAST_BAD: Final = 3
#: And the part of all bad outcomes that has to be theirs.
_LEAST_PART: Final = 0.1
_WILSON_Z: Final = 2.0
#: Part of a caller's bad outcomes that a slot of the other row has to hold: reports come one after the other.
_SAME_PART: Final = 0.8
#: Or so many of their outcomes are bad, and their bad share, at its lower bound, is so many times that of all
#: others. Others may then be bad for their sake: the breaker waits so long for that to be over.
_MANY_BAD: Final = 8
_CONTRAST: Final = 1.5
_GRACE_S: Final = 3.0
#: So many outcomes of the present epoch are enough; of fewer, the one before counts too.
_RECENT: Final = 50
#: Share of bad outcomes from which on outcomes are read by caller.
_ALERT_SHARE: Final = 0.05
#: Environments there may be, while that is not known.
_FLEET: Final = 10.0


class Verdict(NamedTuple):
    """What becomes of a transition.

    Attributes:
        blame: to be ADDed to the arrivals of the present epoch.
        hold: the breaker does not open: it is the blamed callers' fault.
        again: nothing is known of callers; read once more, with their outcomes.
    """

    blame: Mapping[str, str] = {}
    hold: bool = False
    again: bool = False


_ROWS_OF_PLACES: Final = tuple(frozenset(row_of(row)) for row in range(ROWS))


class _Found(NamedTuple):
    """Slots that are apart, and the share of bad outcomes in all others."""

    places: frozenset[str]
    rest: float


_NONE: Final = _Found(frozenset(), 1.0)


@dataclass(slots=True)
class Offenders:
    """Who is blamed at one backend, as one environment knows it. Not safe to share between threads."""

    _alert: bool = False
    _outcomes: tuple[Mapping[str, int], Mapping[str, int]] | None = None  # this epoch's, and the one's before
    _blamed: dict[int, frozenset[str]] = field(default_factory=dict)  # epoch → places
    _since_s: float = -math.inf  # since when any caller is
    _apart_s: float = _FLEET / PROBE_RPS
    _probe_s: float | None = None  # when a request of a blamed caller goes through next

    def items(self, name: str, now_ms: int) -> list[str]:
        """Return the items to read at a refresh: none while all is well."""
        epoch = now_ms // EPOCH_MS
        return [callers_item(name, epoch), callers_item(name, epoch - 1)] if self._alert else []

    def learn(
        self,
        found: Sequence[Mapping[str, str]],
        arrivals: Mapping[int, Mapping[str, str]],
        *,
        environments: float,
        now_ms: int,
        at_s: float,
    ) -> None:
        """Take note of what was read.

        Args:
            found: the items that were asked for, in their order.
            arrivals: by epoch.
            environments: that add to the arrivals; 0 while that is not known.
            now_ms: Unix milliseconds.
            at_s: seconds that have passed, by two clocks.
        """
        self._outcomes = (_counts(found[0]), _counts(found[1])) if found else None
        epoch = now_ms // EPOCH_MS
        for known in (epoch - 1, epoch, epoch + 1):
            self._note(known, frozenset(name[1:] for name in arrivals.get(known, {}) if name[0] == "x"), at_s)
        self._blamed = {known: places for known, places in self._blamed.items() if _holds(known, epoch)}
        self._apart_s = max(1.0, environments or _FLEET) / PROBE_RPS

    def is_blamed(self, number: int, now_ms: int) -> bool:
        """Tell whether a caller is blamed."""
        if not any(self._blamed.values()):
            return False
        epoch, places = now_ms // EPOCH_MS, frozenset(places_of(number))
        return any(places <= blamed for known, blamed in self._blamed.items() if _holds(known, epoch))

    def lets_through(self, at_s: float, draw: float) -> bool:
        """Tell whether it is time for a request of a blamed caller to go through; if so, it does.

        Args:
            at_s: seconds that have passed, by two clocks.
            draw: uniform from [0, 1): environments take turns by chance.
        """
        if self._probe_s is None or at_s > self._probe_s + 2 * self._apart_s:
            self._probe_s = at_s + draw * self._apart_s  # else all would begin at once, and then be silent
        if at_s < self._probe_s:
            return False
        self._probe_s = at_s + (0.5 + draw) * self._apart_s
        return True

    def judge(
        self,
        snapshot: Snapshot,
        transition: Transition | None,
        config: BreakerConfig,
        *,
        now_ms: int,
        at_s: float,
    ) -> Verdict:
        """Say who is to blame for what was read, and whether the breaker opens for it.

        Args:
            snapshot: as it was read.
            transition: that the machine proposes.
            config: the breaker's numbers.
            now_ms: Unix milliseconds.
            at_s: seconds that have passed, by two clocks.
        """
        trips = transition is not None and transition.cause is Cause.TRIPPED
        closed = snapshot.record.state is BreakerState.CLOSED
        troubled = trips or not closed or snapshot.estimate.bad_share > _ALERT_SHARE
        self._alert = troubled or any(self._blamed.values())
        if self._outcomes is None:
            return Verdict(again=trips)
        epoch = now_ms // EPOCH_MS
        found = _offending(self._recent(), config) if trips or not closed else _NONE
        known = frozenset().union(*self._blamed.values())
        if any(len(found.places & row | known & row) > _MOST for row in _ROWS_OF_PLACES):
            found = _NONE  # of many blamed slots, innocent callers would be in two by chance
        blame = found.places | self._renewed(config, now_ms, closed=closed)
        new = blame - self._blamed.get(epoch, frozenset())
        self._note(epoch, blame, at_s)
        hold = found.rest <= config.step_bad_share or at_s < self._since_s + _GRACE_S
        return Verdict({f"x{place}": "1" for place in sorted(new)}, hold=trips and hold)

    def _note(self, epoch: int, places: frozenset[str], at_s: float) -> None:
        """Remember who is blamed, and since when any caller is: what they did has to pass."""
        if places and not any(self._blamed.values()):
            self._since_s = at_s
        # Replaced, never changed: other threads read it.
        self._blamed = {**self._blamed, epoch: places | self._blamed.get(epoch, frozenset())}

    def _recent(self) -> Mapping[str, int]:
        """Return outcomes of this epoch, or of two where these are few."""
        now, before = self._outcomes or ({}, {})
        if sum(now.get(f"n{place}", 0) for place in row_of(0)) >= _RECENT:
            return now
        return {name: now.get(name, 0) + before.get(name, 0) for name in now.keys() | before.keys()}

    def _renewed(self, config: BreakerConfig, now_ms: int, *, closed: bool) -> frozenset[str]:
        """Return what was blamed last, and is bad since; while all are shed, what is not known to be good."""
        now, before = self._outcomes or ({}, {})

        def is_bad(place: str) -> bool:
            count, bad = now.get(f"m{place}", 0), now.get(f"d{place}", 0)
            all_, all_bad = count + before.get(f"m{place}", 0), bad + before.get(f"d{place}", 0)
            enough = all_bad >= _LEAST_BAD and _lower(all_, all_bad) > config.trip_bad_share
            return 2 * bad >= count and (not closed or (enough and count > 0))

        return frozenset(filter(is_bad, self._blamed.get(now_ms // EPOCH_MS - 1, ())))


def _holds(known: int, epoch: int) -> bool:
    """Tell whether a blame of one epoch holds in another: the next one too, and by clocks that are ahead.

    A blame from later on was noted before a clock was set back: it would hold for as long as that was.
    """
    return epoch - 1 <= known <= epoch + 1


def _offending(counts: Mapping[str, int], config: BreakerConfig) -> _Found:
    """Return the few slots that tell themselves apart from all others; none if there are no such slots.

    A caller that is not alone in the slot of one row, so not apart there, is looked for in the worst slots
    of that row: they hold at least as many bad outcomes.
    """
    rows = [
        [(counts.get(f"b{place}", 0), counts.get(f"n{place}", 0), place) for place in row_of(row)]
        for row in range(ROWS)
    ]
    apart = [_apart(slots, config) for slots in rows]
    shown = max(apart, key=lambda found: (bool(found.places), -found.rest))
    if not shown.places:
        return _NONE
    least = _SAME_PART * min(counts.get(f"b{place}", 0) for place in shown.places)
    places: set[str] = set()
    for slots, found in zip(rows, apart, strict=True):
        worst = sorted(
            ((_lower(all_, bad), place) for bad, all_, place in slots if bad >= least), reverse=True
        )
        places |= found.places or {place for _, place in worst[: len(shown.places)]}
    return _Found(frozenset(places), shown.rest)


def _apart(slots: Sequence[tuple[int, int, str]], config: BreakerConfig) -> _Found:
    """Return as many of the worst slots of a row as are apart from the rest; a slot is (bad, all, place)."""
    count, bad = sum(slot[1] for slot in slots), sum(slot[0] for slot in slots)
    least = max(_LEAST_BAD, _LEAST_PART * bad)
    worst = sorted(((_lower(all_, of_it), of_it, all_, place) for of_it, all_, place in slots), reverse=True)
    taken: list[str] = []
    found = _NONE
    for lower, slot_bad, slot_count, place in [slot for slot in worst if slot[1] >= least][:_MOST]:
        if lower <= config.trip_bad_share:
            break
        count, bad = count - slot_count, bad - slot_bad
        taken.append(place)
        rest = min(1.0, bad / count) if count >= _LEAST_REST else 1.0
        if rest <= config.step_bad_share:
            return _Found(frozenset(taken), rest)
        if slot_bad >= _MANY_BAD and lower >= _CONTRAST * rest:
            found = _Found(frozenset(taken), rest)
    return found


def _lower(count: int, bad: int) -> float:
    return wilson_lower(min(1.0, bad / count), count, _WILSON_Z) if count > 0 else 0.0


def _counts(item: Mapping[str, str]) -> Mapping[str, int]:
    """Read what reporters wrote; what cannot be read counts nothing."""
    counts = {name: count_of(text) for name, text in item.items()}
    return {name: count for name, count in counts.items() if count is not None}
