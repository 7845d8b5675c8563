"""The example of draft-skokan-httpbis-message-signatures-ml-dsa against the suite ``ml-dsa-65``.

It settles that the suite signs the signature base itself, pure and with the empty context, as others do.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureAlgorithm, HTTPSignatureKeyResolver

from signet.core.errors import SignatureError
from signet.crypto import keyfiles, suites

ALG = "ml-dsa-65"


@dataclass
class Message:
    method: str
    url: str
    headers: dict[str, str]


@dataclass
class SuiteAlgorithm(HTTPSignatureAlgorithm):
    public_key: bytes
    algorithm_id = ALG

    def verify(self, signature: bytes, message: bytes) -> None:
        suites.get(ALG).verify(self.public_key, message, signature)


@dataclass
class OneKey(HTTPSignatureKeyResolver):
    public_key: bytes

    def resolve_public_key(self, key_id: str) -> bytes:
        assert key_id == "test-key-ml-dsa-65"
        return self.public_key


class Verifier(HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input: object, max_age: object = None) -> None:
        """The example is from 2021: its time is no part of what is tested."""


@pytest.fixture
def folder(vectors: Path) -> Path:
    return vectors / "httpsig_mldsa" / "ml-dsa-65"


@pytest.fixture
def public_key(folder: Path) -> bytes:
    return base64.b64decode((folder / "public-key.txt").read_text().strip(), validate=True)


def fields(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.replace("\r\n", "\n").strip("\n").split("\n"))


def test_the_message_verifies_with_its_base_rebuilt(vectors: Path, folder: Path, public_key: bytes) -> None:
    text = (vectors / "httpsig_mldsa" / "test-request.http").read_text().replace("\r\n", "\n")
    line, _, rest = text.partition("\n")
    method, target, _version = line.split(" ")
    headers = fields(rest.partition("\n\n")[0]) | fields((folder / "signature-fields.txt").read_text())
    message = Message(method, f"https://{headers['Host']}{target}", headers)
    verifier = Verifier(signature_algorithm=SuiteAlgorithm, key_resolver=OneKey(public_key))
    (result,) = verifier.verify(message, max_age=None)
    base = "\n".join(f"{name}: {value}" for name, value in result.covered_components.items())
    assert base == (folder / "signature-base.txt").read_text().rstrip("\n")


def test_the_signature_is_over_the_base_and_nothing_else(folder: Path, public_key: bytes) -> None:
    base = (folder / "signature-base.txt").read_text().rstrip("\n").encode()
    field = fields((folder / "signature-fields.txt").read_text())["Signature"]
    signature = base64.b64decode(field.removeprefix("sig-mldsa=:").removesuffix(":"), validate=True)
    suite = suites.get(ALG)
    suite.check_public_key(public_key)
    suite.verify(public_key, base, signature)
    for wrong in (base + b"\n", base[1:]):
        with pytest.raises(SignatureError):
            suite.verify(public_key, wrong, signature)


def test_its_key_files_are_ours(folder: Path, public_key: bytes) -> None:
    private = keyfiles.load_private((folder / "private-key.pem").read_bytes())
    assert (private.alg, private.public_key_bytes) == (ALG, public_key)
    assert keyfiles.load_public((folder / "public-key.pem").read_bytes(), ALG) == (ALG, public_key)
    jwk = json.loads((folder / "key.jwk").read_text())
    assert base64.urlsafe_b64decode(jwk["pub"] + "==") == public_key
