"""A transcript is erased on demand: it is gone, that is on record, and the log and its packs verify."""

from __future__ import annotations

import base64
import io
import json
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
from typer.testing import CliRunner

from signet.aws import session
from signet.aws.objects import S3ObjectStore
from signet.aws.permanent import TRANSCRIPTS_BUCKET
from signet.aws.transcripts import S3TranscriptStore
from signet.core.encoding import encode_base64
from signet.log.keys import parse_keys
from signet.pack.build import build_pack, plan_pack
from signet.receipts.transcripts import decode_transcripts, encode_transcripts
from signet_client import stack as stacks
from signet_client.cli import app
from signet_client.stack import Stack
from tests.support.declared import NAMES, become
from tests.support.deployment import Deployment, context, deployed
from tests.support.forgery import library, run_checker
from tests.support.world import OWN
from tests.support.writer import objects, stored


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    caches = (authorizer_handler._authorizer, sink._sink, cron._sequencer)
    for cached in caches:
        cached.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        become(
            monkeypatch,
            "SthCronFunction",
            refs={"ReceiptQueue": made.queue_url},
            LogOrigin="log.example/signet",
        )
        become(monkeypatch, "ReceiptSinkFunction", refs={"ReceiptQueue": made.queue_url})
        made.world.now_ms = time.time_ns() // 1_000_000
        made.world.api = OWN
        names = ("LogBucket", "TranscriptsBucket")
        outputs = {"ReceiptQueueUrl": made.queue_url, **{name: NAMES[name] for name in names}}
        monkeypatch.setattr(stacks, "read_stack", lambda _name: Stack("signet", outputs))
        monkeypatch.setattr(stacks, "aws", boto3.client)
        yield made
    for cached in caches:
        cached.cache_clear()


def record(queue_url: str) -> None:
    """Bring what waits in the queue to the sink, with what came beside it."""
    sqs = boto3.client("sqs")
    asked = {"QueueUrl": queue_url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
    while found := sqs.receive_message(**asked).get("Messages"):
        records = [
            {
                "messageId": one["MessageId"],
                "body": one["Body"],
                "attributes": {},
                "messageAttributes": {
                    name: {
                        "dataType": "Binary",
                        "binaryValue": base64.b64encode(given["BinaryValue"]).decode(),
                    }
                    for name, given in one.get("MessageAttributes", {}).items()
                },
            }
            for one in found
        ]
        assert sink.handler({"Records": records}, context("receipt_sink")) == {"batchItemFailures": []}
        for one in found:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=one["ReceiptHandle"])


def kept() -> S3ObjectStore:
    return S3ObjectStore(session.s3(), NAMES["TranscriptsBucket"], TRANSCRIPTS_BUCKET)


def pack(day: str) -> bytes:
    out = io.BytesIO()
    tomorrow = date.fromisoformat(day) + timedelta(days=1)
    plan = plan_pack(objects(), day, today=tomorrow, transcripts=True)
    build_pack(objects(), plan, spool=io.BytesIO(), out=out, transcripts=kept())
    return out.getvalue()


def erase(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["erase", *arguments])


def test_a_transcript_is_erased_and_the_log_says_so(deployment: Deployment) -> None:
    world = deployment.world
    answers = [authorizer_handler.handler(world.sign(world.event()), context("authorizer")) for _ in range(2)]
    ids = [answer["context"]["receipt_id"] for answer in answers]
    record(deployment.queue_url)
    day = cron.handler({}, context("sth_cron"))["date"]
    [key] = kept().list("transcripts/")
    assert set(decode_transcripts(kept().get(key) or b"")) == set(ids)
    kept().put(f"packs/transcripts/{day}-0123456789abcdef.zip", b"a pack")
    kept().put("packs/transcripts/2026-01-01-0123456789abcdef.zip", b"of another day")

    done = erase(ids[0], "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["decisions"], said["erased now"], said["packs dropped"]) == (1, 1, 1)
    assert list(decode_transcripts(kept().get(key) or b"")) == [ids[1]]
    assert list(kept().list("packs/")) == ["packs/transcripts/2026-01-01-0123456789abcdef.zip"]
    again = json.loads(erase(ids[0], "--json").stdout)
    assert again["erased now"] == 0

    record(deployment.queue_url)
    assert cron.handler({"close": day}, context("sth_cron"))["closed"] == [day]
    log_id, data = parse_keys(stored("keys.json")).log_id, pack(day)
    rows = [
        {"keyid": one.keyid, "alg": one.alg, "public_key": encode_base64(one.public_key)}
        for one in world.clients.entries.values()
    ]
    callers = json.dumps(rows).encode()
    report = library(data, log_id, callers=callers)
    assert report.failures == ()
    assert {found.value: number for found, number in report.proven.items()} == {"proven": 1, "erased": 1}
    code, printed = run_checker(data, log_id, callers=callers)
    assert (code, "1  allowed, its transcript was erased" in printed) == (0, True), printed
    assert erase(ids[1]).exit_code == 0
    assert list(kept().list("transcripts/")) == []


def test_what_has_no_transcript_is_not_erased(deployment: Deployment) -> None:
    world = deployment.world
    refused = authorizer_handler.handler(world.event(), context("authorizer"))["context"]["receipt_id"]
    record(deployment.queue_url)
    cron.handler({}, context("sth_cron"))
    told = erase(refused)
    assert (told.exit_code, "nothing to erase" in told.stderr) == (2, True), told.output
    unknown = erase("01a205b3-d001-7110-a578-1bcccea62e61")
    assert unknown.exit_code == 2
    assert boto3.client("sqs").receive_message(QueueUrl=deployment.queue_url).get("Messages") is None


def test_two_erasures_at_once_take_nothing_back(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deployment
    ids = [f"019b0000-0000-7000-8000-00000000000{number}" for number in range(3)]
    store, name = S3TranscriptStore(kept()), "0" * 32
    store.keep(name, encode_transcripts(dict.fromkeys(ids, b"{}")))
    client, outrun = store.objects.client, []
    put = client.put_object

    def slow(**request: Any) -> Any:
        if "IfMatch" in request and not outrun:
            outrun.append(1)
            assert S3TranscriptStore(kept()).erase(name, [ids[1]]) == 1
        return put(**request)

    monkeypatch.setattr(client, "put_object", slow)
    assert store.erase(name, [ids[0]]) == 1
    assert list(decode_transcripts(kept().get(f"transcripts/{name}") or b"")) == [ids[2]]
