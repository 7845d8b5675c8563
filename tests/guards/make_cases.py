"""Writes the table of cases that every guard is held to: ``python -m tests.guards.make_cases``."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from signet.core.canonical import canonicalize
from signet.handshake.assertion import AssertedFacts, assertion_key, assertion_public_key, make_assertion
from signet.handshake.digest import content_digest
from tests.support.world import ROOT

FILE = ROOT / "tests/fixtures/guards/cases.json"
NOW = 1_800_000_000
MAX_BODY = 64
BODY = '{"to":"Grüße"}'.encode()
KEY, OLD, OTHER = (assertion_key(bytes([number]) * 32) for number in (1, 2, 3))
NONCE = "AQAA-_" + "x" * 49
#: What the caller of a request that was let through is told, where the application says nothing of it.
TOLD = {"signet-nonce": NONCE, "signet-receipt": "0199", "cache-control": "no-store"}
REFUSED, MISMATCH = (403, "not_authorized"), (400, "digest_mismatch")


def facts(**changed: Any) -> AssertedFacts:
    given = AssertedFacts(
        api="orders",
        route="POST /orders/{id}",
        method="POST",
        path="/orders/ä 1",
        query_sha256=hashlib.sha256(b"?a=1&b=x%20y").hexdigest(),
        keyid="caller-1",
        alg="ed25519",
        content_digest=content_digest(BODY),
        receipt_id="0199",
        ticket=None,
        nonce=NONCE,
    )
    return replace(given, **changed)


GOOD = make_assertion(KEY, facts(), NOW)


def forged(payload: bytes, key: Any = KEY) -> str:
    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return f"v1.{text(payload)}.{text(key.sign(b'signet-assertion-v1' + bytes([10]) + payload))}"


def members(**changed: Any) -> dict[str, Any]:
    return {**asdict(facts()), "iat": NOW, "exp": NOW + 60, **changed}


def network(
    name: str,
    assertion: str | list[str] = GOOD,
    *,
    answer: tuple[int, str | None] = REFUSED,
    body: bytes = BODY,
    **request: Any,
) -> dict[str, Any]:
    values = [assertion] if isinstance(assertion, str) else assertion
    defaults = {
        "method": "POST",
        "path": "/orders/%C3%A4%201",
        "query": "a=1&b=x%20y",
        "chunked": False,
        "fields": [["Signet-Assertion", value] for value in values] + [["Signet-Keyid", "stranger"]],
        "times": 1,
        "base_path": "",
        "answer": {},
        "told": {"cache-control": "no-store"} if answer == REFUSED else TOLD,
    }
    return {
        "name": name,
        **defaults,
        **request,
        "body": base64.b64encode(body).decode(),
        "status": answer[0],
        "code": answer[1],
    }


def _answers() -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """Return fields of the application's answer, and which of those that matter the caller gets."""
    given = {
        "that no cache may store": {"Cache-Control": "max-age=0, no-store"},
        "for the caller's own cache": {"cache-control": "Private, max-age=60"},
        "for scripts of other origins": {"Access-Control-Allow-Origin": "*"},
        "that exposes a field": {
            "access-control-allow-origin": "https://a.example",
            "access-control-expose-headers": "ETag,  Date",
        },
    }
    names = "Signet-Nonce, Signet-Receipt"
    exposed = [None, None, names, f"ETag, Date, {names}"]
    found = [
        (
            f"an answer {name}",
            fields,
            TOLD
            | {key.lower(): value for key, value in fields.items() if key.lower() == "cache-control"}
            | ({"access-control-expose-headers": more} if more else {}),
        )
        for (name, fields), more in zip(given.items(), exposed, strict=True)
    ]
    shared = {"Cache-Control": "public, max-age=60"}
    found.append(("an answer for every cache", shared, {"cache-control": "public, max-age=60"}))
    found.append(
        ("an answer with a nonce of its own", {"signet-nonce": "own"}, TOLD | {"signet-nonce": "own"})
    )
    return found


