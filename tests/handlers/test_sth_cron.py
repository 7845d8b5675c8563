"""The log's writer as Lambda runs it: schedule events and direct invocations, over moto."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sth_cron_handler as cron
from botocore.exceptions import ClientError

from signet.aws import session
from signet.aws.chains import DynamoChainStore
from signet.aws.compose import sth_cron as composed
from signet.aws.kms import MAX_CHAINS
from signet.core.errors import LogError, MisconfiguredError, UnavailableError, UsageError
from signet.log.keys import Algorithm, parse_keys
from signet.log.note import verify_checkpoint
from signet.log.sth import verify_sth
from signet.log.tiles import TileReader
from signet.policy.bundle import load_deployed, policy_bundle_sha256
from tests.fakes.kms import MemoryKms
from tests.support.deployment import context, printed
from tests.support.writer import LOG_TABLE, append, lock, objects, stored, writers_stores

ROOT = Path(__file__).resolve().parents[2]
SCHEDULED = json.loads((ROOT / "events" / "schedule_daily_close.json").read_text())


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DynamoChainStore]:
    with writers_stores(monkeypatch, tmp_path, "SthCronFunction") as made:
        yield made


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with printed(cron.logger) as stream:
        yield stream


def invoke(event: dict[str, Any]) -> dict[str, Any]:
    answer = cron.handler(event, context("sth_cron"))
    return json.loads(json.dumps(answer))


def test_a_scheduled_run_publishes_a_log_that_verifies(chains: DynamoChainStore) -> None:
    append(chains, 5)
    answer = invoke(SCHEDULED)
    keys = parse_keys(stored("keys.json"))
    head = verify_sth(stored("sth/latest.json"), keys)
    assert (answer["tree_size"], answer["integrated"], answer["final"]) == (5, 5, False)
    assert answer["date"] == head.date.isoformat()
    assert verify_checkpoint(stored("checkpoint"), keys).root_hash == head.root_hash
    reader = TileReader(objects().get, 5, root=head.root_hash)
    assert list(reader.entries(0, 5)) == list(chains.read(0, start_seq=0))
    policy = load_deployed()
    assert head.policy_bundle_sha256 == policy_bundle_sha256(policy)
    for name, body in policy.items():
        assert stored(f"policy/{head.policy_bundle_sha256}/{name}") == body
    assert list(objects().list("staging/")) == []


def test_closing_today_ends_the_day_and_later_receipts_belong_to_the_next(chains: DynamoChainStore) -> None:
    append(chains, 3)
    today = invoke({})["date"]
    append(chains, 2)
    closed = invoke({"close": today})
    assert (closed["closed"], closed["final"], closed["tree_size"]) == ([today], True, 5)
    assert closed["date"] == today
    append(chains, 1)
    again = invoke({"close": today})
    assert (again["closed"], again["tree_size"], again["integrated"]) == ([], 5, 1)
    keys = parse_keys(stored("keys.json"))
    newest = verify_sth(stored("sth/latest.json"), keys)
    assert newest.prev_sth_sha256 == verify_sth(stored(f"sth/{today}.json"), keys).sha256
    assert newest.date > date.fromisoformat(today)


class Orders:
    """Lambda, as far as the log's writer uses it."""

    def __init__(self, error: ClientError | None = None) -> None:
        self.taken: list[tuple[str, str, Any]] = []
        self.error = error

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803 - boto3's
        self.taken.append((FunctionName, InvocationType, json.loads(Payload)))
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, None),
        (ClientError({"Error": {"Code": "TooManyRequestsException", "Message": ""}}, "Invoke"), "WARNING"),
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "Invoke"), "CRITICAL"),
    ],
)
def test_the_pack_of_a_closed_day_is_ordered_and_the_day_closed_even_if_nobody_takes_the_order(
    chains: DynamoChainStore,
    monkeypatch: pytest.MonkeyPatch,
    log: io.StringIO,
    error: ClientError | None,
    told: str | None,
) -> None:
    orders, today = Orders(error), datetime.now(tz=UTC).date().isoformat()
    monkeypatch.setenv("SIGNET_PACK_FUNCTION", "pack-1")
    monkeypatch.setattr(composed, "functions", lambda: orders)
    append(chains, 1)
    assert invoke({})["closed"] == []
    assert orders.taken == []
    assert invoke({"close": today})["closed"] == [today]
    order = {"build": {"date": today, "include_evidence": False, "include_transcripts": False}}
    assert orders.taken == [("pack-1", "Event", order)]
    lines = [json.loads(line) for line in log.getvalue().splitlines() if "pack not ordered" in line]
    assert [line["level"] for line in lines] == ([told] if told else [])


