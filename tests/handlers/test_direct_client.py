"""The client without botocore: the same requests and the same outcomes as botocore's, failure by failure."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate, parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.exceptions import EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.aws import direct
from signet.aws.breaker import DynamoBreakerStore
from signet.aws.connections import Patience
from signet.aws.nonces import DynamoNonceStore
from signet.aws.queue import SqsReceiptQueue
from signet.aws.sigv4 import Credentials, Signer
from signet.breaker.fleetclock import FleetClock
from signet.core.errors import MisconfiguredError, NotDoneError, SignetError, UnavailableError
from signet.core.ports import StoredBreaker
from tests.support.aws_endpoint import Says, checked, endpoint, spoken
from tests.support.tls_server import Authority

REGION = "eu-central-1"
ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "authorizer",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,  # which botocore reads; Lambda sets both
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "token/with+signs==",
}
PATIENCE = Patience(connect_s=0.5, read_s=0.3, tries=2)
SENT = Says(body={"MessageId": "m", "MD5OfMessageBody": "x"})


_made: list[Any] = []


def unused() -> Any:
    raise AssertionError("botocore is not needed here")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "_X_AMZN_TRACE_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    yield
    while _made:
        _made.pop().close()


def with_direct(service: str, url: str, patience: Patience = PATIENCE) -> Any:
    found = direct.client(
        service, {**ENVIRONMENT, "AWS_ENDPOINT_URL": url}, patience, lambda: with_botocore(service, url)
    )
    assert found is not None
    _made.append(found)
    return found


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def with_botocore(service: str, url: str, patience: Patience = PATIENCE) -> Any:
    found = _session().create_client(
        service,
        endpoint_url=url,
        config=Config(
            connect_timeout=patience.connect_s,
            read_timeout=patience.read_s,
            retries={"mode": "standard", "total_max_attempts": patience.tries},
        ),
    )
    _made.append(found)
    return found


BOTH = pytest.mark.parametrize("made", [with_direct, with_botocore])


# Signatures ------------------------------------------------------------------------------------------------


@given(
    body=st.binary(max_size=200),
    target=st.text("ABCabc_.0", min_size=1, max_size=20),
    token=st.none() | st.text("abc+/=", min_size=1, max_size=30),
    now_s=st.integers(1_600_000_000, 2_000_000_000),
)
@settings(max_examples=40, deadline=None)
def test_a_signature_is_botocores_byte_for_byte(
    body: bytes, target: str, token: str | None, now_s: int
) -> None:
    """One key and one day after the other, through one signer."""
    signer = _SIGNER
    headers = {"host": "dynamodb.eu-central-1.amazonaws.com", "x-amz-target": target, "content-type": "a/b"}
    ours = signer.sign(headers, body, Credentials("AKID", "secret", token), now_s)

    request = AWSRequest("POST", f"https://{headers['host']}/", data=body, headers=headers)
    with pytest.MonkeyPatch.context() as patch:
        frozen = _frozen(now_s)
        for place in ("botocore.auth.get_current_datetime", "botocore.compat.get_current_datetime"):
            patch.setattr(place, frozen, raising=False)
        SigV4Auth(BotocoreCredentials("AKID", "secret", token), "dynamodb", REGION).add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == token


_SIGNER = Signer("dynamodb", REGION)


def _frozen(now_s: int) -> Callable[..., Any]:
    import datetime as dt  # noqa: PLC0415 - for this one

    return lambda *_, **__: dt.datetime.fromtimestamp(now_s, dt.UTC)


def test_credentials_do_not_show_what_signs() -> None:
    """Not even in a traceback with values."""
    shown = repr(Credentials("AKID", "the-secret", "the-token"))
    assert "AKID" in shown
    assert "the-" not in shown


# Requests and answers --------------------------------------------------------------------------------------

ITEM = {
    "nonce": {"S": "é"},
    "raw": {"B": b"\x00\xff"},
    "deep": {"M": {"B": {"S": "no bytes"}, "l": {"L": [{"B": b"x"}]}}},
}
CALLS = [
    (
        "dynamodb",
        "put_item",
        {"TableName": "t", "Item": ITEM, "ConditionExpression": "attribute_not_exists(nonce)"},
    ),
    ("dynamodb", "get_item", {"TableName": "t", "Key": {"pk": {"S": "a"}}, "ConsistentRead": True}),
    (
        "dynamodb",
        "update_item",
        {"TableName": "t", "Key": {"pk": {"S": "a"}}, "UpdateExpression": "ADD a :a"},
    ),
    ("dynamodb", "batch_get_item", {"RequestItems": {"t": {"Keys": [{"pk": {"S": "a"}}]}}}),
    (
        "sqs",
        "send_message",
        {
            "QueueUrl": "http://sqs/1/q",
            "MessageBody": '{"a": "é"}',
            "MessageAttributes": {"evidence": {"DataType": "Binary", "BinaryValue": b"\x00\xfe"}},
        },
    ),
    ("secretsmanager", "get_secret_value", {"SecretId": "s", "VersionStage": "AWSCURRENT"}),
    ("ssm", "get_parameter", {"Name": "/signet/x"}),
]


@pytest.mark.parametrize(("service", "method", "arguments"), CALLS, ids=[call[1] for call in CALLS])
def test_a_request_says_what_botocores_says(service: str, method: str, arguments: dict[str, Any]) -> None:
    """Operation, content type, credential's scope and body; only what names the client is its own."""
    with endpoint(otherwise=SENT) as aws:
        for made in (with_direct, with_botocore):
            getattr(made(service, aws.url), method)(**arguments)
        ours, theirs = aws.seen
    # DynamoDB refuses a body that differs in meaning only; the bytes need not be the same.
    assert json.loads(ours.body) == json.loads(theirs.body)
    for name in (
        *("x-amz-target", "content-type", "x-amzn-query-mode", "x-amz-security-token", "host"),
        "accept-encoding",
    ):
        assert ours.headers.get(name) == theirs.headers.get(name), name
    scope = [each.headers["authorization"].split("Credential=")[1].split(",")[0] for each in (ours, theirs)]
    assert scope[0] == scope[1]


