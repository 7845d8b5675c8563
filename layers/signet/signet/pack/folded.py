"""The refusals of a day that were counted in summaries, and those that only their emitters speak of.

Each decision says how many refusals its environment had folded so far, and each summary how many it counts.
What a day's decisions say beyond its summaries is on record elsewhere, or lost.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from signet.receipts.reading import Receipt
from signet.receipts.shape import SUMMARY_TYPE


@dataclass(slots=True)
class _Emitter:
    """What one emitter says: smallest and largest number of its decisions, with ``folded`` of each."""

    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    summarised: int = 0


@dataclass(slots=True)
class Folded:
    """Takes receipts in any order.

    Attributes:
        counts: refusals in summaries, by reason.
        summaries: how many there are.
    """

    counts: Counter[str] = field(default_factory=Counter)
    summaries: int = 0
    _emitters: dict[str, _Emitter] = field(default_factory=dict)

    def add(self, receipt: Receipt) -> None:
        """Take a receipt; other types than decisions and summaries say nothing here."""
        if receipt.emitter is None:
            return
        emitter, number = receipt.emitter
        if receipt.type == SUMMARY_TYPE:
            counts = receipt.members["counts"]
            self.counts.update(counts)
            self.summaries += 1
            self._of(emitter).summarised += sum(counts.values())
        elif (folded := receipt.folded) is not None:
            known, said = self._of(emitter), (number, folded)
            known.first = said if known.first is None else min(known.first, said)
            known.last = said if known.last is None else max(known.last, said)

    @property
    def not_shown(self) -> int:
        """How many refusals were at least counted in summaries that are not among the receipts."""
        return sum(max(0, _grown(one) - one.summarised) for one in self._emitters.values())

    @property
    def falling(self) -> int:
        """How many emitters say fewer with their last number than with their first."""
        return sum(_grown(one) < 0 for one in self._emitters.values())

    def _of(self, emitter: str) -> _Emitter:
        return self._emitters.setdefault(emitter, _Emitter())


def _grown(one: _Emitter) -> int:
    return 0 if one.first is None or one.last is None else one.last[1] - one.first[1]
