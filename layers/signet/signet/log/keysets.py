"""The log's public keys: sets, the interval of tree sizes each signs, endorsements (``keys.json``). Pure.

A set holds one key of each algorithm: Ed25519 and ML-DSA-65 sign tree heads, Ed25519 and ML-DSA-44 the
checkpoint. ``log_id``, the digest of the origin and of set 0, identifies the log. Every later set is endorsed
by the one before it and by itself, with both of the algorithms that sign heads.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey, MLDSA65PublicKey

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import decode_base64, encode_base64
from signet.core.errors import CanonicalError, KeyFileError, SignatureError
from signet.log.points import check_point

_LOG_ID_PREFIX: Final = b"signet-log-v1\n"
_ENDORSEMENT_PREFIX: Final = b"signet-key-endorsement-v1\n"
_ORIGIN: Final = re.compile(r"[!-*,-~]{1,255}")


class Algorithm(StrEnum):
    """The algorithms of a key set, in the order in which a set lists them."""

    ED25519 = "ed25519"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_44 = "ml-dsa-44"


#: What signs tree heads and endorsements; both are demanded.
HEAD_ALGORITHMS: Final = (Algorithm.ED25519, Algorithm.ML_DSA_65)

_PUBLIC: Final[Mapping[Algorithm, type[Ed25519PublicKey | MLDSA65PublicKey | MLDSA44PublicKey]]] = {
    Algorithm.ED25519: Ed25519PublicKey,
    Algorithm.ML_DSA_65: MLDSA65PublicKey,
    Algorithm.ML_DSA_44: MLDSA44PublicKey,
}
_PUBLIC_KEY_BYTES: Final = {Algorithm.ED25519: 32, Algorithm.ML_DSA_65: 1952, Algorithm.ML_DSA_44: 1312}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One public key.

    Attributes:
        alg: its algorithm.
        public_key: raw bytes (RFC 8032, FIPS 204): 32, 1,952 or 1,312 of them.
    """

    alg: Algorithm
    public_key: bytes

    def __post_init__(self) -> None:
        if len(self.public_key) != _PUBLIC_KEY_BYTES[self.alg]:
            raise KeyFileError(f"a public key for {self.alg} has {_PUBLIC_KEY_BYTES[self.alg]} bytes")
        if self.alg is Algorithm.ED25519:
            check_point(self.public_key)

    @property
    def keyid(self) -> str:
        """First 32 hex digits of SHA-256(alg ‖ newline ‖ public key)."""
        return hashlib.sha256(self.alg.encode() + b"\n" + self.public_key).hexdigest()[:32]

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a signature (ML-DSA: pure, empty context).

        Raises:
            SignatureError: it does not verify, or has a wrong length.
        """
        try:
            _PUBLIC[self.alg].from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise SignatureError(f"the {self.alg} signature does not verify") from error


@dataclass(frozen=True, slots=True)
class Endorsement:
    """Signatures over the step from one set to the next, Ed25519 first, then ML-DSA-65.

    Attributes:
        previous: by the keys of the set before.
        next: by the keys of the set itself, which shows that the announcer holds its private keys.
    """

    previous: tuple[bytes, ...]
    next: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys that sign heads from ``from_tree_size`` on; one key per algorithm, in order.

    Attributes:
        n: number of the set.
        from_tree_size: leaves of the smallest tree whose heads it signs.
        keys: its keys.
        endorsement: None for set 0, and for no other.
    """

    n: int
    from_tree_size: int
    keys: tuple[PublicKey, ...]
    endorsement: Endorsement | None = None

    def __post_init__(self) -> None:
        if tuple(key.alg for key in self.keys) != tuple(Algorithm):
            raise KeyFileError("a key set holds one key per algorithm, in order")

    def key(self, alg: Algorithm) -> PublicKey:
        """Return the set's key of an algorithm."""
        return self.keys[tuple(Algorithm).index(alg)]