def test_an_answer_is_read_as_botocore_reads_it() -> None:
    """Bytes are bytes, also deep inside; an attribute called B is none."""
    wire = {"Item": json.loads(json.dumps(ITEM, default=direct._base64))}
    with endpoint(otherwise=Says(body=wire)) as aws:
        read = [
            made("dynamodb", aws.url).get_item(TableName="t", Key={"pk": {"S": "a"}})
            for made in (with_direct, with_botocore)
        ]
    assert read[0]["Item"] == read[1]["Item"] == ITEM


@BOTH
def test_the_trace_goes_with_a_call(made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda finds functions that call each other for ever by it."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793")
    with endpoint(otherwise=SENT) as aws:
        made("sqs", aws.url).send_message(QueueUrl="http://sqs/1/q", MessageBody="x")
    assert aws.seen[0].headers["x-amzn-trace-id"].startswith("Root=1-")


@pytest.mark.parametrize("trace", ["Root=1-\u4e2d", "Root=1\r\nx-evil: 1", "Root=\x7f"])
def test_a_strange_trace_stops_no_call(trace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers send one: it must not make the store look as if it were down."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    with endpoint() as aws:
        with_direct("dynamodb", aws.url, Patience(0.5, 0.5, 1)).get_item(TableName="t", Key={})
    assert "x-amzn-trace-id" not in aws.seen[0].headers
    assert "x-evil" not in aws.seen[0].headers


@pytest.mark.parametrize("tail", ["\r\nx-evil: 1", "\n", "\u4e2d"])
def test_credentials_with_a_line_of_their_own_are_not_sent(
    tail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes out, and no error quotes what signs."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"the-token{tail}")
    with endpoint() as aws, pytest.raises(EndpointConnectionError) as raised:
        with_direct("dynamodb", aws.url).get_item(TableName="t", Key={})
    assert aws.seen == []
    assert "the-token" not in "".join(traceback.format_exception(raised.value))


# Failures: what a nonce store and a queue make of them -----------------------------------------------------


def failed(code: str, status: int = 400, **more: Any) -> Says:
    return Says(
        status=status,
        body={"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "m"},
        effect=False,
        **more,
    )


TAKEN = failed("ConditionalCheckFailedException")
OLDER_NAME = {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}
damaged = Says(body=b'{"a":1}', headers={"x-amz-crc32": "1"})

#: What the endpoint says to the first tries -> what a spent nonce, and a message, come to; requests for each.
FAILURES: dict[str, tuple[list[Says], tuple[str, int], tuple[str, int]]] = {
    "taken": ([TAKEN], ("False", 1), ("store_unavailable", 1)),
    "5xx once": ([failed("InternalServerError", 500)], ("True", 2), ("None", 2)),
    "503 without a body": ([Says(503, b"", effect=False)], ("True", 2), ("None", 2)),
    "5xx twice": (
        [failed("InternalServerError", 500)] * 2,
        ("store_unavailable", 2),
        ("store_unavailable", 2),
    ),
    "throttled once": ([failed("ThrottlingException")], ("True", 2), ("None", 2)),
    "throttled twice": (
        [failed("ProvisionedThroughputExceededException")] * 2,
        ("store_throttled", 2),
        ("store_unavailable", 2),
    ),
    "closed instead of an answer": ([Says(close="before")], ("True", 2), ("None", 2)),
    "lost after its effect": ([Says(close="before"), TAKEN], ("False", 2), ("store_unavailable", 2)),
    "silent": ([Says(silent=True)], ("True", 2), ("None", 2)),
    "silent twice": ([Says(silent=True)] * 2, ("store_unavailable", 2), ("store_unavailable", 2)),
    "no permission": ([failed("AccessDeniedException")], ("misconfigured", 1), ("misconfigured", 1)),
    "expired credentials": (
        [failed("ExpiredTokenException")],
        ("store_unavailable", 1),
        ("store_unavailable", 1),
    ),
    "unknown credentials": (
        [failed("UnrecognizedClientException")],
        ("store_unavailable", 1),
        ("store_unavailable", 1),
    ),
    "no table": ([failed("ResourceNotFoundException")], ("misconfigured", 1), ("store_unavailable", 1)),
}


def outcome(ask: Callable[[], object]) -> str:
    try:
        return str(ask())
    except MisconfiguredError:
        return "misconfigured"
    except UnavailableError as error:
        return error.code
    except SignetError as error:
        return f"unexpected {error!r}"


@BOTH
@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_store_of_nonces(made: Callable[..., Any], name: str) -> None:
    """Never "first" for a nonce whose first put may have been carried out; and botocore says the same."""
    script, (expected, requests), _ = FAILURES[name]
    with endpoint(*script) as aws:
        store = DynamoNonceStore(made("dynamodb", aws.url), "nonces")
        assert outcome(lambda: store.spend(b"\1" * 32, expires_at=1)) == expected
    assert len(aws.seen) == requests


@BOTH
@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_queue(made: Callable[..., Any], name: str) -> None:
    """Nothing counts as sent that SQS has not acknowledged; and botocore says the same."""
    script, _, (expected, requests) = FAILURES[name]
    with endpoint(*script, otherwise=SENT) as aws:
        queue = SqsReceiptQueue(made("sqs", aws.url), "http://sqs/1/q")
        assert outcome(lambda: queue.send(b"{}")) == expected
    assert len(aws.seen) == requests


@BOTH
def test_an_error_of_sqs_keeps_its_older_name(made: Callable[..., Any]) -> None:
    """By which the table of permanent errors knows it."""
    with endpoint(failed("QueueDoesNotExist", headers=OLDER_NAME)) as aws:
        queue = SqsReceiptQueue(made("sqs", aws.url), "http://sqs/1/q")
        with pytest.raises(MisconfiguredError, match="NonExistentQueue"):
            queue.send(b"{}")


@BOTH
@pytest.mark.parametrize("before", ["", "com.amazonaws.dynamodb.v20120810#"])
@pytest.mark.parametrize("after", ["", ":http://internal.amazon.com/coral/x/", ":http://internal/a#b:c"])
def test_an_error_is_known_in_each_of_its_forms(made: Callable[..., Any], before: str, after: str) -> None:
    """smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html, "Operation error serialization"."""
    kind = f"{before}ConditionalCheckFailedException{after}"
    with endpoint(Says(status=400, body={"__type": kind}, effect=False)) as aws:
        store = DynamoNonceStore(made("dynamodb", aws.url), "nonces")
        assert outcome(lambda: store.spend(b"\1" * 32, expires_at=1)) == "False"


@BOTH
def test_an_endpoint_where_nothing_listens(made: Callable[..., Any]) -> None:
    """The breaker's store and the refusal hear of an outage, not of a socket."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    store = DynamoNonceStore(made("dynamodb", url), "nonces")
    assert outcome(lambda: store.spend(b"\1" * 32, expires_at=1)) == "store_unavailable"


@BOTH
def test_what_is_tried_once_is_tried_once(made: Callable[..., Any]) -> None:
    """A repeated ADD adds twice."""
    with endpoint(failed("InternalServerError", 500)) as aws:
        once = made("dynamodb", aws.url, Patience(0.5, 0.5, 1))
        with pytest.raises(Exception, match="InternalServerError"):
            once.update_item(TableName="t", Key={"pk": {"S": "a"}}, UpdateExpression="ADD a :a")
    assert len(aws.seen) == 1


@BOTH
def test_an_answer_damaged_on_its_way_is_asked_for_again(made: Callable[..., Any]) -> None:
    """DynamoDB sends a checksum beside each answer."""
    body, headers = checked({"Item": {"a": {"S": "b"}}})
    with endpoint(damaged, Says(body=body, headers=headers)) as aws:
        got = made("dynamodb", aws.url).get_item(TableName="t", Key={"pk": {"S": "a"}})
    assert got["Item"] == {"a": {"S": "b"}}
    assert len(aws.seen) == 2


@pytest.mark.parametrize("body", [b"<html>captive portal</html>", b"[]", b"{}"])
def test_a_success_that_is_no_acknowledgement(body: bytes) -> None:
    """A status alone does not say that the message is durable."""
    with endpoint(otherwise=Says(body=body)) as aws:
        queue = SqsReceiptQueue(with_direct("sqs", aws.url), "http://sqs/1/q")
        assert outcome(lambda: queue.send(b"{}")) == "store_unavailable"


# Connections -----------------------------------------------------------------------------------------------


@BOTH
def test_one_connection_serves_many_calls(made: Callable[..., Any]) -> None:
    """A handshake of TLS per call would cost more than the call."""
    with endpoint(otherwise=SENT) as aws:
        sqs = made("sqs", aws.url)
        for _ in range(5):
            sqs.send_message(QueueUrl="http://sqs/1/q", MessageBody="x")
    assert aws.connections == 1


@BOTH
def test_a_connection_that_was_closed_meanwhile_costs_no_try(made: Callable[..., Any]) -> None:
    """Lambda freezes an environment for minutes; what must be tried once would fail after each pause."""
    with endpoint(Says(close="after")) as aws:
        once = made("dynamodb", aws.url, Patience(0.5, 0.5, 1))
        once.update_item(TableName="t", Key={"pk": {"S": "a"}}, UpdateExpression="ADD a :a")
        assert aws.closed.acquire(timeout=10)
        once.update_item(TableName="t", Key={"pk": {"S": "a"}}, UpdateExpression="ADD a :a")
    assert aws.effects == 2


_ONCE = Patience(0.5, 0.5, 1)


@BOTH
@pytest.mark.parametrize(
    ("says", "not_done"),
    [
        *(
            (Says(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{name}"}, effect=False), True)
            for name in (
                "ProvisionedThroughputExceededException",
                "RequestLimitExceeded",
                "ThrottlingException",
            )
        ),
        (Says(500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError"}), False),
        (Says(503, {"__type": "com.amazonaws.dynamodb.v20120810#ServiceUnavailable"}), False),
        (Says(close="before"), False),
    ],
    ids=["throughput", "limit", "throttled", "500", "503", "closed"],
)
def test_only_what_certainly_had_no_effect_may_be_added_again(
    made: Callable[..., Any], says: Says, not_done: bool
) -> None:
    with endpoint(says) as aws:
        store = DynamoBreakerStore(made("dynamodb", aws.url, _ONCE), "t")
        with pytest.raises(UnavailableError) as raised:
            store.add("x", {"count": "1"}, expires_at=1)
    assert isinstance(raised.value, NotDoneError) == not_done


@BOTH
def test_what_never_left_had_no_effect(made: Callable[..., Any]) -> None:
    with endpoint() as aws:
        url = aws.url
    with pytest.raises(NotDoneError):
        DynamoBreakerStore(made("dynamodb", url, _ONCE), "t").add("x", {"count": "1"}, expires_at=1)


@BOTH
def test_the_breakers_clock_hears_the_time_of_each_answer(made: Callable[..., Any]) -> None:
    heard: list[tuple[object, float, float]] = []

    class Clock(FleetClock):
        def heard(self, date: object, *, sent_ms: float, received_ms: float) -> None:
            heard.append((date, sent_ms, received_ms))
            super().heard(date, sent_ms=sent_ms + 60_000, received_ms=received_ms + 60_000)

    clock = Clock()
    with endpoint(otherwise=Says(body={"Responses": {"t": []}})) as aws:
        store = DynamoBreakerStore(made("dynamodb", aws.url), "t", clock)
        store.read("backend")
        store.read("backend", ["x"])
        store.add("x", {"count": "1"}, expires_at=1)
        store.move(StoredBreaker("backend", 1, b"{}"))
        store.clear_unsent("backend", version=1)
    assert len(heard) == 5
    for date, sent_ms, received_ms in heard:
        assert sent_ms <= received_ms
        answered_s = parsedate_to_datetime(str(date)).timestamp()
        assert int(sent_ms / 1000) <= answered_s <= received_ms / 1000
    assert -61_100 <= clock.correct(0) <= -57_900


def test_an_answer_is_never_taken_for_that_of_a_later_request() -> None:
    """The final answer behind an interim one comes late: it would say of another nonce that it was spent."""
    interim = b"HTTP/1.1 103 Early Hints\r\ncontent-length: 0\r\n\r\n"
    taken = b'{"__type":"x#ConditionalCheckFailedException"}'
    refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n%s" % (len(taken), taken)
    # The second half of what the first connection says comes with its second request.
    with spoken([interim, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"], [refusal]) as url:
        store = DynamoNonceStore(with_direct("dynamodb", url, Patience(0.5, 0.5, 1)), "nonces")
        assert outcome(lambda: store.spend(b"\1" * 32, expires_at=1)) == "store_unavailable"
        assert outcome(lambda: store.spend(b"\2" * 32, expires_at=1)) == "False"


UNREADABLE = {
    "interim": b"HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\n{}",
    "four digits": b"HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\n{}",
    "signed digits": b"HTTP/1.1 +20 OK\r\ncontent-length: 2\r\n\r\n{}",
    "no length": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a length with a sign": b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "thousands of digits": b"HTTP/1.1 200 OK\r\ncontent-length: " + b"0" * 5000 + b"2\r\n\r\n{}",
    "a coding by a hidden name": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding : chunked\r\n\r\n{}"
    ),
    "a coding that was not asked for": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}"
    ),
    "a chunk of Python's": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a longer tail": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}zz0\r\n\r\n"
    ),
    "a digit that is none": b"HTTP/1.1 200 OK\r\nx-amz-crc32: \xb2\r\ncontent-length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_answer_that_can_be_read_in_two_ways_is_none(name: str) -> None:
    """It is an outage like any other: never a spent nonce, and no error that stores do not know."""
    with spoken([UNREADABLE[name]]) as url:
        store = DynamoNonceStore(with_direct("dynamodb", url, Patience(0.5, 0.5, 1)), "nonces")
        assert outcome(lambda: store.spend(b"\1" * 32, expires_at=1)) == "store_unavailable"


def test_an_answer_in_chunks_is_read_whole() -> None:
    """With sizes in either case, and the connection serves on."""
    chunked = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        b'A;x=y\r\n{"Item":{"\r\n0b\r\na":{"S":"b"\r\n3\r\n}}}\r\n0\r\n\r\n'
    )
    with spoken([chunked, chunked]) as url:
        client = with_direct("dynamodb", url)
        for _ in range(2):
            assert client.get_item(TableName="t", Key={})["Item"] == {"a": {"S": "b"}}


def test_one_lost_connection_costs_one_try() -> None:
    """Those that were kept beside it are as old, and the second try would be lost as the first one was."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    with spoken([answer], [answer], [answer]) as url:
        client = with_direct("dynamodb", url)
        connections = client._connections
        # Two at once, as two threads would have them.
        kept = [connections._connect() for _ in range(2)]
        connections._idle.extend(kept)
        for one in kept:
            one.sendall(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
            assert one.recv(1000) == answer
        store = DynamoNonceStore(client, "nonces")
        assert store.spend(b"\1" * 32, expires_at=1) is True
    assert len(connections._idle) == 1


@pytest.mark.parametrize(
    ("trusted", "name", "spent"),
    [(True, "localhost", True), (False, "localhost", False), (True, "elsewhere.test", False)],
    ids=["trusted", "another authority", "another name"],
)
def test_tls_is_checked_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool, name: str, spent: bool
) -> None:
    """Authority and name: a nonce, a receipt and a session's token are for AWS alone."""
    ours, other = Authority(tmp_path), Authority(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str((ours if trusted else other).file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ours.issue(name))
    heard: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):  # refused: the handshake ends with an alert
            connection = context.wrap_socket(listening.accept()[0], server_side=True)
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        store = DynamoNonceStore(with_direct("dynamodb", url, Patience(5, 5, 1)), "nonces")
        if spent:
            assert store.spend(b"\1" * 32, expires_at=1) is True
        else:
            with pytest.raises(UnavailableError, match="EndpointConnectionError"):
                store.spend(b"\1" * 32, expires_at=1)
        thread.join(10)
    assert bool(b"".join(heard)) is spent


# Time, budget ----------------------------------------------------------------------------------------------


def test_a_clock_that_is_wrong_follows_the_services() -> None:
    """One try more, signed with the service's time; later calls need none."""
    theirs = time.time() + 3600
    skewed = failed("RequestTimeTooSkewed", 400, headers={"Date": formatdate(theirs, usegmt=True)})
    with endpoint(skewed) as aws:
        store = DynamoNonceStore(with_direct("dynamodb", aws.url), "nonces")
        assert store.spend(b"\1" * 32, expires_at=1) is True
        assert store.spend(b"\2" * 32, expires_at=1) is True
    stamps = [time.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ") for seen in aws.seen]
    assert len(stamps) == 3
    assert [abs(_unix(stamp) - theirs) < 60 for stamp in stamps] == [False, True, True]


def test_a_signature_refused_at_the_right_time_is_not_tried_again() -> None:
    """The key is wrong then, and asking twice does not mend it."""
    refused = failed("InvalidSignatureException", 400, headers={"Date": formatdate(usegmt=True)})
    with endpoint(refused) as aws:
        store = DynamoNonceStore(with_direct("dynamodb", aws.url), "nonces")
        assert outcome(lambda: store.spend(b"\1" * 32, expires_at=1)) == "store_unavailable"
    assert len(aws.seen) == 1


def _unix(stamp: time.struct_time) -> float:
    import calendar  # noqa: PLC0415 - for this one

    return calendar.timegm(stamp)


def test_an_outage_is_not_met_with_twice_the_calls() -> None:
    """The budget of further tries runs out, and fills with successes only."""
    with endpoint(otherwise=failed("InternalServerError", 500)) as aws:
        client = direct.Direct("dynamodb", REGION, aws.url, PATIENCE, unused, pause=lambda _s: None)
        _made.append(client)
        for _ in range(150):
            with pytest.raises(Exception, match="InternalServerError"):
                client.get_item(TableName="t", Key={})
        assert len(aws.seen) == 150 + 100
        aws.otherwise = Says()
        for _ in range(5):
            client.get_item(TableName="t", Key={})
        aws.otherwise = failed("InternalServerError", 500)
        with pytest.raises(Exception, match="InternalServerError"):
            client.get_item(TableName="t", Key={})
    assert len(aws.seen) == 250 + 5 + 2


# Where botocore is used instead ----------------------------------------------------------------------------

ELSEWHERE = {
    "another service": {"service": "s3"},
    "no function": {"AWS_LAMBDA_FUNCTION_NAME": ""},
    "asked for": {"SIGNET_AWS_CLIENT": "botocore"},
    "no region": {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""},
    "a partition of other names": {"AWS_REGION": "us-iso-east-1"},
    "SnapStart": {"AWS_ACCESS_KEY_ID": ""},
    "proxy": {"HTTPS_PROXY": "http://proxy:3128"},
    "FIPS": {"AWS_USE_FIPS_ENDPOINT": "true"},
    "an endpoint with a path": {"AWS_ENDPOINT_URL": "https://gateway/aws"},
    "an endpoint of another scheme": {"AWS_ENDPOINT_URL": "ftp://gateway"},
    "an endpoint with a password": {"AWS_ENDPOINT_URL": "https://:secret@gateway"},
    "a port that is none": {"AWS_ENDPOINT_URL": "http://gateway:99999"},
    "an address that is none": {"AWS_ENDPOINT_URL": "http://[gateway"},
    "a file of settings": {"AWS_CONFIG_FILE": "/opt/config"},
    "a profile": {"AWS_PROFILE": "other"},
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_it_does_not_know_is_botocores(name: str) -> None:
    """Rather a slow call than one that goes somewhere else."""
    changed = dict(ELSEWHERE[name])
    service = changed.pop("service", "dynamodb")
    assert direct.client(service, {**ENVIRONMENT, **changed}, PATIENCE, unused) is None


@pytest.mark.parametrize(
    ("changed", "url"),
    [
        ({}, "https://dynamodb.eu-central-1.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1"}, "https://dynamodb.cn-north-1.amazonaws.com.cn"),
        ({"AWS_REGION": "us-gov-west-1"}, "https://dynamodb.us-gov-west-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://b:2"}, "http://b:2"),
        (
            {"AWS_ENDPOINT_URL": "http://a:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://dynamodb.eu-central-1.amazonaws.com",
        ),
    ],
)
def test_where_a_service_answers(changed: dict[str, str], url: str) -> None:
    """As botocore resolves it from the same environment."""
    found = direct.client("dynamodb", {**ENVIRONMENT, **changed}, PATIENCE, unused)
    assert found is not None
    assert found._url == url
    session = botocore.session.get_session()
    region = changed.get("AWS_REGION", REGION)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in changed.items():
            patch.setenv(key, value)
        theirs = session.create_client(
            "dynamodb", region_name=region, config=Config(account_id_endpoint_mode="disabled")
        )
    assert theirs.meta.endpoint_url == url


@pytest.mark.parametrize("service", sorted(direct._SERVICES))
def test_a_service_can_have_an_endpoint_of_its_own(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the name that botocore looks for, which is not always that of its client."""
    for name in ("DYNAMODB", "SQS", "SECRETS_MANAGER", "SSM"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", f"http://{name.replace('_', '').lower()}:1")
    found = direct.client(service, os.environ, PATIENCE, unused)
    assert found is not None
    theirs = botocore.session.get_session().create_client(service)
    assert found._url == theirs.meta.endpoint_url == f"http://{service}:1"


def test_a_call_that_it_does_not_know_is_botocores() -> None:
    """A store that gets a new call works at once, and slower; members that are private are not looked for."""
    with endpoint(Says(body={"Items": []})) as aws:
        client = with_direct("dynamodb", aws.url)
        assert [page["Items"] for page in client.get_paginator("scan").paginate(TableName="t")] == [[]]
    with pytest.raises(AttributeError, match="_private"):
        _ = client._private
