"""Decisions are judged again by the pack's own policy, on what is on record."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from signet.core.canonical import canonicalize, parse
from signet.crypto import suites
from signet.pack.callers import parse_callers
from signet.pack.rejudge import Rejudge
from signet.pack.report import PackReport
from signet.pack.verify import verify_pack
from signet_client.cli import app
from tests.support.forgery import remade, unzip
from tests.support.transcribed import TranscribedLog
from tests.support.world import policy_files


def judged(log: TranscribedLog, data: bytes | None = None) -> PackReport:
    return verify_pack(
        io.BytesIO(data or log.pack()),
        log_id=log.log_id,
        callers=parse_callers(log.callers()),
        rejudge=Rejudge,
    )


def told(report: PackReport) -> dict[str, int]:
    return {found.value: number for found, number in (report.rejudged or {}).items()}


@pytest.fixture(scope="module")
def log() -> TranscribedLog:
    """Allowed requests of every suite, and one that the policy denies."""
    made = TranscribedLog(policy=policy_files())
    world = made.world
    for alg in suites.NAMES:
        assert made.ask(world.sign(world.event("GET"), alg)) == "ok"
    world.register("auditor", roles=frozenset({"auditor"}))
    assert made.ask(world.sign(world.event("GET"), keyid="auditor")) == "policy_denied"
    made.close()
    return made


def test_the_policy_answers_as_recorded(log: TranscribedLog) -> None:
    report = judged(log)
    assert report.failures == ()
    assert told(report) == {"same": len(suites.NAMES) + 1}


def test_without_the_policy_nothing_is_judged(log: TranscribedLog) -> None:
    files = {name: body for name, body in unzip(log.pack()).items() if not name.startswith("policy/")}
    report = judged(log, remade(files))
    assert (report.good, told(report)) == (True, {"policy_absent": len(suites.NAMES) + 1})


def allow(receipt: dict[str, Any], _said: dict[str, Any]) -> None:
    receipt["decision"], receipt["reason"] = "allow", "ok"
    receipt["policy"]["action"] = "allow"


def deny(receipt: dict[str, Any], _said: dict[str, Any]) -> None:
    receipt["decision"], receipt["reason"] = "deny", "policy_denied"
    receipt["policy"]["action"] = "deny"


def grant(_receipt: dict[str, Any], said: dict[str, Any]) -> None:
    said["input"]["principal"]["roles"] = ["nothing"]


@pytest.mark.parametrize(
    ("keyid", "change"),
    [("auditor", allow), ("caller-1", deny), ("caller-1", grant)],
    ids=["allow", "deny", "roles"],
)
def test_another_verdict_than_the_policys_is_found(
    keyid: str, change: Callable[[dict[str, Any], dict[str, Any]], None]
) -> None:
    made = TranscribedLog(policy=policy_files())
    world = made.world
    world.register("auditor", roles=frozenset({"auditor"}))
    made.ask(world.sign(world.event("GET"), keyid=keyid))
    body, transcript = made.sent.pop()
    receipt, said = parse(body), parse(transcript or b"")
    change(receipt, said)
    encoded = canonicalize(said)
    receipt["transcript_sha256"] = hashlib.sha256(encoded).hexdigest()
    made.sent.append((canonicalize(receipt), encoded))
    made.close()
    assert [failure.code for failure in judged(made).failures] == ["judged_otherwise"]


def test_the_command_wants_to_know_the_log(log: TranscribedLog, tmp_path: Path) -> None:
    pack, callers = tmp_path / "pack.zip", tmp_path / "callers.json"
    pack.write_bytes(log.pack())
    callers.write_bytes(log.callers())
    arguments = ["verify", str(pack), "--rejudge", "--callers", str(callers), "--no-remember"]
    refused = CliRunner().invoke(app, arguments, env={"SIGNET_LOG_ID": None})
    assert (refused.exit_code, "--log-id" in refused.stderr) == (2, True)
    good = CliRunner().invoke(app, [*arguments, "--log-id", log.log_id])
    assert good.exit_code == 0, good.output
    assert "judged again, the policy answers as recorded" in good.stdout
    assert "proven by the caller's signature" in good.stdout
    assert "who called is the operator's word" not in good.stdout
