"""``signet verify`` and ``signet prove``: what a newcomer reads, what a program gets, exit codes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet_client.cli import app
from tests.support.forgery import remade, unzip
from tests.support.packs import PackLog, log_with_days

RUNNER = CliRunner()


def run(*arguments: object):
    return RUNNER.invoke(app, [str(argument) for argument in arguments], env={"SIGNET_LOG_ID": None})


def sentence_of(result, code: int) -> str:
    """Check the exit code and that the error is one line; return it."""
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture(scope="module")
def log() -> PackLog:
    log = log_with_days(2)
    log.close(log.decide(5, date(2026, 11, 24), skip=(1,)))
    return log


@pytest.fixture
def pack(tmp_path: Path, log: PackLog) -> Path:
    path = tmp_path / "pack.zip"
    path.write_bytes(log.pack())
    return path


@pytest.fixture
def forged(tmp_path: Path, log: PackLog) -> Path:
    files = unzip(log.pack())
    lines = files["receipts.jsonl"].splitlines(keepends=True)
    path = tmp_path / "forged.zip"
    path.write_bytes(remade({**files, "receipts.jsonl": b"".join(lines[::-1])}))
    return path


def test_a_good_pack_is_explained(pack: Path, log: PackLog) -> None:
    result = run("verify", pack, "--log-id", log.log_id)
    assert result.exit_code == 0
    assert "GOOD: every decision recorded on 2026-11-24 is here" in result.stdout
    assert "decisions: ok" in result.stdout
    assert "FINDING emitter" in result.stdout
    assert "WARNING" not in result.stdout


def test_without_a_log_id_it_warns(pack: Path) -> None:
    result = run("verify", pack)
    assert result.exit_code == 0
    assert "(not pinned)" in result.stdout
    assert "WARNING without --log-id" in result.stdout


def test_the_report_for_programs(pack: Path, log: PackLog) -> None:
    told = json.loads(run("verify", pack, "--log-id", log.log_id, "--json").stdout)
    assert told["good"] is True
    assert told["log_id"] == log.log_id
    assert told["log_id_pinned"] is True
    assert (told["receipts"], told["tree_size"], told["heads"]) == (5, 7, 2)
    assert told["gaps"] == [{"emitter": "e" * 32, "first": 3, "last": 3}]
    assert told["failures"] == []
    assert len(told["checks"]) == 12


def test_a_forged_pack_is_exit_1_with_place_and_code(forged: Path) -> None:
    result = run("verify", forged)
    assert result.exit_code == 1
    assert "FAILED  receipts.jsonl:1: has seq" in result.stdout
    assert "BAD: this pack does not prove what it claims." in result.stdout
    assert "GOOD" not in result.stdout
    told = json.loads(run("verify", forged, "--json").stdout)
    assert told["failures"][0]["code"] == "chain_gap"
    assert told["failures"][0]["line"] == 1


def test_another_log_is_exit_1(pack: Path) -> None:
    result = run("verify", pack, "--log-id", "0" * 64)
    assert result.exit_code == 1
    assert "[wrong_log]" in result.stdout


@pytest.mark.parametrize("log_id", ["", "abc", "G" * 64, "A" * 64])
def test_a_log_id_that_is_none_is_wrong_use(pack: Path, log_id: str) -> None:
    assert "64 lower-case hex digits" in sentence_of(run("verify", pack, "--log-id", log_id), 2)


@pytest.mark.parametrize("command", ["verify", "prove"])
def test_a_pack_that_is_not_there_is_wrong_use(tmp_path: Path, command: str) -> None:
    more = ["id"] if command == "prove" else []
    assert "absent.zip" in sentence_of(run(command, tmp_path / "absent.zip", *more), 2)
    assert sentence_of(run(command, tmp_path, *more), 2)


def test_garbage_is_bad_not_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "garbage.zip"
    path.write_bytes(b"garbage")
    result = run("verify", path)
    assert result.exit_code == 1
    assert "[zip_malformed]" in result.stdout
    assert sentence_of(run("prove", path, "x"), 1)


def test_prove_writes_to_standard_output_and_to_a_file(pack: Path, tmp_path: Path, log: PackLog) -> None:
    receipt_id = json.loads(unzip(log.pack())["receipts.jsonl"].splitlines()[1])["id"]
    shown = run("prove", pack, receipt_id)
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["leaf_index"] == 3
    path = tmp_path / "receipt.tlog-proof"
    written = run("prove", pack, receipt_id, "--format", "tlog-proof", "-o", path)
    assert written.exit_code == 0
    assert written.stdout == ""
    assert path.read_text().startswith("c2sp.org/tlog-proof@v1\nindex 3\n")


def test_an_unknown_receipt_is_wrong_use(pack: Path) -> None:
    assert "has no receipt" in sentence_of(run("prove", pack, "no-such-id"), 2)
