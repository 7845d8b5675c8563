"""Which versions of the receipt the days of a log may hold: a ``format.changed`` ends the earlier ones.

It binds from the first instant of the day after its leaf's day (docs/adr/0015-formats-grow-by-version.md).
A pack shows one day, so only an audit can hold later days to it.
"""

from __future__ import annotations

from collections.abc import Callable

from signet.core.verification import Failure
from signet.pack.day import DayReader


class BoundVersion:
    """Takes the days of a log in order, and finds receipts of versions that are over."""

    def __init__(self, fail: Callable[[Failure], None]) -> None:
        """Begin with every version allowed.

        Args:
            fail: takes each failure.
        """
        self._fail = fail
        self._least = 0
        self._leaf = 0

    def add_day(self, day: DayReader, first_leaf: int) -> None:
        """Take the next day, read to its end.

        Args:
            day: its receipts.
            first_leaf: index of the first of them.
        """
        for version, occurred in sorted(day.versions.items()):
            if version < self._least:
                self._fail(
                    Failure(
                        "format_retired",
                        f"leaf {first_leaf + occurred.first_line - 1}",
                        f"is of version {version} (of its day {occurred.count} are), which leaf {self._leaf} "
                        "ended on an earlier day",
                    )
                )
        for line, receipt in day.format_changes:
            if (to := receipt.members["to"]) > self._least:
                self._least, self._leaf = to, first_leaf + line - 1
