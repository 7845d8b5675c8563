"""What becomes known about a request on the way to its decision, and the decision itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from signet.breaker.admission import Admission
from signet.breaker.asked import Breaker, FixedBreaker
from signet.core.decision import Decision, Reason
from signet.core.errors import Denied, UnavailableError
from signet.core.records import record
from signet.gateway.model import InboundRequest
from signet.handshake.connection import Connection
from signet.policy.requirements import Requirements
from signet.receipts.facts import ClientFacts, TranscriptFacts
from signet.receipts.model import BreakerFacts, PolicyFacts, ProofFacts, RequestFacts

#: Of a backend that is not known yet, and what it answers.
NO_BREAKER: Final = FixedBreaker()
UNKNOWN: Final = NO_BREAKER.admit(0)
_REFUSALS: Final = frozenset(reason for reason in Reason if reason.decision is not Decision.ALLOW)


@dataclass(slots=True)
class DecisionContext:
    """What became known about a request on the way to its decision, for the receipt.

    ``backend`` is the breaker of what the route calls; until the route is known, one that knows nothing.
    ``route`` is the declared one, also where no rule is for it. ``covered`` are names of components; None
    without a parsed proof. ``transcript`` is what the receipt commits to once the nonce is spent.
    ``load`` says that it counts as load of the backend. ``outcome_token`` is what the backend is to report
    the outcome under, if the request is allowed.
    ``retry_after_s`` is for a caller who is turned away for what this caller did.
    ``verified`` says that signature and policy hold. ``next_nonce`` is what the caller may sign its next
    request with, if this one is allowed.
    """

    inbound: InboundRequest
    connection: Connection
    request: RequestFacts
    proof: ProofFacts
    policy: PolicyFacts
    breaker: BreakerFacts
    admission: Admission
    backend: Breaker = NO_BREAKER
    requirements: Requirements | None = None
    content_digest: str | None = None
    covered: tuple[str, ...] | None = None
    nonce_sha256: bytes = b""
    evidence: bytes | None = None
    outcome_token: str = ""
    load: bool = False
    verified: bool = False
    route: str | None = None
    client: ClientFacts | None = None
    transcript: TranscriptFacts | None = None
    next_nonce: str = ""
    retry_after_s: int | None = None


@record
class RequestDecision:
    """A decision and what it rests on.

    Attributes:
        reason: why; the decision follows from it.
        message: one sentence for people, without secrets.
        context: the facts for the receipt.
        challenge: what the caller may answer next, unless allowed; empty if none could be made.
        error: the exception behind a malfunction, for the log only.
    """

    reason: Reason
    message: str
    context: DecisionContext
    challenge: str = ""
    error: BaseException | None = None


def blank_context(inbound: InboundRequest) -> DecisionContext:
    """Return the context of a request of which nothing is on record yet."""
    return DecisionContext(
        inbound=inbound,
        connection=Connection(None, None, {}),
        request=RequestFacts(),
        proof=ProofFacts(),
        policy=PolicyFacts(),
        breaker=BreakerFacts(),
        admission=UNKNOWN,
    )


def reason_of(failure: BaseException) -> tuple[Reason, str, BaseException | None]:
    """Return what a failure on the way to a decision is refused for: reason, message, what goes to the log.

    A failure that is no refusal by its reason is a malfunction, also a ``Denied`` that would allow.
    """
    if isinstance(failure, Denied) and failure.reason in _REFUSALS:
        return failure.reason, str(failure), None
    if isinstance(failure, UnavailableError):
        return Reason.STORE_UNAVAILABLE, str(failure), failure
    return Reason.INTERNAL_ERROR, "the authorizer failed", failure
