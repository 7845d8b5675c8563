"""Every guard gives the same answers to one table of cases."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from signet.backend import guarded
from signet.backend.asgi import SignetGuard as AsgiGuard
from signet.backend.network import REMEMBERED, NetworkGuard, Target
from signet.backend.wsgi import SignetGuard as WsgiGuard
from signet.core.errors import SignetError, UsageError
from signet.handshake.assertion import assertion_key, assertion_public_key, make_assertion
from signet_client.answers import next_nonce_in
from tests.guards import make_cases
from tests.support.edwards import MIXED_ORDER
from tests.support.world import ROOT

TABLE = json.loads(make_cases.FILE.read_text())
NODE = shutil.which("node")
NETWORK = pytest.mark.parametrize("case", TABLE["network"], ids=lambda case: case["name"])


def test_the_table_is_what_its_program_writes() -> None:
    assert make_cases.FILE.read_text() == make_cases.table()


def settings(case: dict[str, Any]) -> dict[str, Any]:
    return {
        "assertion_keys": TABLE["keys"],
        "api": "orders",
        "base_path": case["base_path"],
        "max_body": TABLE["max_body"],
        "clock": lambda: TABLE["now"],
    }


#: Fields that guards set, or look at.
TOLD = {"signet-nonce", "signet-receipt", "cache-control", "access-control-expose-headers"}
Lines = list[tuple[str, str]]


def told(lines: Lines) -> dict[str, str]:
    """The fields that matter, each there once."""
    found = [(name.lower(), value) for name, value in lines if name.lower() in TOLD]
    assert len(dict(found)) == len(found), found
    return dict(found)


def check(case: dict[str, Any], answers: list[tuple[int, Any, Lines]]) -> None:
    """The last answer is the case's; those before it are good; what is served was the verified request."""
    for status, document, _ in answers[:-1]:
        assert status == 200, document
    status, document, lines = answers[-1]
    assert (status, document.get("error")) == (case["status"], case["code"]), document
    assert told(lines) == case["told"]
    if "signet-nonce" in case["told"]:  # our client signs its next request with it
        assert next_nonce_in(told(lines)["signet-nonce"]) == case["told"]["signet-nonce"]
    if status == 200:
        assert document == {"body": case["body"], "keyid": "caller-1", "own": []}


def asgi_scope(case: dict[str, Any], kind: str = "http") -> dict[str, Any]:
    return {
        "type": kind,
        "method": case["method"],
        "path": unquote_to_bytes(case["path"]).decode(),
        "raw_path": case["path"].encode(),
        "query_string": case["query"].encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in case["fields"]],
    }


