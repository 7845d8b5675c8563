"""The suites: what is signed verifies, and nothing else does.

Composite forgeries and malformed ML-DSA signatures follow the list of negative tests of the protocol.
"""

import dataclasses
import hashlib
import re
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.core.errors import SignatureError, SignetError
from signet.crypto import suites
from signet.crypto._primitives import EcdsaP256Der, EcdsaP256Raw, Ed25519, MlDsa65
from signet.crypto.suites import CompositeSuite, PrivateKey
from tests.support.edwards import MIXED_ORDER, NEUTRAL, L, P, add, encoded, points_at, times
from tests.support.world import ROOT

ML_DSA_SIGNATURE, ML_DSA_PUBLIC = 3309, 1952
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
MESSAGE = b'"@method": GET\n"@path": /protected'
HYBRIDS = ("ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65")

algs = pytest.mark.parametrize("alg", suites.NAMES)
hybrids = pytest.mark.parametrize("alg", HYBRIDS)


@cache
def key_of(alg: str, which: int = 0) -> PrivateKey:
    return suites.get(alg).generate()


@cache
def signature_of(alg: str) -> bytes:
    return key_of(alg).sign(MESSAGE)


def composite(alg: str) -> Any:
    suite = suites.get(alg)
    assert isinstance(suite, CompositeSuite)
    return suite


