"""Who signed: the registered key has to be usable here and now, and the signature has to be its own."""

from __future__ import annotations

from functools import cache

from signet.core.client import Client, Status
from signet.core.decision import Reason
from signet.core.errors import Denied, SignatureError
from signet.crypto import suites
from signet.handshake.proof import Proof
from signet.handshake.request import Request


def check_client(client: Client | None, proof: Proof, request: Request, now_ms: int) -> None:
    """Check that the key may be used here and now; an unknown key is left to ``check_signature``.

    Args:
        client: the client that the key is registered for; None if it is not registered.
        proof: as parsed.
        request: what is asked for.
        now_ms: Unix time in milliseconds.

    Raises:
        Denied: ``key_revoked``, ``key_not_yet_valid``, ``key_expired``, ``alg_mismatch`` or
            ``key_not_allowed``.
    """
    if client is None:
        return
    now = now_ms // 1000
    if client.status is not Status.ACTIVE:
        raise Denied(Reason.KEY_REVOKED, "the key was revoked")
    if client.not_before is not None and now < client.not_before:
        raise Denied(Reason.KEY_NOT_YET_VALID, "the key is not valid yet")
    if client.not_after is not None and now > client.not_after:
        raise Denied(Reason.KEY_EXPIRED, "the key is not valid any more")
    if proof.alg != client.alg:
        raise Denied(Reason.ALG_MISMATCH, "the algorithm is not the one the key is registered for")
    if not client.may_use(request.method, request.api_path):
        raise Denied(Reason.KEY_NOT_ALLOWED, "the key has no right to this route")


def check_signature(client: Client | None, proof: Proof, *, classical: bool = False) -> Reason:
    """Verify the signature; for an unknown key against a key that no client holds, so that it takes as long.

    Args:
        client: the client that the key is registered for; None if it is not registered.
        proof: complete, its signature at hand.
        classical: of a hybrid signature only the classical half. No other signature is taken for less.

    Returns:
        ``OK``, or ``OK_CLASSICAL_FALLBACK`` if only a half was verified.

    Raises:
        Denied: ``bad_signature`` or ``unknown_key``.
    """
    suite = suites.get(proof.alg)
    public_key = client.public_key if client else _nobodys_key(proof.alg)
    if proof.signature is None:  # cannot happen after detached.complete; no allow without a signature, ever
        raise Denied(Reason.MALFORMED, "there is no signature")
    reason = Reason.OK
    try:
        if classical and isinstance(suite, suites.CompositeSuite):
            reason = Reason.OK_CLASSICAL_FALLBACK
            suite.verify_classical_half(public_key, proof.base, proof.signature)
        else:
            suite.verify(public_key, proof.base, proof.signature)
    except SignatureError as error:
        refused = Reason.BAD_SIGNATURE if client else Reason.UNKNOWN_KEY
        message = f"the signature does not verify{proof.advice}" if client else "the key id is unknown"
        raise Denied(refused, message) from error
    if client is None:
        raise Denied(Reason.UNKNOWN_KEY, "the key id is unknown")
    return reason


@cache
def _nobodys_key(alg: str) -> bytes:
    return suites.get(alg).generate().public_key_bytes
