"""The closed set of decisions and their codes (docs/protocol.md, Decisions)."""

from __future__ import annotations

from enum import StrEnum


class Decision(StrEnum):
    """What becomes of a request."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    DENY = "deny"
    SHED = "shed"


class Reason(StrEnum):
    """Why; used in receipts, metrics, the 401's ``error`` and the documentation."""

    OK = "ok"
    OK_CLASSICAL_FALLBACK = "ok_classical_fallback"

    CHALLENGE_REQUIRED = "challenge_required"

    MALFORMED = "malformed"
    UNKNOWN_API = "unknown_api"
    COMPONENT_MISSING = "component_missing"
    CREATED_OUT_OF_WINDOW = "created_out_of_window"
    NONCE_INVALID = "nonce_invalid"
    NONCE_EXPIRED = "nonce_expired"
    NONCE_REPLAYED = "nonce_replayed"
    UNKNOWN_KEY = "unknown_key"
    KEY_REVOKED = "key_revoked"
    KEY_NOT_YET_VALID = "key_not_yet_valid"
    KEY_EXPIRED = "key_expired"
    KEY_NOT_ALLOWED = "key_not_allowed"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    ALG_MISMATCH = "alg_mismatch"
    BAD_SIGNATURE = "bad_signature"
    BINDING_MISSING = "binding_missing"
    BINDING_MISMATCH = "binding_mismatch"
    BINDING_TOO_WEAK = "binding_too_weak"
    EDGE_ATTESTATION_INVALID = "edge_attestation_invalid"
    DIGEST_MISSING = "digest_missing"
    EVIDENCE_MISSING = "evidence_missing"
    EVIDENCE_MISMATCH = "evidence_mismatch"
    HEADER_BUDGET_EXCEEDED = "header_budget_exceeded"
    NO_RULE = "no_rule"
    POLICY_DENIED = "policy_denied"

    RATE_LIMITED = "rate_limited"
    CALLER_SHED = "caller_shed"
    BREAKER_OPEN = "breaker_open"
    HALF_OPEN_FULL = "half_open_full"
    RECEIPT_QUEUE_UNAVAILABLE = "receipt_queue_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL_ERROR = "internal_error"

    @property
    def decision(self) -> Decision:
        """The decision this reason stands for."""
        return _DECISION_OF.get(self, Decision.DENY)


_DECISION_OF = {
    Reason.OK: Decision.ALLOW,
    Reason.OK_CLASSICAL_FALLBACK: Decision.ALLOW,
    Reason.CHALLENGE_REQUIRED: Decision.CHALLENGE,
    Reason.RATE_LIMITED: Decision.SHED,
    Reason.CALLER_SHED: Decision.SHED,
    Reason.BREAKER_OPEN: Decision.SHED,
    Reason.HALF_OPEN_FULL: Decision.SHED,
    Reason.RECEIPT_QUEUE_UNAVAILABLE: Decision.SHED,
    Reason.STORE_UNAVAILABLE: Decision.SHED,
    Reason.INTERNAL_ERROR: Decision.SHED,
}