@pytest.mark.parametrize("close", ["2999-01-01", "23.11.2026", "2026-02-30", "", 5, ["2026-11-23"]])
def test_a_day_that_cannot_be_closed_is_answered_with_one_sentence(
    chains: DynamoChainStore, close: object
) -> None:
    answer = invoke({"close": close})
    assert answer.keys() == {"error", "message"}
    assert answer["error"] == "usage"
    assert lock().read() is None


def test_a_day_before_the_log_began_is_not_found(chains: DynamoChainStore) -> None:
    assert invoke({"close": "2001-01-01"})["error"] == "not_found"


def test_a_contradiction_is_raised_and_counted(
    chains: DynamoChainStore, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    append(chains, 1)
    invoke({})
    before = lock().read()
    append(chains, 1)
    objects().put("tile/0/000.p/2", bytes(64))
    with pytest.raises(LogError):
        invoke({})
    assert '"LogContradictions":[1.0]' in capsys.readouterr().out.replace(" ", "")
    assert "object_differs" in log.getvalue()
    assert lock().read() != before  # the head is decided; until a person looked it stays unpublished
    assert verify_sth(stored("sth/latest.json"), parse_keys(stored("keys.json"))).tree_size == 1


def test_an_old_schedules_order_for_an_audit_is_answered_and_nothing_is_integrated(
    chains: DynamoChainStore, log: io.StringIO
) -> None:
    """While a deployment takes that schedule away: no failure for an alarm, and no run either."""
    append(chains, 1)
    answer = invoke({"audit": 2})
    assert answer["error"] == "usage"
    assert "AuditFunction" in answer["message"]
    assert '"level":"WARNING"' in log.getvalue()
    assert lock().read() is None


def test_a_store_that_cannot_be_reached_is_raised_for_the_schedule_to_try_again(
    chains: DynamoChainStore,
) -> None:
    invoke({})
    session.dynamodb().delete_table(TableName=LOG_TABLE)
    with pytest.raises(UnavailableError):
        invoke({})


def test_what_a_person_has_to_mend_ends_the_run_and_is_told(
    chains: DynamoChainStore, log: io.StringIO
) -> None:
    invoke({})
    session.dynamodb().delete_table(TableName=LOG_TABLE)
    with pytest.raises(MisconfiguredError):
        invoke({})
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if "not set up right" in line]
    assert (line["level"], line["error"]) == ("ERROR", "misconfigured")
    assert "set SIGNET_LOG_TABLE" in line["reason"]


def test_a_secret_that_may_not_be_read_is_told_before_anything_is_integrated(
    chains: DynamoChainStore, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(chains, 1)

    def denied(**_named: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "GetSecretValue")

    monkeypatch.setattr(session.secretsmanager(), "get_secret_value", denied)
    with pytest.raises(MisconfiguredError):
        invoke({})
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if "not set up right" in line]
    assert "grant secretsmanager:GetSecretValue" in line["reason"]


def test_keys_rotate_when_somebody_asks_and_the_log_goes_on_with_the_new_ones(
    chains: DynamoChainStore, capsys: pytest.CaptureFixture[str]
) -> None:
    append(chains, 2)
    assert invoke({})["key_set"] == 0
    answer = invoke({"rotate": 1})
    assert (answer["rotated"], answer["key_set"], answer["rotation_pending"]) == ([1], 1, False)
    assert answer["tree_size"] == 3
    assert '"KeyRotations":[1.0]' in capsys.readouterr().out.replace(" ", "")
    cron._sequencer.cache_clear()
    append(chains, 1)
    again = invoke({"rotate": 1})
    assert (again["rotated"], again["key_set"], again["tree_size"]) == ([], 1, 4)
    keys = parse_keys(stored("keys.json"))
    assert [k.from_tree_size for k in keys.sets] == [0, 3]
    assert verify_sth(stored("sth/latest.json"), keys).tree_size == 4
    assert json.loads(stored("keys/1.json")) == keys.set_object(1)


