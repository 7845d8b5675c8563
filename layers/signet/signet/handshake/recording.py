"""What an event and a proof tell, as their receipt says it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from signet.core.instants import MS_PER_DAY
from signet.core.vocabulary import ProofMode
from signet.gateway.model import InboundRequest
from signet.handshake.challenge import nonce_sha256
from signet.handshake.proof import Proof
from signet.handshake.request import recorded
from signet.receipts.facts import ApiFacts
from signet.receipts.model import ProofFacts

_MAX_ALG_CHARS: Final = 64


def api_facts(inbound: InboundRequest) -> ApiFacts:
    """Return which API was called: id as the gateway says it, all else as registered."""
    api_id, api = recorded(inbound.api_id) or None, inbound.api
    return ApiFacts(id=api_id) if api is None else ApiFacts(api.name, api_id, api.kind, api.registration)


def proof_facts(proof: Proof, header_bytes: int) -> ProofFacts:
    """Return what a proof says of itself; nothing in it is verified."""
    return ProofFacts(
        keyid=proof.keyid,
        alg=proof.alg[:_MAX_ALG_CHARS],
        mode=ProofMode.INLINE if proof.bundle_sha256 is None else ProofMode.DETACHED,
        nonce_sha256=nonce_sha256(proof.nonce),
        created=proof.created if proof.created >= 0 else None,
        header_bytes=header_bytes,
        evidence_sha256=bytes.fromhex(proof.evidence_sha256) if proof.evidence_sha256 else None,
        expires=proof.expires,
    )


def serialized(components: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return covered components as ``Signature-Input`` has them (``parse_proof`` takes plain names only)."""
    return None if components is None else tuple(f'"{name}"' for name in components)


def address_sha256(address_key: bytes, source_ip: str, now_ms: int) -> bytes:
    """Return the salted hash of a client's address, 32 bytes; the salt changes daily."""
    address = _address_mac(address_key, now_ms // MS_PER_DAY).copy()
    address.update(recorded(source_ip).encode())
    return address.digest()


@lru_cache(maxsize=2)
def _address_mac(address_key: bytes, day: int) -> hmac.HMAC:
    """Return what hashes client addresses on one day (days since 1970), to be copied for each."""
    key = hmac.digest(address_key, str(day).encode(), hashlib.sha256)
    return hmac.new(key, digestmod=hashlib.sha256)
