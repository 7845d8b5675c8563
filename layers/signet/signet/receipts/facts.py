"""What an authorizer knows of a request when it has decided; a version's encoder writes it down. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from signet.core.decision import Reason
from signet.core.records import record
from signet.core.vocabulary import (
    Admission,
    BindingType,
    BreakerLevel,
    BreakerState,
    PayloadKind,
    PolicyAction,
    ProofMode,
)


@dataclass(slots=True)
class RequestFacts:
    """The request as it arrived; None where the event did not say. Filled in as it becomes known.

    Attributes:
        method: HTTP method.
        authority: host the client addressed.
        path: path the signature base uses.
        query_sha256: SHA-256 of the canonical query with its ``?``, 32 bytes.
        content_digest: the signed field's value, or None.
        request_id: API Gateway's id of the request.
        stage: API Gateway's stage.
        source_ip_hash: salted SHA-256 of the client's address, 32 bytes.
    """

    method: str | None = None
    authority: str | None = None
    path: str | None = None
    query_sha256: bytes | None = None
    content_digest: str | None = None
    request_id: str | None = None
    stage: str | None = None
    source_ip_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class BindingFacts:
    """The channel binding that was presented; the digest of its value, 32 bytes, or None."""

    type: BindingType = BindingType.NONE
    value_sha256: bytes | None = None


@dataclass(slots=True)
class ProofFacts:
    """The proof as far as it was presented and parsed; None for the rest. Filled in as it becomes known.

    Attributes:
        keyid: as claimed by the caller.
        alg: as claimed by the caller.
        mode: inline or detached; None without a proof.
        nonce_sha256: SHA-256 of the nonce, 32 bytes.
        created: the signature's ``created`` parameter, Unix seconds.
        header_bytes: bytes of the header values, as counted for the budget.
        evidence_sha256: SHA-256 of the evidence, 32 bytes.
        binding: the channel binding presented.
        expires: the signature's ``expires`` parameter, Unix seconds. From version 2 on.
    """

    keyid: str | None = None
    alg: str | None = None
    mode: ProofMode | None = None
    nonce_sha256: bytes | None = None
    created: int | None = None
    header_bytes: int | None = None
    evidence_sha256: bytes | None = None
    binding: BindingFacts = BindingFacts()
    expires: int | None = None


@dataclass(slots=True)
class PolicyFacts:
    """The bundle in force and its answer; None where policy was not reached.

    Attributes:
        bundle_sha256: SHA-256 of the bundle, 32 bytes.
        action: what it answered.
        version: number of the pushed version, 0 for the deployed one. From version 2 on.
        input: version of the input's schema. From version 2 on.
    """

    bundle_sha256: bytes | None = None
    action: PolicyAction | None = None
    version: int | None = None
    input: int | None = None


@dataclass(slots=True)
class BreakerFacts:
    """The breaker at the time of the decision; None where its state could not be read.

    Attributes:
        state: closed, open, half open.
        level: rung of the ladder in force.
        latency_ewma_us: the backend's latency, microseconds.
        error_ewma_ppm: the backend's share of errors, parts per million.
        rho_ppm: utilisation, parts per million.
        kingman_wq_us: expected wait by Kingman's formula, microseconds.
        header_budget: bytes of header values allowed.
        name: of the backend's breaker. From version 2 on.
        admission: why the breaker let the request through. From version 2 on.
        limit: requests in flight that are let through; None where nothing limits them. From version 2 on.
    """

    state: BreakerState | None = None
    level: BreakerLevel | None = None
    latency_ewma_us: int | None = None
    error_ewma_ppm: int | None = None
    rho_ppm: int | None = None
    kingman_wq_us: int | None = None
    header_budget: int | None = None
    name: str | None = None
    admission: Admission | None = None
    limit: int | None = None


@record
class ApiFacts:
    """The API that was called; None where that is not known. Its stage is ``RequestFacts.stage``.

    Attributes:
        name: of its registration.
        id: API Gateway's id of it.
        kind: which events it sends.
        registration: id of the ``api.added`` receipt in force.
    """

    name: str | None = None
    id: str | None = None
    kind: PayloadKind | None = None
    registration: str | None = None


@record
class ClientFacts:
    """The key that was found.

    Attributes:
        registration: id of the ``client.registered`` receipt in force; None for a key from before there were
            any.
    """

    registration: str | None = None


@record
class TranscriptFacts:
    """What the transcript of a decision is known by.

    Attributes:
        sha256: SHA-256 of the transcript, 32 bytes.
        query_sha256: SHA-256 of its salt and the canonical query with its ``?``, 32 bytes.
        encoded: the transcript's canonical bytes; what only writes receipts does without.
    """

    sha256: bytes
    query_sha256: bytes
    encoded: bytes | None = None


@record
class Emitter:
    """Who decided.

    Attributes:
        id: 32 hex digits, drawn at an environment's first invocation.
        n: running number of the decision in that environment.
        folded: refusals that were counted in summaries so far. From version 2 on.
    """

    id: str
    n: int
    folded: int = 0


@record
class DecisionFacts:
    """One decision, and everything that is on record of it.

    Attributes:
        id: UUID of version 7 (``uuid7``).
        decided_at_ms: Unix milliseconds by the authorizer's clock.
        reason: why; the decision follows from it.
        emitter: who decided.
        authorizer_us: microseconds the decision took, without the network.

    From version 2 on, all of it None until a feature fills it:
        api: the API that was called.
        route: the declared route, method and resource: ``GET /orders/{id}``.
        covered: the components that the signature covers, as serialised in ``Signature-Input``.
        client: the key that was found.
        transcript: what the caller signed, and what the policy was asked.
    """

    id: str
    decided_at_ms: int
    reason: Reason
    emitter: Emitter
    authorizer_us: int
    request: RequestFacts = field(default_factory=RequestFacts)
    proof: ProofFacts = field(default_factory=ProofFacts)
    policy: PolicyFacts = field(default_factory=PolicyFacts)
    breaker: BreakerFacts = field(default_factory=BreakerFacts)
    api: ApiFacts = ApiFacts()
    route: str | None = None
    covered: tuple[str, ...] | None = None
    client: ClientFacts | None = None
    transcript: TranscriptFacts | None = None
