"""The challenge: what a 401 asks for, and the nonce it hands out (protocol sections 1 and 2).

A nonce is a ticket that the deployment wrote to itself:

    version (1) ‖ issued_at_ms (8, big endian) ‖ random (16) ‖ MAC (16)      41 bytes, base64url, no padding

    MAC = HMAC-SHA-256(key, "signet-nonce-v2" ‖ the first 25 bytes ‖ length (2) ‖ bytes, for each of
                       authority, binding, policy epoch, API), truncated to 128 bits

Issuing one stores nothing, so a flood of requests fills no store. What must not change between challenge
and proof is under the MAC, so a downgrade of the binding is noticed without state.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from signet.core.decision import Reason
from signet.core.encoding import encode_base64url
from signet.core.errors import Denied

_VERSION = b"\x01"
_HEAD_BYTES = 25
# One value, one encoding: the last digit carries four bits, its two pad bits are zero.
_NONCE_TEXT = re.compile(r"[A-Za-z0-9_-]{54}[AEIMQUYcgkosw048]")
RANDOM_BYTES = 16


class NonceScope(NamedTuple):
    """What a nonce is good for: it verifies only under the very same scope.

    Attributes:
        authority: ``host[:port]`` in lower case.
        binding: channel binding type the route requires, or ``none``.
        policy_epoch: identifies the policy in force (its bundle hash).
        api: name of the API, as registered.
    """

    authority: str
    binding: str
    policy_epoch: str
    api: str


@dataclass(frozen=True, slots=True)
class NonceKeys:
    """MAC keys, newest first; the newest issues, all of them verify (rotation)."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def from_secrets(cls, secrets: Sequence[bytes]) -> NonceKeys:
        """Derive the MAC keys from deployment secrets, newest first."""
        return cls(tuple(derive_key(secret, "nonce") for secret in secrets))


def derive_key(secret: bytes, purpose: str) -> bytes:
    """Return a 32-byte key of its own for each purpose, so that one secret serves several uses."""
    return hmac.digest(secret, b"signet-" + purpose.encode() + b"-v1", hashlib.sha256)


def issue_nonce(keys: NonceKeys, scope: NonceScope, *, now_ms: int, random: bytes) -> str:
    """Return a fresh nonce of 55 characters.

    Args:
        keys: the first one signs.
        scope: what the nonce will be good for.
        now_ms: Unix time in milliseconds.
        random: 16 unpredictable bytes.
    """
    if len(random) != RANDOM_BYTES:
        raise ValueError("a nonce takes exactly 16 random bytes")
    head = _VERSION + now_ms.to_bytes(8, "big") + random
    raw = head + _mac(keys.keys[0], head, scope)
    return encode_base64url(raw)


def check_nonce(
    keys: NonceKeys, scopes: Iterable[NonceScope], nonce: str, *, now_ms: int, lifetime_ms: int, skew_ms: int
) -> None:
    """Check that a presented nonce was issued by this deployment, for one of these scopes, not long ago.

    Each MAC is compared in constant time. Which key and scope it is good under is no secret: the challenge
    said so.

    Args:
        keys: all of them verify.
        scopes: what the request would be good under: the route's own required binding, and stronger ones.
        nonce: as presented.
        now_ms: Unix time in milliseconds.
        lifetime_ms: how long a nonce is good.
        skew_ms: how far clocks of this deployment's instances may be apart.

    Raises:
        Denied: ``nonce_invalid`` if this deployment did not issue it for such a scope; ``nonce_expired``
            if it did, too long ago.
    """
    raw = _decode(nonce)
    head, mac = raw[:_HEAD_BYTES], raw[_HEAD_BYTES:]
    if not _is_ours(mac, keys, head, scopes):
        raise Denied(
            Reason.NONCE_INVALID, "the nonce was not issued here for this request; fetch a new challenge"
        )
    issued_ms = int.from_bytes(head[1:9], "big")
    if issued_ms > now_ms + skew_ms:
        raise Denied(Reason.NONCE_INVALID, "the nonce was issued in the future")
    if now_ms > issued_ms + lifetime_ms:
        raise Denied(Reason.NONCE_EXPIRED, "the nonce has expired; fetch a new challenge")


def nonce_sha256(nonce: str) -> bytes:
    """Return the digest under which a nonce is spent and recorded (one nonce has one spelling)."""
    return hashlib.sha256(nonce.encode()).digest()


