"""The sink as Lambda runs it: SQS events in, partial batch responses out, chains in DynamoDB."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import receipt_sink_handler as sink

from signet.aws import session
from signet.aws.chains import DynamoChainStore
from signet.aws.compose.receipt_sink import SinkSettings
from signet.aws.receipt_index import span_of
from signet.core.clocks import Elapsed
from signet.core.errors import LogError, UnavailableError, UsageError
from signet.core.instants import raw_id
from signet.core.ports import ChainHead
from signet.receipts.chain import chain_of, empty_head, extend
from signet.receipts.reading import read_receipt
from tests.fakes import receipts_table
from tests.fakes.chains import ids_in
from tests.fakes.records import message, record
from tests.support.declared import become
from tests.support.deployment import context, printed

ROOT = Path(__file__).resolve().parents[2]
BATCH = json.loads((ROOT / "events" / "sqs_batch.json").read_text())
POISON = json.loads((ROOT / "events" / "sqs_poison.json").read_text())


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoChainStore]:
    become(monkeypatch, "ReceiptSinkFunction")
    with receipts_table.receipts_table(monkeypatch) as client:
        session.client.cache_clear()
        sink._sink.cache_clear()
        monkeypatch.setattr(sink, "_pause", lambda _seconds: None)
        yield DynamoChainStore(client, receipts_table.NAME)
    session.client.cache_clear()
    sink._sink.cache_clear()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with printed(sink.logger) as stream:
        yield stream


def invoke(event: dict[str, Any]) -> list[str]:
    """Return the ids of the messages that the queue has to keep."""
    response = sink.handler(event, context("receipt_sink"))
    assert response.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def event_of(bodies: list[str]) -> dict[str, Any]:
    records = []
    for n, body in enumerate(bodies):
        one = copy.deepcopy(BATCH["Records"][0])
        one |= {"messageId": f"message-{n}", "body": body}
        records.append(one)
    return {"Records": records}


def body(n: int) -> str:
    return message(n).decode()


def printed_metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [metrics] = [line for line in lines if "_aws" in line]
    return {name: value[0] for name, value in metrics.items() if isinstance(value, list)}


def test_a_batch_enters_the_chain_in_its_order_and_once(
    store: DynamoChainStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(BATCH) == []
    sent = [json.loads(one["body"])["id"] for one in BATCH["Records"]]
    assert ids_in(store) == sent[:3]
    assert sent[3] == sent[0]
    assert printed_metrics(capsys) == {
        "SinkBatchSize": 4,
        "SinkReceipts": 3,
        "SinkDuplicates": 1,
        "SinkEvidence": 0,
        "SinkTranscripts": 0,
        "SinkPoison": 0,
    }


def test_what_the_authorizer_sent_stands_in_the_log_untouched(store: DynamoChainStore) -> None:
    invoke(BATCH)
    [first, *_] = BATCH["Records"]
    sent = json.loads(first["body"])
    logged = json.loads(next(store.read(0, start_seq=0)))
    assert logged.pop("chain")["seq"] == 0
    assert logged == sent


def test_the_same_batch_again_changes_nothing(store: DynamoChainStore) -> None:
    invoke(BATCH)
    head = store.head(0)
    assert invoke(BATCH) == []
    assert store.head(0) == head


def test_poison_fails_for_itself_and_the_others_are_recorded(
    store: DynamoChainStore, capsys: pytest.CaptureFixture[str]
) -> None:
    records = POISON["Records"]
    assert invoke(POISON) == [records[n]["messageId"] for n in (1, 2, 4)]
    assert ids_in(store) == [json.loads(records[n]["body"])["id"] for n in (0, 3)]
    assert printed_metrics(capsys)["SinkPoison"] == 3


def test_a_table_that_is_not_there_is_told_once_and_every_message_stays(
    store: DynamoChainStore, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(sink, "_pause", pauses.append)
    store.client.delete_table(TableName=store.table_name)
    assert invoke(event_of([body(1), body(2)])) == ["message-0", "message-1"]
    assert pauses == []
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if "not set up right" in line]
    assert (line["level"], line["error"]) == ("ERROR", "misconfigured")
    assert "there is no such receipts table" in line["reason"]


def test_the_log_names_poison_by_code_and_never_quotes_it(store: DynamoChainStore, log: io.StringIO) -> None:
    invoke(event_of(['{"secret":1} ', body(1)]))
    out = log.getvalue()
    [line] = [json.loads(line) for line in out.splitlines() if "not recorded" in line]
    assert (line["message_id"], line["error"]) == ("message-0", "not_canonical")
    assert "secret" not in out


def test_a_batch_of_nothing_but_poison_is_reported_not_raised(store: DynamoChainStore) -> None:
    assert invoke(event_of(["", "\ud800", "[" * 60_000])) == ["message-0", "message-1", "message-2"]
    assert store.head(0) == empty_head(0)


@pytest.mark.parametrize("count", [98, 99, 197])
def test_batches_beyond_one_transaction_are_cut(store: DynamoChainStore, count: int) -> None:
    assert invoke(event_of([body(n) for n in range(count)])) == []
    assert ids_in(store) == [record(n).id for n in range(count)]


def test_long_receipts_are_cut_by_size(store: DynamoChainStore) -> None:
    bodies = [message(n, path="p" * 64_000).decode() for n in range(10)]
    assert invoke(event_of(bodies)) == []
    assert len(ids_in(store)) == 10


def test_receipts_go_to_the_chain_of_their_id(
    store: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNET_CHAINS", "3")
    assert invoke(event_of([body(n) for n in range(30)])) == []
    for chain_id in range(3):
        wanted = [record(n).id for n in range(30) if chain_of(record(n).id, 3) == chain_id]
        assert wanted
        assert ids_in(store, chain_id) == wanted


def test_without_the_store_every_receipt_stays_in_the_queue_and_poison_too(
    store: DynamoChainStore, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    monkeypatch.setenv("SIGNET_RECEIPTS_TABLE", "gone")
    assert invoke(event_of([body(1), "poison", body(1)])) == ["message-0", "message-1", "message-2"]
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    failed = {line["message_id"]: line for line in lines if line.get("message") == "not recorded"}
    assert failed["message-0"]["correlation_id"] == record(1).id
    assert failed["message-0"]["error"] == "misconfigured"
    assert failed["message-1"].get("correlation_id") is None


@pytest.mark.parametrize("clock", ["wall", "monotonic"])
def test_an_invocation_tries_again_as_long_as_either_clock_leaves_it_time(
    store: DynamoChainStore, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    """Either one may stand still: the wall clock is set back, the other is frozen with the environment."""
    now_s = {"wall": 0.0, "monotonic": 0.0}
    pauses: list[float] = []

    def away(_store: DynamoChainStore, _chain_id: int) -> ChainHead:
        raise UnavailableError("away")

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now_s[clock] += 6

    monkeypatch.setattr(sink, "_pause", pause)
    elapsed = Elapsed(monotonic=lambda: now_s["monotonic"], wall=lambda: 0.0)
    monkeypatch.setattr(sink, "Elapsed", lambda: elapsed)
    monkeypatch.setattr(DynamoChainStore, "head", away)
    invocation = context("receipt_sink")
    invocation.get_remaining_time_in_millis = lambda: int(30_000 - now_s["wall"] * 1000)
    answer = sink.handler(event_of([body(1)]), invocation)
    assert answer["batchItemFailures"] == [{"itemIdentifier": "message-0"}]
    assert len(pauses) == 4  # 24 of 30 seconds: what is left is what a slow store may take


def test_a_race_lost_to_another_sink_is_won_within_the_invocation(
    store: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes back to the queue stays hidden for the queue's whole visibility timeout."""
    others = 12
    honest = DynamoChainStore.head

    def outrun(self: DynamoChainStore, chain_id: int) -> ChainHead:
        nonlocal others
        head = honest(self, chain_id)
        if others:
            others -= 1
            one = read_receipt(message(100 + others), chained=False)
            self.append(head, *extend(head, [one], head.recorded_at_ms))
        return head

    monkeypatch.setattr(DynamoChainStore, "head", outrun)
    assert invoke(event_of([body(1)])) == []
    assert (others, len(ids_in(store))) == (0, 13)


