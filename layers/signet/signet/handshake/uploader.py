"""Upload of bundles: what ``POST /pch/evidence`` does, without HTTP."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from signet.core.decision import Reason
from signet.core.errors import CanonicalError, Denied, UsageError
from signet.core.ports import BundleStore
from signet.gateway.model import InboundRequest
from signet.handshake.asked import Asked, read_asked
from signet.handshake.evidence import MAX_BUNDLE_BYTES, read_bundle
from signet.handshake.issuer import ChallengeIssuer
from signet.handshake.registry import CachedApis

#: Field that carries the nonce, as a structured string: ``PCH-Nonce: "<nonce>"``.
NONCE_FIELD: Final = "pch-nonce"
#: Code of a bundle that is larger than the server takes; no decision, so not among the decision codes.
TOO_LARGE: Final = "bundle_too_large"

_NONCE = re.compile(r'"([A-Za-z0-9_-]{1,128})"')


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A stored bundle: SHA-256 of its bytes, and until when it is kept (Unix seconds)."""

    sha256: bytes
    expires_at: int


@dataclass(frozen=True, slots=True)
class BundleUploader:
    """Takes bundles from callers that hold a live nonce.

    Attributes:
        issuer: knows its nonces again.
        bundles: where bundles go.
        apis: registered APIs, Signet's own among them.
    """

    issuer: ChallengeIssuer
    bundles: BundleStore
    apis: CachedApis

    def asked(self, inbound: InboundRequest) -> Asked:
        """Return what a request to Signet's own API asks for, or what its bundle is for.

        Raises:
            Denied, NotFoundError, UnavailableError: see ``read_asked``.
        """
        return read_asked(inbound, self.apis, self.issuer.site)

    def store(
        self, inbound: InboundRequest, body: bytes, asked: Asked | None = None, *, now_ms: int
    ) -> StoredBundle:
        """Store the bundle that a request brings as its body.

        The nonce is not spent: the request that the bundle belongs to spends it. A bundle lives as long
        as a nonce that was issued this moment.

        Args:
            inbound: the request to Signet's own API.
            body: the bundle.
            asked: the API that the nonce is for; None for the one that was called.
            now_ms: Unix time in milliseconds.

        Raises:
            Denied: ``challenge_required`` without a nonce, ``nonce_invalid`` or ``nonce_expired`` with a
                bad one, ``edge_attestation_invalid``, ``malformed``.
            UsageError: ``bundle_too_large``.
            UnavailableError: the store cannot be reached.
        """
        if len(body) > MAX_BUNDLE_BYTES:
            raise UsageError(f"a bundle has at most {MAX_BUNDLE_BYTES} bytes", code=TOO_LARGE)
        self.issuer.admit(inbound, _nonce(inbound), asked, now_ms=now_ms)
        try:
            read_bundle(body)
        except CanonicalError as error:
            raise Denied(Reason.MALFORMED, f"this is no bundle: {error}") from error
        sha256 = hashlib.sha256(body).digest()
        limits = self.issuer.limits
        expires_at = (now_ms + limits.nonce_lifetime_ms + limits.skew_ms) // 1000
        self.bundles.put(sha256, body, expires_at=expires_at)
        return StoredBundle(sha256, expires_at)


def _nonce(inbound: InboundRequest) -> str:
    values = inbound.values_of(NONCE_FIELD)
    if not values:
        raise Denied(Reason.CHALLENGE_REQUIRED, "send the nonce of a challenge in PCH-Nonce")
    match = _NONCE.fullmatch(next(iter(values))) if len(values) == 1 else None
    if match is None:
        raise Denied(Reason.MALFORMED, 'PCH-Nonce does not hold one string: PCH-Nonce: "<nonce>"')
    return match[1]
