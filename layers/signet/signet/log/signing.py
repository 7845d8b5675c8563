"""Signing for the log: private key sets, each made once and never changed, in every kind of store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import decode_base64, encode_base64
from signet.core.errors import CanonicalError, KeyFileError, UnavailableError
from signet.core.ports import KeyService, SecretStore
from signet.log.keysets import (
    HEAD_ALGORITHMS,
    Algorithm,
    Endorsement,
    KeySet,
    LogKeys,
    PublicKey,
    endorsement_message,
)

PrivateKey = Ed25519PrivateKey | MLDSA65PrivateKey | MLDSA44PrivateKey

_PRIVATE: Final[Mapping[Algorithm, type[PrivateKey]]] = {
    Algorithm.ED25519: Ed25519PrivateKey,
    Algorithm.ML_DSA_65: MLDSA65PrivateKey,
    Algorithm.ML_DSA_44: MLDSA44PrivateKey,
}


class KeyStore(Protocol):
    """Holds the private keys of all sets.

    Signing has no side effect that matters: a signature that is never published does no harm.
    """

    def public_keys(self, n: int) -> tuple[PublicKey, ...]:
        """Return the public keys of set n, in order.

        A set that is not there yet is made, once: all callers get the same keys, at every call, for ever.

        Raises:
            KeyFileError: what is there is no set.
            UnavailableError: the store cannot be reached; calling again is safe.
        """
        ...

    def sign(self, n: int, alg: Algorithm, message: bytes) -> bytes:
        """Return a signature by set n's key of ``alg``.

        Raises:
            LogError: code ``message_too_long``: the store cannot sign so long a message.
            UnavailableError: the store cannot be reached now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for a log.

    Attributes:
        keys: the public sets that are in force.
        store: their private keys.
    """

    keys: LogKeys
    store: KeyStore

    @classmethod
    def genesis(cls, store: KeyStore, origin: str) -> Self:
        """Return the signer of the log ``origin`` that knows set 0; the first call makes the set."""
        return cls(LogKeys(origin, (KeySet(0, 0, store.public_keys(0)),)), store)

    def knowing(self, keys: LogKeys) -> Signer:
        """Return the signer with other public sets of the same log."""
        return Signer(keys, self.store)

    def sign(self, alg: Algorithm, message: bytes, tree_size: int) -> bytes:
        """Return a signature over what is said of a tree of this size, by the set that signs such trees."""
        return self.store.sign(self.keys.for_tree_size(tree_size).n, alg, message)

    def next_set(self, from_tree_size: int) -> KeySet:
        """Make the set after the last, endorsed by both; nothing uses it before it is published.

        Raises:
            KeyFileError: the store signs with other keys than it shows.
            UnavailableError: the store cannot be reached.
        """
        previous = self.keys.sets[-1]
        n = previous.n + 1
        unendorsed = KeySet(n, from_tree_size, self.store.public_keys(n))
        message = endorsement_message(self.keys.log_id, previous, unendorsed)
        by_previous, by_next = (
            tuple(self.store.sign(signers, alg, message) for alg in HEAD_ALGORITHMS)
            for signers in (previous.n, n)
        )
        following = replace(unendorsed, endorsement=Endorsement(by_previous, by_next))
        self.keys.with_set(following)
        return following


class SecretKeyStore:
    """Implements ``KeyStore``: the write-once secret ``<prefix>/log-keys/<n>`` decides which keys are set n.

    It holds either the private keys, or the public ones of keys that a key service made and keeps under
    ``<prefix>/log-keys/<n>-<alg>``. So a set stays where it was made when the deployment changes.

    Of two processes that make a set one creates the secret, and both use the keys that it names; after a
    crash in between the next process finds it. Keys are used only after the secret was read back: nothing is
    ever signed by keys that are not stored. A service that cannot make a set has decided nothing.
    """

    def __init__(self, secrets: SecretStore, prefix: str, service: KeyService | None = None) -> None:
        """Keep keys under a prefix; those made from now on in ``service``, if there is one."""
        self._secrets = secrets
        self._prefix = prefix
        self._service = service
        self._sets: dict[int, Mapping[Algorithm, PrivateKey] | tuple[PublicKey, ...]] = {}

    def public_keys(self, n: int) -> tuple[PublicKey, ...]:
        """Return the public keys of set n, made if there are none."""
        found = self._load(n)
        return found if isinstance(found, tuple) else _public(found)

    def sign(self, n: int, alg: Algorithm, message: bytes) -> bytes:
        """Return a signature by set n's key of ``alg``."""
        found = self._load(n)
        if not isinstance(found, tuple):
            return found[alg].sign(message)
        if self._service is None:
            raise KeyFileError(f"key set {n} is in a key service: deploy with KeyStore=kms again")
        return self._service.sign(f"{self._name(n)}-{alg}", alg, message)

    def _load(self, n: int) -> Mapping[Algorithm, PrivateKey] | tuple[PublicKey, ...]:
        if n not in self._sets:
            secret = self._read_or_create(n)
            held_elsewhere = b'"public_key"' in secret
            self._sets[n] = parse_public_set(secret, n) if held_elsewhere else parse_private_set(secret, n)
        return self._sets[n]

    def _read_or_create(self, n: int) -> bytes:
        name = self._name(n)
        secret = self._secrets.get(name)
        if secret is None:
            self._secrets.create(name, self._make(n))
            secret = self._secrets.get(name)
        if secret is None:
            raise UnavailableError(f"the secret {name} was created but cannot be read yet: run again")
        return secret

    def _make(self, n: int) -> bytes:
        if self._service is None:
            return encode_private_set(generate_private_set(), n)
        made = [PublicKey(alg, self._service.public_key(f"{self._name(n)}-{alg}", alg)) for alg in Algorithm]
        return encode_public_set(made, n)

    def _name(self, n: int) -> str:
        return f"{self._prefix}/log-keys/{n}"


