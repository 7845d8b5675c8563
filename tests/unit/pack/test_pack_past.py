"""Policies that are not in force are asked about the requests of a day."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.core.errors import PackError
from signet.core.instants import utc_millis
from signet.pack import past
from signet.pack.past import OneReceipt, Otherwise, past_input, read_past
from signet_client.cli import app
from tests.support.forgery import remade, unzip
from tests.support.rego_cases import HEAD
from tests.support.transcribed import TranscribedLog
from tests.support.world import policy_files

RUNNER = CliRunner()
NO_ED25519 = 'reasons contains "not by Ed25519" if input.algorithm == "ed25519"\n'
UNREAD = 'reasons contains "not with x" if "x" in object.keys(input.query)\n'


def with_rule(rule: str) -> dict[str, bytes]:
    return {**policy_files(), "own.rego": (HEAD + rule).encode()}


@pytest.fixture(scope="module")
def log() -> TranscribedLog:
    """Three requests by Ed25519, one by P-256, and one that the policy denies."""
    made = TranscribedLog(policy=policy_files())
    world = made.world
    for alg in ("ed25519", "ed25519", "ed25519", "ecdsa-p256-sha256"):
        assert made.ask(world.sign(world.event("GET"), alg)) == "ok"
    world.register("auditor", roles=frozenset({"auditor"}))
    assert made.ask(world.sign(world.event("GET"), keyid="auditor")) == "policy_denied"
    made.close()
    return made


def first_of_ed25519(log: TranscribedLog) -> str:
    """Return the id of the first receipt in the log that allows a request by Ed25519."""
    receipts = map(json.loads, unzip(log.pack())["receipts.jsonl"].splitlines())
    return next(
        str(one["id"]) for one in receipts if one["reason"] == "ok" and one["proof"]["alg"] == "ed25519"
    )


def otherwise(log: TranscribedLog, after: dict[str, bytes]) -> Otherwise:
    found = Otherwise(policy_files(), after)
    read_past(io.BytesIO(log.pack()), found.take)
    return found


def test_requests_that_another_policy_decides_otherwise_are_counted(log: TranscribedLog) -> None:
    found = otherwise(log, with_rule(NO_ED25519))
    assert found.asked == 5
    allowed = ("GET /protected", "allow", "deny (not by Ed25519)")
    told = {kind: one.requests for kind, one in found.kinds.items()}
    assert told.pop(allowed) == 3
    [((route, before, after), requests)] = told.items()  # denied by both, by the second for one reason more
    assert (route, requests) == ("GET /protected", 1)
    assert before.startswith("deny (")
    assert "not by Ed25519" in after
    assert found.kinds[allowed].receipt_id == first_of_ed25519(log)


def test_kinds_of_differences_are_bounded_and_the_rest_is_counted(
    log: TranscribedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "_MOST_KINDS", 1)
    found = otherwise(log, with_rule(NO_ED25519))
    assert len(found.kinds) == 1
    assert sum(kind.requests for kind in found.kinds.values()) + found.more == 4
    assert found.more in {1, 3}


def test_the_same_policy_decides_nothing_otherwise(log: TranscribedLog) -> None:
    found = otherwise(log, policy_files())
    assert (found.asked, found.kinds) == (5, {})


def test_what_was_not_read_on_that_day_is_an_ordinary_value(log: TranscribedLog) -> None:
    assert otherwise(log, with_rule(UNREAD)).kinds == {}


def test_the_time_is_the_receipts_and_networks_are_found_anew() -> None:
    receipt = {"decided_at": utc_millis(1_700_000_000_999)}
    asked = {"source": {"ip": "192.0.2.1", "networks": ["192.0.2.0/24"]}, "time": {"unix": 1, "hour": 3}}
    stated = past_input(receipt, asked)
    assert stated == {"source": {"ip": "192.0.2.1"}, "time": {"unix": 1_700_000_000}}
    assert past_input(receipt, {"source": {"networks": []}})["source"] == {"networks": []}


def test_a_pack_that_is_not_good_is_asked_nothing(log: TranscribedLog) -> None:
    files = unzip(log.pack())
    files["receipts.jsonl"] = files["receipts.jsonl"].replace(b'"allow"', b'"deny" ', 1)
    with pytest.raises(PackError, match="the pack is not good"):
        read_past(io.BytesIO(remade(files)), OneReceipt("x").take)


def test_an_operator_sees_both_on_the_command_line(log: TranscribedLog, tmp_path: Path) -> None:
    pack, old, new = tmp_path / "day.zip", tmp_path / "old", tmp_path / "new"
    pack.write_bytes(log.pack())
    for folder, files in ((old, policy_files()), (new, with_rule(NO_ED25519))):
        folder.mkdir()
        for name, body in files.items():
            (folder / name).write_bytes(body)
    done = RUNNER.invoke(app, ["policy", "diff", str(old), str(new), "--pack", str(pack)])
    assert done.exit_code == 0, done.output
    first = first_of_ed25519(log)
    said = f"GET /protected: allow → deny (not by Ed25519): 3 requests on record, first {first}"
    assert said in done.output
    assert "of 5 requests on record 4 would be decided otherwise" in done.output
    done = RUNNER.invoke(app, ["policy", "diff", str(old), str(new), "--pack", str(pack), "--json"])
    told = json.loads(done.output)["past"]
    assert (told["asked"], told["without_transcript"], told["more"]) == (5, 0, 0)
    assert told["otherwise"][0]["requests"] == 3
    asked = ["policy", "eval", str(new), "--pack", str(pack), "--receipt"]
    done = RUNNER.invoke(app, [*asked, first])
    assert done.output.splitlines()[:2] == ["deny", "reason: not by Ed25519"], done.output
    done = RUNNER.invoke(app, [*asked, "no-such-id"])
    assert done.exit_code != 0
    assert "the pack has no transcript of a receipt no-such-id" in done.output
    done = RUNNER.invoke(app, ["policy", "eval", str(new), "--receipt", first])
    assert done.exit_code == 2
