"""A backend's outcomes reach the breaker's sums, on the side; and the authorizer sheds without failing."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import authorizer_handler
import boto3
import handshake_handler
import protected_handler
import pytest

from signet.aws import observe as observing
from signet.aws import session
from signet.aws.breaker import DynamoBreakerStore
from signet.aws.compose import issuer as composition
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.observe import Observer, observe
from signet.aws.queue import SqsReceiptQueue
from signet.breaker.config import BreakerConfig
from signet.breaker.fleetclock import FleetClock
from signet.breaker.machine import initial
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import DEFAULT_NAME, OutcomeToken, encode, read_snapshot
from signet.breaker.ticket import issue_ticket
from signet.core.clocks import Elapsed
from signet.core.decision import Reason
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import BreakerState
from signet.handshake.decision import RequestDecision
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.check import check
from signet.policy.push import push
from signet.policy.register import REGISTER
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.deployment import Deployment, context, deployed, printed
from tests.support.policies import config
from tests.support.world import policy_files

CONFIG = BreakerConfig()
TOKEN = OutcomeToken("backend", 7, objective_ms=50)
TICKET = issue_ticket(bytes(32), str(TOKEN), "01890a5d-ac96-774b-bcce-b302099a8057", now_s=1_800_000_000)


def event(token: object = TICKET) -> dict[str, Any]:
    granted = {"keyid": "caller-1", "receipt_id": "0199", "breaker": token}
    return {"requestContext": {"authorizer": granted}, "path": "/protected", "body": None}


def lambda_context(remaining_ms: int = 10_000) -> Any:
    return SimpleNamespace(get_remaining_time_in_millis=lambda: remaining_ms)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryBreakerStore:
    store = MemoryBreakerStore()
    observer = Observer(OutcomeReporter(store, BreakerConfig(), Elapsed()))
    monkeypatch.setattr(observing, "_observer", lambda: observer)
    return store


def counted(store: MemoryBreakerStore) -> tuple[int, int]:
    """Outcomes and bad outcomes in the store."""
    assert all(item.startswith("backend#7#") for item in store.sums)
    sums = list(store.sums.values())
    return tuple(int(sum(s.get(n, Decimal(0)) for s in sums)) for n in ("count", "bad_count"))  # type: ignore[return-value]


@pytest.mark.parametrize(("status", "bad"), [(200, 0), (302, 0), (429, 1), (500, 1), (503, 1)])
def test_errors_and_overload_count(store: MemoryBreakerStore, status: int, bad: int) -> None:
    handler = observe(lambda _event, _context: {"statusCode": status})
    assert handler(event(), lambda_context()) == {"statusCode": status}
    assert counted(store) == (1, bad)


@pytest.mark.parametrize("status", [400, 404, 428, 430, 499])
def test_what_callers_do_wrong_is_no_evidence(store: MemoryBreakerStore, status: int) -> None:
    handler = observe(lambda _event, _context: {"statusCode": status})
    assert handler(event(), lambda_context()) == {"statusCode": status}
    assert counted(store) == (0, 0)


def test_slow_answers_count_as_bad(store: MemoryBreakerStore) -> None:
    def handler(_event: Any, _context: Any) -> dict[str, Any]:
        threading.Event().wait(0.06)
        return {"statusCode": 200}

    observe(handler)(event(), lambda_context())
    assert counted(store) == (1, 1)


def test_exceptions_count_and_go_on(store: MemoryBreakerStore) -> None:
    def handler(_event: Any, _context: Any) -> dict[str, Any]:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        observe(handler)(event(), lambda_context())
    assert counted(store) == (1, 1)


def test_a_call_that_outlives_its_deadline_is_told_before_lambda_ends_it(store: MemoryBreakerStore) -> None:
    seen: list[tuple[int, int]] = []

    def handler(_event: Any, _context: Any) -> dict[str, Any]:
        deadline = time.monotonic() + 5
        while not store.sums and time.monotonic() < deadline:
            threading.Event().wait(0.005)
        seen.append(counted(store))
        return {"statusCode": 200}

    observe(handler)(event(), lambda_context(remaining_ms=30))
    assert seen == [(1, 1)]
    assert counted(store) == (1, 1)  # and not a second time when it ends after all


def test_a_store_that_is_away_changes_nothing_for_the_caller(store: MemoryBreakerStore) -> None:
    store.away = True
    handler = observe(lambda _event, _context: {"statusCode": 200})
    for _ in range(20):
        assert handler(event(), lambda_context()) == {"statusCode": 200}
    assert store.calls["add"] == 1


@pytest.mark.parametrize("token", [None, "", "backend", "sums#x/1", 7])
def test_without_a_token_nothing_is_reported(store: MemoryBreakerStore, token: object) -> None:
    handler = observe(lambda _event, _context: {"statusCode": 500})
    assert handler(event(token), lambda_context()) == {"statusCode": 500}
    assert handler({}, lambda_context()) == {"statusCode": 500}
    assert store.calls["add"] == 0


# --- deployed on moto


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    caches = (
        authorizer_handler._authorizer,
        handshake_handler._uploader,
        observing._observer,
        protected_handler._injector,
    )
    for cached in caches:
        cached.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        made.world.now_ms = time.time_ns() // 1_000_000
        yield made
    for cached in caches:
        cached.cache_clear()


def breakers() -> DynamoBreakerStore:
    return DynamoBreakerStore(boto3.client("dynamodb"), "breakers")


def test_an_outcome_travels_from_the_authorizer_through_the_backend_into_the_sums(
    deployment: Deployment,
) -> None:
    world = deployment.world
    granted = authorizer_handler.handler(world.sign(world.event()), context("authorizer"))["context"]
    request = world.event()
    request["requestContext"]["authorizer"] = granted
    assert protected_handler.handler({**request, "body": None}, context("protected"))["statusCode"] == 200
    now_ms = time.time_ns() // 1_000_000
    snapshot = read_snapshot(breakers(), DEFAULT_NAME, now_ms=now_ms, config=BreakerConfig())
    assert snapshot is not None
    token = rf"backend/{snapshot.record.generation}/500/c[0-9a-f]{{7}}"
    assert re.match(rf"v1\.{token}\.{granted['receipt_id']}\.", granted["breaker"])
    assert (snapshot.estimate.count, snapshot.estimate.bad_count) == (1, 0)


def test_authorizer_and_backend_go_by_the_time_of_the_store(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_ms = 3_600_000
    monkeypatch.setattr(FleetClock, "correct", lambda _clock, now_ms: now_ms + ahead_ms)
    world = deployment.world
    granted = authorizer_handler.handler(world.sign(world.event()), context("authorizer"))["context"]
    request = world.event()
    request["requestContext"]["authorizer"] = granted
    assert protected_handler.handler({**request, "body": None}, context("protected"))["statusCode"] == 200
    now_ms = time.time_ns() // 1_000_000 + ahead_ms
    snapshot = read_snapshot(breakers(), DEFAULT_NAME, now_ms=now_ms, config=BreakerConfig())
    assert snapshot is not None
    assert abs(snapshot.record.state_since_ms - now_ms) < 60_000
    assert snapshot.estimate.samples > 0  # of now, not of an hour ago


@pytest.mark.parametrize(
    "function", [authorizer_handler, handshake_handler, protected_handler], ids=lambda module: module.__name__
)
def test_a_table_of_breakers_that_may_not_be_used_costs_one_line_and_no_request(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, function: Any
) -> None:
    deny(session.dynamodb_once())
    world = deployment.world
    if function is protected_handler:  # the fault's orders: with the client that tries again
        monkeypatch.setenv("SIGNET_FAULT_TABLE", "breakers")
        deny(session.dynamodb())
    if function is handshake_handler:
        event = {**world.event("GET", "/pch/challenge"), "body": None}
    elif function is authorizer_handler:
        event = world.sign(world.event())
    else:
        event = {**world.event(), "body": None}
        event["requestContext"]["authorizer"] = {"keyid": "caller-1", "receipt_id": "0199"}
    logger = function._logger() if function is authorizer_handler else function.logger
    with printed(logger) as log:
        answer = function.handler(event, context("any"))
    assert "policyDocument" in answer or answer["statusCode"] == 200
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if "not set up right" in line]
    assert (line["level"], line["error"]) == ("ERROR", "misconfigured")
    assert "grant dynamodb:GetItem on the breakers table (" in line["reason"]


@pytest.mark.usefixtures("deployment")
def test_a_backend_that_may_not_report_says_so_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    deny(session.dynamodb_once())
    handler = observe(lambda _event, _context: {"statusCode": 200})
    with caplog.at_level(logging.ERROR, observing.__name__):
        for _ in range(5):
            assert handler(event(), lambda_context()) == {"statusCode": 200}
    [record] = caplog.records
    assert record.getMessage() == (
        "not set up right: could not add to the breaker's sums: AccessDeniedException; trying again does not "
        "help: grant dynamodb:UpdateItem on the breakers table (SIGNET_BREAKERS_TABLE) to the role that calls"
    )


def deny(client: Any) -> None:
    """Let DynamoDB answer each call of a client as it answers a role without permission."""
    refusal = {"Error": {"Code": "AccessDeniedException", "Message": "no"}, "ResponseMetadata": {}}
    client.meta.events.register(
        "before-call.dynamodb", lambda **_: (SimpleNamespace(status_code=400), refusal)
    )


def test_an_open_breaker_sheds_with_an_answer_that_lets_nobody_in_and_is_no_failure(
    deployment: Deployment,
) -> None:
    world = deployment.world
    now_ms = time.time_ns() // 1_000_000
    closed = initial(now_ms)
    breakers().move(StoredBreaker(DEFAULT_NAME, 1, encode(closed)))
    opened = type(closed)(
        version=2, generation=2, state=BreakerState.OPEN, state_since_ms=now_ms, open_until_ms=now_ms + 60_000
    )
    breakers().move(StoredBreaker(DEFAULT_NAME, 2, encode(opened)))
    answer = authorizer_handler.handler(world.sign(world.event()), context("authorizer"))
    assert "policyDocument" not in answer
    assert answer["context"]["reason"] == "breaker_open"
    [receipt] = deployment.receipts()
    assert (receipt["decision"], receipt["reason"]) == ("shed", "breaker_open")
    assert (receipt["breaker"]["state"], receipt["breaker"]["level"]) == ("open", "shed")


def test_a_pushed_policy_moves_breaker_and_objective_without_a_deployment(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNET_POLICY_REFRESH_S", "0")  # asks at each decision
    world = deployment.world
    monkeypatch.setattr(composition, "Elapsed", lambda: lambda: world.now_ms / 1000)

    def decide() -> RequestDecision:
        world.now_ms += CONFIG.refresh_ms
        authorizer = authorizer_handler._authorizer()
        return authorizer.authorize(world.sign(world.event()), now_ms=world.now_ms).decision

    granted = OutcomeToken.parse(decide().context.outcome_token)
    assert granted is not None
    assert granted.objective_ms == 500
    reporter = OutcomeReporter(breakers(), CONFIG, lambda: world.now_ms / 1000)
    for number in range(120):  # a quarter of them bad: more than the pushed policy bears
        world.now_ms += 25
        reporter.report(granted, now_ms=world.now_ms, latency_ms=5, error=number % 4 == 0, slow=False)
    assert decide().context.breaker.state is BreakerState.CLOSED

    files = policy_files()
    config(lambda c: c.update(latency_objective_ms=250))(files)
    push_policy(files)
    token = OutcomeToken.parse(decide().context.outcome_token)
    assert token == OutcomeToken(DEFAULT_NAME, granted.generation, 250, granted.caller)
    assert granted.caller is not None
    lower = {"trip_bad_share_ppm": 150_000, "step_bad_share_ppm": 100_000, "close_bad_share_ppm": 60_000}
    config(lambda c: c["breaker"].update(lower))(files)
    push_policy(files)
    assert decide().reason is Reason.BREAKER_OPEN
    [tripped] = [r for r in deployment.receipts() if r.get("cause") == "tripped"]
    assert 150_000 < tripped["figures"]["bad_share_lower_ppm"] < 300_000
    assert tripped["policy"] == {"bundle_sha256": policy_bundle_sha256(files)}


def push_policy(files: dict[str, bytes]) -> None:
    push(
        files,
        register=DynamoLockStore(session.dynamodb(), "registers", REGISTER),
        objects=S3ObjectStore(session.s3(), "log"),
        queue=SqsReceiptQueue(session.sqs(), os.environ["SIGNET_RECEIPT_QUEUE_URL"]),
        now_ms=time.time_ns() // 1_000_000,
        check=check,
    )


def test_a_warm_decision_makes_two_round_trips_on_average(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = deployment.world
    monkeypatch.setattr(composition, "Elapsed", lambda: lambda: world.now_ms / 1000)
    authorizer = authorizer_handler._authorizer()
    authorizer.authorize(world.sign(world.event()), now_ms=world.now_ms)
    calls: list[str] = []
    for client in (session.dynamodb(), session.dynamodb_once(), session.sqs()):
        client.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
    for _ in range(40):
        world.now_ms += 25  # forty requests per second
        authorizer.authorize(world.sign(world.event()), now_ms=world.now_ms)
    assert calls.count("PutItem") == calls.count("SendMessage") == 40
    # And twice a second the breaker: what was counted, in one epoch or two, and a look.
    assert len(calls) <= 80 + 2 * 3