def _without_nonce() -> dict[str, str]:
    return {name: value for name, value in TOLD.items() if name != "signet-nonce"}


def _network() -> list[dict[str, Any]]:
    served = (200, None)
    canonical = canonicalize(members())
    packed = gzip.compress(BODY, mtime=0)
    coded = make_assertion(KEY, facts(content_digest=content_digest(packed)), NOW)
    nothing = make_assertion(KEY, facts(content_digest=None), NOW)
    of_nothing = make_assertion(KEY, facts(content_digest=content_digest(b"")), NOW)
    large = b"x" * (MAX_BODY + 1)
    of_large = make_assertion(KEY, facts(content_digest=content_digest(large)), NOW)
    no_query = make_assertion(KEY, facts(query_sha256=None), NOW)
    version, _, signature = GOOD.split(".")
    return [
        network("good", answer=served),
        network("good, chunked", answer=served, chunked=True),
        network("good, the older key", make_assertion(OLD, facts(), NOW), answer=served),
        network("good, the query in another order", answer=served, query="b=x+y&a=1"),
        network("good, a base path", answer=served, path="/v1/orders/%C3%A4%201", base_path="/v1"),
        network("good, a content coding left as it is", coded, answer=served, body=packed),
        network("good, no body and no digest", nothing, answer=served, body=b""),
        network("good, no body and the digest of nothing", of_nothing, answer=served, body=b""),
        network("good, no query", no_query, answer=served, query=""),
        network("good, a minute old", make_assertion(KEY, facts(), NOW - 64), answer=served),
        network("another body", answer=MISMATCH, body=BODY + b" "),
        network("another body, chunked", answer=MISMATCH, body=BODY + b" ", chunked=True),
        network("the coding undone", coded, answer=MISMATCH),
        network("a body without a digest", nothing, answer=MISMATCH),
        network("a digest without its body", answer=MISMATCH, body=b""),
        network("too large", of_large, answer=(413, "body_too_large"), body=large),
        network("too large, chunked", of_large, answer=(413, "body_too_large"), body=large, chunked=True),
        network("served twice", times=2),
        network("no assertion", []),
        network("the field twice", [GOOD, GOOD]),
        network("an empty field", ""),
        network("another key", make_assertion(OTHER, facts(), NOW)),
        network(
            "another payload",
            f"{version}.{forged(canonicalize(members(keyid='x'))).split('.')[1]}.{signature}",
        ),
        network("expired", make_assertion(KEY, facts(), NOW - 65)),
        network("from the future", make_assertion(KEY, facts(), NOW + 6)),
        network("good for too long", forged(canonicalize(members(exp=NOW + 61)))),
        network("ends before it begins", forged(canonicalize(members(exp=NOW - 1)))),
        network("another API", make_assertion(KEY, facts(api="payments"), NOW)),
        network("another method", make_assertion(KEY, facts(method="PUT"), NOW)),
        network("another path", path="/orders/2"),
        network("another path, a slash at the end", path="/orders/%C3%A4%201/"),
        network("a base path that is not set", path="/v1/orders/%C3%A4%201"),
        network("a base path that is missing", base_path="/v1"),
        network("another query", query="a=2&b=x%20y"),
        network("a query where none was signed", no_query),
        network("values in another order", query="a=1&b=x%20y&a=2"),
        network("no query where one was signed", query=""),
        network("white space in the JSON", forged(canonical.replace(b",", b", ", 1))),
        network("an escape in the JSON", forged(canonical.replace(b"orders", b"\\u006frders", 1))),
        network("a name twice in the JSON", forged(b'{"alg":"ed25519",' + canonical[1:])),
        network("a number as a float", forged(canonical.replace(b"1800000060", b"1800000060.0"))),
        network("no JSON", forged(b"\xff")),
        network("an array", forged(b"[]")),
        network("bytes after the JSON", forged(canonical + b"\n")),
        network("bytes after the signature", GOOD + "AA"),
        network("padding", GOOD + "=="),
        network("trailing bits", GOOD[:-1] + chr(ord(GOOD[-1]) + 1)),
        network("a fourth part", GOOD + "."),
        network("another version", "v2" + GOOD[2:]),
        network("a member more", forged(canonicalize(members(admin=True)))),
        network("a member less", forged(canonicalize({k: v for k, v in members().items() if k != "ticket"}))),
        network("a member of another type", forged(canonicalize(members(keyid=7)))),
        network("true for a number", forged(canonicalize(members(iat=True)))),
        network("an empty key id", forged(canonicalize(members(keyid="")))),
        network("a hash in upper case", forged(canonicalize(members(query_sha256="A" * 64)))),
        network("too long", forged(canonicalize(members(ticket="x" * 8192)))),
        *(network(name, answer=served, told=told) | {"answer": fields} for name, fields, told in _answers()),
        *(
            network(
                f"good, {name}",
                make_assertion(KEY, facts(nonce=nonce), NOW),
                answer=served,
                told=_without_nonce(),
            )
            for name, nonce in (
                ("no nonce", None),
                ("a nonce of two lines", "a\r\nb: c"),
                ("a long one", "x" * 129),
            )
        ),
    ]


