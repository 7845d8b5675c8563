"""What the check of a policy's text says before the policy is pushed.

A finding is a mistake of an author in a source file. What a verification refuses in signed bytes is a
``signet.core.verification.Failure``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in the text of a policy.

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
