"""The edge's word on a request: parsed and verified (docs/protocol.md, "The edge").

A TLS 1.3 terminator in front of API Gateway sees what the gateway does not tell: the channel, and the
target byte for byte. It says so in one field, under a MAC that only it and the authorizer can make:

    Signet-Edge: v=2, kid="e1", ts=<Unix seconds>, exporter=:…:, authority="api.example.com",
                 target=:<path and query as received>:, src="<client address>", mac=:…:

    mac = HMAC-SHA-256(key, "signet-edge-v2" ‖ kid ‖ ts ‖ exporter ‖ method ‖ authority ‖ target ‖ src
          ‖ proof), each as it stands in the field (byte sequences in base64), joined by line feeds;
          proof: base64 of SHA-256 of the Signature-Input that is sent on, "none" without it

The last line ties the edge's word to one proof: taken to the gateway around the edge, it is good for the very
request it was made for and no other. Version 1 had no such line; it counts only where the deployment says so
(docs/adr/0013).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from signet.core.encoding import decode_base64, encode_base64
from signet.core.errors import Denied, UsageError
from signet.core.target import MAX_TARGET_BYTES
from signet.handshake.proof import parse_field
from signet.handshake.request import Attestation, attestation_invalid

FIELD = "signet-edge"
KEY_BYTES = 32
EXPORTER_BYTES = 32
SKEW_S = 30
SIGNATURE_INPUT = "signature-input"

_MAX_FIELD_CHARS = 8192
_MEMBERS = {
    "v": int,
    "kid": str,
    "ts": int,
    "exporter": bytes,
    "authority": str,
    "target": bytes,
    "src": str,
    "mac": bytes,
}
_KID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_AUTHORITY = re.compile(r"[A-Za-z0-9._:-]{1,255}")
# Visible ASCII and nothing else: what ends a line or has a second reading cannot be in a signature base.
_TARGET = re.compile(rb"(/[\x21-\x22\x24-\x3e\x40-\x7e]*)(\?[\x21-\x22\x24-\x7e]*)?")


@dataclass(frozen=True, slots=True)
class EdgeKeys:
    """MAC keys of the edges, and which attestations count.

    Attributes:
        keys: 32 bytes each, by key id; none: no edge is configured.
        accept_v1: attestations of version 1 count too, which are bound to no proof.
    """

    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    accept_v1: bool = False

    @classmethod
    def from_secrets(cls, secrets: Sequence[str], *, accept_v1: bool = False) -> EdgeKeys:
        """Read secrets of the form ``{"<kid>": "<base64 of 32 bytes>", …}``.

        Args:
            secrets: newest first; where two name one key id, the newest decides.
            accept_v1: see ``EdgeKeys``.

        Raises:
            UsageError: a secret has another form; nothing of it is quoted.
        """
        keys: dict[str, bytes] = {}
        for text in secrets:
            for kid, key in _read_secret(text).items():
                keys.setdefault(kid, key)
        return cls(keys, accept_v1)


def verify_attestation(
    value: str, *, method: str, signature_input: str | None, keys: EdgeKeys, now_ms: int
) -> Attestation:
    """Parse and verify a ``Signet-Edge`` field.

    Args:
        value: the field's value, received exactly once.
        method: the method API Gateway routed.
        signature_input: the request's ``Signature-Input``, received exactly once; None without that field.
        keys: keys of the edges; two of them are valid during a rotation.
        now_ms: Unix time in milliseconds.

    Raises:
        Denied: ``edge_attestation_invalid``, for every fault alike: the sender learns nothing more.
    """
    try:
        members = _parse(value)
        key = keys.keys[members["kid"]]
        if members["v"] not in ((1, 2) if keys.accept_v1 else (2,)):
            raise attestation_invalid()
    except (Denied, KeyError) as error:
        raise attestation_invalid() from error
    mac = hmac.digest(key, _message(members, method, signature_input), hashlib.sha256)
    if not hmac.compare_digest(mac, members["mac"]):
        raise attestation_invalid()
    # Only now, so that a sender without the key does not learn what our clock says.
    target = _TARGET.fullmatch(members["target"])
    if target is None or abs(now_ms // 1000 - members["ts"]) > SKEW_S or not _is_address(members["src"]):
        raise attestation_invalid()
    path, query = target.groups()
    return Attestation(
        exporter=members["exporter"],
        authority=members["authority"],
        path=path.decode("ascii"),
        query=(query or b"?").decode("ascii"),
        src=members["src"],
    )


def _read_secret(text: str) -> dict[str, bytes]:
    try:
        document = json.loads(text)
        keys = {kid: decode_base64(key) for kid, key in document.items()}
    except (ValueError, TypeError, AttributeError, Denied):
        keys = {}
    if not keys or any(not _KID.fullmatch(kid) or len(key) != KEY_BYTES for kid, key in keys.items()):
        raise UsageError(
            'the edge secret is not of the form {"<key id>": "<base64 of 32 bytes>"}; write it anew'
        )
    return keys


def _parse(value: str) -> dict[str, Any]:
    """Return the members, each of its type, in the one order there is."""
    if len(value) > _MAX_FIELD_CHARS:
        raise attestation_invalid()
    parsed = parse_field(value)
    members = {name: item for name, (item, parameters) in parsed.items() if not parameters}
    if (
        list(members) != list(_MEMBERS)
        or list(parsed) != list(_MEMBERS)
        or any(type(members[name]) is not kind for name, kind in _MEMBERS.items())
        or len(members["exporter"]) != EXPORTER_BYTES
        or not 1 <= len(members["target"]) <= MAX_TARGET_BYTES
        or not _KID.fullmatch(members["kid"])
        or not _AUTHORITY.fullmatch(members["authority"])
    ):
        raise attestation_invalid()
    return members


def _message(members: Mapping[str, Any], method: str, signature_input: str | None) -> bytes:
    lines = (
        f"signet-edge-v{members['v']}",
        members["kid"],
        str(members["ts"]),
        encode_base64(members["exporter"]),
        method,
        members["authority"],
        encode_base64(members["target"]),
        members["src"],
        *(() if members["v"] == 1 else (_proof(signature_input),)),
    )
    # JSON can name half a surrogate pair, which UTF-8 cannot say; no edge made a MAC of what this gives.
    return "\n".join(lines).encode(errors="surrogatepass")


def _proof(signature_input: str | None) -> str:
    """Return what stands for a proof in the MAC; no digest is spelled like the word for none."""
    if signature_input is None:
        return "none"
    digest = hashlib.sha256(signature_input.encode(errors="surrogatepass")).digest()
    return encode_base64(digest)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
