"""The assertion: the authorizer's signature over what it let through, for backends reached over a network.

Header fields that a gateway maps can be forged by all who reach a backend directly. This one cannot:

    Signet-Assertion: v1.<base64url of the payload>.<base64url of the signature>

    payload    canonical JSON (RFC 8785) with exactly the members of ``Assertion``
    signature  Ed25519 (RFC 8032) over "signet-assertion-v1" ‖ line feed ‖ payload

base64url is RFC 4648 section 5 without padding, in its one encoding. The received bytes are verified before
they are parsed. The private key is derived from the handshake secret; see ``assertion_key``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from signet.core import canonical
from signet.core.encoding import decode_base64, decode_base64url, encode_base64, encode_base64url
from signet.core.errors import SignatureError, SignetError, UsageError
from signet.crypto import suites

#: Longest time from ``iat`` to ``exp``, in seconds.
LIFETIME_S: Final = 60
#: How far the backend's clock may be from the authorizer's, in seconds, either way.
SKEW_S: Final = 5
#: Longest assertion that is read; a REST API passes 10,240 bytes of header values in all.
MAX_CHARS: Final = 8192
#: At most so many keys count at once: the present one and, during a rotation, its neighbour.
MAX_KEYS: Final = 2

_CONTEXT: Final = b"signet-assertion-v1"
_FORM = re.compile(r"v1\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OPTIONAL = frozenset({"query_sha256", "content_digest", "ticket", "nonce"})
_TIMES = frozenset({"iat", "exp"})


@dataclass(frozen=True, slots=True)
class AssertedFacts:
    """What the authorizer verified of a request.

    Attributes:
        api: name of the API.
        route: method and declared resource: ``GET /orders/{id}``.
        method: in upper case.
        path: the API's own path, without stage and base path, percent escapes decoded.
        query_sha256: SHA-256 of ``@query`` as signed, with its ``?``, in lower-case hex; None: no query.
        keyid: key id of the caller.
        alg: the suite of the proof.
        content_digest: the signed ``Content-Digest``; None: no body was signed.
        receipt_id: of the decision.
        ticket: with which an outcome is reported, or None.
        nonce: the next one, for the caller, or None.
    """

    api: str
    route: str
    method: str
    path: str
    query_sha256: str | None
    keyid: str
    alg: str
    content_digest: str | None
    receipt_id: str
    ticket: str | None
    nonce: str | None


@dataclass(frozen=True, slots=True)
class Assertion(AssertedFacts):
    """An assertion as it was signed.

    Attributes:
        iat: when it was made, Unix seconds.
        exp: from when on it is worthless, Unix seconds; at most ``LIFETIME_S`` later.
    """

    iat: int
    exp: int


_MEMBERS = frozenset(field.name for field in fields(Assertion))


def assertion_key(secret: bytes) -> Ed25519PrivateKey:
    """Derive the key that signs assertions: seed = HKDF-SHA-256(secret, no salt, info "signet-assertion-v1").

    HKDF is RFC 5869; the seed has 32 bytes. Who holds the handshake secret can make assertions, who holds
    the public key cannot.
    """
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=_CONTEXT).derive(secret)
    return Ed25519PrivateKey.from_private_bytes(seed)


def assertion_public_key(key: Ed25519PrivateKey) -> str:
    """Return what guards are given: the 32 bytes of the public key in base64, with padding."""
    return encode_base64(key.public_key().public_bytes_raw())


def make_assertion(key: Ed25519PrivateKey, facts: AssertedFacts, now: int) -> str:
    """Return the field's value, good for ``LIFETIME_S`` from ``now`` (Unix seconds) on.

    Raises:
        CanonicalError: a text of the facts cannot be said in JSON.
    """
    payload = canonical.canonicalize({**asdict(facts), "iat": now, "exp": now + LIFETIME_S})
    return f"v1.{encode_base64url(payload)}.{encode_base64url(key.sign(_signed(payload)))}"


def read_keys(keys: Sequence[str]) -> tuple[bytes, ...]:
    """Return the public keys that ``assertion_public_key`` wrote.

    Raises:
        UsageError: none, more than ``MAX_KEYS``, or one that is no good Ed25519 key.
    """
    if isinstance(keys, str) or not 1 <= len(keys) <= MAX_KEYS:
        raise UsageError(f"give a list of one assertion key, or of {MAX_KEYS} during a rotation")
    try:
        found = tuple(decode_base64(key) for key in keys)
        for key in found:
            suites.get("ed25519").check_public_key(key)
    except (ValueError, TypeError, SignatureError) as error:
        raise UsageError("an assertion key is not the base64 of an Ed25519 public key") from error
    return found


def verify_assertion(value: str, keys: Sequence[bytes], now: float) -> Assertion:
    """Verify an assertion, and only then read it.

    Args:
        value: the field's value, received exactly once.
        keys: public keys, 32 bytes each; any of them may have signed.
        now: Unix seconds.

    Raises:
        SignetError: ``not_authorized``: it is no assertion, or not one that holds now.
    """
    form = _FORM.fullmatch(value) if len(value) <= MAX_CHARS else None
    if form is None:
        raise _refused("it is not of the form v1.<payload>.<signature>")
    payload, signature = _decode(form[1]), _decode(form[2])
    if not any(_holds(key, payload, signature) for key in keys):
        raise _refused("none of the assertion keys signed it")
    try:
        members = canonical.parse(payload)
    except SignetError as error:
        raise _refused("its payload is not canonical JSON") from error
    assertion = _read(members)
    if not (assertion.iat - SKEW_S <= now < assertion.exp + SKEW_S):
        raise _refused("it is not good at this time")
    return assertion


def _read(members: Any) -> Assertion:
    if not isinstance(members, dict) or members.keys() != _MEMBERS:
        raise _refused("it has not exactly the members of version 1")
    for name, value in members.items():
        wanted = int if name in _TIMES else str
        if not (type(value) is wanted and value) and not (value is None and name in _OPTIONAL):
            raise _refused(f"its member {name} has no value of its type")
    query = members["query_sha256"]
    if query is not None and not _SHA256.fullmatch(query):
        raise _refused("its query_sha256 is no SHA-256")
    if not 0 < members["exp"] - members["iat"] <= LIFETIME_S:
        raise _refused(f"it is good for longer than {LIFETIME_S} seconds")
    return Assertion(**members)


def _signed(payload: bytes) -> bytes:
    return _CONTEXT + b"\n" + payload


def _holds(key: bytes, payload: bytes, signature: bytes) -> bool:
    try:
        suites.get("ed25519").verify(key, _signed(payload), signature)
    except SignatureError:
        return False
    return True


def _decode(text: str) -> bytes:
    try:
        return decode_base64url(text)
    except ValueError as error:
        raise _refused(f"a part of it is {error}") from error


def _refused(why: str) -> SignetError:
    return SignetError(f"the assertion is refused: {why}", code="not_authorized")
