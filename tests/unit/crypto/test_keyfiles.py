"""Key files: what is written reads back; everything else is refused in a sentence that helps."""

import base64
import re
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, mldsa, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.core.errors import KeyFileError
from signet.crypto import suites
from signet.crypto._primitives import CURVES
from signet.crypto.keyfiles import dump_private, dump_public, load_private, load_public
from signet.crypto.suites import PrivateKey

algs = pytest.mark.parametrize("alg", suites.NAMES)
ED25519, P256, ML_DSA = "ed25519", "ecdsa-p256-sha256", "ml-dsa-65"


@cache
def key_of(alg: str) -> PrivateKey:
    return suites.get(alg).generate()


def private_pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, encryption: Any = None) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def refusal(load: Any, pem: bytes, alg: str | None = None) -> str:
    """Return the message, after checking that it is one clear sentence that quotes nothing of the file."""
    with pytest.raises(KeyFileError) as caught:
        load(pem, alg)
    message = str(caught.value)
    assert caught.value.code == "bad_key_file"
    assert message.endswith(".")
    assert "\n" not in message
    assert not re.search(r"[A-Za-z0-9+/]{40}", message)
    return message


# What must hold


@algs
def test_a_private_key_file_reads_back_as_the_same_key(alg: str) -> None:
    key = key_of(alg)
    for wanted in (None, alg):
        loaded = load_private(dump_private(key), wanted)
        assert (loaded.alg, loaded.public_key_bytes) == (alg, key.public_key_bytes)
    suites.get(alg).verify(key.public_key_bytes, b"message", loaded.sign(b"message"))
    assert dump_private(loaded) == dump_private(key)


@algs
def test_a_public_key_file_reads_back_as_the_raw_key(alg: str) -> None:
    key = key_of(alg)
    for wanted in (None, alg):
        assert load_public(dump_public(key), wanted) == (alg, key.public_key_bytes)


@algs
def test_files_are_standard_pem_blocks_with_ml_dsa_first(alg: str) -> None:
    key = key_of(alg)
    labels = re.findall(rb"-----BEGIN (.*)-----", dump_private(key))
    assert labels == [b"PRIVATE KEY"] * len(key.halves)
    assert re.findall(rb"-----BEGIN (.*)-----", dump_public(key)) == [b"PUBLIC KEY"] * len(key.halves)
    if len(key.halves) > 1:
        assert isinstance(load_pem_private_key(dump_private(key), None), mldsa.MLDSA65PrivateKey)


@algs
def test_line_ends_and_white_space_around_blocks_do_not_matter(alg: str) -> None:
    for dump, load in ((dump_private, load_private), (dump_public, load_public)):
        pem = dump(key_of(alg))
        spaced = b"\n\n" + pem.replace(b"-----\n-----", b"-----\n\n  \n-----") + b"\n \n"
        for variant in (pem.replace(b"\n", b"\r\n"), spaced, pem.rstrip(b"\n")):
            load(variant, alg)


# What must not


@algs
@pytest.mark.parametrize("other", suites.NAMES)
def test_another_suites_file_is_refused_by_name(alg: str, other: str) -> None:
    if alg == other:
        return
    for dump, load in ((dump_private, load_private), (dump_public, load_public)):
        message = refusal(load, dump(key_of(alg)), other)
        assert f"holds a key of {alg}, not of {other};" in message


@pytest.mark.parametrize("alg", [name for name in suites.NAMES if len(suites.get(name).kinds) > 1])
def test_blocks_in_the_wrong_order_are_refused(alg: str) -> None:
    for pem_of, load in ((private_pem, load_private), (public_pem, load_public)):
        blocks = b"".join(pem_of(half) for half in reversed(key_of(alg).halves))
        assert "put the ML-DSA block first" in refusal(load, blocks)


def test_keys_that_make_no_suite_together_are_refused() -> None:
    pairs = [(ED25519, P256), (ED25519, ED25519), (ML_DSA, ML_DSA)]
    for pair in pairs:
        for dump, load in ((dump_private, load_private), (dump_public, load_public)):
            assert "make no suite together" in refusal(load, b"".join(dump(key_of(alg)) for alg in pair))


def test_three_blocks_are_refused() -> None:
    for dump, load in ((dump_private, load_private), (dump_public, load_public)):
        pem = dump(key_of("ed25519+ml-dsa-65")) + dump(key_of(P256))
        assert "holds 3 keys" in refusal(load, pem)


