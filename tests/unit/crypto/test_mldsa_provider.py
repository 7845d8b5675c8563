"""Who verifies ML-DSA may be chosen; what is verified stays the same."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.aws.liboqs import NAMES
from signet.core.errors import SignatureError
from signet.crypto import suites
from signet.crypto.mldsa_provider import (
    CRYPTOGRAPHY,
    MAX_CONTEXT_SIZE,
    PUBLIC_KEY_SIZE,
    SIGNATURE_SIZE,
    LiboqsMlDsa,
    MlDsaProvider,
)
from tests.support.mldsa import provider_or_skip, verifying_with

ML_DSA_SUITES = ("ml-dsa-65", "ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65")
MESSAGE = b'"@method": GET\n"@path": /protected'


class OqsStandIn:
    """liboqs-python's interface, answered by ``cryptography``.

    It shows who was asked what, not that liboqs is right. The original reads a key as if it had the
    right length, so no caller may ask with a wrong one.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def verify_with_ctx_str(
        self, message: bytes, signature: bytes, context: bytes, public_key: bytes
    ) -> bool:
        assert (len(public_key), len(signature)) == (PUBLIC_KEY_SIZE, SIGNATURE_SIZE)
        assert len(context) <= MAX_CONTEXT_SIZE
        self.asked.append(context)
        try:
            MLDSA65PublicKey.from_public_bytes(public_key).verify(signature, message, context)
        except InvalidSignature:
            return False
        return True


@cache
def key() -> MLDSA65PrivateKey:
    return MLDSA65PrivateKey.generate()


def answer(
    provider: MlDsaProvider, public_key: bytes, message: bytes, context: bytes, signature: bytes
) -> bool:
    try:
        provider.verifier(public_key, context)(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def changed(data: st.DataObject, value: bytes) -> bytes:
    """Return the value as it is, shortened, lengthened, or with one bit the other way."""
    way = data.draw(st.sampled_from(["same", "same", "shorter", "longer", "flipped"]))
    if way == "shorter":
        return value[:-1]
    if way == "longer":
        return value + b"\0"
    if way == "flipped" and value:
        bit = data.draw(st.integers(0, 8 * len(value) - 1))
        flipped = bytearray(value)
        flipped[bit // 8] ^= 1 << bit % 8
        return bytes(flipped)
    return value


@pytest.fixture(scope="module", params=["stand-in for liboqs", "liboqs"])
def second(request: pytest.FixtureRequest) -> MlDsaProvider:
    return provider_or_skip("liboqs") if request.param == "liboqs" else LiboqsMlDsa(OqsStandIn())


@settings(max_examples=150)
@given(data=st.data(), message=st.binary(max_size=300), context=st.binary(max_size=255))
def test_providers_give_the_same_answer(
    second: MlDsaProvider, data: st.DataObject, message: bytes, context: bytes
) -> None:
    signature = key().sign(message, context)
    public_key = key().public_key().public_bytes_raw()
    parts = [changed(data, part) for part in (public_key, message, context, signature)]
    assert answer(second, *parts) is answer(CRYPTOGRAPHY, *parts)


@settings(max_examples=25)
@given(message=st.binary(max_size=300), context=st.binary(max_size=255))
def test_what_one_signs_the_other_accepts(second: MlDsaProvider, message: bytes, context: bytes) -> None:
    public_key = key().public_key().public_bytes_raw()
    assert answer(second, public_key, message, context, key().sign(message, context))


@pytest.mark.parametrize("alg", ML_DSA_SUITES)
@pytest.mark.parametrize("name", NAMES)
def test_every_suite_keeps_its_answers(name: str, alg: str) -> None:
    suite = suites.get(alg)
    private = suite.generate()
    public_key, signature = private.public_key_bytes, private.sign(MESSAGE)
    with verifying_with(provider_or_skip(name)):
        suite.verify(public_key, MESSAGE, signature)
        for wrong in (
            (public_key, MESSAGE + b".", signature),
            (public_key, MESSAGE, signature[:-1]),
            (public_key, MESSAGE, b"\0" + signature),
            (public_key[:-1], MESSAGE, signature),
            (public_key + b"\0", MESSAGE, signature),
            (public_key, MESSAGE, signature[:40] + bytes([signature[40] ^ 1]) + signature[41:]),
        ):
            with pytest.raises(SignatureError) as caught:
                suite.verify(*wrong)
            assert caught.value.code == "bad_signature"


@pytest.mark.parametrize("alg", ML_DSA_SUITES)
def test_the_chosen_provider_is_asked_even_for_keys_already_loaded(alg: str) -> None:
    suite, library = suites.get(alg), OqsStandIn()
    private = suite.generate()
    signature = private.sign(MESSAGE)
    suite.verify(private.public_key_bytes, MESSAGE, signature)
    with verifying_with(LiboqsMlDsa(library)):
        suite.verify(private.public_key_bytes, MESSAGE, signature)
        assert len(library.asked) == 1
    suite.verify(private.public_key_bytes, MESSAGE, signature)
    assert len(library.asked) == 1


def test_composites_ask_under_their_label_and_the_single_suite_under_none() -> None:
    library = OqsStandIn()
    with verifying_with(LiboqsMlDsa(library)):
        for alg in ML_DSA_SUITES:
            private = suites.get(alg).generate()
            suites.get(alg).verify(private.public_key_bytes, MESSAGE, private.sign(MESSAGE))
    assert library.asked == [b"", b"COMPSIG-MLDSA65-Ed25519-SHA512", b"COMPSIG-MLDSA65-ECDSA-P256-SHA512"]


@pytest.mark.parametrize("size", [MAX_CONTEXT_SIZE + 1, 2**16])
def test_no_signature_verifies_under_a_context_that_is_too_long(second: MlDsaProvider, size: int) -> None:
    parts = (key().public_key().public_bytes_raw(), MESSAGE, bytes(size), key().sign(MESSAGE))
    assert [answer(provider, *parts) for provider in (second, CRYPTOGRAPHY)] == [False, False]


@pytest.mark.parametrize("size", [0, PUBLIC_KEY_SIZE - 1, PUBLIC_KEY_SIZE + 1])
def test_a_key_of_another_size_never_reaches_liboqs(size: int) -> None:
    with pytest.raises(ValueError, match=str(PUBLIC_KEY_SIZE)):
        LiboqsMlDsa(OqsStandIn()).verifier(bytes(size), b"")