class MemoryKeyStore:
    """Implements ``KeyStore`` in memory."""

    def __init__(self, private: Mapping[int, Mapping[Algorithm, PrivateKey]] | None = None) -> None:
        """Start with the sets given."""
        self._private = dict(private or {})

    def public_keys(self, n: int) -> tuple[PublicKey, ...]:
        """Return the public keys of set n, made if there are none."""
        if n not in self._private:
            self._private[n] = generate_private_set()
        return _public(self._private[n])

    def sign(self, n: int, alg: Algorithm, message: bytes) -> bytes:
        """Return a signature by set n's key of ``alg``."""
        return self._private[n][alg].sign(message)


class LocalSigner(Signer):
    """A signer whose sets are in memory."""

    __slots__ = ()

    def __init__(self, origin: str, private: Mapping[Algorithm, PrivateKey]) -> None:
        """Sign for the log ``origin`` with one private key per algorithm as set 0."""
        made = Signer.genesis(MemoryKeyStore({0: private}), origin)
        super().__init__(made.keys, made.store)

    def sign(self, alg: Algorithm, message: bytes, tree_size: int = 0) -> bytes:
        """Return a signature by the set that signs trees of this size."""
        return super().sign(alg, message, tree_size)


def generate_private_set() -> dict[Algorithm, PrivateKey]:
    """Draw a new private key per algorithm from the operating system's randomness."""
    return {alg: _PRIVATE[alg].generate() for alg in Algorithm}


def encode_public_set(keys: Sequence[PublicKey], n: int = 0) -> bytes:
    """Return the secret's bytes for key set n whose private keys are elsewhere: JCS with its public keys."""
    public = [{"alg": key.alg.value, "public_key": encode_base64(key.public_key)} for key in keys]
    return canonicalize({"v": 1, "n": n, "keys": public})


def parse_public_set(secret: bytes, n: int = 0) -> tuple[PublicKey, ...]:
    """Read the secret of key set n whose private keys are elsewhere.

    Raises:
        KeyFileError: it holds something else.
    """
    try:
        keys = tuple(
            PublicKey(Algorithm(item["alg"]), decode_base64(item["public_key"]))
            for item in parse(secret)["keys"]
        )
    except (CanonicalError, KeyError, TypeError, ValueError):
        raise KeyFileError("the secret does not hold a set of public keys") from None
    if encode_public_set(keys, n) != secret or [key.alg for key in keys] != [*Algorithm]:
        raise KeyFileError("the secret does not hold exactly one public key per algorithm")
    return keys


def encode_private_set(private: Mapping[Algorithm, PrivateKey], n: int = 0) -> bytes:
    """Return the secret's bytes for key set n: JCS with one PKCS#8 PEM per algorithm."""
    pem = serialization.Encoding.PEM
    pkcs8 = serialization.PrivateFormat.PKCS8
    keys = [
        {
            "alg": alg.value,
            "private_key": private[alg].private_bytes(pem, pkcs8, serialization.NoEncryption()).decode(),
        }
        for alg in Algorithm
    ]
    return canonicalize({"v": 1, "n": n, "keys": keys})


def parse_private_set(secret: bytes, n: int = 0) -> dict[Algorithm, PrivateKey]:
    """Read the secret of key set n that holds its private keys.

    Raises:
        KeyFileError: it holds something else. The message holds no key.
    """
    try:
        value = parse(secret)
        members = [(Algorithm(item["alg"]), item["private_key"]) for item in value["keys"]]
        private = {alg: _load_private(alg, pem) for alg, pem in members}
        exact = {"v": 1, "n": n, "keys": [{"alg": alg, "private_key": pem} for alg, pem in members]}
    except (CanonicalError, KeyError, TypeError, ValueError, AttributeError):
        raise KeyFileError("the secret does not hold a set of log keys") from None
    if value != exact or [alg for alg, _ in members] != [*Algorithm]:
        raise KeyFileError("the secret does not hold exactly one log key per algorithm")
    return private


def _public(private: Mapping[Algorithm, PrivateKey]) -> tuple[PublicKey, ...]:
    return tuple(PublicKey(alg, private[alg].public_key().public_bytes_raw()) for alg in Algorithm)


def _load_private(alg: Algorithm, pem: str) -> PrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, _PRIVATE[alg]):
        raise TypeError("a key of another algorithm")
    return key
