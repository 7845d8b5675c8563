"""Leaving a store alone after it failed: for those who ask it on the side and go on without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


@dataclass(slots=True)
class Pause:
    """How long a store is left alone after it failed: twice as long each time, until it answers again.

    All times are seconds that have passed by two clocks (``signet.core.clocks.Elapsed``).
    """

    _until_s: float = 0.0
    _length_s: float = 0.0

    def is_over(self, now_s: float) -> bool:
        """Tell whether the store may be tried."""
        return now_s >= self._until_s

    def failed(self, now_s: float) -> None:
        """Leave it alone for longer than the last time."""
        self._length_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * self._length_s))
        self._until_s = now_s + self._length_s

    def answered(self) -> None:
        """Forget that it ever failed."""
        self._until_s = self._length_s = 0.0
