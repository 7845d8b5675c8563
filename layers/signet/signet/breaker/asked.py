"""What the verifier asks of a breaker, and one that knows nothing: the shared state is ``keeper``'s."""

from __future__ import annotations

from typing import Protocol

from signet.breaker.admission import Admission
from signet.breaker.callers import Caller
from signet.breaker.presented import Presented
from signet.core.rates import RateLimit
from signet.core.vocabulary import BreakerLevel


class Breaker(Protocol):
    """What the verifier asks of a breaker. No method raises."""

    def admit(self, now_ms: int) -> Admission:
        """Admit a request or shed it, by the last state read; the state is read anew if that is due."""
        ...

    def outcome_token(self, admission: Admission, *, objective_ms: int, caller: Caller | None = None) -> str:
        """Return what the outcome of an admitted request is to be reported under; empty for nothing."""
        ...

    def spared(self, caller: int, now_ms: int) -> tuple[Caller, int | None]:
        """Return a verified caller, and Retry-After in seconds if that caller is shed before others are.

        Args:
            caller: its number (``signet.breaker.callers``).
            now_ms: Unix milliseconds.
        """
        ...

    def counted(self, admission: Admission, now_ms: int) -> Admission:
        """Return the admission of a verified request; shed if the first step of a ramp has enough probes."""
        ...

    def returned(self, admission: Admission) -> None:
        """Take note that a request that was ``counted`` does not go through: it presented a used nonce."""
        ...

    def arrived(self, admission: Admission, now_ms: int) -> None:
        """Count a verified request that is admitted as load; a probe also as one whose outcome is to come."""
        ...

    def turned_away(self, proof: Presented, now_ms: int) -> None:
        """Count a verified request that is shed as load. It keeps its nonce; copies of it do not count."""
        ...

    def failed(self, admission: Admission, now_ms: int, proof: Presented | None = None) -> None:
        """Count a failure of our own stores behind the verification of an admitted request.

        ``proof`` is given where copies of it could bring about the same failure: they do not count.
        """
        ...

    def limited(self, limit: RateLimit, caller: bytes) -> int | None:
        """Return Retry-After, seconds, for a verified caller over the limit; None for one who is not."""
        ...

    def taken(self, limit: RateLimit, caller: bytes) -> None:
        """Count a request against its caller's limit, once its nonce is spent: no copy of a proof counts."""
        ...


class FixedBreaker:
    """A breaker that knows nothing and never moves: everything is admitted, on the rung that is set."""

    def __init__(self, level: BreakerLevel = BreakerLevel.FULL) -> None:
        """Take the rung."""
        self.level = level

    def admit(self, now_ms: int) -> Admission:  # noqa: ARG002 - the protocol's signature
        """Admit, on the rung that is set."""
        return Admission(self.level, self.level, generation=None, retry_after_s=None, view=None)

    def outcome_token(self, admission: Admission, *, objective_ms: int, caller: Caller | None = None) -> str:  # noqa: ARG002 - as above
        """Ask for no report."""
        return ""

    def spared(self, caller: int, now_ms: int) -> tuple[Caller, int | None]:  # noqa: ARG002 - as above
        """Shed no caller."""
        return Caller(caller, blamed=False), None

    def counted(self, admission: Admission, now_ms: int) -> Admission:  # noqa: ARG002 - as above
        """Count nothing."""
        return admission

    def returned(self, admission: Admission) -> None:
        """Count nothing."""

    def arrived(self, admission: Admission, now_ms: int) -> None:
        """Count nothing."""

    def turned_away(self, proof: Presented, now_ms: int) -> None:
        """Count nothing."""

    def failed(self, admission: Admission, now_ms: int, proof: Presented | None = None) -> None:
        """Count nothing."""

    def limited(self, limit: RateLimit, caller: bytes) -> int | None:  # noqa: ARG002 - as above
        """Limit nothing."""
        return None

    def taken(self, limit: RateLimit, caller: bytes) -> None:
        """Count nothing."""
