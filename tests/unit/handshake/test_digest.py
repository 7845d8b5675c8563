"""Content-Digest: one spelling, strong hashes only, every listed digest must match."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import SignetError
from signet.handshake.digest import check_content_digest, content_digest

BODY = b'{"hello": "world"}'
SHA256 = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
SHA512 = base64.b64encode(hashlib.sha512(BODY).digest()).decode()


@given(st.binary())
def test_a_body_matches_the_digest_made_of_it(body: bytes) -> None:
    check_content_digest(content_digest(body), body)


def test_the_example_of_rfc_9530_appendix_d() -> None:
    # RFC 9530 section D.1 (the representation ends with a line feed)
    field = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    check_content_digest(field, b'{"hello": "world"}\n')


@pytest.mark.parametrize(
    "field",
    [
        f"sha-256=:{SHA256}:",
        f"sha-512=:{SHA512}:",
        f"sha-256=:{SHA256}:, sha-512=:{SHA512}:",
        f"sha-512=:{SHA512}:, sha-256=:{SHA256}:",
    ],
)
def test_strong_digests_of_the_body_are_accepted(field: str) -> None:
    check_content_digest(field, BODY)


@pytest.mark.parametrize(
    "field",
    [
        "",
        "sha-256",
        "sha-256=::",
        "sha-256=:abc:",
        f"sha-256=:{SHA256}",
        f"sha-256=:{SHA256.rstrip('=')}:",
        f"sha-256=:{SHA256[:-2]}B=:",
        f"sha-256=:{SHA256}:\n",
        f" sha-256=:{SHA256}:",
        f"sha-256=:{SHA256}:,sha-512=:{SHA512}:",
        f"sha-256=:{SHA256}:, ",
        f"sha-256=:{SHA256}:;a=1",
        f"SHA-256=:{SHA256}:",
        f"sha-256=:{SHA256}:, sha-256=:{SHA256}:",
        f"sha-256=:{SHA256}:, md5=:1B2M2Y8AsgTpgAmY7PhCfg==:",
        f"sha-256=:{SHA512}:",
        f"sha-256=:{SHA256}:, sha-512=:{base64.b64encode(bytes(64)).decode()}:",
        f"sha-256=:{base64.b64encode(bytes(32)).decode()}:, sha-512=:{SHA512}:",
        f"sha-256=:{SHA256}:é",
    ],
)
def test_anything_else_is_refused(field: str) -> None:
    with pytest.raises(SignetError) as refused:
        check_content_digest(field, BODY)
    assert refused.value.code == "digest_mismatch"


@pytest.mark.parametrize("body", [b"", BODY + b" ", BODY[:-1]])
def test_another_body_is_refused(body: bytes) -> None:
    with pytest.raises(SignetError, match="does not match"):
        check_content_digest(f"sha-256=:{SHA256}:", body)
