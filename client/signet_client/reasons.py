"""What a decision code means to the caller, and what to do about it."""

from __future__ import annotations

from signet.core.decision import Reason

_ADVICE: dict[Reason, str] = {
    Reason.CHALLENGE_REQUIRED: "a proof is required; the request carried none",
    Reason.MALFORMED: "the proof or the request has no single reading; send it unchanged from this client",
    Reason.UNKNOWN_API: "this API or stage of it is not registered; ask an operator for signet apis add",
    Reason.COMPONENT_MISSING: "the signature does not cover everything it has to",
    Reason.CREATED_OUT_OF_WINDOW: "the signature's time is outside the window; set this machine's clock",
    Reason.NONCE_INVALID: "the nonce was not issued for this request; try again with a fresh challenge",
    Reason.NONCE_EXPIRED: "the nonce had expired; try again with a fresh challenge",
    Reason.NONCE_REPLAYED: "the nonce was used before; try again with a fresh challenge",
    Reason.UNKNOWN_KEY: "the key id is not registered; ask an operator for signet clients add",
    Reason.KEY_REVOKED: "the key was revoked; register a new one",
    Reason.KEY_NOT_YET_VALID: "the key is not valid yet; wait for its first moment (signet clients list)",
    Reason.KEY_EXPIRED: "the key is no longer valid; register a new one",
    Reason.KEY_NOT_ALLOWED: "this key has no right to this route; ask an operator to add the route",
    Reason.ALG_NOT_ALLOWED: "the server does not accept this algorithm here; use one its challenge names",
    Reason.ALG_MISMATCH: "the key is registered under another algorithm",
    Reason.BAD_SIGNATURE: "the signature does not verify; is this the key registered under this key id?",
    Reason.BINDING_MISSING: (
        "this route wants the request bound to its TLS channel; call it through its TLS edge with binding "
        "tls-exporter, or with a client certificate and binding tls-client-cert"
    ),
    Reason.BINDING_MISMATCH: (
        "the proof was bound to another TLS channel; nothing that ends TLS may stand between this client and "
        "the server's own edge"
    ),
    Reason.BINDING_TOO_WEAK: "this route wants a stronger channel binding; use the one its challenge names",
    Reason.EDGE_ATTESTATION_INVALID: "the TLS edge's word was not accepted; tell the operator",
    Reason.DIGEST_MISSING: "the content is not covered by a signed digest",
    Reason.EVIDENCE_MISSING: "the evidence a detached proof names was not found; send it again",
    Reason.EVIDENCE_MISMATCH: "the evidence does not match its signed digest",
    Reason.HEADER_BUDGET_EXCEEDED: "the header fields exceed the server's budget; send less evidence inline",
    Reason.POLICY_DENIED: "the policy does not allow this request",
    Reason.NO_RULE: "the server's policy has no rule for this route; check path and method, or ask for one",
    Reason.RATE_LIMITED: "this key calls more often than the policy lets it; try again more slowly",
    Reason.CALLER_SHED: "requests of this key fail or overload the backend; try again after the time named",
    Reason.BREAKER_OPEN: "the server sheds load; try again after the time it names",
    Reason.HALF_OPEN_FULL: "the server is recovering and takes few requests; try again later",
    Reason.RECEIPT_QUEUE_UNAVAILABLE: "the server cannot record decisions now; try again later",
    Reason.STORE_UNAVAILABLE: "the server cannot reach its store now, so it refuses; try again later",
    Reason.INTERNAL_ERROR: "the server failed, so it refuses; try again later",
}


def advice(code: str) -> str:
    """Return one sentence, without a full stop, for a decision code; the code itself if it is unknown."""
    try:
        return _ADVICE.get(Reason(code), code)
    except ValueError:
        return code
