"""A guarded backend sees the body that was signed, or nothing at all (protocol section 8, item 9)."""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import json
from typing import Any

import pytest

from signet.backend import guarded, verified_body
from signet.core.errors import SignetError
from tests.support.world import digest

BODY = '{"amount":7,"to":"Grüße"}'.encode()


def event(body: bytes | None, field: str | None, *, encoded: bool = False, **headers: str) -> dict[str, Any]:
    granted = {"keyid": "caller-1", "receipt_id": "0199", **({"content_digest": field} if field else {})}
    text = None if body is None else base64.b64encode(body).decode() if encoded else body.decode()
    return {
        "body": text,
        "isBase64Encoded": encoded,
        "headers": headers,
        "requestContext": {"authorizer": granted},
    }


def call(given: dict[str, Any]) -> tuple[int, str | None]:
    """Status, and the code of a refusal; the handler itself must run exactly if it is 200."""
    ran = []

    @guarded
    def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        ran.append(1)
        return {"statusCode": 200, "body": "{}"}

    answer = handler(given, None)
    assert bool(ran) == (answer["statusCode"] == 200)
    if ran:
        return 200, None
    body = json.loads(answer["body"])
    assert body.keys() == {"error", "message"}
    return answer["statusCode"], body["error"]


def test_the_body_that_was_signed_passes() -> None:
    assert call(event(BODY, digest(BODY))) == (200, None)
    assert verified_body(event(BODY, digest(BODY))) == BODY


def test_a_body_that_came_in_chunks_arrives_joined_and_passes() -> None:
    assert call(event(BODY, digest(BODY), **{"Transfer-Encoding": "chunked"})) == (200, None)


def test_a_body_that_the_gateway_encoded_is_judged_by_its_own_bytes() -> None:
    binary = bytes(range(256))
    assert call(event(binary, digest(binary), encoded=True)) == (200, None)
    assert call(event(binary, digest(base64.b64encode(binary)), encoded=True)) == (400, "digest_mismatch")
    assert call(event(base64.b64encode(binary), digest(binary))) == (400, "digest_mismatch")


def test_a_content_coding_is_part_of_the_bytes() -> None:
    packed = gzip.compress(BODY)
    assert call(event(packed, digest(packed), encoded=True, **{"Content-Encoding": "gzip"})) == (200, None)
    # What a gateway that unpacks by itself would hand on, or a client that signed too early.
    for body, signed in ((BODY, packed), (packed, BODY)):
        given = event(body, digest(signed), encoded=True, **{"Content-Encoding": "gzip"})
        assert call(given) == (400, "digest_mismatch")


@pytest.mark.parametrize("body", [None, b""])
def test_no_body_needs_no_digest_and_passes_a_digest_of_nothing(body: bytes | None) -> None:
    assert call(event(body, None)) == (200, None)
    assert call(event(body, digest(b""))) == (200, None)
    assert call(event(body, digest(BODY))) == (400, "digest_mismatch")


@pytest.mark.parametrize(
    "field",
    [
        None,
        digest(BODY + b" "),
        "md5=:XUFAKrxLKna5cZ2REBfFkg==:",
        "sha=:2jmj7l5rSw0yVb/vlWAYkK/YBwk=:",
        f"{digest(BODY)}, md5=:XUFAKrxLKna5cZ2REBfFkg==:",
        f"{digest(BODY)}, sha-512=:{base64.b64encode(bytes(64)).decode()}:",
        f"sha-512=:{base64.b64encode(bytes(64)).decode()}:, {digest(BODY)}",
        digest(BODY).replace("=:", ":", 1),
        digest(BODY)[:-2] + ":",
        hashlib.sha256(BODY).hexdigest(),
    ],
)
def test_any_other_digest_or_none_is_refused(field: str | None) -> None:
    assert call(event(BODY, field)) == (400, "digest_mismatch")


def test_both_digests_pass_if_both_are_right() -> None:
    both = f"{digest(BODY)}, sha-512=:{base64.b64encode(hashlib.sha512(BODY).digest()).decode()}:"
    assert call(event(BODY, both)) == (200, None)


@pytest.mark.parametrize("text", ["\ud800", 7, ["a"]])
def test_a_body_that_is_no_text_is_refused(text: Any) -> None:
    assert call({**event(BODY, digest(BODY)), "body": text}) == (400, "malformed")


@pytest.mark.parametrize("text", ["aGVsbG8", "aGVs bG8=", "a-_=", "Grüße", 7])
def test_a_body_that_is_no_base64_is_refused(text: Any) -> None:
    given = {**event(b"hello", digest(b"hello"), encoded=True), "body": text}
    assert call(given) == (400, "malformed")


@pytest.mark.parametrize(
    "context",
    [
        {}, {"requestContext": None}, {"requestContext": {}}, {"requestContext": {"authorizer": None}},
        {"requestContext": {"authorizer": {}}}, {"requestContext": {"authorizer": {"keyid": "caller-1"}}},
        {"requestContext": {"authorizer": {"receipt_id": "0199", "content_digest": digest(BODY)}}},
    ],
)  # fmt: skip
def test_an_event_that_did_not_pass_the_authorizer_is_refused(context: dict[str, Any]) -> None:
    given = {k: v for k, v in event(BODY, digest(BODY)).items() if k != "requestContext"}
    assert call(given | context) == (403, "not_authorized")


def test_a_digest_that_is_no_text_is_refused() -> None:
    given = event(BODY, None)
    given["requestContext"]["authorizer"]["content_digest"] = 7
    with pytest.raises(SignetError) as refused:
        verified_body(given)
    assert refused.value.code == "digest_mismatch"


def test_the_wrapper_is_the_handler_by_name() -> None:
    @guarded
    def pay(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        """Pays."""
        return {}

    assert (pay.__name__, pay.__doc__) == ("pay", "Pays.")


def test_the_handler_does_not_see_the_edges_attestation() -> None:
    asked = event(None, None)
    names = ("Signet-Edge", "signet-edge", "SIGNET_EDGE")
    asked["headers"] = {"Accept": "*/*", "X-Signet-Edge": "kept", **dict.fromkeys(names, "v=2")}
    asked["multiValueHeaders"] = {name: [value] for name, value in asked["headers"].items()}
    before = copy.deepcopy(asked)
    seen: list[dict[str, Any]] = []

    @guarded
    def handler(given: dict[str, Any], _context: object) -> dict[str, Any]:
        seen.append(given)
        return {"statusCode": 200}

    assert handler(asked, None)["statusCode"] == 200
    assert seen[0]["headers"] == {"Accept": "*/*", "X-Signet-Edge": "kept"}
    assert seen[0]["multiValueHeaders"] == {"Accept": ["*/*"], "X-Signet-Edge": ["kept"]}
    assert asked == before
    for maps in (None, "odd"):
        assert handler({**asked, "headers": maps, "multiValueHeaders": maps}, None)["statusCode"] == 200
