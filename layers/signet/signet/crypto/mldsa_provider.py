"""The library that verifies ML-DSA-65 signatures: ``cryptography``, or liboqs if the deployment chooses it.

FIPS 204 leaves a verifier no freedom, so both give the same answer to every input. Private keys are
objects of ``cryptography``, which therefore signs with either choice. The composition of the process
chooses a provider, once (``suites.use_mldsa_provider``); it also finds liboqs, since that needs the
environment and the file system.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

#: Takes (signature, message); returns None, or raises InvalidSignature or ValueError.
Verifier: TypeAlias = Callable[[bytes, bytes], None]

#: Bytes of a public key, of a signature (FIPS 204, table 2), and of the longest context (section 5.3).
PUBLIC_KEY_SIZE = 1952
SIGNATURE_SIZE = 3309
MAX_CONTEXT_SIZE = 255


class MlDsaProvider(Protocol):
    """Verifies pure ML-DSA-65 (FIPS 204, algorithm 3)."""

    def verifier(self, public_key: bytes, context: bytes) -> Verifier:
        """Load a public key for signatures under a context; under one of over 255 bytes none verifies.

        Raises:
            ValueError: the key has not 1952 bytes.
        """


class CryptographyMlDsa:
    """ML-DSA-65 of the library that everything else uses too."""

    def verifier(self, public_key: bytes, context: bytes) -> Verifier:
        """See ``MlDsaProvider.verifier``."""
        verify = MLDSA65PublicKey.from_public_bytes(public_key).verify
        return lambda signature, message: verify(signature, message, context)


class OqsSignature(Protocol):
    """What is used of liboqs-python's ``oqs.Signature("ML-DSA-65")``."""

    def verify_with_ctx_str(
        self, message: bytes, signature: bytes, context: bytes, public_key: bytes
    ) -> bool:
        """Tell whether the signature is good."""


class LiboqsMlDsa:
    """ML-DSA-65 of liboqs, which has vectorised code for more processors."""

    def __init__(self, signature: OqsSignature) -> None:
        self._verify = signature.verify_with_ctx_str

    def verifier(self, public_key: bytes, context: bytes) -> Verifier:
        """See ``MlDsaProvider.verifier``."""
        # liboqs takes a pointer without a length, and its wrapper fills a short key up with zeros.
        if len(public_key) != PUBLIC_KEY_SIZE:
            raise ValueError(f"it has {len(public_key)} bytes, not {PUBLIC_KEY_SIZE}")
        holds, context_fits = self._verify, len(context) <= MAX_CONTEXT_SIZE

        def verify(signature: bytes, message: bytes) -> None:
            sizes_fit = context_fits and len(signature) == SIGNATURE_SIZE
            if not (sizes_fit and holds(message, signature, context, public_key)):
                raise InvalidSignature

        return verify


#: The provider of every process that chooses none.
CRYPTOGRAPHY: MlDsaProvider = CryptographyMlDsa()
