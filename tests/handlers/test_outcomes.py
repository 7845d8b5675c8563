"""From the authorizer's context into a guard, and from the guard's ticket into the breaker's sums, once."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import authorizer_handler
import boto3
import handshake_handler
import outcomes_handler
import pytest
from botocore.exceptions import EndpointConnectionError
from moto.secretsmanager import models

from signet.aws import outcomes as marking
from signet.aws import session
from signet.aws.compose.outcomes import build_intake
from signet.backend.asgi import SignetGuard
from signet.breaker.accumulators import Sums
from signet.breaker.fleetclock import FleetClock
from signet.breaker.intake import MAX_BYTES, MAX_OUTCOMES
from signet.breaker.ticket import LIFETIME_S, PURPOSE, Ticket, issue_ticket, read_ticket
from signet.handshake.assertion import assertion_key, assertion_public_key, verify_assertion
from signet.handshake.challenge import Challenge, derive_key
from tests.support import deployment as support
from tests.support.attached import ORDERS, RULES, engine, event_of
from tests.support.deployment import Deployment, context, deployed, printed
from tests.support.registered import put_in_force
from tests.support.world import SECRET, policy_files

KEY = derive_key(SECRET, PURPOSE)
RECEIPT = "01890a5d-ac96-774b-bcce-b302099a80"


def orders_policy() -> dict[str, bytes]:
    files = policy_files()
    document = json.loads(files["config.json"])
    document["config"]["apis"] = {name: {"routes": routes} for name, routes in RULES.items()}
    return {**files, "config.json": json.dumps(document).encode()}


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment with an attached API, whose events the world makes."""
    kept = (authorizer_handler._authorizer, handshake_handler._uploader, handshake_handler._assertion_keys)
    for made in (*kept, outcomes_handler._intake):
        made.cache_clear()
    monkeypatch.setattr(support, "policy_files", orders_policy)
    with deployed(tmp_path, monkeypatch) as made:
        made.world.now_ms = time.time_ns() // 1_000_000
        made.world.api, made.world.__dict__["policy"] = ORDERS, engine()
        put_in_force(session.dynamodb(), "apis", ORDERS)
        yield made
    for one in (*kept, outcomes_handler._intake):
        one.cache_clear()


def allowed(deployment: Deployment, query: dict[str, list[str]] | None = None) -> dict[str, str]:
    world = deployment.world
    event = event_of(world)
    if query:
        event["multiValueQueryStringParameters"] = query
        event["queryStringParameters"] = {name: values[-1] for name, values in query.items()}
    answer = authorizer_handler.handler(world.sign(event), context("authorizer"))
    assert answer["context"]["reason"] == "ok", answer
    found: dict[str, str] = answer["context"]
    return found


def keys() -> list[str]:
    event = {"path": "/pch/assertion-keys", "httpMethod": "GET", "requestContext": {"requestId": "r"}}
    answer = handshake_handler.handler(event, context("handshake"))
    assert answer["statusCode"] == 200, answer
    assert answer["multiValueHeaders"]["Cache-Control"] == ["public, max-age=60"]
    document = json.loads(answer["body"])
    assert document.keys() == {"alg", "keys"}
    assert document["alg"] == "ed25519"
    found: list[str] = document["keys"]
    return found


def post(body: Any) -> tuple[int, dict[str, Any]]:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = outcomes_handler.handler({"body": text, "isBase64Encoded": False}, context("outcomes"))
    return answer["statusCode"], json.loads(answer["body"])


def outcome(ticket: object, latency_ms: Any = 10, *, error: Any = False) -> dict[str, Any]:
    return {"ticket": ticket, "latency_ms": latency_ms, "error": error}


def report(*outcomes: Any) -> list[str]:
    status, document = post({"outcomes": list(outcomes)})
    assert status == 200, document
    found: list[str] = document["results"]
    return found


def counted() -> dict[str, tuple[int, int]]:
    """Outcomes and bad ones, by breaker."""
    items = boto3.client("dynamodb").scan(TableName="breakers")["Items"]
    found: dict[str, tuple[int, int]] = {}
    for item in items:
        kind, _, rest = item["pk"]["S"].partition("#")
        if kind == "sums" and "count" in item:
            sums = Sums.from_attributes({n: v["N"] for n, v in item.items() if n != "pk" and "N" in v})
            name = rest.partition("#")[0]
            before = found.get(name, (0, 0))
            found[name] = (before[0] + sums.count, before[1] + sums.bad_count)
    return found


def ticket(number: int = 0, token: str = "orders/3/500", age_s: int = 0, key: bytes = KEY) -> str:
    return issue_ticket(key, token, f"{RECEIPT}{number:02x}", now_s=int(time.time()) - age_s)