@dataclass(frozen=True, slots=True)
class LogKeys:
    """All public keys of a log (``keys.json``): their order and intervals hold for every instance.

    Attributes:
        origin: the log's name in checkpoints.
        sets: key sets in order.
    """

    origin: str
    sets: tuple[KeySet, ...]

    def __post_init__(self) -> None:
        if _ORIGIN.fullmatch(self.origin) is None:
            raise KeyFileError(
                "the origin must be 1 to 255 printable ASCII characters without space and plus"
            )
        if not self.sets or [keys.n for keys in self.sets] != list(range(len(self.sets))):
            raise KeyFileError("key sets are numbered 0, 1, 2 without gaps", code="key_set_order")
        starts = [keys.from_tree_size for keys in self.sets]
        if starts[0] != 0 or any(after <= before for before, after in pairwise(starts)):
            raise KeyFileError(
                "each key set begins at a larger tree than the one before", code="key_interval"
            )
        public = [key.public_key for keys in self.sets for key in keys.keys]
        if len(set(public)) != len(public):
            raise KeyFileError("a key stands in two key sets", code="key_reused")
        if [keys.endorsement is None for keys in self.sets] != [keys.n == 0 for keys in self.sets]:
            raise KeyFileError("every key set but the first has an endorsement", code="endorsement_missing")

    @property
    def log_id(self) -> str:
        """Hex of SHA-256("signet-log-v1" ‖ newline ‖ JCS of the origin and the keys of set 0)."""
        pinned = canonicalize({"origin": self.origin, "keys": _keys_array(self.sets[0].keys)})
        return hashlib.sha256(_LOG_ID_PREFIX + pinned).hexdigest()

    def for_tree_size(self, tree_size: int) -> KeySet:
        """Return the set that signs a head of this size."""
        return next(keys for keys in reversed(self.sets) if keys.from_tree_size <= tree_size)

    def up_to(self, tree_size: int) -> LogKeys:
        """Return the keys without the sets that begin beyond a tree of this size."""
        return LogKeys(self.origin, tuple(k for k in self.sets if k.from_tree_size <= tree_size))

    def with_set(self, following: KeySet) -> LogKeys:
        """Return the keys with one more set.

        Raises:
            KeyFileError: it does not follow, or its endorsement does not verify.
        """
        grown = LogKeys(self.origin, (*self.sets, following))
        _verify_endorsement(grown.log_id, self.sets[-1], following)
        return grown

    def set_object(self, n: int) -> dict[str, Any]:
        """Return set n as it stands in ``keys.json``."""
        keys = self.sets[n]
        previous = self.sets[n - 1] if n else None
        return {
            "n": n,
            "from_tree_size": keys.from_tree_size,
            "keys": _keys_array(keys.keys),
            "endorsement": _endorsement_object(previous, keys),
        }

    def encode(self) -> bytes:
        """Return the bytes of ``keys.json``."""
        sets = [self.set_object(n) for n in range(len(self.sets))]
        return canonicalize({"v": 1, "origin": self.origin, "log_id": self.log_id, "sets": sets})


def endorsement_message(log_id: str, previous: KeySet, following: KeySet) -> bytes:
    """Return what both sets sign: "signet-key-endorsement-v1" ‖ newline ‖ JCS of the step between them.

    It names the sets by digest and has less than 400 bytes: some key services sign no more than 4,096.
    """
    return _ENDORSEMENT_PREFIX + canonicalize(
        {
            "log_id": log_id,
            "from_tree_size": following.from_tree_size,
            "previous": _named(previous),
            "next": _named(following),
        }
    )


