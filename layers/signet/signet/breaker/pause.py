"""Leaving a store alone after it failed: for those who ask it on the side and go on without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_FIRST_PAUSE_MS: Final = 1_000
_LONGEST_PAUSE_MS: Final = 30_000


@dataclass(slots=True)
class Pause:
    """How long a store is left alone after it failed: twice as long each time, until it answers again."""

    _until_ms: int = 0
    _length_ms: int = 0

    def is_over(self, now_ms: int) -> bool:
        """Tell whether the store may be tried."""
        return now_ms >= self._until_ms

    def failed(self, now_ms: int) -> None:
        """Leave it alone for longer than the last time."""
        self._length_ms = min(_LONGEST_PAUSE_MS, max(_FIRST_PAUSE_MS, 2 * self._length_ms))
        self._until_ms = now_ms + self._length_ms

    def answered(self) -> None:
        """Forget that it ever failed."""
        self._until_ms = self._length_ms = 0