def refused(alg: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        suites.get(alg).verify(public_key, message, signature)
    except SignatureError as error:
        return error.code == "bad_signature"
    return False


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# What must hold


def in_the_protocol() -> list[tuple[str, int, int]]:
    """The table of suites in docs/protocol.md: name, bytes of a public key, most bytes of a signature."""
    text = (ROOT / "docs/protocol.md").read_text().partition("\n## Suites\n")[2].partition("\n## ")[0]
    row = re.compile(r"\| `(\S+)` \| (?:≤ )?([0-9,]+) B[^|]*\| ([0-9,]+) B[^|]*\|[^|]*\|")
    found = row.findall(text)
    assert len(found) == text.count("\n| `") - 1 > 0  # but for the heading
    return [(name, int(key.replace(",", "")), int(most.replace(",", ""))) for name, most, key in found]


def test_names_and_sizes_are_the_protocols_in_its_order() -> None:
    known = [suites.get(name) for name in suites.NAMES]
    assert [(s.name, s.public_key_size, s.max_signature_size) for s in known] == in_the_protocol()


@pytest.mark.parametrize("alg", suites.NAMES)
def test_only_signatures_with_der_in_them_have_several_sizes(alg: str) -> None:
    suite = suites.get(alg)
    shorter = {"ecdsa-p256+ml-dsa-65": 64}.get(alg, 0)
    assert suite.max_signature_size - suite.min_signature_size == shorter
    assert len(key_of(alg).public_key_bytes) == suite.public_key_size
    assert suite.min_signature_size <= len(signature_of(alg)) <= suite.max_signature_size


@algs
@settings(max_examples=15)
@given(message=st.binary(max_size=2000))
def test_what_a_key_signs_verifies(alg: str, message: bytes) -> None:
    key = key_of(alg)
    suites.get(alg).verify(key.public_key_bytes, message, key.sign(message))


@algs
def test_generated_keys_may_be_registered(alg: str) -> None:
    suites.get(alg).check_public_key(key_of(alg).public_key_bytes)


def test_more_keys_than_are_kept_loaded_still_verify() -> None:
    suite = suites.get("ed25519")
    keys = [suite.generate() for _ in range(suites._LOADED_KEYS + 20)]
    for key in [*keys, *keys]:
        suite.verify(key.public_key_bytes, MESSAGE, key.sign(MESSAGE))


# What must not


@algs
@settings(max_examples=60)
@given(data=st.data())
def test_every_one_bit_change_is_refused(alg: str, data: st.DataObject) -> None:
    parts = {
        "public_key": key_of(alg).public_key_bytes,
        "message": MESSAGE,
        "signature": signature_of(alg),
    }
    part = data.draw(st.sampled_from(sorted(parts)))
    parts[part] = flip(parts[part], data.draw(st.integers(0, len(parts[part]) * 8 - 1)))
    assert refused(alg, **parts)


@algs
@settings(max_examples=30)
@given(size=st.integers(0, 4000), fill=st.sampled_from([b"\0", b"\xff", b"\x30"]))
def test_signatures_and_keys_of_any_wrong_size_are_refused(alg: str, size: int, fill: bytes) -> None:
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    resized = (signature + fill * size)[:size]
    assert resized == signature or refused(alg, key, MESSAGE, resized)
    resized_key = (key + fill * size)[:size]
    assert resized_key == key or refused(alg, resized_key, MESSAGE, signature)


@algs
def test_trailing_leading_and_missing_bytes_are_refused(alg: str) -> None:
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    for wrong in (b"", signature[:-1], signature[1:], signature + b"\0", b"\0" + signature, signature * 2):
        assert refused(alg, key, MESSAGE, wrong)


@algs
def test_another_key_is_refused(alg: str) -> None:
    assert refused(alg, key_of(alg, 1).public_key_bytes, MESSAGE, signature_of(alg))


@algs
@pytest.mark.parametrize("other", suites.NAMES)
def test_signatures_of_one_suite_are_worth_nothing_in_another(alg: str, other: str) -> None:
    if alg != other:
        assert refused(alg, key_of(alg).public_key_bytes, MESSAGE, signature_of(other))
        assert refused(alg, key_of(other).public_key_bytes, MESSAGE, signature_of(other))


@pytest.mark.parametrize(
    "alg", ["", "none", "Ed25519", "ed25519 ", "hmac-sha256", "ml-dsa-44", "ml-dsa-87", "ml-dsa-65+ed25519"]
)
def test_unknown_algorithms_are_named_not_guessed(alg: str) -> None:
    with pytest.raises(SignatureError, match="use one of ed25519, ") as refusal:
        suites.get(alg)
    assert refusal.value.code == "alg_not_allowed"
    assert isinstance(refusal.value, SignetError)


# Composites


@hybrids
def test_halves_of_two_keys_make_no_third_identity(alg: str) -> None:
    """Without the pairing context they would: the first assertions show the attack, the others its end."""
    suite = composite(alg)
    first, second = key_of(alg), key_of(alg, 1)
    mixed = first.public_key_bytes[:ML_DSA_PUBLIC] + second.public_key_bytes[ML_DSA_PUBLIC:]

    def mix(signatures: tuple[bytes, bytes]) -> bytes:
        return signatures[0][:ML_DSA_SIGNATURE] + signatures[1][ML_DSA_SIGNATURE:]

    unbound = mix(
        (suite.sign_with_context(first, MESSAGE, b""), suite.sign_with_context(second, MESSAGE, b""))
    )
    suite.verify_with_context(mixed, MESSAGE, unbound, b"")
    assert refused(alg, mixed, MESSAGE, unbound)
    assert refused(alg, mixed, MESSAGE, mix((first.sign(MESSAGE), second.sign(MESSAGE))))
    for own in (first, second):
        assert refused(alg, mixed, MESSAGE, own.sign(MESSAGE))


@hybrids
def test_either_half_of_another_message_is_refused(alg: str) -> None:
    key, signature, other = key_of(alg), signature_of(alg), key_of(alg).sign(MESSAGE + b"!")
    for one, two in ((signature, other), (other, signature)):
        mixed = one[:ML_DSA_SIGNATURE] + two[ML_DSA_SIGNATURE:]
        assert refused(alg, key.public_key_bytes, MESSAGE, mixed)


@hybrids
def test_swapped_and_repeated_halves_are_refused(alg: str) -> None:
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    first, second = signature[:ML_DSA_SIGNATURE], signature[ML_DSA_SIGNATURE:]
    for wrong in (first, second, second + first, first + first, second + second):
        assert refused(alg, key, MESSAGE, wrong)
    swapped_key = key[ML_DSA_PUBLIC:] + key[:ML_DSA_PUBLIC]
    assert refused(alg, swapped_key, MESSAGE, signature)


@hybrids
def test_a_half_alone_is_refused_under_the_single_suites(alg: str) -> None:
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    first, second = signature[:ML_DSA_SIGNATURE], signature[ML_DSA_SIGNATURE:]
    assert refused("ml-dsa-65", key[:ML_DSA_PUBLIC], MESSAGE, first)
    single = "ed25519" if alg.startswith("ed25519") else "ecdsa-p256-sha256"
    if single == "ecdsa-p256-sha256":
        second = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(second))
    assert refused(single, key[ML_DSA_PUBLIC:], MESSAGE, second)


