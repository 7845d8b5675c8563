"""The ``Content-Digest`` field (RFC 9530): what a client signs in place of the body.

An authorizer never sees the body. It hands the signed field on, and the backend, which has the body,
recomputes it here. Only sha-256 and sha-512 count: RFC 9530 section 5 calls the rest insecure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping

from signet.core.encoding import encode_base64
from signet.core.errors import SignetError

_HASHES: Mapping[str, Callable[[bytes], bytes]] = {
    "sha-256": lambda body: hashlib.sha256(body).digest(),
    "sha-512": lambda body: hashlib.sha512(body).digest(),
}
#: Length of each accepted digest in bytes.
DIGEST_BYTES = {"sha-256": 32, "sha-512": 64}
_MEMBER = re.compile(r"([a-z0-9-]+)=:([A-Za-z0-9+/]+={0,2}):")
_CODE = "digest_mismatch"


def content_digest(body: bytes) -> str:
    """Return the field value for a body: ``sha-256=:<base64>:``."""
    return f"sha-256=:{encode_base64(hashlib.sha256(body).digest())}:"


def check_content_digest(field: str, body: bytes) -> None:
    """Check that every digest in the field is the body's.

    The field must be in the one serialisation RFC 9651 section 4.1.2 gives a dictionary of byte
    sequences (members joined by ``", "``, padded base64, no parameters), name sha-256 or sha-512
    or both, each once, and nothing else.

    Args:
        field: value of the signed ``Content-Digest`` field.
        body: the content as received (after any transfer encoding, base64 of the event undone).

    Raises:
        SignetError: code ``digest_mismatch``: malformed, other algorithm, or not this body's digest.
    """
    for name, encoded in parse_content_digest(field).items():
        expected = base64.b64encode(_HASHES[name](body))
        if not _same(encoded, expected):
            raise SignetError("the body does not match the signed Content-Digest", code=_CODE)


def parse_content_digest(field: str) -> dict[str, str]:
    """Return the field's digests, algorithm to base64 text, without a body to compare them with.

    Raises:
        SignetError: code ``digest_mismatch``: not in canonical form, or another algorithm.
    """
    found: dict[str, str] = {}
    for member in field.split(", "):
        match = _MEMBER.fullmatch(member)
        if match is None:
            raise SignetError("the Content-Digest field is malformed", code=_CODE)
        name, encoded = match.groups()
        if name not in _HASHES or name in found:
            raise SignetError(
                "Content-Digest may name sha-256 and sha-512, each once, and nothing else", code=_CODE
            )
        found[name] = encoded
    return found


def _same(encoded: str, expected: bytes) -> bool:
    """Compare base64 texts, so that non-zero pad bits or missing padding are a mismatch too."""
    return hmac.compare_digest(encoded.encode("ascii"), expected)