def call_guard(assertion: str, target: str, keys: list[str]) -> tuple[int, dict[str, Any]]:
    """Answer a request that a gateway with a mapping sends on to a server with the guard."""
    seen: dict[str, Any] = {}
    path, _, query = target.partition("?")

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        seen.update(scope["signet"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"signet-assertion", assertion.encode())],
    }
    asyncio.run(SignetGuard(app, assertion_keys=keys, api="orders")(scope, receive, send))
    return sent[0]["status"], seen


def test_an_assertion_of_the_authorizer_opens_a_guard_and_its_ticket_counts_once(
    deployment: Deployment,
) -> None:
    told, served = allowed(deployment, {"b": ["2"], "a": ["1"]}), keys()
    assert (told["api"], told["route"]) == ("orders", "GET /orders/{id}")
    made = verify_assertion(told["assertion"], [base64.b64decode(key) for key in served], time.time())
    assert (made.api, made.route, made.method, made.path) == ("orders", told["route"], "GET", "/orders/7")
    assert (made.keyid, made.alg, made.receipt_id) == (told["keyid"], told["alg"], told["receipt_id"])
    assert made.content_digest is None
    assert made.ticket == told["breaker"]
    status, facts = call_guard(told["assertion"], "/orders/7?b=2&a=1", served)
    assert (status, facts["ticket"]) == (200, told["breaker"])
    for other in ("/orders/7?a=2", "/orders/8?a=1&b=2", "/orders/7"):
        assert call_guard(told["assertion"], other, served)[0] == 403
    assert report(outcome(facts["ticket"], 40)) == ["accepted"]
    assert report(outcome(facts["ticket"], 40, error=True)) == ["duplicate"]
    assert counted() == {"orders": (1, 0)}


def test_no_query_is_null_in_the_assertion(deployment: Deployment) -> None:
    told = allowed(deployment)
    made = verify_assertion(told["assertion"], [base64.b64decode(key) for key in keys()], time.time())
    assert made.query_sha256 is None
    assert call_guard(told["assertion"], "/orders/7", keys())[0] == 200


def test_no_refused_caller_is_told_a_ticket(deployment: Deployment) -> None:
    """A replay passes the breaker before it is refused, so it has had an outcome token."""
    event = deployment.world.sign(event_of(deployment.world))
    answers = [authorizer_handler.handler(event, context("authorizer"))["context"] for _ in range(2)]
    assert answers[0]["breaker"]
    assert answers[1]["reason"] == "nonce_replayed"
    assert answers[1].keys() == {"reason", "receipt_id", "challenge"}
    assert Challenge.from_header(answers[1]["challenge"])


