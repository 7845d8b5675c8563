"""The signature algorithms the suites are made of, each with one encoding of keys and signatures.

What stands here is what the cryptographic library leaves open: it loads weak keys and several
encodings of one key or signature. All verifying and signing goes through ``signet.crypto.suites``;
sizes are checked there, and every ValueError and InvalidSignature becomes a ``SignatureError`` there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Generic, TypeAlias, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from signet.crypto.mldsa_provider import (
    CRYPTOGRAPHY,
    PUBLIC_KEY_SIZE,
    SIGNATURE_SIZE,
    MlDsaProvider,
    Verifier,
)

PrivateHalf: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | MLDSA65PrivateKey
PublicHalf: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey | MLDSA65PublicKey

#: Curves of ECDSA that suites use: the cryptographic library's name to the name in the standards.
CURVES: Final = {"secp256r1": "P-256"}

_K = TypeVar("_K", Ed25519PrivateKey, ec.EllipticCurvePrivateKey, MLDSA65PrivateKey)


class Primitive(ABC, Generic[_K]):
    """One signature algorithm.

    Attributes:
        kind: what its keys are called, as ``kind_of`` says it.
        public_key_size: bytes of a public key.
        min_signature_size: bytes of the shortest signature.
        max_signature_size: bytes of the longest signature.
    """

    kind: str
    public_key_size: int
    min_signature_size: int
    max_signature_size: int

    @abstractmethod
    def verifier(self, public_key: bytes) -> Verifier:
        """Load a public key of the right size; ValueError if its encoding is wrong or it is known weak."""

    def check(self, public_key: bytes) -> None:
        """Raise ValueError for a key that must not be registered; may cost more than loading it."""
        self.verifier(public_key)

    @abstractmethod
    def generate(self) -> _K:
        """Return a fresh private key."""

    @abstractmethod
    def owns(self, key: PrivateHalf) -> bool:
        """Tell whether this is a private key of this algorithm."""

    @abstractmethod
    def public_bytes(self, key: _K) -> bytes:
        """Return the public key of a private key."""

    @abstractmethod
    def sign(self, key: _K, message: bytes) -> bytes:
        """Return the signature over the message."""


class Ed25519(Primitive[Ed25519PrivateKey]):
    """RFC 8032. Under a key of low order signing needs no secret; a y of p or more is a second encoding.

    A point of mixed order is a good key plus a point of low order. Whether a signature under it verifies
    depends on the library (with or without the cofactor, one by one or in batches), so it is no key here.
    """

    kind = "Ed25519"
    public_key_size = 32
    min_signature_size = max_signature_size = 64

    _P = 2**255 - 19
    _D = -121665 * pow(121666, -1, _P) % _P
    _ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    _LOW_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})
    _L = 2**252 + 27742317777372353535851937790883648493  # order of the base point

    def verifier(self, public_key: bytes) -> Verifier:
        self._y(public_key)
        return Ed25519PublicKey.from_public_bytes(public_key).verify

    def check(self, public_key: bytes) -> None:
        """See ``Primitive.check``; RFC 8032 section 5.1.3: x² = (y² - 1)/(dy² + 1) must have a root.

        OpenSSL loads any 32 bytes. Under a key that is no point nothing verifies, so finding it
        at registration is early enough. One of mixed order its owner made so: it lets no other sign.
        """
        y = self._y(public_key)
        y2 = y * y % self._P
        x2 = (y2 - 1) * pow(self._D * y2 + 1, -1, self._P) % self._P
        if pow(x2, (self._P - 1) // 2, self._P) != 1:
            raise ValueError("it is no point of edwards25519")
        if not self._has_order_l(y):
            raise ValueError("its point is of mixed order")

    def generate(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.generate()

    def owns(self, key: PrivateHalf) -> bool:
        return isinstance(key, Ed25519PrivateKey)

    def public_bytes(self, key: Ed25519PrivateKey) -> bytes:
        return key.public_key().public_bytes_raw()

    def sign(self, key: Ed25519PrivateKey, message: bytes) -> bytes:
        return key.sign(message)

    def _y(self, public_key: bytes) -> int:
        y = int.from_bytes(public_key, "little") & (2**255 - 1)
        if y >= self._P or y in self._LOW_ORDER_Y:
            raise ValueError("its point is of low order or not canonical")
        return y

    def _has_order_l(self, y: int) -> bool:
        """Tell whether L times a point is the neutral one; x does not matter.

        The ladder of RFC 7748 section 5 on u = (1 + y)/(1 - y), section 4.1. The neutral point has Z = 0.
        y is not 1 or -1, so u exists and is not 0.
        """
        p = self._P
        u = (1 + y) * pow(1 - y, -1, p) % p
        x2, z2, x3, z3 = 1, 0, u, 1
        for bit in f"{self._L:b}":
            if bit == "1":
                x2, z2, x3, z3 = x3, z3, x2, z2
            a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
            da, cb, aa, bb = d * a % p, c * b % p, a * a % p, b * b % p
            e = aa - bb
            x2, z2, x3, z3 = (
                aa * bb % p,
                e * (aa + 121665 * e) % p,
                (da + cb) ** 2 % p,
                u * (da - cb) ** 2 % p,
            )
            if bit == "1":
                x2, z2, x3, z3 = x3, z3, x2, z2
        return z2 == 0


class EcdsaP256Der(Primitive[ec.EllipticCurvePrivateKey]):
    """ECDSA on P-256 with SHA-256; the signature in strict DER, the key uncompressed.

    (r, n - s) verifies beside (r, s): nothing may tell requests apart by signature bytes.
    """

    kind = "P-256"
    public_key_size = 65
    min_signature_size = 8
    max_signature_size = 72

    _ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    _UNCOMPRESSED = 0x04  # SEC 1 section 2.3.3
    _ES256 = ec.ECDSA(SHA256())

    def verifier(self, public_key: bytes) -> Verifier:
        if public_key[0] != self._UNCOMPRESSED:  # the compressed and hybrid forms are second encodings
            raise ValueError("it is not an uncompressed point")
        verify = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key).verify
        to_der, es256 = self._to_der, self._ES256
        return lambda signature, message: verify(to_der(signature), message, es256)

    def generate(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def owns(self, key: PrivateHalf) -> bool:
        return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"

    def public_bytes(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        # Put together here: the library's serialization would bring SSH and more to every cold start.
        point = key.public_key().public_numbers()
        return bytes([self._UNCOMPRESSED]) + point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")

    def sign(self, key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
        return key.sign(message, self._ES256)

    def _to_der(self, signature: bytes) -> bytes:
        """Return the signature as the one DER encoding of a valid (r, s)."""
        r, s = decode_dss_signature(signature)
        if self._encode(r, s) != signature:
            raise ValueError("the signature is not minimal DER")
        return signature

    def _encode(self, r: int, s: int) -> bytes:
        if not (0 < r < self._ORDER and 0 < s < self._ORDER):
            raise ValueError("r or s is out of range")
        return encode_dss_signature(r, s)


class EcdsaP256Raw(EcdsaP256Der):
    """The same with the signature as r‖s, 32 bytes big-endian each (RFC 9421 section 3.3.4)."""

    min_signature_size = max_signature_size = 64

    def sign(self, key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
        r, s = decode_dss_signature(super().sign(key, message))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def _to_der(self, signature: bytes) -> bytes:
        return self._encode(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


class MlDsa65(Primitive[MLDSA65PrivateKey]):
    """FIPS 204 ML-DSA-65, pure, under one fixed context string of at most 255 bytes.

    Attributes:
        provider: verifies from now on; keys that are already loaded keep theirs.
    """

    kind = "ML-DSA-65"
    public_key_size = PUBLIC_KEY_SIZE
    min_signature_size = max_signature_size = SIGNATURE_SIZE

    def __init__(self, context: bytes, provider: MlDsaProvider = CRYPTOGRAPHY) -> None:
        self._context = context
        self.provider = provider

    def verifier(self, public_key: bytes) -> Verifier:
        return self.provider.verifier(public_key, self._context)

    def check(self, public_key: bytes) -> None:
        """See ``Primitive.check``: every string of the right size is a key, but one class is weak.

        With t1 = 0 (all bytes after the 32 of rho) a signature needs no secret.
        """
        if not any(public_key[32:]):
            raise ValueError("its vector t1 is zero")

    def generate(self) -> MLDSA65PrivateKey:
        return MLDSA65PrivateKey.generate()

    def owns(self, key: PrivateHalf) -> bool:
        return isinstance(key, MLDSA65PrivateKey)

    def public_bytes(self, key: MLDSA65PrivateKey) -> bytes:
        return key.public_key().public_bytes_raw()

    def sign(self, key: MLDSA65PrivateKey, message: bytes) -> bytes:
        return key.sign(message, self._context)


def kind_of(key: PrivateHalf | PublicHalf) -> str:
    """Return what a key is called; one on a curve that no suite uses has the library's name of it."""
    if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        return Ed25519.kind
    if isinstance(key, MLDSA65PrivateKey | MLDSA65PublicKey):
        return MlDsa65.kind
    return CURVES.get(key.curve.name, key.curve.name)
