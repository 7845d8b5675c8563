"""Enforcement: one decision, one receipt, durable before the answer leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from signet.core.clocks import Elapsed
from signet.core.decision import Decision, Reason
from signet.core.errors import STOPS, Denied, MisconfiguredError, UnavailableError
from signet.core.instants import UUID7_RANDOM_BYTES, uuid7
from signet.core.ports import ApiRegistry, ReceiptQueue
from signet.core.records import record
from signet.gateway.model import Event, InboundRequest
from signet.gateway.registered import api_of, decode, decode_unknown, unknown_api
from signet.handshake.decision import RequestDecision
from signet.handshake.emitter import EmitterCounter
from signet.handshake.grants import Grants
from signet.handshake.punctual import in_time
from signet.handshake.recording import api_facts, serialized
from signet.handshake.strangers import Strangers
from signet.handshake.verifier import RequestVerifier
from signet.receipts.model import DecisionRecord, Emitter
from signet.receipts.v2 import V2, VERIFIED

# A decision that took longer leaves a summary to a later one; in seconds.
_QUICK_S: Final = 0.5


@record
class RecordedDecision:
    """What was decided and recorded.

    Attributes:
        decision: the decision; its reason is ``receipt_queue_unavailable`` if it could not be recorded.
        receipt_id: id of the receipt, or of the summary that counts the refusal.
        authorizer_us: CPU time the decision took, microseconds.
        durable: whether the receipt is in the queue for good.
        folded: whether the refusal is counted in a summary and has no receipt of its own.
    """

    decision: RequestDecision
    receipt_id: str
    authorizer_us: int
    durable: bool
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Judges a request and puts the decision on record.

    Attributes:
        verifier: decides.
        queue: takes receipts.
        emitter: numbers them.
        random: source of unpredictable bytes.
        cpu_ns: CPU time of this thread in nanoseconds, such as ``time.thread_time_ns``: waiting for the
            network does not count.
        apis: registered APIs; each says as which payload its events are read.
        grants: makes what backends are told beside it; None where no backend is told anything.
        passed: seconds that have passed, by two clocks.
        strangers: bounds what refused strangers leave on record; None records each refusal by itself.
    """

    verifier: RequestVerifier
    queue: ReceiptQueue
    emitter: EmitterCounter
    random: Callable[[int], bytes]
    cpu_ns: Callable[[], int]
    apis: ApiRegistry
    grants: Grants | None = None
    passed: Callable[[], float] = field(default_factory=Elapsed)
    strangers: Strangers | None = None

    def authorize(self, event: Event, *, now_ms: int) -> RecordedDecision:
        """Decode, decide and record, or count. This is as far as an event goes.

        If the queue cannot take the receipt, the decision becomes ``receipt_queue_unavailable``: an allow
        that cannot be proven is not an allow. (The queue may have taken the receipt all the same. It then
        says what was decided, and the caller, who is answered 503, signs anew.)
        """
        started, began = self.cpu_ns(), self.passed()
        emitter = self.emitter.draw()
        decision = self.verifier.judge(_answerable(self._decode(event)), now_ms=now_ms)
        decision = in_time(decision, lambda: self.passed() - began, now_ms)
        strangers = self.strangers
        if strangers is None:
            return self._recorded(decision, emitter, now_ms, started)
        if (counted_in := strangers.fold(decision, emitter, now_ms=now_ms, at_s=began)) is not None:
            spent_us = (self.cpu_ns() - started) // 1000
            recorded = RecordedDecision(decision, counted_in, spent_us, durable=False, folded=True)
        else:
            recorded = self._recorded(decision, emitter, now_ms, started)
        # A second call to a queue that is slow could make an answer late that is on record already.
        if (now_s := self.passed()) - began < _QUICK_S:
            strangers.send_due(self.queue, at_s=now_s)
        return recorded

    def _recorded(
        self, decision: RequestDecision, emitter: Emitter, now_ms: int, started: int
    ) -> RecordedDecision:
        """Send the receipt; where that fails, refuse."""
        record = self._record(decision, emitter, now_ms, (self.cpu_ns() - started) // 1000)
        try:
            message = record.encode(V2.version)
        except STOPS:
            raise
        except BaseException as error:  # noqa: BLE001 - a fact that no receipt can hold must not cost the receipt
            decision = _unsaid(decision, error)
            # Digests alone: they can always be written, and of a nonce that was spent they have to be.
            transcript = decision.context.transcript
            record = DecisionRecord(
                record.id, now_ms, decision.reason, emitter, record.authorizer_us, transcript=transcript
            )
            message = record.encode(V2.version)
        # Only evidence of allowed requests is kept: refused callers cannot fill a store that never forgets.
        allowed = decision.reason.decision is Decision.ALLOW
        durable = True
        try:
            evidence, kept = decision.context.evidence if allowed else None, record.transcript
            self.queue.send(message, evidence=evidence, transcript=kept.encoded if kept else None)
        except Exception as error:  # noqa: BLE001 - after any failure the decision cannot be proven
            durable = False
            # What a person has to mend does not move the breaker: see RequestVerifier._refused.
            passing = isinstance(error, UnavailableError) and not isinstance(error, MisconfiguredError)
            if allowed and passing:
                decision.context.backend.failed(decision.context.admission, now_ms)
            decision = replace(
                decision,
                reason=Reason.RECEIPT_QUEUE_UNAVAILABLE,
                message=str(error)
                if isinstance(error, UnavailableError)
                else "the receipt could not be sent",
                error=error,
            )
        return RecordedDecision(decision, record.id, record.authorizer_us, durable)

    def _record(
        self, decision: RequestDecision, emitter: Emitter, now_ms: int, authorizer_us: int
    ) -> DecisionRecord:
        """Return the record of a decision."""
        context = decision.context
        return DecisionRecord(
            id=uuid7(now_ms, self.random(UUID7_RANDOM_BYTES)),
            decided_at_ms=now_ms,
            reason=decision.reason,
            emitter=emitter,
            authorizer_us=authorizer_us,
            request=context.request,
            proof=context.proof,
            policy=context.policy,
            breaker=context.breaker,
            api=api_facts(context.inbound),
            route=context.route,
            covered=serialized(context.covered),
            client=context.client,
            transcript=context.transcript,
        )

    def _decode(self, event: Event) -> InboundRequest:
        """Read an event as the registration of its API says; never raises."""
        try:
            api = self.apis.find(*api_of(event))
        except STOPS:
            raise
        except BaseException as failure:  # noqa: BLE001 - any failure has to end in a recorded refusal
            return decode_unknown(event, failure)
        return decode_unknown(event, unknown_api()) if api is None else decode(event, api)


def _answerable(inbound: InboundRequest) -> InboundRequest:
    """Refuse what an answer cannot name, before its nonce is spent: only a call past the gateway lacks it."""
    if inbound.arn or inbound.refusal is not None:
        return inbound
    return replace(inbound, refusal=Denied(Reason.MALFORMED, "the gateway's event does not name a method"))


def _unsaid(decision: RequestDecision, error: BaseException) -> RequestDecision:
    """Refuse what cannot be put on record; a refusal keeps its reason, its receipt says no more than that.

    But for the reasons that come after a whole proof: without one, no receipt may say them.
    """
    if decision.reason not in VERIFIED:
        return replace(decision, error=decision.error or error)
    return replace(decision, reason=Reason.INTERNAL_ERROR, message="the authorizer failed", error=error)