def test_keys_of_the_next_and_the_previous_secret_are_served_beside_the_present_one(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def public(secret: str) -> str:
        return assertion_public_key(assertion_key(secret.encode()))

    def served() -> list[str]:
        handshake_handler._assertion_keys.cache_clear()  # an environment that has just been started
        return keys()

    secrets = boto3.client("secretsmanager")
    present = SECRET.decode()
    assert served() == [public(present)]
    secrets.put_secret_value(SecretId="handshake", SecretString="next", VersionStages=["AWSPENDING"])
    assert served() == [public(present), public("next")]
    secrets.put_secret_value(SecretId="handshake", SecretString="next")
    assert served() == [public("next"), public(present)]
    # The label stays where it was: that a leaked secret has it makes it no next one.
    later = time.time() + 60
    monkeypatch.setattr(models, "time", SimpleNamespace(time=lambda: later))  # of moto's, in whole seconds
    secrets.put_secret_value(SecretId="handshake", SecretString="third")
    assert served() == [public("third"), public("next")]
    secrets.put_secret_value(SecretId="handshake", SecretString="fourth")
    assert served() == [public("fourth"), public("third")]
    assert len(build_intake(os.environ).keys) == 2


def test_outcomes_count_at_the_time_of_the_store(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FleetClock, "correct", lambda _clock, now_ms: now_ms + 7)
    assert build_intake(os.environ).fleet_ms(0) == 7


def test_the_keys_have_an_entity_tag(deployment: Deployment) -> None:
    event = {"path": "/pch/assertion-keys", "httpMethod": "GET", "requestContext": {"requestId": "r"}}
    tag = handshake_handler.handler(event, context("handshake"))["multiValueHeaders"]["ETag"][0]
    again = handshake_handler.handler({**event, "headers": {"If-None-Match": tag}}, context("handshake"))
    assert again["statusCode"] == 304


@pytest.mark.usefixtures("deployment")
def test_nothing_but_a_ticket_that_holds_now_moves_a_breaker() -> None:
    good = ticket()
    invalid = [
        outcome(good[:-1] + ("A" if good[-1] != "A" else "B")),
        outcome(good.replace("orders", "ledger")),
        outcome(good.replace("/500.", "/501.")),
        outcome(ticket(key=derive_key(b"another", PURPOSE))),
        outcome(ticket(age_s=LIFETIME_S)),
        outcome("orders/3/500"),  # an outcome token without its MAC
        outcome(None),
        outcome(["x"]),
        outcome(good, -1),
        outcome(good, 900_001),
        outcome(good, True),
        outcome(good, "10"),
        outcome(good, 10**400),
        outcome(good, error=1),
        {**outcome(good), "more": 1},
        {"ticket": good},
        good,
        None,
    ]
    assert report(*invalid) == ["invalid"] * len(invalid)
    assert not boto3.client("dynamodb").scan(TableName="breakers")["Items"]  # not even a mark
    assert report(*invalid, outcome(good))[-1] == "accepted"
    assert counted() == {"orders": (1, 0)}


@pytest.mark.usefixtures("deployment")
def test_slow_and_failed_outcomes_are_bad_and_count_for_their_own_breaker() -> None:
    results = report(
        outcome(ticket(1), 500),
        outcome(ticket(2), 500.5),
        outcome(ticket(3), 1, error=True),
        outcome(ticket(4, "ledger/1/100"), 101),
        outcome(ticket(1), 1),  # in one batch, too, the first one counts
    )
    assert results == ["accepted"] * 4 + ["duplicate"]
    assert counted() == {"orders": (3, 2), "ledger": (1, 1)}


@pytest.mark.usefixtures("deployment")
def test_a_full_batch_is_taken_and_a_larger_one_is_not() -> None:
    full = [outcome(ticket(number)) for number in range(MAX_OUTCOMES)]
    assert report(*full) == ["accepted"] * MAX_OUTCOMES
    assert post({"outcomes": [*full, full[0]]})[0] == 413
    assert post(" " * (MAX_BYTES + 1))[0] == 413
    assert counted() == {"orders": (MAX_OUTCOMES, 0)}


@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '{"outcomes": {}}',
        '{"outcomes": [], "outcomes": []}',
        '{"outcomes": [], "more": 1}',
        '{"outcomes": [NaN]}',
        "[" * 60_000,
        '{"outcomes": [1' + "0" * 5000 + "]}",
        "\ud800",
    ],
)
def test_what_is_no_batch_is_refused_in_a_sentence(body: str) -> None:
    status, document = post(body)
    assert (status, document["error"]) == (400, "malformed")
    assert document["message"]


def test_a_store_that_is_away_is_a_503_and_the_batch_may_come_again(deployment: Deployment) -> None:
    events: Any = session.dynamodb_once().meta.events

    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    events.register("before-send.dynamodb.PutItem", fail, unique_id="away")
    with printed(outcomes_handler.logger):
        assert post({"outcomes": [outcome(ticket())]})[0] == 503
    events.unregister("before-send.dynamodb.PutItem", unique_id="away")
    assert counted() == {}
    assert report(outcome(ticket())) == ["accepted"]


def test_no_mark_is_begun_when_the_time_is_over(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = itertools.chain([0.0, 4.9], itertools.repeat(5.0))
    monkeypatch.setattr(marking, "Elapsed", lambda: lambda: next(passed))
    with printed(outcomes_handler.logger):
        assert post({"outcomes": [outcome(ticket(number)) for number in range(5)]})[0] == 503
    assert counted() == {"orders": (2, 0)}  # what could be marked counts


def test_a_table_that_may_not_be_written_is_a_503_and_says_what_to_do(deployment: Deployment) -> None:
    boto3.client("dynamodb").delete_table(TableName="breakers")
    with printed(outcomes_handler.logger) as log:
        assert post({"outcomes": [outcome(ticket())]}) == (503, {"error": "unavailable"})
    [line] = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["level"], line["message"]) == ("ERROR", "not set up right")
    assert "SIGNET_BREAKERS_TABLE" in line["reason"]


def test_no_log_line_holds_a_ticket(deployment: Deployment) -> None:
    with printed(outcomes_handler.logger) as log:
        report(outcome(ticket()), outcome(ticket(1)[:-1]))
    assert '"results":{"accepted":1,"invalid":1}' in log.getvalue()
    assert RECEIPT not in log.getvalue()
    assert ticket()[-22:] not in log.getvalue()


def test_a_ticket_reads_as_what_it_was_issued_for() -> None:
    text = issue_ticket(bytes(32), "orders/0/1", f"{RECEIPT}00", now_s=1_800_000_000)
    read = read_ticket([bytes(32)], text, now_s=1_800_000_000 + LIFETIME_S - 1)
    assert isinstance(read, Ticket)
    assert (str(read.token), read.receipt_id, read.expires_at) == (
        *("orders/0/1", f"{RECEIPT}00", 1_800_000_000 + LIFETIME_S),
    )
    assert read_ticket([bytes(32)], text, now_s=1_800_000_000 + LIFETIME_S) is None
