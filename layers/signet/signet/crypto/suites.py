"""The signature suites: keys and signatures as raw bytes, one encoding each.

    suite                   public key            signature
    ed25519                 32 B                  64 B (RFC 8032)
    ecdsa-p256-sha256       65 B, 0x04‖x‖y        64 B, r‖s (RFC 9421 section 3.3.4)
    ml-dsa-65               1952 B                3309 B (FIPS 204, pure, empty context)
    ed25519+ml-dsa-65       1952 + 32 B           3309 + 64 B
    ecdsa-p256+ml-dsa-65    1952 + 65 B           3309 + at most 72 B (strict DER)

The last two are composites (draft-ietf-lamps-pq-composite-sigs-19): the ML-DSA half first, both
halves over the same M', and both must verify. Their application context names the pair of keys, so
halves of two key pairs put together into a third "key" verify nothing that either has signed.

``get(alg).verify(public_key, message, signature)`` is all a verifier needs. Every failure, of any
cause, is a ``SignatureError``.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature

from signet.core.errors import SignatureError
from signet.crypto._primitives import EcdsaP256Der, EcdsaP256Raw, Ed25519, MlDsa65, Primitive, PrivateHalf
from signet.crypto.mldsa_provider import MlDsaProvider, Verifier

# Each primitive has a key type of its own; a suite calls ``owns`` before it hands a key to one.
_AnyPrimitive: TypeAlias = Primitive[Any]

#: Per suite; a loaded ML-DSA key takes 8 KiB. Callers cannot flood it: only registered keys are loaded.
_LOADED_KEYS = 512

_COMPOSITE_PREFIX = b"CompositeAlgorithmSignatures2025"
_PAIRING_PREFIX = b"signet-pch-v1"
_MAX_CONTEXT_SIZE = 255


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key of one suite; made by ``Suite.generate`` or ``Suite.private_key``.

    Attributes:
        alg: name of the suite.
        halves: the key objects in the order of the public key: one, or two for a composite.
        public_key_bytes: the public key in the suite's encoding.
    """

    alg: str
    halves: tuple[PrivateHalf, ...] = field(repr=False)
    public_key_bytes: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """The key id derived from the public key; see ``key_id``."""
        return key_id(self.alg, self.public_key_bytes)

    def sign(self, message: bytes) -> bytes:
        """Return the signature over the message, in the suite's encoding."""
        return get(self.alg).sign(self, message)