#: What the sink has to be told.
NAMED = {"SIGNET_RECEIPTS_TABLE": "t", "SIGNET_LOG_BUCKET": "b", "SIGNET_TRANSCRIPTS_BUCKET": "c"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SIGNET_RECEIPTS_TABLE": ""},
        {"SIGNET_RECEIPTS_TABLE": "t"},
        {
            "SIGNET_RECEIPTS_TABLE": "t",
            "SIGNET_LOG_BUCKET": "b",
            "SIGNET_TRANSCRIPTS_BUCKET": "c",
            "SIGNET_CHAINS": "0",
        },
        {
            "SIGNET_RECEIPTS_TABLE": "t",
            "SIGNET_LOG_BUCKET": "b",
            "SIGNET_TRANSCRIPTS_BUCKET": "c",
            "SIGNET_CHAINS": "-1",
        },
        {
            "SIGNET_RECEIPTS_TABLE": "t",
            "SIGNET_LOG_BUCKET": "b",
            "SIGNET_TRANSCRIPTS_BUCKET": "c",
            "SIGNET_CHAINS": "٣",
        },
        {
            "SIGNET_RECEIPTS_TABLE": "t",
            "SIGNET_LOG_BUCKET": "b",
            "SIGNET_TRANSCRIPTS_BUCKET": "c",
            "SIGNET_CHAINS": "",
        },
    ],
    ids=repr,
)
def test_settings_that_cannot_be_meant_say_what_to_set(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"^Set SIGNET_"):
        SinkSettings.from_environment(environment)