def function(name: str, result: tuple[int, str | None], **given: Any) -> dict[str, Any]:
    defaults = {
        "granted": {
            "keyid": "caller-1",
            "receipt_id": "0199",
            "content_digest": content_digest(BODY),
            "nonce": NONCE,
        },
        "body": BODY.decode(),
        "base64": False,
        "answer": {},
        "told": {"cache-control": "no-store"} if result == REFUSED else TOLD,
    }
    return {"name": name, **defaults, **given, "status": result[0], "code": result[1]}


def _functions() -> list[dict[str, Any]]:
    served, broken = (200, None), (400, "malformed")
    bare = {"keyid": "caller-1", "receipt_id": "0199", "nonce": NONCE}
    packed = gzip.compress(BODY, mtime=0)
    of_packed = {**bare, "content_digest": content_digest(packed)}
    of_nothing = {**bare, "content_digest": content_digest(b"")}
    return [
        function("good", served),
        function("good, base64", served, body=base64.b64encode(BODY).decode(), base64=True),
        function(
            "good, a content coding",
            served,
            body=base64.b64encode(packed).decode(),
            base64=True,
            granted=of_packed,
        ),
        function("no body and no digest", served, body=None, granted=bare),
        function("an empty body and the digest of nothing", served, body="", granted=of_nothing),
        function("another body", MISMATCH, body="{}"),
        function("a body without a digest", MISMATCH, granted=bare),
        function("a digest without its body", MISMATCH, body=None),
        function("base64 that is not said to be", MISMATCH, body=base64.b64encode(BODY).decode()),
        function(
            "a digest by md5", MISMATCH, granted={**bare, "content_digest": "md5=:XUFAKrxLKna5cZ2REBfFkg==:"}
        ),
        function("a digest that is no text", MISMATCH, granted={**bare, "content_digest": 7}),
        function("broken base64", broken, body="a-_=", base64=True),
        function("base64 without padding", broken, body="aGVsbG8", base64=True),
        function("a body that is no text", broken, body=7),
        function("no authorizer", REFUSED, granted=None),
        function("an empty context", REFUSED, granted={}),
        function("no receipt", REFUSED, granted={"keyid": "caller-1"}),
        function("no key id", REFUSED, granted={"receipt_id": "0199"}),
        *(function(name, served, answer=fields, told=told) for name, fields, told in _answers()),
        function(
            "good, no nonce", served, body="", granted={**of_nothing, "nonce": ""}, told=_without_nonce()
        ),
        function(
            "good, a nonce of two lines",
            served,
            body="",
            granted={**of_nothing, "nonce": "a\nb"},
            told=_without_nonce(),
        ),
    ]


def table() -> str:
    document = {
        "now": NOW,
        "max_body": MAX_BODY,
        "keys": [assertion_public_key(KEY), assertion_public_key(OLD)],
        "network": _network(),
        "function": _functions(),
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(table())