@pytest.mark.parametrize("rotate", [2, -1, "1", True, 1.0])
def test_a_key_set_that_cannot_follow_is_answered_with_one_sentence(
    chains: DynamoChainStore, rotate: object
) -> None:
    answer = invoke({"rotate": rotate})
    assert (answer.keys(), answer["error"]) == ({"error", "message"}, "usage")


def test_a_machine_with_a_wildly_wrong_clock_closes_no_day(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(chains, 1)
    invoke({})
    head, register = chains.head(0), lock().read()
    wrong_s = time.time() + 366 * 86_400
    clock = SimpleNamespace(time=lambda: wrong_s, time_ns=lambda: int(wrong_s * 1e9))
    with monkeypatch.context() as patch:
        patch.setattr(session, "time", clock)
        patch.setattr(cron, "time", clock)
        with pytest.raises(UnavailableError) as caught:
            invoke({})
    assert caught.value.code == "clock_wrong"
    assert (chains.head(0), lock().read()) == (head, register)


def test_the_log_goes_on_with_the_same_keys_in_a_new_environment(chains: DynamoChainStore) -> None:
    invoke({})
    before = stored("keys.json")
    cron._sequencer.cache_clear()
    append(chains, 1)
    assert invoke({})["tree_size"] == 1
    assert stored("keys.json") == before


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SIGNET_ROTATION_DAYS", "0"), ("SIGNET_KEY_STORE", "disk"), ("SIGNET_CHAINS", "x")],
)
def test_a_setting_that_makes_no_sense_is_named(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=variable):
        invoke({})


def test_more_chains_than_kms_can_sign_heads_of_are_refused_before_a_key_is_made(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNET_KEY_STORE", "kms")
    monkeypatch.setenv("SIGNET_CHAINS", str(MAX_CHAINS + 1))
    with pytest.raises(UsageError, match="KeyStore"):
        invoke({})
    assert session.secretsmanager().list_secrets()["SecretList"] == []
    assert session.kms().list_keys()["Keys"] == []
    assert lock().read() is None


def test_with_kms_the_writer_keeps_every_key_there(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KMS is in memory: moto's knows neither Ed25519 nor ML-DSA."""
    client = MemoryKms()
    monkeypatch.setattr(composed, "kms", lambda: client)
    monkeypatch.setenv("SIGNET_KEY_STORE", "kms")
    monkeypatch.setenv("SIGNET_CHAINS", str(MAX_CHAINS))
    invoke({})
    assert invoke({"rotate": 1})["rotated"] == [1]
    keys = parse_keys(stored("keys.json"))
    verify_sth(stored("sth/latest.json"), keys)
    verify_checkpoint(stored("checkpoint"), keys)
    assert len(client.keys) == len(keys.sets) * len(Algorithm)
    for n in range(2):
        secret = session.secretsmanager().get_secret_value(SecretId=f"signet/test/log-keys/{n}")
        assert "private_key" not in secret["SecretString"]


@pytest.mark.parametrize("variable", ["TABLE", "BUCKET", "KEYS_PREFIX", "ORIGIN"])
def test_a_missing_setting_is_named(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(f"SIGNET_LOG_{variable}")
    with pytest.raises(UsageError, match=f"SIGNET_LOG_{variable}"):
        invoke({})


def test_importing_the_handler_needs_no_environment() -> None:
    path = str(ROOT / "functions" / "sth_cron")
    code = f"import sys; sys.path.insert(0, {path!r}); import sth_cron_handler"
    subprocess.run([sys.executable, "-c", code], check=True, env={"POWERTOOLS_TRACE_DISABLED": "true"})


def test_a_run_counts_how_late_its_oldest_receipt_came_into_a_head(
    chains: DynamoChainStore, capsys: pytest.CaptureFixture[str]
) -> None:
    def delays() -> tuple[list[float], list[float]]:
        invoke({})
        [line] = [line for line in capsys.readouterr().out.splitlines() if '"LogDelay"' in line]
        return json.loads(line)["LogWait"], json.loads(line)["LogDelay"]

    append(chains, 3, age_ms=42_000)
    [wait], [delay] = delays()
    assert 42 <= wait <= delay < 60
    assert delays() == ([0], [0])  # nothing is new: that it ran is what it says
