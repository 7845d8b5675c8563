"""Key files: PKCS#8 and SubjectPublicKeyInfo in PEM (RFC 5958, RFC 5280, RFC 7468).

Other forms that people hold are read too, or named: ``keyforms``.

A key file of a single suite holds one PEM block. That of a hybrid suite holds two, the ML-DSA block
first, as in the raw public key. Which suite it is follows from the keys. Bytes in, bytes out:
reading, writing and file modes are the caller's.

Every error is a ``KeyFileError`` whose sentence says what to do; none of them quotes the file.
"""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from signet.core.errors import KeyFileError, SignatureError
from signet.crypto import suites
from signet.crypto._primitives import CURVES, PrivateHalf, PublicHalf, kind_of
from signet.crypto.keyforms import MISTAKEN, as_pem
from signet.crypto.suites import PrivateKey

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n[A-Za-z0-9+/=\r\n]+-----END \1-----")
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_PRIVATE = frozenset({b"PRIVATE KEY", b"EC PRIVATE KEY"})  # PKCS#8, and SEC 1 (RFC 5915)
_PUBLIC = frozenset({b"PUBLIC KEY"})
_MAX_BLOCKS = 2

#: Kinds of keys, in the order of the file, to the suite they make.
_SUITE_OF = {suites.get(name).kinds: name for name in suites.NAMES}
_PARTNERS = " or ".join(kinds[1] for kinds in _SUITE_OF if len(kinds) > 1)


def load_private(pem: bytes, alg: str | None = None) -> PrivateKey:
    """Read a private key file.

    Args:
        pem: the file's bytes, in any form that ``keyforms`` reads.
        alg: the suite it must be for, or None for any suite.

    Raises:
        KeyFileError: it holds no usable private key, or one of another suite.
    """
    halves = tuple(_private_half(block) for block in _blocks(as_pem(pem, private=True), _PRIVATE))
    return suites.get(_suite_name(halves, alg)).private_key(*halves)


def dump_private(key: PrivateKey) -> bytes:
    """Return the private key file: unencrypted PKCS#8, one PEM block for each half."""
    return b"".join(
        half.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for half in key.halves
    )


def load_public(pem: bytes, alg: str | None = None) -> tuple[str, bytes]:
    """Read a public key file; return the suite's name and the public key in its encoding.

    Args:
        pem: the file's bytes, in any form that ``keyforms`` reads.
        alg: the suite it must be for, or None for any suite.

    Raises:
        KeyFileError: it holds no usable public key, a weak one, or one of another suite.
    """
    halves = tuple(_public_half(block) for block in _blocks(as_pem(pem, private=False), _PUBLIC))
    name = _suite_name(halves, alg)
    raw = b"".join(_raw(half) for half in halves)
    try:
        suites.get(name).check_public_key(raw)
    except SignatureError as error:
        raise KeyFileError(f"{error} Make a new one with signet keygen.") from error
    return name, raw


def dump_public(key: PrivateKey) -> bytes:
    """Return the public key file of a private key: SubjectPublicKeyInfo, one PEM block for each half."""
    return b"".join(
        half.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for half in key.halves
    )


def _blocks(pem: bytes, labels: frozenset[bytes]) -> list[bytes]:
    """Return the PEM blocks: nothing but white space stands around them, and all bear such a label."""
    for found in _BEGIN.findall(pem):
        if found not in labels:
            advice = MISTAKEN.get(found, "It holds something else than keys; make one with signet keygen.")
            raise KeyFileError(advice)
    blocks = [match.group() for match in _BLOCK.finditer(pem)]
    if not blocks:
        raise KeyFileError("This is not a PEM key file; make one with signet keygen.")
    if _BLOCK.sub(b"", pem).strip():
        raise KeyFileError("The key file holds text besides its PEM blocks; remove it.")
    if len(blocks) > _MAX_BLOCKS:
        raise KeyFileError(f"The key file holds {len(blocks)} keys; keep one, or two for a hybrid suite.")
    return blocks


def _private_half(block: bytes) -> PrivateHalf:
    try:
        key = load_pem_private_key(block, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            "A private key in the file is damaged or of an unknown kind; make a new one with signet keygen."
        ) from error
    if not isinstance(key, PrivateHalf):
        raise KeyFileError(_no_such_suite())
    return key


def _public_half(block: bytes) -> PublicHalf:
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            "A public key in the file is damaged or of an unknown kind; ask its owner for it again."
        ) from error
    if not isinstance(key, PublicHalf):
        raise KeyFileError(_no_such_suite())
    return key


def _suite_name(halves: tuple[PrivateHalf | PublicHalf, ...], alg: str | None) -> str:
    kinds = tuple(_kind(half) for half in halves)
    name = _SUITE_OF.get(kinds)
    if name is None and kinds[::-1] in _SUITE_OF:
        raise KeyFileError("The two keys stand in the wrong order; put the ML-DSA block first.")
    if name is None:
        raise KeyFileError(
            f"{' and '.join(kinds)} make no suite together; a hybrid key file holds one ML-DSA-65 key "
            f"and then one {_PARTNERS} key."
        )
    if alg is not None and alg != name:
        raise KeyFileError(
            f"The file holds a key of {name}, not of {alg}; give another file or --alg {name}."
        )
    return name


def _kind(half: PrivateHalf | PublicHalf) -> str:
    kind = kind_of(half)
    if isinstance(half, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) and kind == half.curve.name:
        usable = " or ".join(f"{known} ({name})" for name, known in CURVES.items())
        raise KeyFileError(f"The key is on the curve {kind}; use one on {usable}.")
    return kind


def _raw(half: PublicHalf) -> bytes:
    if isinstance(half, ec.EllipticCurvePublicKey):
        return half.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return half.public_bytes_raw()


def _no_such_suite() -> str:
    return f"The file holds a key of a kind no suite uses; use one of {', '.join(suites.NAMES)}."
