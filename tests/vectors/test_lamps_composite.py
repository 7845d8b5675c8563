"""The draft's composite signatures, through the same code that PCH-Lite's hybrid suites run."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from signet.core.errors import SignatureError
from signet.crypto import suites
from signet.crypto.mldsa_provider import MlDsaProvider
from signet.crypto.suites import CompositeSuite

IDENTIFIERS = {
    "ed25519+ml-dsa-65": "id-MLDSA65-Ed25519-SHA512",
    "ecdsa-p256+ml-dsa-65": "id-MLDSA65-ECDSA-P256-SHA512",
}
ML_DSA_PUBLIC, ML_DSA_SIGNATURE = 1952, 3309


class Vector(NamedTuple):
    suite: CompositeSuite
    public_key: bytes
    message: bytes
    context: bytes
    signature: bytes
    signature_with_context: bytes


def read(folder: Path, alg: str) -> Vector:
    file = json.loads((folder / "lamps_composite" / "testvectors.json").read_bytes())
    assert set(file) >= {"m", "ctx", "tests"}
    (case,) = (test for test in file["tests"] if test["tcId"] == IDENTIFIERS[alg])
    assert set(case) == {"tcId", "pk", "x5c", "sk", "sk_pkcs8", "s", "sWithContext"}
    suite: Any = suites.get(alg)
    fields = (case["pk"], file["m"], file["ctx"], case["s"], case["sWithContext"])
    return Vector(suite, *(base64.b64decode(field, validate=True) for field in fields))


@pytest.fixture(params=IDENTIFIERS)
def vector(request: pytest.FixtureRequest, vectors: Path, mldsa: MlDsaProvider) -> Vector:
    return read(vectors, request.param)


def refused(vector: Vector, *, signature: bytes, context: bytes = b"", key: bytes | None = None) -> bool:
    try:
        vector.suite.verify_with_context(key or vector.public_key, vector.message, signature, context)
    except SignatureError:
        return True
    return False


def test_published_signatures_verify_with_and_without_context(vector: Vector) -> None:
    v = vector
    v.suite.check_public_key(v.public_key)
    assert v.context
    v.suite.verify_with_context(v.public_key, v.message, v.signature, b"")
    v.suite.verify_with_context(v.public_key, v.message, v.signature_with_context, v.context)


def test_the_context_is_signed(vector: Vector) -> None:
    assert refused(vector, signature=vector.signature, context=vector.context)
    assert refused(vector, signature=vector.signature_with_context)
    assert refused(vector, signature=vector.signature_with_context, context=vector.context[:-1])
    assert refused(vector, signature=vector.signature, context=bytes(256))


def test_the_suite_itself_refuses_both(vector: Vector) -> None:
    """PCH-Lite signs under a context that names the pair of keys: the draft's own are none of ours."""
    for signature in (vector.signature, vector.signature_with_context):
        with pytest.raises(SignatureError):
            vector.suite.verify(vector.public_key, vector.message, signature)


def test_a_changed_half_is_refused(vector: Vector) -> None:
    for position in (0, 100, ML_DSA_SIGNATURE - 1, ML_DSA_SIGNATURE, ML_DSA_SIGNATURE + 20, -1):
        changed = bytearray(vector.signature)
        changed[position] ^= 1
        assert refused(vector, signature=bytes(changed)), position


def test_truncated_extended_and_swapped_signatures_are_refused(vector: Vector) -> None:
    s = vector.signature
    first, second = s[:ML_DSA_SIGNATURE], s[ML_DSA_SIGNATURE:]
    for wrong in (b"", first, second, s[:-1], s[1:], s + b"\0", b"\0" + s, second + first, first + first):
        assert refused(vector, signature=wrong), len(wrong)


def test_a_changed_message_is_refused(vector: Vector) -> None:
    assert refused(vector._replace(message=vector.message + b"."), signature=vector.signature)


def test_a_changed_key_is_refused(vector: Vector) -> None:
    for position in (0, 40, ML_DSA_PUBLIC - 1, ML_DSA_PUBLIC + 1, -1):
        changed = bytearray(vector.public_key)
        changed[position] ^= 1
        assert refused(vector, signature=vector.signature, key=bytes(changed)), position


def test_the_other_label_is_refused(vectors: Path, mldsa: MlDsaProvider) -> None:
    """The label of each composite is in both halves, so a half never fits into the other suite."""
    ours, theirs = (read(vectors, alg) for alg in IDENTIFIERS)
    mixed = theirs.signature[:ML_DSA_SIGNATURE] + ours.signature[ML_DSA_SIGNATURE:]
    key = theirs.public_key[:ML_DSA_PUBLIC] + ours.public_key[ML_DSA_PUBLIC:]
    assert refused(ours, signature=mixed, key=key)
    assert refused(ours, signature=theirs.signature, key=theirs.public_key)
