"""RFC 9530's digests: the strong ones hold, the insecure ones count for nothing."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from signet.core.errors import SignetError
from signet.handshake.digest import check_content_digest, content_digest

STRONG, INSECURE = {"sha-256", "sha-512"}, {"md5", "sha"}


@pytest.fixture
def cases(vectors: Path) -> list[dict[str, Any]]:
    cases = json.loads((vectors / "rfc9421" / "rfc9530_digests.json").read_bytes())["cases"]
    assert all(set(case) == {"alg", "body_b64", "digest_b64", "field", "name", "verified"} for case in cases)
    assert {case["alg"] for case in cases} == STRONG | INSECURE
    return cases


def test_strong_digests_hold_for_their_body_and_no_other(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        if case["alg"] in INSECURE:
            continue
        body = base64.b64decode(case["body_b64"])
        check_content_digest(case["field"], body)
        with pytest.raises(SignetError):
            check_content_digest(case["field"], body + b"\n")


def test_insecure_digests_are_refused_even_where_they_match(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        if case["alg"] in STRONG:
            continue
        body = base64.b64decode(case["body_b64"])
        with pytest.raises(SignetError):
            check_content_digest(case["field"], body)
        with pytest.raises(SignetError):
            check_content_digest(f"{content_digest(body)}, {case['field']}", body)


def test_our_own_field_is_the_published_one(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        if case["alg"] == "sha-256":
            assert content_digest(base64.b64decode(case["body_b64"])) == case["field"]
