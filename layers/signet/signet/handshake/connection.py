"""What is known about the connection a request came over, from sources its sender does not control.

Two such sources: the edge's attestation, and API Gateway's own mutual TLS. Header fields that merely say
something about a connection (``X-Amzn-Mtls-*``, ``Client-Cert``, ``X-Forwarded-For``) are never looked at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from signet.core.encoding import decode_base64
from signet.core.errors import Denied
from signet.core.records import record
from signet.core.vocabulary import BindingType
from signet.gateway.model import InboundRequest
from signet.handshake.edge import FIELD, SIGNATURE_INPUT, EdgeKeys, verify_attestation
from signet.handshake.request import Attestation, attestation_invalid

_MAX_PEM_CHARS = 16_384
_PEM = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*", re.ASCII
)


@record
class Connection:
    """What was observed of a request's connection.

    Attributes:
        attested: the edge's word, verified; None without one.
        refusal: why the ``Signet-Edge`` field that came with the request does not count, or None.
        bindings: observed channel binding values, 32 bytes each, by type.
    """

    attested: Attestation | None
    refusal: Denied | None
    bindings: Mapping[str, bytes]


def observe(inbound: InboundRequest, *, keys: EdgeKeys, now_ms: int) -> Connection:
    """Gather what the gateway lets us observe of a request's connection; never fails.

    Behind an edge the certificate API Gateway saw is the edge's own, so there it is no binding of the
    caller's.

    Args:
        inbound: as decoded.
        keys: keys of the configured edges.
        now_ms: Unix time in milliseconds.
    """
    values = inbound.values_of(FIELD)
    if not values:
        digest = certificate_sha256(inbound.client_cert_pem)
        return Connection(None, None, {BindingType.TLS_CLIENT_CERT.value: digest} if digest else {})
    proofs = inbound.values_of(SIGNATURE_INPUT)
    try:
        if len(values) != 1 or len(proofs) > 1:
            raise attestation_invalid()
        [value] = values
        attested = verify_attestation(
            value, method=inbound.method, signature_input=next(iter(proofs), None), keys=keys, now_ms=now_ms
        )
    except Denied as refusal:
        return Connection(None, refusal, {})
    return Connection(attested, None, {BindingType.TLS_EXPORTER.value: attested.exporter})


def certificate_sha256(pem: str | None) -> bytes | None:
    """Return SHA-256 of the DER client certificate (RFC 8705 section 3.1), or None.

    Args:
        pem: has to be exactly one PEM certificate; anything else is no observation.
    """
    match = _PEM.fullmatch(pem) if pem is not None and len(pem) <= _MAX_PEM_CHARS else None
    if match is None:
        return None
    from cryptography import x509  # noqa: PLC0415 - a tenth of a cold start, and few routes have certificates

    try:
        der = decode_base64("".join(match[1].split()))
        x509.load_der_x509_certificate(der)
    except Exception:  # noqa: BLE001 - any complaint of its parser (an unknown version, say): no observation
        return None
    return hashlib.sha256(der).digest()
