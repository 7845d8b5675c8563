"""Forms in which people hold their keys: what can be read is turned into PEM, the rest is named.

Read are PEM (also with a byte order mark, blanks around lines, or the curve's parameters before an EC key,
as ``openssl ecparam -genkey`` writes them), a public key in DER (SubjectPublicKeyInfo) and a JSON Web Key of
Ed25519 (RFC 8037) or P-256 (RFC 7518). Any other form is refused with the command that converts it.

Every error is a ``KeyFileError``; none quotes the file, which may hold a private key.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from signet.core.encoding import decode_base64url
from signet.core.errors import KeyFileError

MAX_KEY_FILE_BYTES: Final = 65_536

GIVE_PRIVATE: Final = "This is a public key file; give the private key file here."
GIVE_PUBLIC: Final = (
    "This is a private key file; give the public key file here and keep this one to yourself."
)
_NO_FORM: Final = "This is not a PEM key file; make one with signet keygen."

_SPKI_OF_ED25519: Final = r"\60\52\60\5\6\3\53\145\160\3\41\0"  # the 12 bytes before the key (RFC 8410)
_CONVERT_SSH_ED25519: Final = (
    f"{{ printf '{_SPKI_OF_ED25519}'; cut -d' ' -f2 FILE | base64 -d | tail -c 32; }}"
    " | openssl pkey -pubin -inform DER -out FILE.pem"
)
#: What people hold in their hands by mistake, by the label of its PEM block.
MISTAKEN: Final = {
    b"ENCRYPTED PRIVATE KEY": "The private key is encrypted; decrypt it first (openssl pkcs8 -in FILE).",
    # From OpenSSH 9.6 on also for Ed25519 (www.openssh.com/txt/release-9.6); before, it changes nothing.
    b"OPENSSH PRIVATE KEY": (
        "This is an OpenSSH key; convert a copy of it (ssh-keygen -p -m PKCS8 -f COPY; for Ed25519 that "
        "takes OpenSSH 9.6), or make a key file with signet keygen."
    ),
    b"CERTIFICATE": (
        "This is a certificate; give the key file instead. Its public key is printed by openssl x509 "
        "-in FILE -pubkey -noout."
    ),
    b"CERTIFICATE REQUEST": (
        "This is a certificate request; its public key is printed by openssl req -in FILE -pubkey -noout."
    ),
    b"EC PARAMETERS": (
        "The file holds a curve but no key after it; make a key with openssl genpkey -algorithm EC -pkeyopt "
        "ec_paramgen_curve:P-256."
    ),
    b"PUBLIC KEY": GIVE_PRIVATE,
    b"PRIVATE KEY": GIVE_PUBLIC,
    b"EC PRIVATE KEY": GIVE_PUBLIC,
    **dict.fromkeys(
        (b"PGP PUBLIC KEY BLOCK", b"PGP PRIVATE KEY BLOCK", b"PGP MESSAGE"),
        "This is a PGP key, which signs in another way; make a key file with signet keygen.",
    ),
    **dict.fromkeys(
        (b"RSA PRIVATE KEY", b"RSA PUBLIC KEY", b"DSA PRIVATE KEY"),
        "This is an RSA or DSA key, which no suite uses; make a key file with signet keygen.",
    ),
}

#: The same of files without PEM blocks, by how they begin.
_BEGINNINGS: Final = (
    (
        re.compile(rb"ssh-ed25519 "),
        f"This is an OpenSSH public key; convert it ({_CONVERT_SSH_ED25519}).",
    ),
    (
        re.compile(rb"ecdsa-sha2-nistp256 "),
        "This is an OpenSSH public key; convert it (ssh-keygen -e -m PKCS8 -f FILE > FILE.pem).",
    ),
    (
        re.compile(rb"(?:ssh|sk-ssh|ecdsa|sk-ecdsa)-[a-z0-9@.-]+ "),
        "This is an OpenSSH public key of a kind no suite uses; make a key file with signet keygen.",
    ),
    (
        re.compile(rb"---- BEGIN SSH2 "),
        (
            "This is a public key in SSH's own form (RFC 4716); convert it "
            "(ssh-keygen -i -f FILE > FILE.pub), and then that one."
        ),
    ),
    (
        re.compile(rb"PuTTY-User-Key-File-"),
        (
            "This is a PuTTY key; make a key file with signet keygen "
            "(puttygen FILE -O private-openssh -o COPY would make it one of OpenSSH)."
        ),
    ),
    (
        re.compile(rb"untrusted comment:|AGE-SECRET-KEY-|age1"),
        "This is a key of minisign, signify or age; make a key file with signet keygen.",
    ),
    (
        re.compile(rb"\xfe\xed\xfe\xed|\xce\xce\xce\xce"),
        (
            "This is a Java keystore; convert it (keytool -importkeystore -srckeystore FILE "
            "-destkeystore FILE.p12 -deststoretype PKCS12), "
            "and then take the key out (openssl pkcs12 -in FILE.p12 -nocerts "
            "-nodes)."
        ),
    ),
)
_PKCS12: Final = re.compile(
    rb"\x30.{1,4}?\x02\x01\x03\x30.{1,4}?\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07", re.DOTALL
)
_BEFORE_EC_KEY: Final = re.compile(
    rb"-----BEGIN EC PARAMETERS-----\n[A-Za-z0-9+/=\n]+-----END EC PARAMETERS-----\n+"
    rb"(?=-----BEGIN EC PRIVATE KEY-----)"
)
_UTF16: Final = re.compile(rb"\xff\xfe|\xfe\xff|-\x00-\x00|\x00-\x00-|\{\x00|\x00\{")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\s]{40,}={0,2}\s*")
_COORDINATE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def as_pem(data: bytes, *, private: bool) -> bytes:
    """Return a key file in PEM: its lines without blanks around them.

    Args:
        data: the file's bytes.
        private: whether a private key is wanted.

    Raises:
        KeyFileError: it is of a form that cannot be read; says which, and how to convert it.
    """
    if len(data) > MAX_KEY_FILE_BYTES:
        raise KeyFileError("The file is too large for a key file; give another.")
    if _UTF16.match(data):
        raise KeyFileError(
            "The file is in UTF-16, as some editors save it; convert it "
            "(iconv -f UTF-16 -t ASCII FILE > FILE.pem)."
        )
    text = b"\n".join(line.strip() for line in data.removeprefix(b"\xef\xbb\xbf").splitlines()).strip()
    if b"-----BEGIN " in text:
        if b"Proc-Type: 4,ENCRYPTED" in text:
            raise KeyFileError(
                "The private key is encrypted; decrypt it first (openssl pkcs8 -topk8 -nocrypt -in FILE)."
            )
        return _BEFORE_EC_KEY.sub(b"", text) + b"\n"
    if data[:1] == b"\x30":
        return _from_der(data, private=private)
    if text[:1] == b"{":
        return _from_jwk(text, private=private)
    for beginning, sentence in _BEGINNINGS:
        if beginning.match(text):
            raise KeyFileError(sentence)
    if _BASE64.fullmatch(text):
        raise KeyFileError(
            "The file holds base64 without the lines -----BEGIN …----- and -----END …-----; ask its owner "
            "for the whole file, or decode it (openssl base64 -d -A -in FILE -out FILE.der)."
        )
    raise KeyFileError(_NO_FORM)


def _from_der(data: bytes, *, private: bool) -> bytes:
    try:
        key = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(_other_der(data, private=private)) from None
    if private:
        raise KeyFileError(GIVE_PRIVATE)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _other_der(data: bytes, *, private: bool) -> str:
    """Return what a file in DER is, if it is no public key."""
    if _PKCS12.match(data):
        return (
            "This is a PKCS#12 file; take the private key out of it (openssl pkcs12 -in FILE -nocerts -nodes "
            "| openssl pkey -out FILE.pem)."
        )
    try:
        load_der_private_key(data, password=None)
    except TypeError:
        return (
            "The private key is encrypted; decrypt it first "
            "(openssl pkcs8 -inform DER -in FILE -out FILE.pem)."
        )
    except (ValueError, UnsupportedAlgorithm):
        pass
    else:
        convert = "The private key is in DER; convert it (openssl pkey -inform DER -in FILE -out FILE.pem)."
        return convert if private else GIVE_PUBLIC
    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return _NO_FORM
    return (
        "This is a certificate; give the key file instead. Its public key is printed by openssl x509 "
        "-inform DER -in FILE -pubkey -noout."
    )


def _from_jwk(text: bytes, *, private: bool) -> bytes:
    jwk = _members(text)
    if "keys" in jwk:
        raise KeyFileError("This is a set of keys (JWKS); give one key of it, as a file of its own.")
    if "kty" not in jwk:
        raise KeyFileError(_NO_FORM)
    if private and "d" not in jwk:
        raise KeyFileError(GIVE_PRIVATE)
    if not private and jwk.keys() & {"d", "p", "q", "k", "priv"}:
        raise KeyFileError(GIVE_PUBLIC)
    kind = jwk["kty"], jwk.get("crv")
    if kind not in (("OKP", "Ed25519"), ("EC", "P-256")):  # a tuple: not everything has a hash
        raise KeyFileError("Of JSON Web Keys only those of Ed25519 (OKP) and P-256 (EC) can be used.")
    try:
        return (
            _private_pem(jwk)
            if private
            else _public_key(jwk).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
    except ValueError:
        raise KeyFileError("The JSON Web Key is damaged; ask its owner for it again.") from None


def _members(text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise KeyFileError("The JSON Web Key has a member twice; ask its owner for it again.")
        return found

    try:
        jwk: dict[str, Any] = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise KeyFileError(_NO_FORM) from None
    return jwk


def _public_key(jwk: dict[str, Any]) -> Ed25519PublicKey | ec.EllipticCurvePublicKey:
    x = _bytes_of(jwk.get("x"))
    if jwk["kty"] == "OKP":
        return Ed25519PublicKey.from_public_bytes(x)
    y = _bytes_of(jwk.get("y"))
    return ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
    ).public_key()


def _private_pem(jwk: dict[str, Any]) -> bytes:
    d = _bytes_of(jwk["d"])
    key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    if jwk["kty"] == "OKP":
        key = Ed25519PrivateKey.from_private_bytes(d)
    else:
        key = ec.derive_private_key(int.from_bytes(d, "big"), ec.SECP256R1())
    spki = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*spki) != _public_key(jwk).public_bytes(*spki):
        raise ValueError("the halves do not belong together")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _bytes_of(value: Any) -> bytes:
    """Return the 32 bytes of a coordinate: base64url without padding, in its one encoding (RFC 7515)."""
    if not isinstance(value, str) or not _COORDINATE.fullmatch(value):
        raise ValueError("no coordinate")
    return decode_base64url(value)
