"""Receipts of decisions on attached APIs: version 2, with a transcript that others can compute."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
import rfc8785

from signet.breaker.asked import FixedBreaker
from signet.core.apis import Api
from signet.core.canonical import parse
from signet.core.errors import UnavailableError
from signet.core.ports import ApiRegistry
from signet.handshake import verifier
from signet.handshake.authorizer import RecordedDecision
from signet.receipts.reading import read_receipt
from signet.receipts.transcripts import query_salt
from signet.receipts.v2 import V2
from tests.support.attached import ORDERS, event_of, signed, world_of
from tests.support.world import OWN, FixedApis, World, authorizer_of


def recorded(
    world: World, event: dict[str, Any], apis: ApiRegistry | None = None
) -> tuple[RecordedDecision, dict[str, Any]]:
    """What the authorizer decides, and its receipt, as the sink reads it."""
    sent: list[bytes] = []

    found = authorizer_of(world, sent, apis or FixedApis((OWN, world.api))).authorize(
        event, now_ms=world.now_ms
    )
    [message] = sent
    assert len(message) <= V2.message_bytes
    read_receipt(message, chained=False)
    return found, parse(message)


def test_the_transcript_is_what_was_signed_and_what_policy_was_asked() -> None:
    """Put together by hand, from what the caller sent and what policy is documented to be asked."""
    world = world_of(ORDERS)
    event = event_of(world)
    event["multiValueQueryStringParameters"], event["queryStringParameters"] = {"a": ["1"]}, {"a": "1"}
    event = world.sign(event)
    found, receipt = recorded(world, event)
    assert receipt["reason"] == "ok"

    headers = event["headers"]
    parameters = headers["Signature-Input"].removeprefix("pch=")
    nonce = parameters.split('nonce="')[1].split('"')[0]
    salt = hashlib.sha256(b"signet-query-salt-v2\n" + nonce.encode()).digest()[:16]
    base = (
        '"@method": GET\n'
        f'"@authority": {headers["Host"]}\n'
        '"@path": /v1/orders/7\n'
        '"@query": ?a=1\n'
        f'"@signature-params": {parameters}'
    )
    asked = {
        "api": "orders",
        "route": "GET /orders/{id}",
        "method": "GET",
        "path": "/orders/7",
        "path_parameters": {"id": "7"},
        "principal": {"keyid": world.keyids["ed25519"], "roles": ["caller"], "labels": {}},
        "algorithm": "ed25519",
        "binding": {"type": "none"},
        "evidence": None,
        "breaker": {"state": None, "level": "full"},
        "header_bytes": found.decision.context.inbound.header_bytes,
    }
    signature = headers["Signature"].removeprefix("pch=:").removesuffix(":")
    whole = {"base": base, "signature": signature, "input": asked, "salt": base64.b64encode(salt).decode()}
    assert receipt["transcript_sha256"] == hashlib.sha256(rfc8785.dumps(whole)).hexdigest()
    assert receipt["request"]["query_sha256"] == hashlib.sha256(salt + b"?a=1").hexdigest()


def test_what_an_allow_says_of_route_proof_and_policy() -> None:
    world = world_of(ORDERS)
    found, receipt = recorded(world, signed(world))
    proof = receipt["proof"]
    assert receipt["covered"] == ['"@method"', '"@authority"', '"@path"', '"@query"']
    assert proof["expires"] - proof["created"] == 60
    assert receipt["client"] == {"registration": None}
    assert (receipt["policy"]["input"], receipt["policy"]["version"]) == (2, None)
    assert (receipt["breaker"]["name"], receipt["breaker"]["limit"]) == ("orders", None)
    assert receipt["emitter"]["folded"] == 0
    assert found.decision.context.covered == ("@method", "@authority", "@path", "@query")


def test_two_queries_with_one_hash_of_version_1_have_two_in_version_2() -> None:
    """The salt comes from the nonce: who only has packs cannot try out queries."""
    world = world_of(ORDERS)
    hashes = {recorded(world, signed(world))[1]["request"]["query_sha256"] for _ in range(2)}
    assert len(hashes) == 2
    assert query_salt("a") != query_salt("b")


def test_a_refusal_before_the_nonce_is_spent_has_no_transcript() -> None:
    world = world_of(ORDERS)
    replayed = signed(world)
    recorded(world, replayed)
    assert recorded(world, replayed)[1]["transcript_sha256"] is None

    def away(*_arguments: object, **_options: object) -> bool:
        raise UnavailableError("away")

    world.nonces.spend = away  # type: ignore[method-assign]
    _, receipt = recorded(world, signed(world))
    assert (receipt["reason"], receipt["transcript_sha256"]) == ("store_unavailable", None)


def test_a_refusal_after_the_nonce_is_spent_has_one() -> None:
    class Broken(FixedBreaker):
        def outcome_token(self, *_arguments: object, **_named: object) -> str:
            return "token"

        def arrived(self, *_arguments: object) -> None:
            raise ZeroDivisionError

    world = world_of(ORDERS)
    world.breaker = Broken()
    _, receipt = recorded(world, signed(world))
    assert len(world.nonces.spent) == 1
    assert (receipt["v"], receipt["reason"]) == (2, "internal_error")
    assert receipt["transcript_sha256"] is not None


def test_a_transcript_that_cannot_be_made_spends_no_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ValueError("no transcript")

    monkeypatch.setattr(verifier, "transcript_facts", broken)
    world = world_of(ORDERS)
    _, receipt = recorded(world, signed(world))
    assert (receipt["v"], receipt["reason"], world.nonces.spent) == (2, "internal_error", {})


def test_an_allow_that_no_receipt_can_say_is_an_internal_error_on_record() -> None:
    world = world_of(replace(ORDERS, registration="no receipt's id"))
    found, receipt = recorded(world, signed(world))
    assert found.durable
    assert (found.decision.reason.value, receipt["reason"]) == ("internal_error", "internal_error")
    # The nonce is spent, so the receipt commits to what was evaluated.
    assert (len(world.nonces.spent), receipt["v"]) == (1, 2)
    assert receipt["transcript_sha256"] is not None
    assert receipt["api"]["name"] is None


def test_a_path_that_nothing_vouches_for_is_cut() -> None:
    world = world_of(ORDERS)
    event = event_of(world, "/orders/" + "7" * 900)
    _, receipt = recorded(world, event)
    shown = f"/v1/orders/{'7' * 900}"
    assert receipt["reason"] == "challenge_required"
    assert receipt["request"]["path"] == shown[:256]
    assert receipt["request"]["path_sha256"] == hashlib.sha256(shown.encode()).hexdigest()


def test_all_decisions_are_of_version_2() -> None:
    class Down:
        def find(self, api_id: str, stage: str) -> Api | None:
            raise UnavailableError("could not read the registered APIs")

    world = world_of(ORDERS)
    event = signed(world)
    assert [recorded(world, event, apis)[1]["v"] for apis in (Down(), FixedApis(()))] == [2, 2]
    own = World()
    assert recorded(own, own.sign(own.event()))[1]["v"] == 2
