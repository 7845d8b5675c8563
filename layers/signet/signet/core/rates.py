"""How fast one caller may call: what a policy says, and what the breaker's side holds callers to."""

from __future__ import annotations

from typing import NamedTuple


class RateLimit(NamedTuple):
    """A token bucket for each verified key.

    Attributes:
        requests: tokens that come in ``per_s``.
        per_s: that time, seconds.
        burst: most tokens that a caller can have.
        group: routes of one group, behind one backend, share a caller's tokens.
    """

    requests: int
    per_s: int
    burst: int
    group: str

    @property
    def token_s(self) -> float:
        """Seconds in which one token comes."""
        return self.per_s / self.requests
