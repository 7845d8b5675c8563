"""COSE receipts (RFC 9942): a tree's root signed as COSE_Sign1, and the path of one leaf added to it. Pure.

A *signed root* is a COSE_Sign1 (RFC 9052 section 4.2) with the root as its detached payload, one per
algorithm that signs heads. It says the size of its tree, since a path leads to the same root under several
sizes. A *receipt* is a signed root with an inclusion proof in its unprotected header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from signet.core.errors import LogError, ProofError, SignatureError
from signet.core.ports import ObjectStore
from signet.log import cbor, object_keys
from signet.log.keys import HEAD_ALGORITHMS, Algorithm, LogKeys, Signer
from signet.log.merkle import HASH_BYTES, root_of_inclusion

CONTENT_TYPE: Final = "application/cose"

# EdDSA (RFC 9053), which readers know that do not know Ed25519's own -19 (RFC 9864); ML-DSA-65 (RFC 9964).
_NUMBERS: Final = {Algorithm.ED25519: -8, Algorithm.ML_DSA_65: -49}
_ALGORITHMS: Final = {number: alg for alg, number in _NUMBERS.items()}
_SIGN1: Final = 18
_ALG, _KID, _CLAIMS, _VDS, _VDP = 1, 4, 15, 395, 396
_RFC9162_SHA256: Final = 1
_INCLUSION: Final = -1
# Claims of a CWT (RFC 8392; in a header RFC 9597). The last is of those for private use.
_ISS, _SUB, _IAT, _TREE_SIZE = 1, 2, 6, -65537
#: No path in a tree of fewer than 2^63 leaves has more hashes.
_MAX_PATH: Final = 63
_MAX_BYTES: Final = 8_192


@dataclass(frozen=True, slots=True)
class CoseReceipt:
    """What a COSE receipt was found to prove.

    Attributes:
        alg: the algorithm whose signature it carries.
        leaf_index: the leaf's place.
        tree_size: leaves of the signed tree, as signed.
    """

    alg: Algorithm
    leaf_index: int
    tree_size: int


def sign_root(alg: Algorithm, root: bytes, tree_size: int, time_s: int, signer: Signer) -> bytes:
    """Return a signed root.

    Args:
        alg: one of those that sign heads.
        root: 32 bytes.
        tree_size: leaves of the tree.
        time_s: when its head was signed, Unix seconds.
        signer: the log's keys.

    Raises:
        SignatureError: the signer's signature does not verify (a fault in the signer or in memory).
        UnavailableError: the keys cannot be reached now.
    """
    protected = cbor.encode(_protected(alg, tree_size, time_s, signer.keys))
    message = _message(protected, root)
    signature = signer.sign(alg, message, tree_size)
    signer.keys.for_tree_size(tree_size).key(alg).verify(signature, message)
    return cbor.encode(cbor.Tagged(_SIGN1, [protected, {}, None, signature]))


def verify_root(data: bytes, root: bytes, keys: LogKeys) -> tuple[Algorithm, int]:
    """Check a signed root and return its algorithm and the size of its tree.

    Raises:
        LogError: code ``bad_cose``: not in its one form, or another log's.
        SignatureError: it does not sign this root.
    """
    protected, unprotected, signature = _read(data)
    if unprotected != {}:
        raise _bad("a signed root has no unprotected header")
    return _verify(protected, signature, root, keys)


def attach_proof(signed_root: bytes, leaf_index: int, tree_size: int, path: Sequence[bytes]) -> bytes:
    """Return the receipt: the signed root with a leaf's inclusion proof.

    Raises:
        LogError: code ``bad_cose``: this is no signed root.
    """
    protected, _, signature = _read(signed_root)
    proof = cbor.encode([tree_size, leaf_index, list(path)])
    unprotected = {_VDP: {_INCLUSION: [proof]}}
    return cbor.encode(cbor.Tagged(_SIGN1, [protected, unprotected, None, signature]))


def verify_receipt(data: bytes, leaf_hash: bytes, keys: LogKeys) -> CoseReceipt:
    """Check that a COSE receipt proves a leaf.

    Raises:
        LogError: code ``bad_cose``: not in its one form, or another log's.
        ProofError: the path does not fit index and size.
        SignatureError: the root that the path leads to is not the one signed.
    """
    protected, unprotected, signature = _read(data)
    size, index, path = _read_proof(unprotected)
    root = root_of_inclusion(leaf_hash, index, size, path)
    alg, signed_size = _verify(protected, signature, root, keys)
    if size != signed_size:
        raise ProofError(f"the proof is of a tree of {size} leaves, but one of {signed_size} is signed")
    return CoseReceipt(alg, index, size)


def publish_roots(objects: ObjectStore, root: bytes, tree_size: int, time_s: int, signer: Signer) -> None:
    """Write the signed roots of a head that is true; those that are there already stay.

    ML-DSA signs the same bytes differently each time, so what another run wrote is checked, not compared.

    Raises:
        LogError: code ``object_differs``: something else is in the place of one.
        UnavailableError: keys or store cannot be reached; calling again is safe.
    """
    if tree_size == 0:  # there is no leaf to prove
        return
    for alg in HEAD_ALGORITHMS:
        key = object_keys.signed_root(tree_size, alg)
        stored = objects.get(key)
        if stored is None:
            made = sign_root(alg, root, tree_size, time_s, signer)
            if objects.put_once(key, made, content_type=CONTENT_TYPE):
                continue
            stored = objects.get(key)
        try:
            found = verify_root(stored or b"", root, signer.keys)
        except (LogError, SignatureError) as error:
            raise LogError(f"{key} is not the signed root of its tree", code="object_differs") from error
        if found != (alg, tree_size):
            raise LogError(f"{key} is the signed root of another tree", code="object_differs")


def _protected(alg: Algorithm, tree_size: int, time_s: int, keys: LogKeys) -> dict[int, Any]:
    keyid = keys.for_tree_size(tree_size).key(alg).keyid
    claims = {_ISS: keys.origin, _SUB: keys.log_id, _IAT: time_s, _TREE_SIZE: tree_size}
    return {_ALG: _NUMBERS[alg], _KID: bytes.fromhex(keyid), _CLAIMS: claims, _VDS: _RFC9162_SHA256}


def _message(protected: bytes, root: bytes) -> bytes:
    """Return what is signed: the Sig_structure of RFC 9052 section 4.4, without external data."""
    return cbor.encode(["Signature1", protected, b"", root])


def _read(data: bytes) -> tuple[bytes, Any, bytes]:
    """Return protected header, unprotected header and signature of a COSE_Sign1 with a detached payload."""
    if len(data) > _MAX_BYTES:
        raise _bad("it is larger than any")
    value = _decode(data)
    if not isinstance(value, cbor.Tagged) or value.tag != _SIGN1 or not isinstance(value.value, list):
        raise _bad("it is no tagged COSE_Sign1")
    match value.value:
        case [bytes(protected), dict(unprotected), None, bytes(signature)]:
            return protected, unprotected, signature
    raise _bad("it is no COSE_Sign1 with a detached payload")


def _read_proof(unprotected: Any) -> tuple[int, int, list[bytes]]:
    match unprotected:
        case {396: {-1: [bytes(encoded)]}} if len(unprotected) == len(unprotected[_VDP]) == 1:
            proof = _decode(encoded)
        case _:
            raise _bad("its unprotected header is not one inclusion proof")
    match proof:
        case [int(size), int(index), list(path)] if len(path) <= _MAX_PATH and all(
            isinstance(item, bytes) and len(item) == HASH_BYTES for item in path
        ):
            return size, index, path
    raise _bad("its inclusion proof is not size, index and path")


def _verify(protected: bytes, signature: bytes, root: bytes, keys: LogKeys) -> tuple[Algorithm, int]:
    """Check the header and the signature over it and the root; return algorithm and size."""
    header = _decode(protected)
    try:
        alg, claims = _ALGORITHMS[header[_ALG]], header[_CLAIMS]
        size, time_s = claims[_TREE_SIZE], claims[_IAT]
        well_formed = type(size) is int and type(time_s) is int and size > 0 and time_s >= 0
        exact = well_formed and header == _protected(alg, size, time_s, keys)
    except (KeyError, TypeError, IndexError) as error:
        raise _bad("its protected header is not a signed root's") from error
    if not exact:
        raise _bad("its protected header is not this log's")
    keys.for_tree_size(size).key(alg).verify(signature, _message(protected, root))
    return alg, size


def _decode(data: bytes) -> Any:
    try:
        return cbor.decode(data)
    except ValueError as error:
        raise _bad(str(error)) from error


def _bad(reason: str) -> LogError:
    return LogError(f"the COSE receipt is refused: {reason}", code="bad_cose")