@hybrids
def test_single_signatures_make_no_composite(alg: str) -> None:
    """Nor does an ML-DSA half over M' itself, if its own context is empty instead of the label."""
    suite, key = composite(alg), key_of(alg)
    post_quantum, traditional = key.halves
    context = suites.pairing_context(key.public_key_bytes)
    representative = suite._representative(MESSAGE, context)
    second = signature_of(alg)[ML_DSA_SIGNATURE:]
    for message in (MESSAGE, representative):
        first = suites.get("ml-dsa-65").private_key(post_quantum).sign(message)
        assert refused(alg, key.public_key_bytes, MESSAGE, first + second)
    plain = (Ed25519() if "ed25519" in alg else EcdsaP256Der()).sign(traditional, MESSAGE)  # type: ignore[arg-type]
    first = signature_of(alg)[:ML_DSA_SIGNATURE]
    assert refused(alg, key.public_key_bytes, MESSAGE, first + plain)
    # The same pieces, put together as they should be, do verify.
    label = suite._domain.removeprefix(b"CompositeAlgorithmSignatures2025")
    right = MlDsa65(context=label).sign(post_quantum, representative)  # type: ignore[arg-type]
    suite.verify(key.public_key_bytes, MESSAGE, right + second)


@hybrids
@pytest.mark.parametrize("context", [b"", b"signet-pch-v1", b"signet-pch-v1" + bytes(32), bytes(255)])
def test_other_contexts_are_refused(alg: str, context: bytes) -> None:
    suite, key = composite(alg), key_of(alg)
    signature = suite.sign_with_context(key, MESSAGE, context)
    suite.verify_with_context(key.public_key_bytes, MESSAGE, signature, context)
    assert refused(alg, key.public_key_bytes, MESSAGE, signature)


@hybrids
def test_the_context_names_the_pair_of_keys(alg: str) -> None:
    suite, key = composite(alg), key_of(alg)
    context = b"signet-pch-v1" + hashlib.sha256(key.public_key_bytes).digest()
    suite.verify_with_context(key.public_key_bytes, MESSAGE, signature_of(alg), context)


@hybrids
def test_contexts_beyond_255_bytes_are_refused(alg: str) -> None:
    suite, key = composite(alg), key_of(alg)
    with pytest.raises(SignatureError, match="255"):
        suite.sign_with_context(key, MESSAGE, bytes(256))
    with pytest.raises(SignatureError, match="255"):
        suite.verify_with_context(key.public_key_bytes, MESSAGE, signature_of(alg), bytes(256))


@hybrids
def test_the_error_does_not_tell_which_half_is_bad(alg: str) -> None:
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    told = set()
    for bit in (0, len(signature) * 8 - 1, ML_DSA_SIGNATURE * 8 + 1):
        with pytest.raises(SignatureError) as refusal:
            suites.get(alg).verify(key, MESSAGE, flip(signature, bit))
        told.add((str(refusal.value), refusal.value.code, refusal.value.__cause__))
    assert len(told) == 1