class Suite(ABC):
    """One value of the ``alg`` parameter.

    Attributes:
        name: that value.
        kinds: what the keys of a key file are called, in its order (``_primitives.kind_of``).
        public_key_size: bytes of a public key.
        min_signature_size: bytes of the shortest signature.
        max_signature_size: bytes of the longest signature; most suites have one size only.
    """

    def __init__(self, name: str, *primitives: _AnyPrimitive) -> None:
        self.name = name
        self._primitives = primitives
        self.kinds = tuple(p.kind for p in primitives)
        self.public_key_size = sum(p.public_key_size for p in primitives)
        self.min_signature_size = sum(p.min_signature_size for p in primitives)
        self.max_signature_size = sum(p.max_signature_size for p in primitives)
        # Loading a key costs a tenth of a verification; the contract stays one of raw bytes.
        self._loaded = lru_cache(maxsize=_LOADED_KEYS)(self._load)

    @abstractmethod
    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        """Return None if the signature over the message is good.

        Raises:
            SignatureError: it is not, or a size or an encoding is wrong.
        """

    @abstractmethod
    def sign(self, private: PrivateKey, message: bytes) -> bytes:
        """Return the signature over the message.

        Raises:
            SignatureError: the key is of another suite (code ``alg_mismatch``).
        """

    def check_public_key(self, public_key: bytes) -> None:
        """Return None if the key may be registered.

        Raises:
            SignatureError: its size or encoding is wrong, it is no point of the curve, or it is weak.
        """
        self._check_key_size(public_key)
        try:
            for primitive, part in zip(self._primitives, self._split(public_key), strict=True):
                primitive.check(part)
        except ValueError as error:
            raise SignatureError(f"This public key is unusable for {self.name}: {error}.") from error

    def generate(self) -> PrivateKey:
        """Return a fresh private key."""
        return self.private_key(*(primitive.generate() for primitive in self._primitives))

    def private_key(self, *halves: PrivateHalf) -> PrivateKey:
        """Wrap key objects of the cryptographic library; for a composite the ML-DSA key first.

        Raises:
            SignatureError: they are not this suite's keys, or not in its order.
        """
        if len(halves) != len(self._primitives) or not all(map(_owns, self._primitives, halves)):
            raise SignatureError(f"These are not the private keys of {self.name}.", code="alg_mismatch")
        public = b"".join(p.public_bytes(half) for p, half in zip(self._primitives, halves, strict=True))
        return PrivateKey(self.name, halves, public)

    def use_mldsa_provider(self, provider: MlDsaProvider) -> None:
        """Let this provider verify the ML-DSA half, if the suite has one."""
        for primitive in self._primitives:
            if isinstance(primitive, MlDsa65):
                primitive.provider = provider
                self._loaded.cache_clear()

    def _check_key_size(self, public_key: bytes) -> None:
        if len(public_key) != self.public_key_size:
            raise SignatureError(
                f"A public key of {self.name} has {self.public_key_size} bytes, not {len(public_key)}."
            )

    def _split(self, public_key: bytes) -> tuple[bytes, ...]:
        first = self._primitives[0].public_key_size
        return (public_key[:first], public_key[first:])[: len(self._primitives)]

    def _load(self, public_key: bytes) -> tuple[Verifier, ...]:
        self._check_key_size(public_key)
        parts = self._split(public_key)
        try:
            return tuple(p.verifier(part) for p, part in zip(self._primitives, parts, strict=True))
        except ValueError as error:
            raise SignatureError(f"This public key is unusable for {self.name}: {error}.") from error

    def _size_fits(self, signature: bytes) -> bool:
        return self.min_signature_size <= len(signature) <= self.max_signature_size

    def _check_alg(self, private: PrivateKey) -> None:
        if private.alg != self.name:
            raise SignatureError(f"A key of {private.alg} cannot sign for {self.name}.", code="alg_mismatch")


class SingleSuite(Suite):
    """One algorithm over the message itself."""

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        """See ``Suite.verify``."""
        (verifier,) = self._loaded(public_key)
        if not (self._size_fits(signature) and _holds(verifier, signature, message)):
            raise SignatureError(f"The {self.name} signature does not verify.")

    def sign(self, private: PrivateKey, message: bytes) -> bytes:
        """See ``Suite.sign``."""
        self._check_alg(private)
        return self._primitives[0].sign(private.halves[0], message)


