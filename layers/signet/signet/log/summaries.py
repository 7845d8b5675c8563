"""What a tree head says of the receipts it covers: per chain how far, per emitter which numbers. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ChainSummary:
    """How far a receipt chain is in the tree.

    Attributes:
        id: number of the chain.
        first_seq: first sequence number that is not in an earlier final head.
        next_seq: one past the last in the tree.
        head: SHA-256 of the last receipt in the tree; zero bytes if there is none.
    """

    id: int
    first_seq: int
    next_seq: int
    head: bytes


@dataclass(frozen=True, slots=True)
class EmitterSummary:
    """What one emitter's decisions of the day look like in the tree.

    Attributes:
        count: its leaves.
        first: smallest number among them.
        last: largest.
        gaps: inclusive ranges between ``first`` and ``last`` that are not among them, ascending.
    """

    count: int
    first: int
    last: int
    gaps: tuple[tuple[int, int], ...] = ()

    def add(self, n: int) -> EmitterSummary:
        """Return the summary with one more leaf, numbered ``n``, in whatever order they come."""
        gaps = self.gaps
        if n > self.last + 1:
            gaps = (*gaps, (self.last + 1, n - 1))
        elif n + 1 < self.first:
            gaps = ((n + 1, self.first - 1), *gaps)
        elif self.first < n < self.last:
            gaps = _without(gaps, n)
        return EmitterSummary(self.count + 1, min(self.first, n), max(self.last, n), gaps)

    def to_object(self) -> dict[str, Any]:
        """Return the summary as ``sth.json`` has it."""
        gaps = [list(gap) for gap in self.gaps]
        return {"count": self.count, "first": self.first, "last": self.last, "gaps": gaps}

    def is_consistent(self) -> bool:
        """Tell whether gaps lie apart, ascending, strictly inside, and leave numbers for all leaves."""
        position = self.first
        missing = 0
        for start, end in self.gaps:
            if not position < start <= end:
                return False
            position = end + 1
            missing += position - start
        present = self.last - self.first + 1 - missing
        return self.first >= 0 and position <= self.last and 0 < present <= self.count

    @classmethod
    def of(cls, n: int) -> EmitterSummary:
        """Return the summary of a single leaf."""
        return cls(1, n, n)


def _without(gaps: tuple[tuple[int, int], ...], n: int) -> tuple[tuple[int, int], ...]:
    """Return the gaps with ``n`` taken out of the one it lies in, if any."""
    at = bisect_right(gaps, n, key=lambda gap: gap[0]) - 1
    if at < 0 or n > gaps[at][1]:
        return gaps
    start, end = gaps[at]
    left = [(a, b) for a, b in ((start, n - 1), (n + 1, end)) if a <= b]
    return (*gaps[:at], *left, *gaps[at + 1 :])