def test_one_chain_is_the_default() -> None:
    environment = NAMED
    assert SinkSettings.from_environment(environment).chains == 1


@pytest.mark.parametrize("event", [BATCH, POISON], ids=["batch", "poison"])
def test_the_stored_events_are_as_sqs_sends_them(event: dict[str, Any]) -> None:
    for one in event["Records"]:
        assert one["md5OfBody"] == hashlib.md5(one["body"].encode(), usedforsecurity=False).hexdigest()
        assert one["eventSource"] == "aws:sqs"


def test_importing_the_handler_needs_no_environment() -> None:
    code = "import receipt_sink_handler, sys; sys.exit('regopy' in sys.modules)"
    folder = ROOT / "functions" / "receipt_sink"
    done = subprocess.run([sys.executable, "-c", code], env={}, cwd=folder, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("years", [-30, 30])
def test_a_machine_with_a_wildly_wrong_clock_records_nothing(
    store: DynamoChainStore, monkeypatch: pytest.MonkeyPatch, log: io.StringIO, years: int
) -> None:
    invoke(event_of([body(1)]))
    head = store.head(0)
    wrong_s = time.time() + years * 366 * 86_400
    clock = SimpleNamespace(
        time=lambda: wrong_s, time_ns=lambda: int(wrong_s * 1e9), monotonic=time.monotonic
    )
    with monkeypatch.context() as patch:
        patch.setattr(session, "time", clock)
        patch.setattr(sink, "time", clock)
        assert invoke(event_of([body(2), body(3)])) == ["message-0", "message-1"]
    assert "clock_wrong" in log.getvalue()
    assert store.head(0) == head
    assert invoke(event_of([body(2), body(3)])) == []
    assert store.head(0).next_seq == 3


def test_an_answer_without_a_date_says_nothing_about_the_clock() -> None:
    session._check_clock(SimpleNamespace(headers={}))
    session._check_clock(SimpleNamespace(headers={"date": "yesterday"}))


def test_a_chain_that_contradicts_itself_is_raised_and_counted(
    store: DynamoChainStore, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    key = {"pk": {"S": span_of(0, raw_id(record(1).id))}, "sk": {"N": "0"}}
    store.client.put_item(TableName=receipts_table.NAME, Item={**key, "ids": {"B": b"no ids"}})
    with pytest.raises(LogError):
        invoke(event_of([body(1)]))
    assert printed_metrics(capsys) == {"LogContradictions": 1}
    assert "bad_index" in log.getvalue()
    assert store.head(0).next_seq == 0
