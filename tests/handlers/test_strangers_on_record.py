"""A flood of strangers from the authorizer's handler through the sink and the log's writer to the audit."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import audit_handler
import authorizer_handler
import pytest
import receipt_sink_handler as sink
import sth_cron_handler as cron

from signet.core.canonical import canonicalize
from signet.handshake.strangers import OPEN_S
from tests.support.deployment import context, deployed
from tests.support.world import ROOT
from tests.support.writer import writers_stores

BATCH = json.loads((ROOT / "events" / "sqs_batch.json").read_text())
ASKED = 2_000
EACH = 100  # one allowed request among so many
PER_S = 500
OWN_PER_S = 10


def flood(folder: Path, patch: pytest.MonkeyPatch) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Ask as strangers do, and a caller among them; gives what was answered, and what is in the queue."""
    answered = Counter[str]()
    authorizer_handler._authorizer.cache_clear()
    with deployed(folder, patch) as deployment:
        world = deployment.world
        began_ms = world.now_ms
        made = replace(authorizer_handler._authorizer(), passed=lambda: (world.now_ms - began_ms) / 1000)
        patch.setattr(authorizer_handler, "_authorizer", lambda: made)
        patch.setattr(authorizer_handler.time, "time_ns", lambda: world.now_ms * 1_000_000)

        def ask(event: dict[str, Any]) -> None:
            answer = authorizer_handler.handler(event, context("authorizer"))
            answered[answer["context"]["reason"]] += 1

        for asked in range(ASKED):
            world.now_ms = began_ms + asked * 1000 // PER_S
            ask(world.event())
            if asked % EACH == 0:
                ask(world.sign(world.event()))
        world.now_ms += int(OPEN_S * 1000)
        ask(world.sign(world.event()))
        return answered, deployment.receipts()


def put_on_record(receipts: list[dict[str, Any]]) -> dict[str, Any]:
    """Hand the queue's messages to the sink, close the day, and audit the log."""
    for start in range(0, len(receipts), 10):
        records = []
        for number, receipt in enumerate(receipts[start : start + 10]):
            one = copy.deepcopy(BATCH["Records"][0])
            one |= {"messageId": f"message-{number}", "body": canonicalize(receipt).decode()}
            records.append(one)
        assert sink.handler({"Records": records}, context("receipt_sink")) == {"batchItemFailures": []}
    cron.handler({}, context("sth_cron"))
    answer: dict[str, Any] = audit_handler.handler({"days": 1}, context("audit"))
    return answer


def test_a_flood_is_bounded_counted_and_leaves_a_good_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        answered, receipts = flood(tmp_path / "gate", patch)
    assert answered == {"challenge_required": ASKED, "ok": ASKED // EACH + 1}

    own = Counter(one["reason"] for one in receipts if one["type"] == "pch.decision")
    [summary] = [one for one in receipts if one["type"] == "refusals.summary"]
    assert own == {"ok": answered["ok"], "challenge_required": ASKED // PER_S * OWN_PER_S}
    assert summary["counts"] == {"challenge_required": ASKED - own["challenge_required"]}
    assert max(one["emitter"].get("folded", 0) for one in receipts) == ASKED - own["challenge_required"]
    assert sorted(one["emitter"]["n"] for one in receipts) == [*range(len(receipts))]

    with (
        monkeypatch.context() as patch,
        writers_stores(patch, tmp_path / "log", "ReceiptSinkFunction", "SthCronFunction", "AuditFunction"),
    ):
        sink._sink.cache_clear()
        audited = put_on_record(receipts)
    sink._sink.cache_clear()
    assert audited["good"] is True
    assert audited["tree_size"] == len(receipts)