def asgi_call(app: Any, scope: dict[str, Any], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    left = iter([*messages, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(left)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def asgi_app(case: dict[str, Any]) -> Any:
    headers = [(name.lower().encode(), value.encode()) for name, value in case["answer"].items()]
    return partial(_asgi_app, headers)


async def _asgi_app(headers: Any, scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    assert not message["more_body"]
    assert (await receive())["type"] == "http.disconnect"
    own = [name.decode() for name, _ in scope["headers"] if name.startswith(b"signet")]
    answer = {
        "body": base64.b64encode(message["body"]).decode(),
        "keyid": scope["signet"]["keyid"],
        "own": own,
    }
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@NETWORK
def test_asgi(case: dict[str, Any]) -> None:
    app, body = AsgiGuard(asgi_app(case), **settings(case)), base64.b64decode(case["body"])
    parts = [body[:5], body[5:]] if case["chunked"] else [body]
    messages = [
        {"type": "http.request", "body": part, "more_body": at < len(parts) - 1}
        for at, part in enumerate(parts)
    ]
    answers = []
    for _ in range(case["times"]):
        start, content = asgi_call(app, asgi_scope(case), messages)
        lines = [(name.decode(), value.decode()) for name, value in start["headers"]]
        answers.append((start["status"], json.loads(content["body"]), lines))
    check(case, answers)


def test_asgi_without_a_raw_path_compares_the_decoded_one() -> None:
    case = TABLE["network"][0]
    scope = {**asgi_scope(case), "raw_path": None}
    message = {"type": "http.request", "body": base64.b64decode(case["body"])}
    assert asgi_call(AsgiGuard(asgi_app(case), **settings(case)), scope, [message])[0]["status"] == 200


def test_asgi_refuses_websockets_and_passes_lifespan() -> None:
    ran = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        ran.append(scope["type"])

    guard = AsgiGuard(app, **settings(TABLE["network"][0]))
    sent = asgi_call(guard, asgi_scope(TABLE["network"][0], "websocket"), [{"type": "websocket.connect"}])
    assert [message["type"] for message in sent] == ["websocket.close"]
    asgi_call(guard, {"type": "lifespan"}, [])
    assert ran == ["lifespan"]
    with pytest.raises(ValueError, match="http, websocket and lifespan"):
        asgi_call(guard, {"type": "other"}, [])


def test_asgi_runs_nothing_for_a_client_that_went_away() -> None:
    case = TABLE["network"][0]
    part = {"type": "http.request", "body": base64.b64decode(case["body"]), "more_body": True}
    assert asgi_call(AsgiGuard(asgi_app(case), **settings(case)), asgi_scope(case), [part]) == []


def environ(case: dict[str, Any], body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {
        "REQUEST_METHOD": case["method"],
        "SCRIPT_NAME": case["base_path"] if case["path"].startswith(case["base_path"]) else "",
        "QUERY_STRING": case["query"],
    }
    decoded = unquote_to_bytes(case["path"]).decode("latin-1")
    found["PATH_INFO"] = decoded.removeprefix(found["SCRIPT_NAME"])
    for name, value in case["fields"]:
        key = "HTTP_" + name.upper().replace("-", "_")
        found[key] = f"{found[key]},{value}" if key in found else value
    if case["chunked"]:
        return {
            **found,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
            "wsgi.input": io.BytesIO(body),
        }
    # What follows on the connection is another request's.
    return {**found, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body + b"GET / HTTP/1.1")}


def wsgi_call(guard: WsgiGuard, given: dict[str, Any]) -> tuple[int, Any, Lines]:
    began: list[tuple[int, Lines]] = []
    parts = guard(given, lambda status, headers: began.append((int(status.split()[0]), headers)))
    return began[0][0], json.loads(b"".join(parts)), began[0][1]


def wsgi_app(case: dict[str, Any]) -> Any:
    return partial(_wsgi_app, list(case["answer"].items()))


def _wsgi_app(headers: Lines, given: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", headers)
    body = given["wsgi.input"].read()
    assert given["CONTENT_LENGTH"] == str(len(body))
    own = [name for name in given if name.startswith("HTTP_SIGNET")]
    answer = {"body": base64.b64encode(body).decode(), "keyid": given["signet"]["keyid"], "own": own}
    return [json.dumps(answer).encode()]


@NETWORK
def test_wsgi(case: dict[str, Any]) -> None:
    guard, body = WsgiGuard(wsgi_app(case), **settings(case)), base64.b64decode(case["body"])
    check(case, [wsgi_call(guard, environ(case, body)) for _ in range(case["times"])])


@pytest.mark.parametrize(
    "changed",
    [
        {"CONTENT_LENGTH": "+15"},
        {"CONTENT_LENGTH": "60"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""},
    ],
)
def test_wsgi_refuses_a_body_whose_end_is_not_known(changed: dict[str, str]) -> None:
    case = TABLE["network"][0]
    given = {**environ(case, base64.b64decode(case["body"])), **changed}
    status, document, _ = wsgi_call(WsgiGuard(wsgi_app(case), **settings(case)), given)
    assert (status, document["error"]) == (400, "malformed")


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("version", ["", "1.0", "2.0"])
@pytest.mark.parametrize("case", TABLE["function"], ids=lambda case: case["name"])
def test_function(case: dict[str, Any], version: str, many: bool) -> None:
    seen: list[str] = []

    @guarded
    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        seen.extend(event["headers"])
        several = {name: [value] for name, value in case["answer"].items()}
        fields = {"multiValueHeaders": several} if many else {"headers": case["answer"] or None}
        return {"statusCode": 200, "body": "{}", **fields}

    authorizer = {"lambda": case["granted"]} if version == "2.0" else case["granted"]
    event = {
        **({"version": version} if version else {}),
        "body": case["body"],
        "isBase64Encoded": case["base64"],
        "headers": {"Signet-Edge": "x", "signet_keyid": "stranger", "accept": "*/*"},
        "requestContext": {"authorizer": authorizer},
    }
    answer = handler(event, None)
    assert (answer["statusCode"], json.loads(answer["body"]).get("error")) == (case["status"], case["code"])
    more = [(name, value) for name, values in answer.get("multiValueHeaders", {}).items() for value in values]
    assert told([*(answer.get("headers") or {}).items(), *more]) == case["told"]
    assert seen == (["accept"] if case["status"] == 200 else [])


def node(kind: str) -> Any:
    if NODE is None:
        pytest.skip("node is not installed: the guards for Node.js were NOT tested")
    program = Path(__file__).with_name("node_cases.mjs")
    done = subprocess.run([NODE, program, make_cases.FILE, kind], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_node_function() -> None:
    found = node("lambda")
    assert len(found) == 3 * len(TABLE["function"])
    for case in TABLE["function"]:
        for version in ("", "1.0", "2.0"):
            expected = [case["status"], case["code"], ["accept"] if case["status"] == 200 else None]
            *answer, lines = found[f"{case['name']} {version}"]
            assert answer == expected, case["name"]
            assert told(lines) == case["told"], case["name"]


@pytest.mark.parametrize("kind", ["plain", "express"])
def test_node_network(kind: str) -> None:
    if kind == "express" and not (ROOT / "guards/node/node_modules/express").is_dir():
        pytest.skip("express is not installed: npm ci --prefix guards/node; its guard ran on node:http only")
    found = node(kind)
    for case in TABLE["network"]:
        check(case, [tuple(answer) for answer in found[case["name"]]])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"assertion_keys": []},
        {"assertion_keys": TABLE["keys"]},
        {"assertion_keys": TABLE["keys"], "private_network": True, "api": "orders"},
        {"assertion_keys": TABLE["keys"][0], "api": "orders"},
        {"assertion_keys": TABLE["keys"] * 2, "api": "orders"},
        {"assertion_keys": [base64.b64encode(bytes(32)).decode()], "api": "orders"},
        {"assertion_keys": [base64.b64encode(MIXED_ORDER[8]).decode()], "api": "orders"},
        {"assertion_keys": [TABLE["keys"][0].rstrip("=")], "api": "orders"},
        {"private_network": True, "base_path": "v1/"},
    ],
)
def test_a_guard_that_could_not_guard_does_not_start(given: dict[str, Any]) -> None:
    for make in (
        NetworkGuard,
        lambda **kept: AsgiGuard(_asgi_app, **kept),
        lambda **kept: WsgiGuard(_wsgi_app, **kept),
    ):
        with pytest.raises(UsageError):
            make(**given)


def test_on_a_private_network_plain_fields_are_believed_if_each_is_there_once() -> None:
    guard, target = NetworkGuard(private_network=True), Target("GET", "/", "")
    fields = [("signet-keyid", "caller-1"), ("signet-receipt-id", "0199")]
    facts = guard.admit(target, fields)
    assert (facts["keyid"], facts["content_digest"]) == ("caller-1", None)
    guard.check_body(facts, b"")
    for wrong in ([], fields[:1], [*fields, ("signet-content-digest", "a"), ("signet-content-digest", "b")]):
        with pytest.raises(SignetError, match=r"behind|twice"):
            guard.admit(target, wrong)


def test_an_answer_of_a_function_that_has_no_status_stays_as_it_is() -> None:
    case = TABLE["function"][0]
    event = {
        "body": case["body"],
        "requestContext": {"authorizer": {"lambda": case["granted"]}},
        "version": "2.0",
    }
    for answer in ({"order": 7}, "text", None):
        assert guarded(lambda _event, _context, answer=answer: answer)(event, None) is answer  # type: ignore[misc]


def test_on_a_private_network_the_nonce_is_that_of_the_mapping() -> None:
    guard = WsgiGuard(lambda _given, start: (start("200 OK", []), [b"{}"])[1], private_network=True)
    given = {"HTTP_SIGNET_KEYID": "caller-1", "HTTP_SIGNET_RECEIPT_ID": "0199", "CONTENT_LENGTH": "0"}
    given |= {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": io.BytesIO()}  # type: ignore[dict-item]
    [(nonce, fields)] = [("AQAA", told(wsgi_call(guard, {**given, "HTTP_SIGNET_NONCE": "AQAA"})[2]))]
    assert fields["signet-nonce"] == nonce
    assert wsgi_call(guard, {**given, "HTTP_SIGNET_NONCE": "AQAA,BQAA"})[0] == 403


def test_a_refused_body_does_not_use_up_the_assertion() -> None:
    case = TABLE["network"][0]
    guard, body = WsgiGuard(wsgi_app(case), **settings(case)), base64.b64decode(case["body"])
    answers = [wsgi_call(guard, environ(case, given))[0] for given in (b"{}", body, body)]
    assert answers == [400, 200, 403]


def test_what_was_served_is_remembered_within_a_bound() -> None:
    guard = NetworkGuard(TABLE["keys"], api="orders")
    for number in range(REMEMBERED + 1):
        guard.check_body({"content_digest": None, "receipt_id": str(number)}, b"")
    with pytest.raises(SignetError, match="served before"):
        guard.check_body({"content_digest": None, "receipt_id": "1"}, b"")
    guard.check_body({"content_digest": None, "receipt_id": "0"}, b"")  # the oldest made room


def test_the_key_is_derived_as_documented() -> None:
    # RFC 5869 by hand: extract with a salt of zeros, one round of expand.
    prk = hmac.digest(bytes(32), b"s" * 32, hashlib.sha256)
    seed = hmac.digest(prk, b"signet-assertion-v1\x01", hashlib.sha256)
    assert assertion_key(b"s" * 32).private_bytes_raw() == seed
    assert len(base64.b64decode(assertion_public_key(assertion_key(b"s" * 32)))) == 32
    assert make_assertion(make_cases.KEY, make_cases.facts(), make_cases.NOW) == make_cases.GOOD
