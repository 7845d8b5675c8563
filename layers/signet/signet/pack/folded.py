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
class Said:
    """What one emitter says of refusals that it counted.

    Attributes:
        first: smallest number of its decisions, and ``folded`` of that one; None without decisions.
        last: the same of the largest number.
        summarised: refusals in its summaries.
    """

    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    summarised: int = 0

    def add(self, said: tuple[int, int]) -> None:
        """Take number and ``folded`` of a decision."""
        self.first = said if self.first is None else min(self.first, said)
        self.last = said if self.last is None else max(self.last, said)

    def merge(self, more: Said) -> None:
        """Take what it says on another day."""
        for said in (more.first, more.last):
            if said is not None:
                self.add(said)
        self.summarised += more.summarised

    def hidden(self, *, begun: bool = False) -> int:
        """How many were at least counted in summaries that are not here; ``begun``: it had counted none."""
        counted = self.last[1] if begun and self.last else self.grown
        return max(0, counted - self.summarised)

    @property
    def grown(self) -> int:
        """How many it says that it counted between its first and its last decision."""
        return 0 if self.first is None or self.last is None else self.last[1] - self.first[1]


@dataclass(slots=True)
class Folded:
    """Takes receipts in any order.

    Attributes:
        counts: refusals in summaries, by reason.
        summaries: how many there are.
        emitters: what each says, by id.
    """

    counts: Counter[str] = field(default_factory=Counter)
    summaries: int = 0
    emitters: dict[str, Said] = field(default_factory=dict)

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
            self._of(emitter).add((number, folded))

    @property
    def not_shown(self) -> int:
        """How many refusals were at least counted in summaries that are not among the receipts."""
        return sum(one.hidden() for one in self.emitters.values())

    @property
    def falling(self) -> int:
        """How many emitters say fewer with their last number than with their first."""
        return sum(one.grown < 0 for one in self.emitters.values())

    def _of(self, emitter: str) -> Said:
        return self.emitters.setdefault(emitter, Said())
