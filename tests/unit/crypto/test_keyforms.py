"""Keys in the forms that people hold them in: read, or named with the command that converts them."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID

from signet.core.errors import KeyFileError
from signet.crypto import keyfiles, suites
from signet.crypto.keyfiles import load_private, load_public
from signet.crypto.keyforms import MAX_KEY_FILE_BYTES

ALGS = ("ed25519", "ecdsa-p256-sha256")
KEYS = {alg: suites.get(alg).generate() for alg in suites.NAMES}
ED, EC = (KEYS[alg].halves[0] for alg in ALGS)
SPKI = PublicFormat.SubjectPublicKeyInfo


def _private(key: Any, encoding: Encoding, form: PrivateFormat, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(encoding, form, encryption)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _jwk(suite: str, *, private: bool = False, **changed: Any) -> dict[str, Any]:
    half: Any = KEYS[suite].halves[0]
    if suite == "ed25519":
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": _b64(half.public_key().public_bytes_raw())}
        secret = half.private_bytes_raw()
    else:
        numbers = half.private_numbers()
        point = numbers.public_numbers
        jwk = {"kty": "EC", "crv": "P-256", "x": _b64(point.x.to_bytes(32)), "y": _b64(point.y.to_bytes(32))}
        secret = numbers.private_value.to_bytes(32)
    return {**jwk, **({"d": _b64(secret)} if private else {}), **changed}


def _refusal(load: Callable[..., Any], data: bytes) -> str:
    """Return the message, after checking that it is one sentence that quotes nothing of the file."""
    with pytest.raises(KeyFileError) as caught:
        load(data)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert not re.search(r"[A-Za-z0-9+/]{40}", message)
    assert caught.value.__cause__ is None or "KEY" not in str(caught.value.__cause__)
    return message


@pytest.mark.parametrize("alg", suites.NAMES)
def test_blanks_and_a_byte_order_mark_do_not_matter(alg: str):
    key = KEYS[alg]
    for dump, load in ((keyfiles.dump_private, load_private), (keyfiles.dump_public, load_public)):
        pem = dump(key)
        for variant in (
            b"\xef\xbb\xbf" + pem,
            pem.replace(b"\n", b"  \t\n"),
            b"".join(b"    " + line for line in pem.splitlines(keepends=True)),
            b"\xef\xbb\xbf\r\n" + pem.replace(b"\n", b" \r\n"),
        ):
            loaded = load(variant)
            raw = loaded[1] if isinstance(loaded, tuple) else loaded.public_key_bytes
            assert raw == key.public_key_bytes


@pytest.mark.parametrize("alg", ["ed25519", "ecdsa-p256-sha256", "ml-dsa-65"])
def test_a_public_key_in_der_is_read(alg: str):
    der = KEYS[alg].halves[0].public_key().public_bytes(Encoding.DER, SPKI)
    assert load_public(der) == (alg, KEYS[alg].public_key_bytes)
    assert "give the private key file" in _refusal(load_private, der)
    assert "not a PEM" in _refusal(load_public, der[:-1])
    assert "not a PEM" in _refusal(load_public, der + b"x")


@pytest.mark.parametrize("alg", ALGS)
def test_a_json_web_key_is_read(alg: str):
    public = json.dumps(_jwk(alg, kid="me", use="sig", alg="EdDSA")).encode()
    assert load_public(public) == load_public(b"\xef\xbb\xbf " + public) == (alg, KEYS[alg].public_key_bytes)
    private = json.dumps(_jwk(alg, private=True)).encode()
    assert load_private(private).public_key_bytes == KEYS[alg].public_key_bytes
    assert "keep this one to yourself" in _refusal(load_public, private)
    assert "give the private key file" in _refusal(load_private, public)


def test_a_json_web_key_that_is_wrong_is_refused():
    other = _b64(suites.get("ed25519").generate().public_key_bytes)
    padded = _jwk("ed25519")["x"] + "="
    last = _jwk("ed25519")["x"]
    pad_bits = last[:-1] + chr(ord(last[-1]) + 1)
    for jwk in (
        _jwk("ed25519", x=padded),
        _jwk("ed25519", x=pad_bits),
        _jwk("ed25519", x=_b64(bytes(31))),
        _jwk("ed25519", x=7),
        _jwk("ecdsa-p256-sha256", y=other),
        {"kty": "OKP", "crv": "Ed25519"},
    ):
        assert "is damaged" in _refusal(load_public, json.dumps(jwk).encode())
    for alg in ALGS:
        wrong = _jwk(alg, private=True, x=other)
        assert "is damaged" in _refusal(load_private, json.dumps(wrong).encode())
    for jwk in (
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-384", "x": "", "y": ""},
        {"kty": "OKP", "crv": "X25519", "x": ""},
        {"kty": ["OKP"]},
        {"kty": "AKP", "alg": "ML-DSA-65"},
    ):
        assert "only those of Ed25519" in _refusal(load_public, json.dumps(jwk).encode())
    assert "set of keys" in _refusal(load_public, json.dumps({"keys": [_jwk("ed25519")]}).encode())
    twice = json.dumps(_jwk("ed25519"))[:-1] + f', "x": "{other}"}}'
    assert "twice" in _refusal(load_public, twice.encode())
    assert "keep this one" in _refusal(load_public, b'{"kty": "oct", "k": "c2VjcmV0"}')
    for garbage in (b"{", b'{"a": 1}', b'{"kty":' * 9_000):
        assert "not a PEM key file" in _refusal(load_public, garbage)


def test_a_weak_key_is_refused_in_every_form():
    neutral = (1).to_bytes(32, "little")
    der = bytes.fromhex("302a300506032b6570032100") + neutral
    jwk = json.dumps(_jwk("ed25519", x=_b64(neutral))).encode()
    for weak in (der, jwk):
        assert "low order" in _refusal(load_public, weak)


def test_an_old_ec_key_is_read_with_and_without_parameters():
    sec1 = _private(EC, Encoding.PEM, PrivateFormat.TraditionalOpenSSL)
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    for pem in (sec1, parameters + sec1, b"\xef\xbb\xbf" + (parameters + sec1).replace(b"\n", b" \r\n")):
        assert load_private(pem).public_key_bytes == KEYS["ecdsa-p256-sha256"].public_key_bytes
    assert "keep this one to yourself" in _refusal(load_public, sec1)
    assert "no key after it" in _refusal(load_private, parameters)
    assert "no key after it" in _refusal(load_private, sec1 + parameters)
    pkcs8 = keyfiles.dump_private(KEYS["ecdsa-p256-sha256"])
    assert "no key after it" in _refusal(load_private, parameters + pkcs8)
    other = _private(ec.generate_private_key(ec.SECP521R1()), Encoding.PEM, PrivateFormat.TraditionalOpenSSL)
    assert "secp521r1" in _refusal(load_private, other)
    encrypted = _private(EC, Encoding.PEM, PrivateFormat.TraditionalOpenSSL, b"secret")
    assert "openssl pkcs8 -topk8" in _refusal(load_private, parameters + encrypted)


def _certificate(key: Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, None if key is ED else hashes.SHA256())


def _forms() -> dict[str, tuple[bytes, str]]:
    certificate = _certificate(EC)
    request = x509.CertificateSigningRequestBuilder(certificate.subject).sign(EC, hashes.SHA256())
    ssh = [
        key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        for key in (ED, EC, rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()))
    ]
    pem = keyfiles.dump_public(KEYS["ed25519"])
    return {
        "ssh ed25519": (ssh[0] + b" me@host\n", "openssl pkey -pubin -inform DER"),
        "ssh p256": (ssh[1], "ssh-keygen -e -m PKCS8 -f FILE"),
        "ssh rsa": (ssh[2], "a kind no suite uses"),
        "ssh p384": (ssh[3], "a kind no suite uses"),
        "ssh private": (_private(ED, Encoding.PEM, PrivateFormat.OpenSSH), "ssh-keygen -p -m PKCS8"),
        "ssh2": (b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", "ssh-keygen -i"),
        "putty": (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen"),
        "minisign": (b"untrusted comment: minisign public key\nRWQ\n", "minisign"),
        "utf-16": (pem.decode().encode("utf-16"), "iconv -f UTF-16"),
        "utf-16 without a mark": (pem.decode().encode("utf-16-le"), "iconv -f UTF-16"),
        "utf-16 big endian": (pem.decode().encode("utf-16-be"), "iconv -f UTF-16"),
        "jwk in utf-16": (json.dumps(_jwk("ed25519")).encode("utf-16"), "iconv"),
        "pkcs12": (
            serialize_key_and_certificates(b"x", EC, certificate, None, BestAvailableEncryption(b"secret")),
            "openssl pkcs12 -in FILE",
        ),
        "certificate": (certificate.public_bytes(Encoding.PEM), "openssl x509 -in FILE -pubkey -noout"),
        "certificate in DER": (certificate.public_bytes(Encoding.DER), "openssl x509 -inform DER"),
        "request": (request.public_bytes(Encoding.PEM), "openssl req -in FILE -pubkey"),
        "pgp": (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n-----END PGP PUBLIC KEY BLOCK-----\n", "PGP"),
        "rsa": (
            _private(rsa.generate_private_key(65537, 2048), Encoding.PEM, PrivateFormat.TraditionalOpenSSL),
            "RSA",
        ),
        "keystore": (b"\xfe\xed\xfe\xed\x00\x00\x00\x02", "keytool"),
        "base64 alone": (base64.b64encode(os.urandom(44)), "base64 without the lines"),
        "encrypted DER": (
            _private(ED, Encoding.DER, PrivateFormat.PKCS8, b"secret"),
            "openssl pkcs8 -inform DER",
        ),
        "large": (b"-----BEGIN PUBLIC KEY-----\n" + b"A" * MAX_KEY_FILE_BYTES, "too large"),
    }


FORMS = _forms()


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("load", [load_private, load_public])
def test_every_other_form_is_named_with_its_way_out(load: Callable[..., Any], name: str):
    data, said = FORMS[name]
    assert said in _refusal(load, data)


def test_a_private_key_in_der_is_named_where_it_belongs():
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        der = _private(EC, Encoding.DER, form)
        assert "openssl pkey -inform DER" in _refusal(load_private, der)
        assert "keep this one to yourself" in _refusal(load_public, der)
    for key in (ed448.Ed448PrivateKey.generate(), x25519.X25519PrivateKey.generate()):
        assert "use one of" in _refusal(load_public, key.public_key().public_bytes(Encoding.DER, SPKI))


def _commands(message: str) -> str:
    """Return the command in a message: what stands in its last parentheses."""
    return message[message.index("(") + 1 : message.rindex(")")]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("name", "load", "alg"),
    [
        ("ssh ed25519", load_public, "ed25519"),
        ("ssh p256", load_public, "ecdsa-p256-sha256"),
        ("utf-16", load_public, "ed25519"),
    ],
)
def test_the_commands_do_what_they_promise(tmp_path: Path, name: str, load: Any, alg: str):
    if name == "ssh p256" and shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    data, _ = FORMS[name]
    (tmp_path / "FILE").write_bytes(data)
    subprocess.run(["sh", "-c", _commands(_refusal(load, data))], cwd=tmp_path, check=True)
    assert load((tmp_path / "FILE.pem").read_bytes()) == (alg, KEYS[alg].public_key_bytes)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_private_key_in_der_is_converted_by_the_command(tmp_path: Path):
    der = _private(EC, Encoding.DER, PrivateFormat.PKCS8)
    (tmp_path / "FILE").write_bytes(der)
    subprocess.run(["sh", "-c", _commands(_refusal(load_private, der))], cwd=tmp_path, check=True)
    converted = load_private((tmp_path / "FILE.pem").read_bytes())
    assert converted.public_key_bytes == KEYS["ecdsa-p256-sha256"].public_key_bytes


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_what_openssl_writes_is_read(tmp_path: Path):
    made = subprocess.run(
        ["openssl", "ecparam", "-genkey", "-name", "prime256v1"],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert load_private(made.stdout).alg == "ecdsa-p256-sha256"
