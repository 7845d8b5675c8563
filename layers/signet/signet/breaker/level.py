"""The rung of the ladder that is in force."""

from __future__ import annotations

from dataclasses import dataclass

from signet.receipts.model import BreakerLevel


@dataclass(frozen=True, slots=True)
class FixedLevel:
    """Implements ``signet.ports.LevelSource``: one rung, set by the operator."""

    fixed: BreakerLevel = BreakerLevel.FULL

    def level(self) -> BreakerLevel:
        """Return the rung."""
        return self.fixed
