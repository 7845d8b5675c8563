"""The ``Signet-Edge`` field: what the edge saw of one request, under a MAC (docs/protocol.md, "The edge")."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

FIELD = b"signet-edge"
EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
EXPORTER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came in.

    Attributes:
        exporter: RFC 9266 value of the connection, 32 bytes.
        method: as received.
        authority: the Host field as received.
        target: path and query as received.
        src: the peer's address.
        signature_input: value of the ``Signature-Input`` that is sent on; None without that field.
    """

    exporter: bytes
    method: str
    authority: str
    target: bytes
    src: str
    signature_input: bytes | None = None


def attest(seen: Seen, *, kid: str, key: bytes, now_s: int) -> str:
    """Return the field's value.

    Args:
        seen: what is attested; none of its texts holds a quote, a backslash or a line feed.
        kid: name of the key.
        key: 32 bytes.
        now_s: Unix time in seconds.
    """
    exporter, target = _base64(seen.exporter), _base64(seen.target)
    signed = seen.signature_input
    proof = "none" if signed is None else _base64(hashlib.sha256(signed).digest())
    told = ("signet-edge-v2", kid, str(now_s), exporter, seen.method, seen.authority, target, seen.src, proof)
    mac = _base64(hmac.digest(key, "\n".join(told).encode("ascii"), hashlib.sha256))
    return (
        f'v=2, kid="{kid}", ts={now_s}, exporter=:{exporter}:, authority="{seen.authority}", '
        f'target=:{target}:, src="{seen.src}", mac=:{mac}:'
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
