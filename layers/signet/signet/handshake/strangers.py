"""Refusals of unverified senders beyond the first each second: counted, not put on record one by one.

What a stranger sends costs him nothing, and a receipt of it stays for ever. So of the refusals before a
verified signature, and of copies of a proof that was spent or shed already, an environment records the first
few each second as receipts of their own. It folds the others into one open summary, which it sends some
seconds later with its next decision. Each receipt says how many refusals its environment has folded so far,
so a summary that is lost shows (docs/formats.md, ``refusals.summary``). What an environment folded after its
last receipt is lost if it ends then: some seconds' worth.

Allows, and refusals after a verified signature, are never folded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from signet.breaker.presented import CountedProofs, Presented
from signet.core.decision import Reason
from signet.core.errors import STOPS
from signet.core.instants import UUID7_RANDOM_BYTES, uuid7
from signet.core.ports import ReceiptQueue
from signet.handshake.decision import RequestDecision
from signet.handshake.emitter import EmitterCounter
from signet.receipts.facts import Emitter
from signet.receipts.summary import summary

#: A summary is sent with the first decision after it was open for so long; in seconds.
OPEN_S: Final = 10.0
# One that could not be sent waits before the next try; in seconds.
_AGAIN_S: Final = 1.0
_SECOND: Final = 1.0
# For how long copies of a shed proof are known: longer than any nonce is good.
_SHED_MS: Final = 600_000
_MOST_SHED: Final = 4_096

#: Reasons that need no verified signature; what a signature was verified for has a transcript besides.
FOLDED: Final = frozenset(
    {
        Reason.CHALLENGE_REQUIRED,
        Reason.MALFORMED,
        Reason.UNKNOWN_API,
        Reason.COMPONENT_MISSING,
        Reason.CREATED_OUT_OF_WINDOW,
        Reason.NONCE_INVALID,
        Reason.NONCE_EXPIRED,
        Reason.NONCE_REPLAYED,
        Reason.UNKNOWN_KEY,
        Reason.KEY_REVOKED,
        Reason.KEY_NOT_YET_VALID,
        Reason.KEY_EXPIRED,
        Reason.KEY_NOT_ALLOWED,
        Reason.ALG_NOT_ALLOWED,
        Reason.ALG_MISMATCH,
        Reason.BAD_SIGNATURE,
        Reason.BINDING_MISSING,
        Reason.BINDING_MISMATCH,
        Reason.BINDING_TOO_WEAK,
        Reason.EDGE_ATTESTATION_INVALID,
        Reason.DIGEST_MISSING,
        Reason.EVIDENCE_MISSING,
        Reason.EVIDENCE_MISMATCH,
        Reason.HEADER_BUDGET_EXCEEDED,
        Reason.NO_RULE,
    }
)
#: What a stranger's request ends in while a store is away, or by a fault of ours, as long as no signature was
#: verified: an outage must not open the log to a flood.
_MALFUNCTIONS: Final = frozenset({Reason.STORE_UNAVAILABLE, Reason.INTERNAL_ERROR})
_SHED: Final = frozenset(
    {Reason.RATE_LIMITED, Reason.CALLER_SHED, Reason.BREAKER_OPEN, Reason.HALF_OPEN_FULL}
)


@dataclass(slots=True)
class _Open:
    """A summary that counts."""

    id: str
    emitter: Emitter
    since_s: float
    first_ms: int
    last_ms: int
    counts: Counter[str] = field(default_factory=Counter)

    def message(self) -> bytes:
        return summary(self.id, self.emitter, self.counts, self.first_ms, self.last_ms)


@dataclass(slots=True)
class Strangers:
    """What one environment records of refused strangers. Not shared between threads.

    Attributes:
        own_per_s: refusals that are receipts of their own, each second.
        emitter: numbers receipts.
        random: source of unpredictable bytes.
    """

    own_per_s: int
    emitter: EmitterCounter
    random: Callable[[int], bytes]
    _second_s: float = field(default=-_SECOND, init=False)
    _own: int = field(default=0, init=False)
    _open: _Open | None = field(default=None, init=False)
    _closed: bytes | None = field(default=None, init=False)
    _tried_s: float = field(default=-_AGAIN_S, init=False)
    _shed: CountedProofs = field(default_factory=lambda: CountedProofs(_MOST_SHED), init=False)

    def fold(self, decision: RequestDecision, drawn: Emitter, *, now_ms: int, at_s: float) -> str | None:
        """Count a refusal in the open summary if it gets no receipt of its own.

        Args:
            decision: as it was taken.
            drawn: the number that was drawn for it; it becomes the summary's, or is given back.
            now_ms: Unix milliseconds.
            at_s: the present moment, in seconds that have passed by two clocks.

        Returns:
            Id of the summary; None for a decision that has to be recorded.
        """
        if not self._may_fold(decision, at_s):
            return None
        if self._open is None:
            receipt_id = uuid7(now_ms, self.random(UUID7_RANDOM_BYTES))
            self._open = _Open(receipt_id, drawn, at_s, now_ms, now_ms)
        else:
            self.emitter.give_back(drawn)
        self._open.counts[decision.reason.value] += 1
        self._open.first_ms = min(self._open.first_ms, now_ms)
        self._open.last_ms = max(self._open.last_ms, now_ms)
        self.emitter.folded += 1
        return self._open.id

    def send_due(self, queue: ReceiptQueue, *, at_s: float) -> None:
        """Send the summary that was open long enough; if that fails, later again, as it was.

        A queue that takes a message and loses the answer gets it twice; the sink knows its id.
        """
        if at_s - self._tried_s < _AGAIN_S:
            return
        try:
            if self._closed is None and self._open is not None and at_s - self._open.since_s >= OPEN_S:
                self._closed, self._open = self._open.message(), None
            if self._closed is not None:
                queue.send(self._closed)
                self._closed = None
        except STOPS:
            raise
        except Exception:  # noqa: BLE001 - a summary must not cost a decision
            self._tried_s = at_s

    def _may_fold(self, decision: RequestDecision, at_s: float) -> bool:
        context = decision.context
        if context.transcript is not None:
            return False
        if decision.reason in _SHED:
            # A caller who waits and presents the proof again is no flood: copies share that second's few.
            shed = Presented(context.nonce_sha256, _SHED_MS)
            if not context.nonce_sha256 or self._shed.is_new(shed, at_s=at_s):
                return False
        elif decision.reason in _MALFUNCTIONS:
            if context.policy.action is not None:  # the policy is asked only after a verified signature
                return False
        elif decision.reason not in FOLDED:
            return False
        if at_s - self._second_s >= _SECOND:
            self._second_s, self._own = at_s, 0
        self._own += 1
        return self._own > self.own_per_s
