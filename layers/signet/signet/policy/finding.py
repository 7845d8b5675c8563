"""What a check says of a mistake."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake.

    Attributes:
        message: one sentence.
        file: where it is, if known.
        line: 1-based, if known.
    """

    message: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Return ``file:line: message``."""
        where = [str(part) for part in (self.file, self.line) if part is not None]
        return f"{':'.join(where)}: {self.message}" if where else self.message