class CompositeSuite(Suite):
    """ML-DSA-65 and a traditional algorithm as one LAMPS composite.

    M' = "CompositeAlgorithmSignatures2025" ‖ label ‖ len(ctx) ‖ ctx ‖ SHA-512(M); the ML-DSA half
    signs M' under the context ``label``, the traditional half signs M' as it is.
    """

    def __init__(self, name: str, label: bytes, traditional: _AnyPrimitive) -> None:
        super().__init__(name, MlDsa65(context=label), traditional)
        self._domain = _COMPOSITE_PREFIX + label

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        """See ``Suite.verify``; the context is the one that names this pair of keys."""
        self.verify_with_context(public_key, message, signature, pairing_context(public_key))

    def sign(self, private: PrivateKey, message: bytes) -> bytes:
        """See ``Suite.sign``; the context is the one that names this pair of keys."""
        return self.sign_with_context(private, message, pairing_context(private.public_key_bytes))

    def verify_classical_half(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        """Return None if the traditional half of the signature is good; the ML-DSA half is not looked at.

        A downgrade: only for a caller whose policy allows it explicitly.

        Raises:
            SignatureError: it is not, or a size or an encoding is wrong.
        """
        _, traditional = self._loaded(public_key)
        representative = self._representative(message, pairing_context(public_key))
        half = signature[self._primitives[0].max_signature_size :]
        if not (self._size_fits(signature) and _holds(traditional, half, representative)):
            raise SignatureError(f"The classical half of the {self.name} signature does not verify.")

    def verify_with_context(
        self, public_key: bytes, message: bytes, signature: bytes, context: bytes
    ) -> None:
        """Verify under any application context (the draft's Verify); PCH-Lite itself has only one.

        Raises:
            SignatureError: the signature is bad, or a size or an encoding is wrong.
        """
        post_quantum, traditional = self._loaded(public_key)
        if not self._size_fits(signature):
            raise SignatureError(f"The {self.name} signature does not verify.")
        representative = self._representative(message, context)
        cut = self._primitives[0].max_signature_size
        # Both halves are always verified: neither time nor error tells which one is bad.
        first_holds = _holds(post_quantum, signature[:cut], representative)
        second_holds = _holds(traditional, signature[cut:], representative)
        if not (first_holds and second_holds):
            raise SignatureError(f"The {self.name} signature does not verify.")

    def sign_with_context(self, private: PrivateKey, message: bytes, context: bytes) -> bytes:
        """Sign under any application context (the draft's Sign).

        Raises:
            SignatureError: the key is of another suite, or the context is longer than 255 bytes.
        """
        self._check_alg(private)
        representative = self._representative(message, context)
        pairs = zip(self._primitives, private.halves, strict=True)
        return b"".join(primitive.sign(half, representative) for primitive, half in pairs)

    def _representative(self, message: bytes, context: bytes) -> bytes:
        if len(context) > _MAX_CONTEXT_SIZE:
            raise SignatureError(f"A composite context has at most 255 bytes, not {len(context)}.")
        digest = hashlib.sha512(message).digest()
        return b"".join((self._domain, len(context).to_bytes(1, "big"), context, digest))


def pairing_context(public_key: bytes) -> bytes:
    """Return the application context that binds a composite signature to one pair of keys.

    Without it, the halves of two key pairs form a composite key that its maker can present as a
    third identity; with it, what was signed for one pairing fails under every other.
    """
    return _PAIRING_PREFIX + hashlib.sha256(public_key).digest()


def _owns(primitive: _AnyPrimitive, half: PrivateHalf) -> bool:
    return primitive.owns(half)


def _holds(verifier: Verifier, signature: bytes, message: bytes) -> bool:
    try:
        verifier(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: wrong sizes, encodings, numbers out of range
        return False
    return True


_SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        SingleSuite("ed25519", Ed25519()),
        SingleSuite("ecdsa-p256-sha256", EcdsaP256Raw()),
        SingleSuite("ml-dsa-65", MlDsa65(context=b"")),
        CompositeSuite("ed25519+ml-dsa-65", b"COMPSIG-MLDSA65-Ed25519-SHA512", Ed25519()),
        CompositeSuite("ecdsa-p256+ml-dsa-65", b"COMPSIG-MLDSA65-ECDSA-P256-SHA512", EcdsaP256Der()),
    )
}

#: The suites' names in the order the challenge lists them.
NAMES: tuple[str, ...] = tuple(_SUITES)


def get(alg: str) -> Suite:
    """Return the suite of that exact name.

    Raises:
        SignatureError: there is none (code ``alg_not_allowed``).
    """
    suite = _SUITES.get(alg)
    if suite is None:
        raise SignatureError(
            f"There is no such algorithm; use one of {', '.join(NAMES)}.", code="alg_not_allowed"
        )
    return suite


def use_mldsa_provider(provider: MlDsaProvider) -> None:
    """Let this provider verify every ML-DSA-65 signature of the process from now on.

    For the composition, before the first request; it changes which library answers, never the answer.
    """
    for suite in _SUITES.values():
        suite.use_mldsa_provider(provider)


def key_id(alg: str, public_key: bytes) -> str:
    r"""Return the key id that a public key has by itself: 32 hex digits.

    The first 32 of SHA-256(alg ‖ "\n" ‖ public key). A hybrid key is one unit: its id covers both halves.

    Raises:
        SignatureError: no such algorithm, or a key of the wrong size.
    """
    get(alg)._check_key_size(public_key)  # noqa: SLF001 - this module's own class
    return hashlib.sha256(alg.encode() + b"\n" + public_key).hexdigest()[:32]
