"""The receipt of a decision, and everything else about receipts under one name.

The authorizer fills a ``DecisionRecord`` and sends ``encode()``; the sink and verifiers call
``read_receipt``. Everything here is pure: times, identifiers and randomness are arguments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from signet.core.canonical import canonical_text
from signet.core.decision import Reason
from signet.core.instants import utc_millis
from signet.core.records import record
from signet.core.vocabulary import BindingType, BreakerLevel, BreakerState, PolicyAction, ProofMode
from signet.receipts.combinations import Facts, check_combination
from signet.receipts.reading import ChainLink, Receipt, check_message, read_receipt
from signet.receipts.shape import DECISION_TYPE, MAX_MESSAGE_BYTES, MAX_RECEIPT_BYTES, check_receipt

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_RECEIPT_BYTES",
    "BindingFacts",
    "BreakerFacts",
    "ChainLink",
    "DecisionRecord",
    "Emitter",
    "PolicyFacts",
    "ProofFacts",
    "Receipt",
    "RequestFacts",
    "check_receipt",
    "read_receipt",
]

_SHA256_BYTES: Final = 32
_NULL: Final = "null"
# Half surrogate pairs have no UTF-8, and SQS refuses the two noncharacters: either would let a caller
# choose a request that cannot be recorded. JSON escapes none of them: they are replaced in the whole receipt.
_UNRECORDABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")


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
    """

    keyid: str | None = None
    alg: str | None = None
    mode: ProofMode | None = None
    nonce_sha256: bytes | None = None
    created: int | None = None
    header_bytes: int | None = None
    evidence_sha256: bytes | None = None
    binding: BindingFacts = BindingFacts()


@dataclass(slots=True)
class PolicyFacts:
    """The bundle in force (SHA-256, 32 bytes) and its answer; None where policy was not reached."""

    bundle_sha256: bytes | None = None
    action: PolicyAction | None = None


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
    """

    state: BreakerState | None = None
    level: BreakerLevel | None = None
    latency_ewma_us: int | None = None
    error_ewma_ppm: int | None = None
    rho_ppm: int | None = None
    kingman_wq_us: int | None = None
    header_budget: int | None = None


@record
class Emitter:
    """Who decided: 32 hex digits drawn at an environment's first invocation, and its running number."""

    id: str
    n: int


@record
class DecisionRecord:
    """One decision, ready to be recorded.

    Attributes:
        id: UUID of version 7 (``uuid7``).
        decided_at_ms: Unix milliseconds by the authorizer's clock.
        reason: why; the decision follows from it.
        emitter: who decided.
        authorizer_us: microseconds the decision took, without the network.
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

    def encode(self) -> bytes:
        """Return the canonical bytes for the queue; all members present, null where unknown, no ``chain``.

        They are written as they stand, members sorted, and then held against the format as the sink will
        hold them: an object that is built to be encoded would take three times as long.

        Raises:
            CanonicalError: a member cannot stand in a receipt, or not beside others; the receipt is too long.
            ValueError: a digest has not 32 bytes.
        """
        policy = self.policy
        check_combination(_facts(self))
        encoded = (
            f'{{"authorizer_us":{self.authorizer_us},"breaker":{_breaker(self.breaker)},'
            f'"decided_at":"{utc_millis(self.decided_at_ms)}","decision":"{self.reason.decision}",'
            f'"emitter":{{"id":{_text(self.emitter.id)},"n":{self.emitter.n}}},"id":{_text(self.id)},'
            f'"policy":{{"action":{_word(policy.action)},"bundle_sha256":{_hex(policy.bundle_sha256)}}},'
            f'"proof":{_proof(self.proof)},"reason":"{self.reason}","request":{_request(self.request)},'
            f'"type":"{DECISION_TYPE}","v":1}}'
        )
        message = (encoded if encoded.isascii() else _UNRECORDABLE.sub("\ufffd", encoded)).encode()
        check_message(message)
        return message


def _facts(made: DecisionRecord) -> Facts:
    request, proof, policy, breaker = made.request, made.proof, made.policy, made.breaker
    parts = (proof.keyid, proof.alg, proof.mode, proof.nonce_sha256, proof.header_bytes, policy.bundle_sha256)
    asked = (request.method, request.authority, request.path, request.query_sha256)
    return Facts(
        made.reason,
        policy.action,
        breaker.level,
        breaker.state,
        proof.alg,
        proof.binding.type,
        proof.binding.value_sha256 is not None,
        None not in parts and None not in asked and proof.created is not None and proof.created >= 0,
    )


def _request(request: RequestFacts) -> str:
    return (
        f'{{"authority":{_text(request.authority)},"content_digest":{_text(request.content_digest)},'
        f'"method":{_text(request.method)},"path":{_text(request.path)},'
        f'"query_sha256":{_hex(request.query_sha256)},"request_id":{_text(request.request_id)},'
        f'"source_ip_hash":{_hex(request.source_ip_hash)},"stage":{_text(request.stage)}}}'
    )


def _proof(proof: ProofFacts) -> str:
    binding = proof.binding
    return (
        f'{{"alg":{_text(proof.alg)},'
        f'"binding":{{"type":"{binding.type}","value_sha256":{_hex(binding.value_sha256)}}},'
        f'"created":{_number(proof.created)},"evidence_sha256":{_hex(proof.evidence_sha256)},'
        f'"header_bytes":{_number(proof.header_bytes)},"keyid":{_text(proof.keyid)},'
        f'"mode":{_word(proof.mode)},"nonce_sha256":{_hex(proof.nonce_sha256)}}}'
    )


def _breaker(breaker: BreakerFacts) -> str:
    return (
        f'{{"error_ewma_ppm":{_number(breaker.error_ewma_ppm)},'
        f'"header_budget":{_number(breaker.header_budget)},"kingman_wq_us":{_number(breaker.kingman_wq_us)},'
        f'"latency_ewma_us":{_number(breaker.latency_ewma_us)},"level":{_word(breaker.level)},'
        f'"rho_ppm":{_number(breaker.rho_ppm)},"state":{_word(breaker.state)}}}'
    )


def _hex(digest: bytes | None) -> str:
    if digest is None:
        return _NULL
    if len(digest) != _SHA256_BYTES:
        raise ValueError("a digest in a receipt has 32 bytes")
    return f'"{digest.hex()}"'


def _word(member: StrEnum | None) -> str:
    return _NULL if member is None else f'"{member}"'


def _number(value: int | None) -> int | str:
    return _NULL if value is None else value


def _text(text: str | None) -> str:
    return _NULL if text is None else canonical_text(text)