def _decode(nonce: str) -> bytes:
    if _NONCE_TEXT.fullmatch(nonce):
        raw = binascii.a2b_base64(nonce.replace("-", "+").replace("_", "/") + "=")
        if raw[:1] == _VERSION:
            return raw
    raise Denied(Reason.NONCE_INVALID, "the nonce is not one of this deployment's")


def _is_ours(mac: bytes, keys: NonceKeys, head: bytes, scopes: Iterable[NonceScope]) -> bool:
    for scope in scopes:
        for key in keys.keys:
            if hmac.compare_digest(mac, _mac(key, head, scope)):
                return True
    return False


def _mac(key: bytes, head: bytes, scope: NonceScope) -> bytes:
    mac = _keyed(key).copy()
    mac.update(b"signet-nonce-v2" + head + _encoded(scope))
    return mac.digest()[:16]


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return an HMAC that has taken its key: a copy of it costs half of a new one."""
    return hmac.new(key, digestmod=hashlib.sha256)


@lru_cache(maxsize=64)
def _encoded(scope: NonceScope) -> bytes:
    parts = [part.encode() for part in scope]
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server asks of a caller; travels as one ``WWW-Authenticate: PCH …`` field.

    Attributes:
        realm: name of the protected space.
        nonce: to be signed, once.
        algs: suites the route accepts, preferred order of the server.
        binding: channel binding type the route requires, or ``none``.
        header_budget: most bytes of header values the server takes now.
        challenge_uri: where a fresh challenge can be had: a path on the same origin, or a URL of Signet's
            own API. A client goes to another origin only where its caller's settings say so.
        evidence_uri: where bulky evidence goes; likewise.
        error: decision code that led here.
        components: what the route demands that signatures cover, beside what each of them covers.
        max_age: how long the nonce is good, and a signature may be, in seconds; None if it is not said.
        further: more nonces that are good for the same; the header field has no room for them.
    """

    realm: str
    nonce: str
    algs: tuple[str, ...]
    binding: str
    header_budget: int
    challenge_uri: str
    evidence_uri: str
    error: str
    components: tuple[str, ...] = ()
    max_age: int | None = None
    further: tuple[str, ...] = ()

    def to_header(self) -> str:
        """Return the field value, ``PCH realm="…", nonce="…", …``."""
        asked = f'components="{" ".join(self.components)}", ' if self.components else ""
        asked += f"max-age={self.max_age}, " if self.max_age is not None else ""
        return (
            f'PCH realm="{self.realm}", nonce="{self.nonce}", algs="{" ".join(self.algs)}", '
            f'binding="{self.binding}", header-budget={self.header_budget}, {asked}'
            f'challenge-uri="{self.challenge_uri}", evidence-uri="{self.evidence_uri}", error="{self.error}"'
        )

    @classmethod
    def from_header(cls, value: str) -> Challenge:
        """Parse a field value (RFC 9110 section 11.6.1, restricted to what ``to_header`` writes).

        Unknown parameters are ignored, so that servers may add some.

        Raises:
            Denied: ``malformed``.
        """
        scheme, _, rest = value.partition(" ")
        fields: dict[str, str] = {}
        position = 0
        while scheme.lower() == "pch" and (match := _AUTH_PARAM.match(rest, position)):
            name, quoted, token = match.groups()
            if name.lower() in fields:
                break
            fields[name.lower()] = quoted if quoted is not None else token
            position = match.end()
        if not rest or position != len(rest):
            raise Denied(Reason.MALFORMED, "the WWW-Authenticate field is no PCH challenge")
        try:
            return cls(
                realm=fields["realm"],
                nonce=fields["nonce"],
                algs=tuple(fields["algs"].split(" ")),
                binding=fields["binding"],
                header_budget=int(fields["header-budget"]),
                challenge_uri=fields["challenge-uri"],
                evidence_uri=fields["evidence-uri"],
                error=fields["error"],
                components=tuple(fields.get("components", "").split()),
                max_age=_max_age(fields.get("max-age")),
            )
        except (KeyError, ValueError) as error:
            raise Denied(
                Reason.MALFORMED, f"the PCH challenge lacks or garbles a parameter: {error}"
            ) from error


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise ValueError("max-age")
    return int(text)


_SECONDS = re.compile(r"[1-9][0-9]{0,8}")
_AUTH_PARAM = re.compile(
    r'([A-Za-z-]{1,32})=(?:"([^"\\\x00-\x1f\x7f]*)"|([A-Za-z0-9._~+/-]+))(?:, ?(?=[A-Za-z])|$)'
)