def test_a_key_file_tells_its_suite() -> None:
    """Two suites with the same kinds of keys would leave one of them without key files."""
    assert len({suites.get(name).kinds for name in suites.NAMES}) == len(suites.NAMES)


@pytest.mark.parametrize(
    "curve",
    [curve for curve in (ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1()) if curve.name not in CURVES],
)
def test_other_curves_are_refused_by_name(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    for pem, load in ((private_pem(key), load_private), (public_pem(key), load_public)):
        message = refusal(load, pem)
        assert curve.name in message
        assert "P-256" in message


@pytest.mark.parametrize(
    "generate",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        ed448.Ed448PrivateKey.generate,
        x25519.X25519PrivateKey.generate,
        mldsa.MLDSA44PrivateKey.generate,
        mldsa.MLDSA87PrivateKey.generate,
    ],
    ids=["rsa", "ed448", "x25519", "ml-dsa-44", "ml-dsa-87"],
)
def test_kinds_of_keys_without_a_suite_are_refused(generate: Any) -> None:
    key = generate()
    for pem, load in ((private_pem(key), load_private), (public_pem(key), load_public)):
        assert "use one of ed25519, " in refusal(load, pem)


def test_an_encrypted_key_is_refused_with_the_way_out() -> None:
    half = key_of(ED25519).halves[0]
    pem = private_pem(half, encryption=BestAvailableEncryption(b"secret"))
    assert "decrypt it first" in refusal(load_private, pem)
    old = private_pem(
        key_of(P256).halves[0], PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")
    )
    assert "openssl pkcs8 -topk8" in refusal(load_private, old)


def test_other_pem_files_are_told_apart() -> None:
    openssh = private_pem(key_of(ED25519).halves[0], PrivateFormat.OpenSSH)
    certificate = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    assert "OpenSSH" in refusal(load_private, openssh)
    assert "certificate" in refusal(load_public, certificate)
    assert "something else" in refusal(load_public, certificate.replace(b"CERTIFICATE", b"X509 CRL"))


@algs
def test_private_and_public_files_are_not_mixed_up(alg: str) -> None:
    key = key_of(alg)
    assert "give the private key file" in refusal(load_private, dump_public(key))
    assert "keep this one to yourself" in refusal(load_public, dump_private(key))


@pytest.mark.parametrize("load", [load_private, load_public])
@pytest.mark.parametrize("garbage", [b"", b"\n", b"hello", b"\x00\xff" * 50, b"-----BEGIN", b"{}"])
def test_garbage_is_refused(load: Any, garbage: bytes) -> None:
    assert "not a PEM key file" in refusal(load, garbage)


@algs
def test_text_besides_the_blocks_is_refused(alg: str) -> None:
    for dump, load in ((dump_private, load_private), (dump_public, load_public)):
        pem = dump(key_of(alg))
        for wrong in (b"# my key\n" + pem, pem + b"x", pem + b"-----END PRIVATE KEY-----\n"):
            assert "text besides its PEM blocks" in refusal(load, wrong)


@algs
def test_truncated_files_are_refused(alg: str) -> None:
    for dump, load in ((dump_private, load_private), (dump_public, load_public)):
        pem = dump(key_of(alg)).rstrip()
        for size in range(1, len(pem), 37):
            refusal(load, pem[:size], alg)
        for first_only in re.findall(rb"(?s).+?-----END.+?-----", pem)[:-1]:
            assert "holds a key of ml-dsa-65" in refusal(load, first_only, alg)


@algs
@settings(max_examples=40)
@given(data=st.data())
def test_a_changed_character_gives_another_key_or_a_clear_refusal(alg: str, data: st.DataObject) -> None:
    """Never a crash, and never the same key from two different texts of its data."""
    pem = dump_public(key_of(alg))
    position = data.draw(st.integers(0, len(pem) - 1))
    changed = pem[:position] + data.draw(st.binary(min_size=1, max_size=1)) + pem[position + 1 :]
    try:
        _name, raw = load_public(changed)
    except KeyFileError:
        return
    if raw == key_of(alg).public_key_bytes:
        assert b"".join(changed.split()) == b"".join(pem.split())


def test_weak_public_keys_are_refused() -> None:
    neutral = (1).to_bytes(32, "little")
    der = bytes.fromhex("302a300506032b6570032100") + neutral
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END PUBLIC KEY-----\n"
    assert "low order" in refusal(load_public, pem)
