"""The demo backend behind the authorizer: what it answers, and what it does when a fault is ordered."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import authorizer_handler
import boto3
import protected_handler
import pytest

from signet.aws import observe as observing
from signet.aws.faults import DynamoFaultStore
from signet.breaker.fault import Fault, FaultInjector
from tests.support.deployment import Deployment, context, deployed
from tests.support.shapes import mapped
from tests.support.world import World, digest

CONTEXT = context("protected")
GRANTED = {
    "principalId": "caller-1",
    "keyid": "caller-1",
    "alg": "ml-dsa-65",
    "binding": "tls-exporter",
    "reason": "ok",
    "receipt_id": "019abcde-0000-7000-8000-000000000001",
}


def request(
    world: World, body: str | None = None, *, encoded: bool = False, **granted: str
) -> dict[str, Any]:
    event = world.event("GET" if body is None else "POST", "/protected")
    event["requestContext"]["authorizer"] = GRANTED | granted
    return event | {"body": body, "isBase64Encoded": encoded}


def answer(event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    got = protected_handler.handler(event, CONTEXT)
    told = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    if got["statusCode"] != 403:
        told["Signet-Receipt"] = GRANTED["receipt_id"]
    assert got["headers"] == told
    return got["statusCode"], json.loads(got["body"])


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A fault that fails every second request, and waits 1.5 s before; returns the waits."""
    waits: list[float] = []
    draws = iter([0.1, 0.9, 0.1])
    fault = Fault(latency_ms=1500, error_ppm=500_000, until_ms=2_000)
    injector = FaultInjector(
        lambda _now: fault, lambda: 1_000, waits.append, lambda: next(draws), lambda: 0.0
    )
    monkeypatch.setattr(protected_handler, "_injector", lambda: injector)
    return waits


@pytest.fixture
def _nothing_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGNET_FAULT_TABLE", raising=False)
    protected_handler._injector.cache_clear()


@pytest.mark.usefixtures("_nothing_ordered")
def test_it_says_who_called_with_which_proof(world: World) -> None:
    assert answer(request(world)) == (
        200,
        {
            "message": "Welcome: your proof was verified.",
            "caller": "caller-1",
            "alg": "ml-dsa-65",
            "binding": "tls-exporter",
            "receipt_id": GRANTED["receipt_id"],
            "path": "/protected",
            "received_bytes": 0,
        },
    )


@pytest.mark.usefixtures("_nothing_ordered")
@pytest.mark.parametrize("given", [{"nonce": "AQAAabc-_"}, {}, {"nonce": ""}])
def test_it_hands_the_next_nonce_on_to_the_caller(world: World, given: dict[str, str]) -> None:
    event = request(world)
    event["requestContext"]["authorizer"] |= given
    fields = protected_handler.handler(event, context("protected"))["headers"]
    assert fields.get("Signet-Nonce") == (given.get("nonce") or None)


@pytest.mark.usefixtures("_nothing_ordered")
def test_it_counts_the_bytes_that_were_sent(world: World) -> None:
    body = "é 1".encode()
    field = digest(body)
    plain = request(world, "é 1", content_digest=field)
    encoded = request(world, base64.b64encode(body).decode(), encoded=True, content_digest=field)
    assert (
        [answer(event)[1]["received_bytes"] for event in (plain, encoded)] == [len(body), len(body)] == [4, 4]
    )


@pytest.mark.usefixtures("_nothing_ordered")
def test_it_names_the_api_s_own_path_under_a_mapping(world: World) -> None:
    assert answer(mapped(request(world), "/public"))[1]["path"] == "/protected"


@pytest.mark.usefixtures("_nothing_ordered")
def test_it_answers_nothing_that_did_not_come_through_the_authorizer(world: World) -> None:
    event = request(world)
    del event["requestContext"]["authorizer"]
    assert answer(event)[0] == 403
    assert answer(request(world, "smuggled", content_digest=digest(b"")))[0] == 400


def test_an_ordered_fault_is_a_failure_and_no_welcome(world: World, ordered: list[float]) -> None:
    answers = [answer(request(world)) for _ in range(3)]
    assert [status for status, _ in answers] == [500, 200, 500]
    assert answers[0][1] == answers[2][1] == {"error": "fault_ordered"}
    assert ordered == [1.5, 1.5, 1.5]


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    caches = (authorizer_handler._authorizer, observing._observer, protected_handler._injector)
    for cached in caches:
        cached.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        made.world.now_ms = time.time_ns() // 1_000_000
        yield made
    for cached in caches:
        cached.cache_clear()


def test_a_fault_that_was_ordered_in_the_table_is_injected(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNET_FAULT_TABLE", "breakers")
    until_ms = time.time_ns() // 1_000_000 + 60_000
    DynamoFaultStore(boto3.client("dynamodb"), "breakers").order(Fault(0, 1_000_000, until_ms))
    assert answer(request(deployment.world)) == (500, {"error": "fault_ordered"})
