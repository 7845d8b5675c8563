"""Writing a decision in version 2 of the receipt, a draft (``v2``): canonical bytes as they stand."""

from __future__ import annotations

import hashlib

from signet.core.instants import utc_millis
from signet.receipts.combinations import Facts
from signet.receipts.facts import ApiFacts, BreakerFacts, DecisionFacts, ProofFacts, RequestFacts
from signet.receipts.shape import DECISION_TYPE
from signet.receipts.v2 import DECISION_OF, MOST_PATH_BYTES, VERIFIED, More, check_facts, path_class, times_of
from signet.receipts.written import NULL, hex_of, number, recordable, text, word


def encode_decision(made: DecisionFacts) -> bytes:
    """Return a decision's canonical bytes, members sorted; what its texts hold is for ``V2`` to check.

    A path that is too long for a decision without a verified signature is cut here.

    Raises:
        CanonicalError: some members cannot stand beside others.
        ValueError: a digest has not 32 bytes.
    """
    client, transcript, emitter, policy = made.client, made.transcript, made.emitter, made.policy
    path, path_sha256 = _path(made)
    check_facts(_facts(made, path, path_sha256))
    registered = NULL if client is None else f'{{"registration":{text(client.registration)}}}'
    covered = NULL if made.covered is None else f"[{','.join(map(text, made.covered))}]"
    return recordable(
        f'{{"api":{_api(made.api, made.request)},"authorizer_us":{made.authorizer_us},'
        f'"breaker":{_breaker(made.breaker)},"client":{registered},"covered":{covered},'
        f'"decided_at":"{utc_millis(made.decided_at_ms)}","decision":"{DECISION_OF[made.reason]}",'
        f'"emitter":{{"folded":{emitter.folded},"id":{text(emitter.id)},"n":{emitter.n}}},'
        f'"id":{text(made.id)},"policy":{{"action":{word(policy.action)},'
        f'"bundle_sha256":{hex_of(policy.bundle_sha256)},"input":{number(policy.input)},'
        f'"version":{number(policy.version)}}},"proof":{_proof(made.proof)},"reason":"{made.reason}",'
        f'"request":{_request(made, path, path_sha256)},"route":{text(made.route)},'
        f'"transcript_sha256":{hex_of(None if transcript is None else transcript.sha256)},'
        f'"type":"{DECISION_TYPE}","v":2}}'
    ).encode()


def _api(api: ApiFacts, request: RequestFacts) -> str:
    return (
        f'{{"id":{text(api.id)},"kind":{word(api.kind)},"name":{text(api.name)},'
        f'"registration":{text(api.registration)},"stage":{text(request.stage)}}}'
    )


def _request(made: DecisionFacts, path: str | None, cut: bytes | None) -> str:
    request, transcript = made.request, made.transcript
    return (
        f'{{"authority":{text(request.authority)},"content_digest":{text(request.content_digest)},'
        f'"method":{text(request.method)},"path":{text(path)},"path_sha256":{hex_of(cut)},'
        f'"query_sha256":{hex_of(None if transcript is None else transcript.query_sha256)},'
        f'"request_id":{text(request.request_id)},"source_ip_hash":{hex_of(request.source_ip_hash)}}}'
    )


def _path(made: DecisionFacts) -> tuple[str | None, bytes | None]:
    """Return the path, and where it is cut its beginning and the SHA-256 of all of it."""
    path = made.request.path
    if path is None or made.transcript is not None or made.reason in VERIFIED:
        return path, None
    path = recordable(path)
    encoded = path.encode()
    if len(encoded) <= MOST_PATH_BYTES:
        return path, None
    return encoded[:MOST_PATH_BYTES].decode(errors="ignore"), hashlib.sha256(encoded).digest()


def _facts(made: DecisionFacts, path: str | None, path_sha256: bytes | None) -> Facts:
    request, proof, policy, breaker = made.request, made.proof, made.policy, made.breaker
    parts = (proof.keyid, proof.alg, proof.mode, proof.nonce_sha256, proof.header_bytes, proof.expires)
    asked = (request.method, request.authority, path, policy.bundle_sha256)
    found = (made.covered, made.api.name, made.route, made.client)
    transcript = made.transcript
    more = More(
        made.api.name is not None,
        transcript is not None,
        transcript is not None,
        path_sha256 is not None,
        0 if path is None else path_class(len(recordable(path).encode())),
        breaker.admission,
        *times_of(proof.created, proof.expires, made.decided_at_ms),
    )
    return Facts(
        made.reason,
        policy.action,
        breaker.level,
        breaker.state,
        proof.alg,
        proof.binding.type,
        proof.binding.value_sha256 is not None,
        None not in (*parts, *asked, *found) and proof.created is not None and proof.created >= 0,
        more,
    )


def _proof(proof: ProofFacts) -> str:
    binding = proof.binding
    return (
        f'{{"alg":{text(proof.alg)},'
        f'"binding":{{"type":"{binding.type}","value_sha256":{hex_of(binding.value_sha256)}}},'
        f'"created":{number(proof.created)},"evidence_sha256":{hex_of(proof.evidence_sha256)},'
        f'"expires":{number(proof.expires)},"header_bytes":{number(proof.header_bytes)},'
        f'"keyid":{text(proof.keyid)},"mode":{word(proof.mode)},"nonce_sha256":{hex_of(proof.nonce_sha256)}}}'
    )


def _breaker(breaker: BreakerFacts) -> str:
    return (
        f'{{"admission":{word(breaker.admission)},"error_ewma_ppm":{number(breaker.error_ewma_ppm)},'
        f'"header_budget":{number(breaker.header_budget)},'
        f'"kingman_wq_us":{number(breaker.kingman_wq_us)},'
        f'"latency_ewma_us":{number(breaker.latency_ewma_us)},"level":{word(breaker.level)},'
        f'"limit":{number(breaker.limit)},"name":{text(breaker.name)},"rho_ppm":{number(breaker.rho_ppm)},'
        f'"state":{word(breaker.state)}}}'
    )
