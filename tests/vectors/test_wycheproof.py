"""Wycheproof against the suites. Each file names its expected results; any other result fails.

Policy for "acceptable" cases: none of the three files has one, and a suite has no leave to choose:
a case with a result other than "valid" or "invalid" fails the test, so that a developer decides.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from signet.core.errors import SignatureError
from signet.crypto import suites
from signet.crypto._primitives import EcdsaP256Der, MlDsa65
from signet.crypto.mldsa_provider import MlDsaProvider

TEST_MEMBERS = {"tcId", "comment", "flags", "msg", "sig", "result"}


def read(
    folder: Path, name: str, *, algorithm: str, kind: str, optional: frozenset[str] = frozenset()
) -> Any:
    """Yield (group, case) of a file whose shape is the one expected, and no other."""
    file = json.loads((folder / "wycheproof" / name).read_bytes())
    assert file["algorithm"] == algorithm
    count = 0
    for group in file["testGroups"]:
        assert group["type"] == kind
        for case in group["tests"]:
            assert set(case) - optional == TEST_MEMBERS
            assert case["result"] in {"valid", "invalid"}
            count += 1
            yield group, case
    assert count == file["numberOfTests"] > 0


def outcome(verify: Any, *args: bytes) -> str:
    try:
        verify(*args)
    except (SignatureError, InvalidSignature, ValueError):
        return "invalid"
    return "valid"


def hexes(*values: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(value) for value in values)


def test_ed25519_agrees_with_every_case(vectors: Path) -> None:
    suite = suites.get("ed25519")
    cases = list(read(vectors, "ed25519_test.json", algorithm="EDDSA", kind="EddsaVerify"))
    wrong = [
        (case["tcId"], case["comment"])
        for group, case in cases
        if outcome(suite.verify, *hexes(group["publicKey"]["pk"], case["msg"], case["sig"])) != case["result"]
    ]
    assert wrong == []


def test_ed25519_keys_of_the_file_may_be_registered(vectors: Path) -> None:
    cases = read(vectors, "ed25519_test.json", algorithm="EDDSA", kind="EddsaVerify")
    for key in {group["publicKey"]["pk"] for group, _case in cases}:
        suites.get("ed25519").check_public_key(bytes.fromhex(key))


def test_p256_der_agrees_with_every_case(vectors: Path) -> None:
    """The encoding inside the composite; every other BER form of a good signature is refused."""
    primitive = EcdsaP256Der()
    cases = read(vectors, "ecdsa_secp256r1_sha256_test.json", algorithm="ECDSA", kind="EcdsaVerify")
    wrong = []
    for group, case in cases:
        key, message, signature = hexes(group["publicKey"]["uncompressed"], case["msg"], case["sig"])
        if outcome(primitive.verifier(key), signature, message) != case["result"]:
            wrong.append((case["tcId"], case["comment"]))
    assert wrong == []


def test_p256_raw_agrees_with_every_case_that_has_a_raw_form(vectors: Path) -> None:
    suite = suites.get("ecdsa-p256-sha256")
    cases = read(vectors, "ecdsa_secp256r1_sha256_test.json", algorithm="ECDSA", kind="EcdsaVerify")
    wrong, seen = [], Counter()
    for group, case in cases:
        key, message, signature = hexes(group["publicKey"]["uncompressed"], case["msg"], case["sig"])
        try:
            raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
        except (ValueError, OverflowError):
            assert case["result"] == "invalid"  # no (r, s) of 32 bytes each: nothing to convert
            continue
        seen[case["result"]] += 1
        if outcome(suite.verify, key, message, raw) != case["result"]:
            wrong.append((case["tcId"], case["comment"]))
        assert outcome(suite.verify, key, message, signature) == "invalid"  # DER is not this suite's encoding
    assert wrong == []
    assert min(seen["valid"], seen["invalid"]) > 50


def test_ml_dsa_65_agrees_with_every_case(vectors: Path, mldsa: MlDsaProvider) -> None:
    suite = suites.get("ml-dsa-65")
    cases = read(
        vectors,
        "mldsa_65_verify_test.json",
        algorithm="ML-DSA-65",
        kind="MlDsaVerify",
        optional=frozenset({"ctx"}),
    )
    wrong, seen = [], Counter()
    for group, case in cases:
        key, message, signature = hexes(group["publicKey"], case["msg"], case["sig"])
        context = bytes.fromhex(case.get("ctx", ""))
        if context:
            # The suite itself has no context: the same code below it, as the composites use it.
            assert outcome(suite.verify, key, message, signature) == "invalid"
            seen["with context"] += 1
            if len(key) != suite.public_key_size:
                assert case["result"] == "invalid"
                continue
            result = outcome(MlDsa65(context, mldsa).verifier(key), signature, message)
        else:
            result = outcome(suite.verify, key, message, signature)
        seen[case["result"]] += 1
        if result != case["result"]:
            wrong.append((case["tcId"], case["comment"]))
    assert wrong == []
    assert min(seen.values()) > 5


def test_ml_dsa_65_refuses_to_register_the_zero_key_of_the_file(vectors: Path) -> None:
    file = json.loads((vectors / "wycheproof" / "mldsa_65_verify_test.json").read_bytes())
    zero_keys = {
        group["publicKey"]
        for group in file["testGroups"]
        if any("ZeroPublicKey" in case["flags"] for case in group["tests"])
    }
    assert zero_keys
    for key in zero_keys:
        with pytest.raises(SignatureError, match="t1"):
            suites.get("ml-dsa-65").check_public_key(bytes.fromhex(key))