def parse_keys(data: bytes) -> LogKeys:
    """Read ``keys.json``; what is returned is endorsed set by set, back to the first.

    Raises:
        KeyFileError: not canonical, or not exactly the members it must have (``bad_key_file``); sets that are
            not numbered 0, 1, 2 (``key_set_order``), do not begin at ever larger trees (``key_interval``) or
            share a key (``key_reused``); of an endorsement a signature is missing (``endorsement_missing``),
            not in its place (``endorsement_misplaced``) or does not verify (``bad_endorsement``).
    """
    try:
        value = parse(data)
        sets: list[KeySet] = []
        for item in value["sets"]:
            sets.append(read_key_set(item, sets[-1] if sets else None))
        if not isinstance(value["origin"], str):
            raise _malformed()
        found = LogKeys(value["origin"], tuple(sets))
    except (CanonicalError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _malformed() from error
    # What was read says everything that was written: members, order, keyids and log_id included.
    if not hmac.compare_digest(found.encode(), data):
        raise KeyFileError("keys.json has members, keyids or a log_id that do not follow from its keys")
    for previous, following in pairwise(found.sets):
        _verify_endorsement(found.log_id, previous, following)
    return found


def read_key_set(value: Any, previous: KeySet | None) -> KeySet:
    """Read one set as it stands in ``keys.json``; its endorsement is read, not verified.

    Raises:
        KeyFileError: as ``parse_keys``; members too many show when the set is encoded again.
        KeyError, TypeError, ValueError: it has not the form of a set.
    """
    keys = tuple(
        PublicKey(Algorithm(item["alg"]), decode_base64(item["public_key"])) for item in value["keys"]
    )
    n, start = value["n"], value["from_tree_size"]
    if type(n) is not int or type(start) is not int:
        raise TypeError("numbers and sizes are integers")
    unendorsed = KeySet(n, start, keys)
    if value["endorsement"] is None:
        return unendorsed
    if previous is None:
        raise KeyFileError("the first key set has an endorsement", code="key_set_order")
    endorsement = Endorsement(
        _read_signatures(value["endorsement"].get("previous", ()), previous),
        _read_signatures(value["endorsement"].get("next", ()), unendorsed),
    )
    return KeySet(n, start, keys, endorsement)


def _read_signatures(value: Sequence[Any], signers: KeySet) -> tuple[bytes, ...]:
    if len(value) < len(HEAD_ALGORITHMS):
        raise KeyFileError("an endorsement lacks a signature", code="endorsement_missing")
    places = [(item["alg"], item["keyid"]) for item in value]
    if places != [(alg.value, signers.key(alg).keyid) for alg in HEAD_ALGORITHMS]:
        raise KeyFileError("an endorsement's signature is not in its place", code="endorsement_misplaced")
    return tuple(decode_base64(item["sig"]) for item in value)


def _verify_endorsement(log_id: str, previous: KeySet, following: KeySet) -> None:
    if following.endorsement is None:
        raise KeyFileError(f"key set {following.n} has no endorsement", code="endorsement_missing")
    message = endorsement_message(log_id, previous, following)
    signed = ((previous, following.endorsement.previous), (following, following.endorsement.next))
    for signers, signatures in signed:
        for alg, signature in zip(HEAD_ALGORITHMS, signatures, strict=True):
            try:
                signers.key(alg).verify(signature, message)
            except SignatureError as error:
                raise KeyFileError(
                    f"key set {following.n} is not endorsed by set {signers.n}: {error}",
                    code="bad_endorsement",
                ) from error


def _named(keys: KeySet) -> dict[str, Any]:
    """Return a set's number, and the SHA-256 of its keys as ``keys.json`` lists them."""
    return {"n": keys.n, "keys_sha256": hashlib.sha256(canonicalize(_keys_array(keys.keys))).hexdigest()}


def _keys_array(keys: Sequence[PublicKey]) -> list[dict[str, str]]:
    return [
        {"alg": key.alg.value, "keyid": key.keyid, "public_key": encode_base64(key.public_key)}
        for key in keys
    ]


def _endorsement_object(previous: KeySet | None, keys: KeySet) -> dict[str, Any] | None:
    if previous is None or keys.endorsement is None:
        return None
    return {
        name: [
            {"alg": alg.value, "keyid": signers.key(alg).keyid, "sig": encode_base64(signature)}
            for alg, signature in zip(HEAD_ALGORITHMS, signatures, strict=True)
        ]
        for name, signers, signatures in (
            ("previous", previous, keys.endorsement.previous),
            ("next", keys, keys.endorsement.next),
        )
    }


def _malformed() -> KeyFileError:
    return KeyFileError("keys.json is not a key file of a log")