@hybrids
@pytest.mark.parametrize("bad", [(True, False), (False, True), (True, True)])
def test_both_halves_are_verified_whichever_is_bad(
    alg: str, bad: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def half(index: int) -> Any:
        def verify(_signature: bytes, _message: bytes) -> None:
            asked.append(index)
            if bad[index]:
                raise ValueError

        return verify

    monkeypatch.setattr(suites.get(alg), "_loaded", lambda _key: (half(0), half(1)))
    assert refused(alg, key_of(alg).public_key_bytes, MESSAGE, signature_of(alg))
    assert asked == [0, 1]


# ECDSA encodings


def test_composite_ecdsa_takes_strict_der_only() -> None:
    alg = "ecdsa-p256+ml-dsa-65"
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    first, der = signature[:ML_DSA_SIGNATURE], signature[ML_DSA_SIGNATURE:]
    r, s = decode_dss_signature(der)
    r_tlv, s_tlv = der[2 : 4 + der[3]], der[4 + der[3] :]
    padded = b"\x02" + bytes([len(r_tlv) - 1]) + b"\0" + r_tlv[2:]
    wrong = {
        "raw": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "long form of the length": b"\x30\x81" + der[1:],
        "indefinite length": b"\x30\x80" + der[2:] + b"\0\0",
        "padded r": b"\x30" + bytes([len(padded + s_tlv)]) + padded + s_tlv,
        "trailing byte": der + b"\0",
        "trailing byte inside": b"\x30" + bytes([der[1] + 1]) + der[2:] + b"\0",
        "truncated": der[:-1],
        "swapped": b"\x30" + der[1:2] + s_tlv + r_tlv,
        "a set": b"\x31" + der[1:],
        "r = 0": encode_dss_signature(0, s),
        "s = 0": encode_dss_signature(r, 0),
        "r + n": encode_dss_signature(r + P256_ORDER, s),
        "s + n": encode_dss_signature(r, s + P256_ORDER),
        "negative s": b"\x30" + bytes([len(r_tlv) + 34]) + r_tlv + b"\x02\x20\x80" + s_tlv[-31:],
    }
    for what, encoding in wrong.items():
        assert refused(alg, key, MESSAGE, first + encoding), what


def test_single_ecdsa_takes_r_and_s_in_range_only() -> None:
    alg = "ecdsa-p256-sha256"
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    r, s = signature[:32], signature[32:]
    order = P256_ORDER.to_bytes(32, "big")
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    for wrong in (bytes(32) + s, r + bytes(32), bytes(64), order + s, r + order, order * 2, s + r, der):
        assert refused(alg, key, MESSAGE, wrong)
    for same_numbers in (r + b"\0" + s, signature[:31] + b"\0" + signature[31:]):
        assert refused(alg, key, MESSAGE, same_numbers)


@pytest.mark.parametrize("number", [0, P256_ORDER, P256_ORDER + 1, 2**256 - 1])
def test_numbers_out_of_range_never_reach_the_library(number: int) -> None:
    for r, s in ((number, 1), (1, number)):
        with pytest.raises(ValueError, match="out of range"):
            EcdsaP256Raw()._to_der(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        with pytest.raises(ValueError, match="out of range"):
            EcdsaP256Der()._to_der(encode_dss_signature(r, s))


@pytest.mark.parametrize("alg", ["ecdsa-p256-sha256", "ecdsa-p256+ml-dsa-65"])
def test_ecdsa_is_malleable_so_signatures_identify_nothing(alg: str) -> None:
    """(r, n - s) verifies too, by ECDSA's nature: the replay key is the nonce."""
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    if alg == "ecdsa-p256-sha256":
        other_s = P256_ORDER - int.from_bytes(signature[32:], "big")
        other = signature[:32] + other_s.to_bytes(32, "big")
    else:
        r, s = decode_dss_signature(signature[ML_DSA_SIGNATURE:])
        other = signature[:ML_DSA_SIGNATURE] + encode_dss_signature(r, P256_ORDER - s)
    assert other != signature
    suites.get(alg).verify(key, MESSAGE, other)


@pytest.mark.parametrize("alg", ["ecdsa-p256-sha256", "ecdsa-p256+ml-dsa-65"])
def test_other_forms_of_a_point_and_no_points_are_refused(alg: str) -> None:
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    before, point = key[:-65], key[-65:]
    public: Any = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    padded = compressed + bytes(32)
    hybrid_form = bytes([6 + (point[-1] & 1)]) + point[1:]
    off_curve = flip(point, 65 * 8 - 1)
    infinity = b"\0"
    for wrong in (compressed, padded, hybrid_form, off_curve, infinity, bytes(65), b"\x04" + bytes(64)):
        assert refused(alg, before + wrong, MESSAGE, signature)
        with pytest.raises(SignatureError):
            suites.get(alg).check_public_key(before + wrong)


# ML-DSA

HINT_INDICES, HINT_POLYNOMIALS = 55, 6


def test_ml_dsa_hints_have_one_encoding() -> None:
    """FIPS 204 Algorithm 21: indices of a polynomial strictly increase, unused places are zero."""
    alg = "ml-dsa-65"
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    start = ML_DSA_SIGNATURE - HINT_INDICES - HINT_POLYNOMIALS
    ends = list(signature[-HINT_POLYNOMIALS:])
    runs = [(low, high) for low, high in zip([0, *ends], ends, strict=False) if high - low > 1]
    low = start + runs[0][0]
    swapped = signature[:low] + signature[low : low + 2][::-1] + signature[low + 2 :]
    doubled = signature[:low] + signature[low : low + 1] * 2 + signature[low + 2 :]
    assert refused(alg, key, MESSAGE, swapped)
    assert refused(alg, key, MESSAGE, doubled)
    unused = start + ends[-1]
    for place in range(unused, start + HINT_INDICES):
        assert refused(alg, key, MESSAGE, signature[:place] + b"\x01" + signature[place + 1 :])
    assert refused(alg, key, MESSAGE, signature[:-1] + bytes([HINT_INDICES + 1]))
    assert refused(alg, key, MESSAGE, signature[:-1] + bytes([ends[-2] - 1]))


def test_hash_ml_dsa_is_refused_and_only_its_domain_differs() -> None:
    """FIPS 204: the message representative of HashML-DSA starts with 0x01, that of ML-DSA with 0x00."""
    key = key_of("ml-dsa-65")
    private: Any = key.halves[0]
    oid_sha512 = bytes.fromhex("0609608648016503040203")
    pure = b"\x00\x00" + MESSAGE
    hashed = b"\x01\x00" + oid_sha512 + hashlib.sha512(MESSAGE).digest()

    def sign(formatted: bytes) -> bytes:
        tr = hashlib.shake_256(key.public_key_bytes).digest(64)
        return private.sign_mu(hashlib.shake_256(tr + formatted).digest(64))

    suites.get("ml-dsa-65").verify(key.public_key_bytes, MESSAGE, sign(pure))
    assert refused("ml-dsa-65", key.public_key_bytes, MESSAGE, sign(hashed))
    assert refused("ml-dsa-65", key.public_key_bytes, hashlib.sha512(MESSAGE).digest(), sign(hashed))


def test_ml_dsa_signatures_under_a_context_are_refused() -> None:
    key = key_of("ml-dsa-65")
    private: Any = key.halves[0]
    for context in (b"\0", b"signet", bytes(255)):
        assert refused("ml-dsa-65", key.public_key_bytes, MESSAGE, private.sign(MESSAGE, context))


@pytest.mark.parametrize("other", [mldsa.MLDSA44PrivateKey, mldsa.MLDSA87PrivateKey])
def test_other_parameter_sets_are_refused(other: Any) -> None:
    private = other.generate()
    public, signature = private.public_key().public_bytes_raw(), private.sign(MESSAGE)
    assert refused("ml-dsa-65", public, MESSAGE, signature)
    assert refused("ml-dsa-65", key_of("ml-dsa-65").public_key_bytes, MESSAGE, signature)
    assert refused("ml-dsa-65", key_of("ml-dsa-65").public_key_bytes, MESSAGE, signature[:ML_DSA_SIGNATURE])
    with pytest.raises(SignatureError):
        suites.get("ml-dsa-65").check_public_key(public)


@pytest.mark.parametrize("alg", ["ml-dsa-65", *HYBRIDS])
def test_the_ml_dsa_key_under_which_anybody_can_sign_cannot_be_registered(alg: str) -> None:
    key = key_of(alg).public_key_bytes
    weak = key[:32] + bytes(ML_DSA_PUBLIC - 32) + key[ML_DSA_PUBLIC:]
    with pytest.raises(SignatureError, match="t1"):
        suites.get(alg).check_public_key(weak)


# Ed25519


def test_the_refused_low_order_points_are_all_eight_there_are() -> None:
    points = [point for y in Ed25519._LOW_ORDER_Y for point in points_at(y)]
    assert len(set(points)) == len(points) == 8
    for point in points:
        double = add(point, point)
        four = add(double, double)
        assert add(four, four) == (0, 1)


@pytest.mark.parametrize("alg", ["ed25519", "ed25519+ml-dsa-65"])
def test_low_order_and_second_encodings_of_ed25519_keys_are_refused_everywhere(alg: str) -> None:
    key, signature = key_of(alg).public_key_bytes, signature_of(alg)
    weak = [*sorted(Ed25519._LOW_ORDER_Y), P, P + 1, P + 3, 2**255 - 1]
    for y in weak:
        for sign in (0, 1):
            wrong = key[:-32] + (y | sign << 255).to_bytes(32, "little")
            assert refused(alg, wrong, MESSAGE, signature)
            with pytest.raises(SignatureError, match="low order or not canonical"):
                suites.get(alg).check_public_key(wrong)


def test_the_forgery_that_a_low_order_key_allows_is_refused() -> None:
    """With A the neutral element, R = sB verifies any message: here s = 0 and R the neutral element too."""
    neutral = (1).to_bytes(32, "little")
    assert refused("ed25519", neutral, MESSAGE, neutral + bytes(32))


@pytest.mark.parametrize("alg", ["ed25519", "ed25519+ml-dsa-65"])
def test_ed25519_keys_of_mixed_order_are_not_registered(alg: str) -> None:
    """By cofactor, a signature under A verifies under A + T as well: libraries differ on that."""
    key = key_of(alg).public_key_bytes
    assert len(set(MIXED_ORDER.values())) == 3
    for mixed in MIXED_ORDER.values():
        for sign in (0, 0x80):
            wrong = key[:-32] + mixed[:-1] + bytes([mixed[-1] ^ sign])
            with pytest.raises(SignatureError, match="mixed order"):
                suites.get(alg).check_public_key(wrong)


@settings(max_examples=24)
@given(y=st.integers(2, P - 2))
def test_ed25519_keys_are_registered_exactly_if_they_are_points_of_order_l(y: int) -> None:
    if y in Ed25519._LOW_ORDER_Y:
        return
    points = points_at(y)
    suite, key = suites.get("ed25519"), y.to_bytes(32, "little")
    if points and all(times(L, point) == NEUTRAL for point in points):
        suite.check_public_key(key)
        return
    with pytest.raises(SignatureError, match="mixed order" if points else "no point"):
        suite.check_public_key(key)


@settings(max_examples=12)
@given(y=st.integers(2, P - 2))
def test_eight_times_a_point_is_a_key(y: int) -> None:
    """Most points are of mixed order, so the test above shows few keys that are taken."""
    for point in points_at(y)[:1]:
        suites.get("ed25519").check_public_key(encoded(times(8, point)))


# Private keys and key ids


@algs
def test_a_key_signs_for_its_own_suite_only(alg: str) -> None:
    other = suites.NAMES[suites.NAMES.index(alg) - 1]
    with pytest.raises(SignatureError) as refusal:
        suites.get(other).sign(key_of(alg), MESSAGE)
    assert refusal.value.code == "alg_mismatch"


@algs
def test_private_keys_are_wrapped_only_by_their_own_suite(alg: str) -> None:
    halves = key_of(alg).halves
    assert suites.get(alg).private_key(*halves).public_key_bytes == key_of(alg).public_key_bytes
    wrong = [(), halves * 2, *(key_of(other).halves for other in suites.NAMES if other != alg)]
    for given_halves in wrong if len(halves) == 1 else [*wrong, halves[::-1]]:
        with pytest.raises(SignatureError):
            suites.get(alg).private_key(*given_halves)


def test_keys_on_other_curves_are_refused() -> None:
    with pytest.raises(SignatureError):
        suites.get("ecdsa-p256-sha256").private_key(ec.generate_private_key(ec.SECP384R1()))


@algs
def test_private_keys_do_not_show_themselves(alg: str) -> None:
    assert repr(key_of(alg)) == f"PrivateKey(alg={alg!r})"
    with pytest.raises(dataclasses.FrozenInstanceError):
        key_of(alg).alg = "none"  # type: ignore[misc]


@algs
def test_key_ids_come_from_the_algorithm_and_the_whole_public_key(alg: str) -> None:
    key = key_of(alg)
    expected = hashlib.sha256(alg.encode() + b"\n" + key.public_key_bytes).hexdigest()[:32]
    assert key.key_id == suites.key_id(alg, key.public_key_bytes) == expected
    if alg in HYBRIDS:
        mixed = key.public_key_bytes[:ML_DSA_PUBLIC] + key_of(alg, 1).public_key_bytes[ML_DSA_PUBLIC:]
        assert suites.key_id(alg, mixed) != expected


def test_key_ids_need_a_known_algorithm_and_a_key_of_its_size() -> None:
    with pytest.raises(SignatureError):
        suites.key_id("rsa", bytes(32))
    with pytest.raises(SignatureError):
        suites.key_id("ed25519", bytes(31))


def test_the_same_ed25519_half_in_two_suites_signs_differently() -> None:
    """A traditional key used alone as well cannot be turned against the hybrid, nor the other way."""
    half = Ed25519PrivateKey.generate()
    single = suites.get("ed25519").private_key(half)
    hybrid = suites.get("ed25519+ml-dsa-65").private_key(key_of("ml-dsa-65").halves[0], half)
    together = key_of("ml-dsa-65").sign(MESSAGE) + single.sign(MESSAGE)
    assert refused("ed25519+ml-dsa-65", hybrid.public_key_bytes, MESSAGE, together)
