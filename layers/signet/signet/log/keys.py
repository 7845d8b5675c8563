"""The log's signing keys: public sets (``keys.json``), private sets (secrets), and what pins them.

A set holds one key of each algorithm: Ed25519 and ML-DSA-65 sign tree heads, Ed25519 and ML-DSA-44 the
checkpoint. ``log_id`` is the digest of the origin and of set 0: who knows it knows which log this is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
)

from signet.errors import CanonicalError, KeyFileError, SignatureError, UnavailableError
from signet.log.encoding import decode_base64, encode_base64
from signet.ports import SecretStore
from signet.receipts.canonical import canonicalize, parse

_LOG_ID_PREFIX: Final = b"signet-log-v1\n"
_GENESIS: Final = 0
_ORIGIN: Final = re.compile(r"[!-*,-~]{1,255}")

PrivateKey = Ed25519PrivateKey | MLDSA65PrivateKey | MLDSA44PrivateKey


class Algorithm(StrEnum):
    """The algorithms of a key set, in the order in which a set lists them."""

    ED25519 = "ed25519"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_44 = "ml-dsa-44"


_PUBLIC: Final[Mapping[Algorithm, type[Ed25519PublicKey | MLDSA65PublicKey | MLDSA44PublicKey]]] = {
    Algorithm.ED25519: Ed25519PublicKey,
    Algorithm.ML_DSA_65: MLDSA65PublicKey,
    Algorithm.ML_DSA_44: MLDSA44PublicKey,
}
_PRIVATE: Final[Mapping[Algorithm, type[PrivateKey]]] = {
    Algorithm.ED25519: Ed25519PrivateKey,
    Algorithm.ML_DSA_65: MLDSA65PrivateKey,
    Algorithm.ML_DSA_44: MLDSA44PrivateKey,
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
class KeySet:
    """The keys that sign heads from ``from_tree_size`` on; one key per algorithm, in order."""

    n: int
    from_tree_size: int
    keys: tuple[PublicKey, ...]

    def __post_init__(self) -> None:
        if tuple(key.alg for key in self.keys) != tuple(Algorithm):
            raise KeyFileError("a key set holds one key per algorithm, in order")

    def key(self, alg: Algorithm) -> PublicKey:
        """Return the set's key of an algorithm."""
        return self.keys[tuple(Algorithm).index(alg)]


@dataclass(frozen=True, slots=True)
class LogKeys:
    """All public keys of a log (``keys.json``).

    Attributes:
        origin: the log's name in checkpoints.
        sets: key sets in order; a verifier of this version knows the first only.
    """

    origin: str
    sets: tuple[KeySet, ...]

    def __post_init__(self) -> None:
        if _ORIGIN.fullmatch(self.origin) is None:
            raise KeyFileError(
                "the origin must be 1 to 255 printable ASCII characters without space and plus"
            )

    @property
    def log_id(self) -> str:
        """Hex of SHA-256("signet-log-v1" ‖ newline ‖ JCS of the origin and the keys of set 0)."""
        pinned = canonicalize({"origin": self.origin, "keys": _keys_object(self.sets[_GENESIS])})
        return hashlib.sha256(_LOG_ID_PREFIX + pinned).hexdigest()

    def for_tree_size(self, tree_size: int) -> KeySet:
        """Return the set that signs a head of this size."""
        return next(keys for keys in reversed(self.sets) if keys.from_tree_size <= tree_size)

    def encode(self) -> bytes:
        """Return the bytes of ``keys.json``."""
        sets = [
            {
                "n": keys.n,
                "from_tree_size": keys.from_tree_size,
                "keys": _keys_object(keys),
                "endorsement": None,
            }
            for keys in self.sets
        ]
        return canonicalize({"v": 1, "origin": self.origin, "log_id": self.log_id, "sets": sets})


