"""Bundles: bulk that travels in a body instead of in header fields (docs/protocol.md).

A bundle is the canonical JSON of ``{"evidence": …, "signature": "<base64>"}``, either member absent, stored
and named by the SHA-256 of its bytes. It is transport and nothing more: what is in it is worth exactly
what the signature, over the same base as ever, says it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from signet.core.canonical import canonicalize, parse
from signet.core.decision import Reason
from signet.core.encoding import decode_base64, encode_base64
from signet.core.errors import CanonicalError, Denied

#: Most bytes of a bundle.
MAX_BUNDLE_BYTES: Final = 65_536

_MEMBERS = frozenset({"evidence", "signature"})
# Base64 of 32 bytes in its one encoding: the last digit carries four bits, its other two are zero.
_DIGEST_FIELD = re.compile(r"sha-256=:([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=):")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is in a bundle.

    Attributes:
        evidence: canonical JSON of an object, or None.
        signature: raw signature bytes, or None.
    """

    evidence: bytes | None = None
    signature: bytes | None = None

    def encode(self) -> bytes:
        """Return the bundle's bytes.

        Raises:
            CanonicalError: the evidence is not canonical JSON, or nested too deep for a bundle.
        """
        members: dict[str, Any] = {}
        if self.evidence is not None:
            members["evidence"] = parse(self.evidence)
        if self.signature is not None:
            members["signature"] = encode_base64(self.signature)
        return canonicalize(members)


def read_bundle(data: bytes) -> Bundle:
    """Read a bundle strictly: one value, one encoding.

    Raises:
        CanonicalError: too long, not canonical JSON, other members than the two, or members of other types.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise CanonicalError(f"a bundle is longer than {MAX_BUNDLE_BYTES} bytes")
    members = parse(data)
    if not isinstance(members, dict) or not members or not members.keys() <= _MEMBERS:
        raise CanonicalError("a bundle is an object with evidence, signature or both")
    evidence = members.get("evidence", {})
    if not isinstance(evidence, dict):
        raise CanonicalError("the evidence is not a JSON object")
    return Bundle(
        canonicalize(evidence) if "evidence" in members else None,
        _signature(members["signature"]) if "signature" in members else None,
    )


def digest_field(digest: bytes) -> str:
    """Return a SHA-256 digest as a field value: ``sha-256=:<base64>:``."""
    return f"sha-256=:{encode_base64(digest)}:"


def parse_digest_field(value: str) -> bytes:
    """Return the 32 bytes of ``PCH-Proof`` or ``PCH-Evidence-Digest``.

    Raises:
        Denied: ``malformed``: anything but one SHA-256 in its canonical encoding.
    """
    match = _DIGEST_FIELD.fullmatch(value)
    if match is None:
        raise Denied(
            Reason.MALFORMED,
            "PCH-Proof and PCH-Evidence-Digest hold one sha-256 digest each, and nothing else",
        )
    return decode_base64(match[1])


def _signature(text: object) -> bytes:
    if not isinstance(text, str):
        raise CanonicalError("the signature in a bundle is not base64 text")
    try:
        return decode_base64(text)
    except ValueError as error:
        raise CanonicalError(f"the signature in a bundle is {error}") from error
