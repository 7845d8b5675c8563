"""The daily audit as Lambda runs it, and ``signet audit``, over the log that the writer made in moto."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import audit_handler
import pytest
import sth_cron_handler as cron
from typer.testing import CliRunner

from signet.aws import session
from signet.aws.chains import DynamoChainStore
from signet.aws.lock import DynamoLockStore
from signet.core.decision import Reason
from signet.core.errors import MisconfiguredError, UsageError
from signet.core.instants import uuid7
from signet.log.keys import parse_keys
from signet.policy.register import REGISTER, Pushed
from signet.receipts.chain import extend
from signet.receipts.model import DecisionRecord, Emitter
from signet.receipts.reading import read_receipt
from signet_client import stack
from signet_client.cli import app
from tests.fakes import receipts_table
from tests.fakes.records import verified
from tests.support.deployment import context, printed
from tests.support.writer import BUCKET, LOG_TABLE, append, objects, stored, writers_stores

ROOT = Path(__file__).resolve().parents[2]
SCHEDULED = json.loads((ROOT / "events" / "schedule_daily_audit.json").read_text())


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DynamoChainStore]:
    with writers_stores(monkeypatch, tmp_path, "SthCronFunction", "AuditFunction") as made:
        yield made


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with printed(audit_handler.logger) as stream:
        yield stream


def write(event: dict[str, Any]) -> dict[str, Any]:
    """Run the log's writer."""
    return cron.handler(event, context("sth_cron"))


