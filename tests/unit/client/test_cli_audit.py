"""``signet audit`` of a folder: the members of what a program gets, and what a person reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from signet_client.cli import app
from tests.support.packs import PackLog, log_with_days

MEMBERS = {
    *("good", "origin", "log_id", "tree_size", "root_hash", "first_leaf", "objects", "days"),
    *("evidence", "packs", "checks", "gaps", "remarks", "findings", "more_findings"),
}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"SIGNET_LOG_ID": None})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log: PackLog = log_with_days(2)
    for key, body in log.store.objects.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tmp_path


def test_a_good_log_is_told_with_what_is_worth_knowing(folder: Path) -> None:
    result = run(folder, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert set(told) == MEMBERS
    assert (told["good"], told["findings"], told["more_findings"], told["gaps"]) == (True, [], 0, [])
    text = "without --log-id this shows only that the log agrees with itself, not whose log it is"
    assert told["remarks"] == [{"code": "log_id_not_pinned", "text": text}]
    assert f"WARNING {text}" in run(folder).stdout.splitlines()


def test_a_damaged_log_is_told_with_the_place_of_each_fault(folder: Path) -> None:
    (folder / "keys" / "1.json").write_bytes(b"{}")
    result = run(folder, "--json")
    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)
    assert set(told) == MEMBERS
    assert (told["good"], told["more_findings"]) == (False, 0)
    [finding] = told["findings"]
    assert finding == {"code": "object_beyond", "where": "keys/1.json", "reason": finding["reason"]}
    line = f"FAILED  keys/1.json: {finding['reason']} [object_beyond]"
    assert line in run(folder).stdout.splitlines()
