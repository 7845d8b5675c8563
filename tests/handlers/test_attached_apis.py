"""An attached API, from its events to a pack: its receipts are of version 2, and say API and route."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import authorizer_handler
import boto3
import pytest
import receipt_sink_handler as sink
import sth_cron_handler as cron

from signet.aws import session
from signet.aws.chains import DynamoChainStore
from signet.core.canonical import parse
from signet.log.keys import parse_keys
from signet.pack.build import build_pack, plan_pack
from tests.support.attached import BILLING, ORDERS, engine, event_of, files, signed
from tests.support.declared import NAMES, become
from tests.support.deployment import Deployment, context, deployed
from tests.support.forgery import library, run_checker, unzip
from tests.support.registered import put_in_force
from tests.support.world import OWN, edit_header
from tests.support.writer import objects, stored


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    for cached in (authorizer_handler._authorizer, sink._sink, cron._sequencer):
        cached.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        for name, body in files().items():
            (tmp_path / "policy-layer" / "signet_policy" / name).write_bytes(body)
        become(
            monkeypatch,
            "SthCronFunction",
            refs={"ReceiptQueue": made.queue_url},
            LogOrigin="log.example/signet",
        )
        put_in_force(session.dynamodb(), NAMES["ApisTable"], ORDERS)
        put_in_force(session.dynamodb(), NAMES["ApisTable"], BILLING)
        made.world.now_ms = time.time_ns() // 1_000_000
        made.world.api, made.world.__dict__["policy"] = ORDERS, engine()
        yield made
    for cached in (authorizer_handler._authorizer, sink._sink, cron._sequencer):
        cached.cache_clear()


def decide(event: dict[str, Any]) -> str:
    answer = authorizer_handler.handler(event, context("authorizer"))
    return str(answer["context"]["reason"])


def record(queue_url: str) -> int:
    """Bring what waits in the queue to the sink; return how many messages it leaves there."""
    sqs, left = boto3.client("sqs"), 0
    while found := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        records = [
            {"messageId": one["MessageId"], "body": one["Body"], "messageAttributes": {}, "attributes": {}}
            for one in found
        ]
        answer = sink.handler({"Records": records}, context("receipt_sink"))
        left += len(answer["batchItemFailures"])
    return left


def pack_of_today() -> bytes:
    day = cron.handler({}, context("sth_cron"))["date"]
    assert cron.handler({"close": day}, context("sth_cron"))["closed"] == [day]
    plan = plan_pack(objects(), day, today=date.fromisoformat(day) + timedelta(days=1))
    out = io.BytesIO()
    build_pack(objects(), plan, spool=io.BytesIO(), out=out)
    return out.getvalue()


def test_decisions_on_an_attached_api_reach_the_pack_in_version_2(deployment: Deployment) -> None:
    world = deployment.world
    good = signed(world)
    forged = edit_header(signed(world), "Signature", lambda value: value[:10] + "AAAA" + value[14:])
    stranger = signed(world)
    stranger["requestContext"]["stage"] = "v2"
    ruleless = signed(world, "/nothing", "/nothing")
    world.api = BILLING
    denied = signed(world)
    events = good, good, forged, denied, stranger, ruleless, event_of(world)
    assert [decide(event) for event in events] == [
        *("ok", "nonce_replayed", "bad_signature", "policy_denied"),
        *("unknown_api", "no_rule", "challenge_required"),
    ]
    assert record(deployment.queue_url) == 0

    chain = DynamoChainStore(session.dynamodb(), NAMES["ReceiptsTable"])
    pack = pack_of_today()
    lines = unzip(pack)["receipts.jsonl"].splitlines()
    assert lines == list(chain.read(0, start_seq=0))
    found = {made["reason"]: made for made in map(parse, lines)}
    assert {made["v"] for made in found.values()} == {2}
    called = {reason: (made["api"]["name"], made["route"]) for reason, made in found.items()}
    assert called == {
        **dict.fromkeys(("ok", "nonce_replayed", "bad_signature"), ("orders", "GET /orders/{id}")),
        **dict.fromkeys(("policy_denied", "challenge_required"), ("billing", "GET /orders/{id}")),
        "no_rule": ("orders", "GET /nothing"),
        "unknown_api": (None, None),
    }
    assert (found["unknown_api"]["api"]["id"], found["unknown_api"]["api"]["stage"]) == (ORDERS.api_id, "v2")
    assert found["ok"]["api"] == {
        "name": "orders",
        "id": ORDERS.api_id,
        "kind": "rest",
        "registration": None,
        "stage": ORDERS.stage,
    }
    assert found["ok"]["policy"]["version"] == 0
    assert (found["ok"]["breaker"]["name"], found["ok"]["breaker"]["admission"]) == ("orders", "normal")
    assert [reason for reason, made in found.items() if made["transcript_sha256"]] == ["ok", "policy_denied"]

    log_id = parse_keys(stored("keys.json")).log_id
    report = library(pack, log_id)
    assert report.failures == ()
    assert report.apis == {
        "billing": {"challenge_required": 1, "policy_denied": 1},
        "orders": dict.fromkeys(("bad_signature", "no_rule", "nonce_replayed", "ok"), 1),
        None: {"unknown_api": 1},
    }
    assert list(report.apis) == ["billing", "orders", None]
    code, printed = run_checker(pack, log_id)
    assert code == 0, printed
    assert "API orders: 1 bad_signature, 1 no_rule, 1 nonce_replayed, 1 ok" in printed
    assert "an API that is not known: 1 unknown_api" in printed


def test_decisions_on_signet_s_own_api_are_of_version_2(deployment: Deployment) -> None:
    world = deployment.world
    world.api = OWN
    assert [decide(world.sign(world.event())), decide(world.event())] == ["ok", "challenge_required"]
    assert {made["v"] for made in deployment.receipts()} == {2}
