"""Version 1 of the receipt: every member of ``docs/formats.md``, and no other; how one is read and written.

``V1`` is its table: what the members may hold, in a parsed value, in canonical bytes and in the published
schema. ``encode_decision`` writes a decision.

The words are literals, and stay as they are: they are those of version 1, not those that the product knows
today. A new word is a new version (docs/adr/0015-formats-grow-by-version.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from signet.core.instants import utc_millis
from signet.receipts.combinations import Facts, Words, check_combination
from signet.receipts.facts import BreakerFacts, DecisionFacts, ProofFacts, RequestFacts
from signet.receipts.rules import (
    ANY_OBJECT,
    ANY_TEXT,
    COUNT,
    INTEGER,
    SHA256,
    SHA256_BASE64,
    TIME,
    UUID7,
    Rule,
    nullable,
    object_of,
    one_of,
    text_of,
    the_number,
)
from signet.receipts.shape import DECISION_TYPE, POLICY_TYPE, ROTATION_TYPE, TRANSITION_TYPE
from signet.receipts.table import Table
from signet.receipts.written import hex_of, number, recordable, text, word

TYPES: Final = (DECISION_TYPE, ROTATION_TYPE, TRANSITION_TYPE, POLICY_TYPE)

#: The decision that each reason leads to.
DECISION_OF: Final[Mapping[str, str]] = {
    "ok": "allow",
    "ok_classical_fallback": "allow",
    "challenge_required": "challenge",
    "malformed": "deny",
    "component_missing": "deny",
    "created_out_of_window": "deny",
    "nonce_invalid": "deny",
    "nonce_expired": "deny",
    "nonce_replayed": "deny",
    "unknown_key": "deny",
    "key_revoked": "deny",
    "key_not_yet_valid": "deny",
    "key_expired": "deny",
    "key_not_allowed": "deny",
    "alg_not_allowed": "deny",
    "alg_mismatch": "deny",
    "bad_signature": "deny",
    "binding_missing": "deny",
    "binding_mismatch": "deny",
    "binding_too_weak": "deny",
    "edge_attestation_invalid": "deny",
    "digest_missing": "deny",
    "evidence_missing": "deny",
    "evidence_mismatch": "deny",
    "header_budget_exceeded": "deny",
    "no_rule": "deny",
    "policy_denied": "deny",
    "breaker_open": "shed",
    "half_open_full": "shed",
    "receipt_queue_unavailable": "shed",
    "store_unavailable": "shed",
    "internal_error": "shed",
}
MODES: Final = ("inline", "detached")
BINDINGS: Final = ("none", "tls-exporter", "tls-client-cert")
ACTIONS: Final = ("allow", "deny")
STATES: Final = ("closed", "open", "half_open")
LEVELS: Final = ("full", "relax", "classical", "shed")
#: Suites of two signatures, one of them classical.
HYBRIDS: Final = frozenset({"ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65"})
#: What ``proof.alg`` can be in a whole proof; by name, because the sink does without their cryptography.
SUITES: Final = frozenset({"ed25519", "ecdsa-p256-sha256", "ml-dsa-65"}) | HYBRIDS
#: Reasons of decisions that let a request in.
ALLOWING: Final = frozenset({"ok", "ok_classical_fallback"})
#: Reasons that come after the whole proof was verified and the policy allowed the request.
VERIFIED: Final = ALLOWING | {"breaker_open", "half_open_full", "nonce_replayed"}
WORDS: Final = Words(verified=VERIFIED, allowing=ALLOWING, suites=SUITES, hybrids=HYBRIDS)

_COMMON: Mapping[str, Rule] = {
    "v": the_number(1),
    "type": one_of(*TYPES),
    "id": UUID7,
    "decided_at": TIME,
}

_DECISION: Mapping[str, Rule] = {
    **_COMMON,
    "type": one_of(DECISION_TYPE),
    "decision": one_of(*dict.fromkeys(DECISION_OF.values())),
    "reason": one_of(*DECISION_OF),
    "request": object_of(
        {
            "method": nullable(ANY_TEXT),
            "authority": nullable(ANY_TEXT),
            "path": nullable(ANY_TEXT),
            "query_sha256": nullable(SHA256),
            "content_digest": nullable(ANY_TEXT),
            "request_id": nullable(ANY_TEXT),
            "stage": nullable(ANY_TEXT),
            "source_ip_hash": nullable(SHA256),
        }
    ),
    "proof": object_of(
        {
            "keyid": nullable(ANY_TEXT),
            "alg": nullable(ANY_TEXT),
            "mode": nullable(one_of(*MODES)),
            "nonce_sha256": nullable(SHA256),
            "created": nullable(INTEGER),
            "header_bytes": nullable(COUNT),
            "evidence_sha256": nullable(SHA256),
            "binding": object_of(
                {
                    "type": one_of(*BINDINGS),
                    "value_sha256": nullable(SHA256),
                }
            ),
        }
    ),
    "policy": object_of({"bundle_sha256": nullable(SHA256), "action": nullable(one_of(*ACTIONS))}),
    "breaker": object_of(
        {
            "state": nullable(one_of(*STATES)),
            "level": nullable(one_of(*LEVELS)),
            "latency_ewma_us": nullable(COUNT),
            "error_ewma_ppm": nullable(COUNT),
            "rho_ppm": nullable(COUNT),
            "kingman_wq_us": nullable(COUNT),
            "header_budget": nullable(COUNT),
        }
    ),
    "emitter": object_of({"id": text_of("[0-9a-f]{32}"), "n": COUNT}),
    "authorizer_us": COUNT,
}

_ROTATION: Mapping[str, Rule] = {
    **_COMMON,
    "set": ANY_OBJECT,  # signet.log.rotation knows what a key set is
}

_CHAIN: Mapping[str, Rule] = {
    "chain": object_of({"id": COUNT, "seq": COUNT, "prev": SHA256_BASE64, "recorded_at": TIME})
}

#: Members of which none is null in a whole proof; the first three are needed by readers, too.
WHOLE: Final = (
    "proof.created",
    "proof.nonce_sha256",
    "policy.bundle_sha256",
    "proof.alg",
    "proof.header_bytes",
    "proof.keyid",
    "proof.mode",
    "request.authority",
    "request.method",
    "request.path",
    "request.query_sha256",
)


def _facts_of(receipt: Mapping[str, Any]) -> Facts:
    """Return what other members exclude, of a decision whose members were checked one by one."""
    policy, proof, breaker, request = (receipt[name] for name in ("policy", "proof", "breaker", "request"))
    binding, created = proof["binding"], proof["created"]
    parts = [*(proof[name] for name in ("keyid", "alg", "mode", "nonce_sha256", "header_bytes"))]
    parts += [request[name] for name in ("method", "authority", "path", "query_sha256")]
    return Facts(
        reason=receipt["reason"],
        action=policy["action"],
        level=breaker["level"],
        state=breaker["state"],
        alg=proof["alg"],
        binding=binding["type"],
        bound=binding["value_sha256"] is not None,
        whole=None not in (*parts, policy["bundle_sha256"], created) and created >= 0,
    )


def _check_facts(facts: Facts) -> None:
    check_combination(facts, WORDS)


#: The table of this version.
V1: Final = Table(
    version=1,
    common=_COMMON,
    closed={DECISION_TYPE: _DECISION, ROTATION_TYPE: _ROTATION},
    chain=_CHAIN,
    chain_bytes=150,
    decision_of=DECISION_OF,
    words=WORDS,
    whole=WHOLE,
    facts_of=_facts_of,
    check_facts=_check_facts,
)


def encode_decision(made: DecisionFacts) -> bytes:
    """Return a decision's canonical bytes, members sorted; what its texts hold is for ``V1`` to check.

    Raises:
        CanonicalError: some members cannot stand beside others.
        ValueError: a digest has not 32 bytes.
    """
    policy = made.policy
    _check_facts(_facts(made))
    encoded = (
        f'{{"authorizer_us":{made.authorizer_us},"breaker":{_breaker(made.breaker)},'
        f'"decided_at":"{utc_millis(made.decided_at_ms)}","decision":"{made.reason.decision}",'
        f'"emitter":{{"id":{text(made.emitter.id)},"n":{made.emitter.n}}},"id":{text(made.id)},'
        f'"policy":{{"action":{word(policy.action)},"bundle_sha256":{hex_of(policy.bundle_sha256)}}},'
        f'"proof":{_proof(made.proof)},"reason":"{made.reason}","request":{_request(made.request)},'
        f'"type":"{DECISION_TYPE}","v":1}}'
    )
    return recordable(encoded).encode()


def _facts(made: DecisionFacts) -> Facts:
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
        f'{{"authority":{text(request.authority)},"content_digest":{text(request.content_digest)},'
        f'"method":{text(request.method)},"path":{text(request.path)},'
        f'"query_sha256":{hex_of(request.query_sha256)},"request_id":{text(request.request_id)},'
        f'"source_ip_hash":{hex_of(request.source_ip_hash)},"stage":{text(request.stage)}}}'
    )


def _proof(proof: ProofFacts) -> str:
    binding = proof.binding
    return (
        f'{{"alg":{text(proof.alg)},'
        f'"binding":{{"type":"{binding.type}","value_sha256":{hex_of(binding.value_sha256)}}},'
        f'"created":{number(proof.created)},"evidence_sha256":{hex_of(proof.evidence_sha256)},'
        f'"header_bytes":{number(proof.header_bytes)},"keyid":{text(proof.keyid)},'
        f'"mode":{word(proof.mode)},"nonce_sha256":{hex_of(proof.nonce_sha256)}}}'
    )


def _breaker(breaker: BreakerFacts) -> str:
    return (
        f'{{"error_ewma_ppm":{number(breaker.error_ewma_ppm)},'
        f'"header_budget":{number(breaker.header_budget)},"kingman_wq_us":{number(breaker.kingman_wq_us)},'
        f'"latency_ewma_us":{number(breaker.latency_ewma_us)},"level":{word(breaker.level)},'
        f'"rho_ppm":{number(breaker.rho_ppm)},"state":{word(breaker.state)}}}'
    )