def parse_keys(data: bytes) -> LogKeys:
    """Read ``keys.json``.

    Raises:
        KeyFileError: not canonical, not exactly the members it must have, a ``keyid`` or ``log_id`` that
            does not follow from the keys, or a key set other than the first.
    """
    try:
        found = _read_keys(parse(data))
    except (CanonicalError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise KeyFileError("keys.json is not a key file of a log") from error
    # What was read says everything that was written: members, order, keyids and log_id included.
    if not hmac.compare_digest(found.encode(), data):
        raise KeyFileError("keys.json has members, keyids or a log_id that do not follow from its keys")
    return found


class Signer(Protocol):
    """Signs with the log's private keys, wherever they are (memory, a key management service).

    Signing has no side effect that matters: a signature that is never published harms nobody.
    """

    @property
    def keys(self) -> LogKeys:
        """The public keys; the last set is the one that signs."""
        ...

    def sign(self, alg: Algorithm, message: bytes) -> bytes:
        """Return a signature over ``message`` by the current set's key of ``alg``.

        Raises:
            UnavailableError: the keys cannot be reached now.
        """
        ...


class LocalSigner:
    """Holds one private key set in memory."""

    __slots__ = ("_private", "keys")

    def __init__(self, origin: str, private: Mapping[Algorithm, PrivateKey]) -> None:
        """Sign for the log ``origin`` with one private key per algorithm."""
        self._private = dict(private)
        public = tuple(PublicKey(alg, private[alg].public_key().public_bytes_raw()) for alg in Algorithm)
        self.keys = LogKeys(origin, (KeySet(_GENESIS, 0, public),))

    def sign(self, alg: Algorithm, message: bytes) -> bytes:
        """Return a signature over ``message`` by the key of ``alg``."""
        return self._private[alg].sign(message)


def generate_private_set() -> dict[Algorithm, PrivateKey]:
    """Draw a new private key per algorithm from the operating system's randomness."""
    return {
        Algorithm.ED25519: Ed25519PrivateKey.generate(),
        Algorithm.ML_DSA_65: MLDSA65PrivateKey.generate(),
        Algorithm.ML_DSA_44: MLDSA44PrivateKey.generate(),
    }


def encode_private_set(private: Mapping[Algorithm, PrivateKey]) -> bytes:
    """Return the secret's bytes for key set 0: JCS with one PKCS#8 PEM per algorithm."""
    pem = serialization.Encoding.PEM
    pkcs8 = serialization.PrivateFormat.PKCS8
    keys = [
        {
            "alg": alg.value,
            "private_key": private[alg].private_bytes(pem, pkcs8, serialization.NoEncryption()).decode(),
        }
        for alg in Algorithm
    ]
    return canonicalize({"v": 1, "n": _GENESIS, "keys": keys})


def parse_private_set(secret: bytes) -> dict[Algorithm, PrivateKey]:
    """Read the secret of key set 0.

    Raises:
        KeyFileError: it does not hold exactly one private key per algorithm. The message holds no key.
    """
    try:
        value = parse(secret)
        members = [(Algorithm(item["alg"]), item["private_key"]) for item in value["keys"]]
        private = {alg: _load_private(alg, pem) for alg, pem in members}
        exact = {"v": 1, "n": _GENESIS, "keys": [{"alg": alg, "private_key": pem} for alg, pem in members]}
    except (CanonicalError, KeyError, TypeError, ValueError, AttributeError):
        raise KeyFileError("the secret does not hold a set of log keys") from None
    if value != exact or [alg for alg, _ in members] != list(Algorithm):
        raise KeyFileError("the secret does not hold exactly one log key per algorithm")
    return private


def ensure_genesis(secrets: SecretStore, prefix: str, origin: str) -> LocalSigner:
    """Return the signer with key set 0, made by whoever comes first.

    The secret is created once and never replaced: of two first runs one creates it and both read
    it, and after a crash in between the next run finds it. Keys are used only after they were read
    back, so no head is ever signed by keys that nobody holds.

    Raises:
        KeyFileError: the secret holds something else.
        UnavailableError: the store cannot be reached; calling again is safe.
    """
    name = f"{prefix}/log-keys/{_GENESIS}"
    secret = secrets.get(name)
    if secret is None:
        secrets.create(name, encode_private_set(generate_private_set()))
        secret = secrets.get(name)
    if secret is None:
        raise UnavailableError(f"the secret {name} was created but cannot be read yet: run again")
    return LocalSigner(origin, parse_private_set(secret))


def _load_private(alg: Algorithm, pem: str) -> PrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, _PRIVATE[alg]):
        raise TypeError("a key of another algorithm")
    return key


def _keys_object(keys: KeySet) -> list[dict[str, str]]:
    return [
        {"alg": key.alg.value, "keyid": key.keyid, "public_key": encode_base64(key.public_key)}
        for key in keys.keys
    ]


def _read_keys(value: Any) -> LogKeys:
    if (
        len(value["sets"]) != 1
        or value["sets"][0]["n"] != _GENESIS
        or value["sets"][0]["from_tree_size"] != 0
    ):
        raise ValueError("only the first key set is known to this version")
    if not isinstance(value["origin"], str):
        raise TypeError("the origin is a string")
    keys = tuple(
        PublicKey(Algorithm(item["alg"]), decode_base64(item["public_key"]))
        for item in value["sets"][0]["keys"]
    )
    return LogKeys(value["origin"], (KeySet(_GENESIS, 0, keys),))