def invoke(event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(json.dumps(audit_handler.handler(event, context("audit"))))
    return answer


def test_an_audit_of_a_good_log_counts_no_finding(
    chains: DynamoChainStore, capsys: pytest.CaptureFixture[str]
) -> None:
    append(chains, 3)
    today = write({})["date"]
    write({"close": today})
    append(chains, 2)
    answer = invoke(SCHEDULED)
    assert answer == {"good": True, "tree_size": 3, "days": 1, "findings": []}
    assert '"AuditFindings":[0.0]' in capsys.readouterr().out.replace(" ", "")


def test_an_audit_that_fails_names_the_place_and_is_counted(
    chains: DynamoChainStore, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    append(chains, 3)
    today = write({})["date"]
    write({"close": today})
    objects().put("tile/0/000.p/3", bytes(96))
    answer = invoke({"days": 1})
    assert answer["good"] is False
    assert {"code": "wrong_tile", "where": "tile/0/000.p/3"} in answer["findings"]
    assert '"AuditFindings":[1.0]' in capsys.readouterr().out.replace(" ", "")
    assert '"level":"CRITICAL"' in log.getvalue()


def test_an_audit_holds_the_register_of_pushed_policies_to_the_log(chains: DynamoChainStore) -> None:
    register = DynamoLockStore(session.dynamodb(), LOG_TABLE, REGISTER)
    first = Pushed.after(None, {"pch.rego": b"a"}, now_ms=1_790_000_000_000)
    second = Pushed.after(first, {"pch.rego": b"b"}, now_ms=1_790_000_000_001)
    assert register.compare_and_swap(None, second.encode())
    head = chains.head(0)
    pushed = [read_receipt(one.receipt(), chained=False) for one in (first, second)]
    new_head, linked = extend(head, pushed, time.time_ns() // 1_000_000)
    assert chains.append(head, new_head, linked).appended
    write({})
    assert invoke({"days": 1})["good"] is True
    assert register.compare_and_swap(second.encode(), first.encode())
    assert invoke({"days": 1})["findings"] == [{"code": "policy_went_back", "where": "policy register"}]


def audit_command(monkeypatch: pytest.MonkeyPatch, *options: str, **parameters: str) -> Any:
    """``signet audit`` of these stores, as a stack that was deployed with some parameters."""
    outputs = {"LogBucket": BUCKET, "LogTable": LOG_TABLE, "ReceiptsTable": receipts_table.NAME}
    monkeypatch.setattr(stack, "read_stack", lambda name: stack.Stack(name, outputs, parameters))
    return CliRunner().invoke(app, ["audit", *options], env={"SIGNET_LOG_ID": None})


def test_the_evidence_of_a_stack_is_audited_for_as_long_as_it_keeps_it(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_days_ago = time.time_ns() // 1_000_000 - 2 * 86_400_000
    lost, kept = b'{"lost":1}', b'{"kept":1}'
    objects().put(f"evidence/{hashlib.sha256(kept).hexdigest()}", kept)
    head = chains.head(0)
    receipts = [
        read_receipt(
            DecisionRecord(
                id=uuid7(two_days_ago, bytes(9) + bytes([n])),
                decided_at_ms=two_days_ago,
                reason=Reason.OK,
                emitter=Emitter("ab" * 16, n),
                authorizer_us=1,
                **(facts := verified(n))
                | {"proof": replace(facts["proof"], evidence_sha256=hashlib.sha256(evidence).digest())},
            ).encode(),
            chained=False,
        )
        for n, evidence in enumerate([lost, kept])
    ]
    new_head, linked = extend(head, receipts, time.time_ns() // 1_000_000)
    assert chains.append(head, new_head, linked).appended
    write({})
    report = audit_command(monkeypatch, "--evidence", "--json", EvidenceRetentionDays="30")
    assert report.exit_code == 1, report.output
    told = json.loads(report.stdout)
    assert [finding["code"] for finding in told["findings"]] == ["evidence_missing"]
    assert (told["evidence"]["whole"], told["evidence"]["missing"]) == (1, 1)
    assert "policy register and log agree" in told["checks"]
    report = audit_command(monkeypatch, "--evidence", EvidenceRetentionDays="2")
    assert report.exit_code == 0, report.output
    assert "evidence dropped  1 (its retention is over)" in report.stdout
    assert audit_command(monkeypatch, "--evidence-days", "30").exit_code == 1
    without = audit_command(monkeypatch, "--evidence")
    assert without.exit_code == 2
    assert "no parameter EvidenceRetentionDays" in without.stderr


def test_the_packs_of_a_stack_are_verified_when_that_is_asked_for(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(chains, 2)
    write({})
    objects().put("packs/2026-11-23-0000000000000001.zip", b"<html>")
    assert audit_command(monkeypatch, "--days", "1").exit_code == 0
    report = audit_command(monkeypatch, "--packs", "--json")
    assert report.exit_code == 1, report.output
    told = json.loads(report.stdout)
    assert [finding["code"] for finding in told["findings"]] == ["zip_malformed"]
    assert told["packs"] == {"verified": 1, "bad": 1}


@pytest.mark.parametrize("event", [{}, *({"days": days} for days in (0, -1, True, "2", None))])
def test_an_audit_of_no_days_is_an_error_that_the_alarm_sees(
    chains: DynamoChainStore, event: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="closed days"):
        invoke(event)


def test_an_audit_needs_no_key_of_the_log(chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch) -> None:
    append(chains, 1)
    write({})

    def refuse() -> None:
        raise AssertionError("the audit asks for keys")

    monkeypatch.setattr(session, "secretsmanager", refuse)
    monkeypatch.setattr(session, "kms", refuse)
    monkeypatch.delenv("SIGNET_LOG_KEYS_PREFIX")
    assert invoke({"days": 2})["good"] is True


def test_another_log_in_the_bucket_is_found_by_the_lock_register(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole and well signed, but by other keys than those that the register names."""
    append(chains, 1)
    write({})
    register = DynamoLockStore(session.dynamodb(), LOG_TABLE)
    mine = register.read()
    assert mine is not None
    client, key = session.dynamodb(), {"pk": {"S": "lock"}}
    item = client.get_item(TableName=LOG_TABLE, Key=key)["Item"]
    client.delete_item(TableName=LOG_TABLE, Key=key)
    for name in list(objects().list("")):
        objects().delete(name)
    monkeypatch.setenv("SIGNET_LOG_KEYS_PREFIX", "another")
    cron._sequencer.cache_clear()
    write({})  # another log, of the same chains
    assert invoke({"days": 2})["good"] is True
    client.put_item(TableName=LOG_TABLE, Item=item)
    assert register.read() == mine
    found = invoke({"days": 2})["findings"]
    assert {"code": "bad_keys", "where": "lock register"} in found


def test_the_log_id_that_an_operator_gave_is_demanded(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(chains, 1)
    write({})
    monkeypatch.setenv("SIGNET_LOG_ID", parse_keys(stored("keys.json")).log_id)
    assert invoke({"days": 2})["good"] is True
    monkeypatch.setenv("SIGNET_LOG_ID", "0" * 64)
    assert {"code": "wrong_log", "where": "keys.json"} in invoke({"days": 2})["findings"]


@pytest.mark.parametrize("log_id", ["0" * 63, "A" * 64, "\u0661" * 64])
def test_a_log_id_that_is_none_is_named(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch, log_id: str
) -> None:
    monkeypatch.setenv("SIGNET_LOG_ID", log_id)
    with pytest.raises(UsageError, match="SIGNET_LOG_ID"):
        invoke({"days": 2})


def test_what_a_person_has_to_mend_ends_the_audit_without_a_verdict(
    chains: DynamoChainStore, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    write({})
    capsys.readouterr()
    session.dynamodb().delete_table(TableName=LOG_TABLE)
    with pytest.raises(MisconfiguredError):
        invoke({"days": 2})
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if "not set up right" in line]
    assert (line["level"], line["error"]) == ("ERROR", "misconfigured")
    assert "set SIGNET_LOG_TABLE" in line["reason"]
    assert "AuditFindings" not in capsys.readouterr().out


@pytest.mark.parametrize("variable", ["RECEIPTS_TABLE", "LOG_TABLE", "LOG_BUCKET"])
def test_a_missing_setting_is_named(
    chains: DynamoChainStore, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(f"SIGNET_{variable}")
    with pytest.raises(UsageError, match=f"SIGNET_{variable}"):
        invoke({"days": 2})


def test_importing_the_handler_needs_no_environment() -> None:
    path = str(ROOT / "functions" / "audit")
    code = f"import sys; sys.path.insert(0, {path!r}); import audit_handler"
    subprocess.run([sys.executable, "-c", code], check=True, env={"POWERTOOLS_TRACE_DISABLED": "true"})
