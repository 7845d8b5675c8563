"""``signet verify`` and ``signet prove``: what a newcomer reads, what a program gets, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.core.instants import day_start_ms
from signet_client.cli import app
from tests.corpus.later import NO_TRANSCRIPT, NOTHING, later
from tests.corpus.lies import put
from tests.support.forgery import edit, remade, rezip, run_checker, unzip
from tests.support.packs import FIRST_DAY, PackLog, log_with_days

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
    assert "GOOD: every decision that the log recorded on 2026-11-24 is here" in result.stdout
    assert "decisions: ok" in result.stdout
    assert "FINDING emitter" in result.stdout
    assert "WARNING" not in result.stdout


def test_without_a_log_id_it_warns(pack: Path) -> None:
    result = run("verify", pack)
    assert result.exit_code == 0
    assert "(not pinned)" in result.stdout
    assert "WARNING without --log-id" in result.stdout


def test_the_report_for_programs(pack: Path, log: PackLog) -> None:
    told = json.loads(run("verify", pack, "--log-id", log.log_id, "--no-remember", "--json").stdout)
    assert told["good"] is True
    assert told["log_id"] == log.log_id
    assert told["log_id_pinned"] is True
    assert (told["receipts"], told["tree_size"], told["heads"]) == (5, 7, 2)
    assert told["gaps"] == [{"emitter": "e" * 32, "first": 3, "last": 3}]
    assert told["failures"] == []
    assert len(told["checks"]) == 14


def test_a_good_verdict_says_which_day_when_it_was_closed_and_what_it_does_not_show(pack: Path) -> None:
    lines = run("verify", pack).stdout.splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines if line.startswith("day "))
    assert facts["day"] == "2026-11-24"
    signed = next(line for line in lines if line.startswith("head signed"))
    assert signed.endswith("2026-11-25 01:00:00 UTC, 1 h 0 min after the day's end")
    at = lines.index("Not shown by this:")
    assert len(lines[at + 1 :]) == 4
    assert all(line.startswith("- ") for line in lines[at + 1 :])
    assert not any("every decision of" in line or "every decision recorded" in line for line in lines)


def test_a_day_that_was_closed_before_it_was_over_is_told(tmp_path: Path) -> None:
    early = PackLog()
    early.close(early.decide(2, FIRST_DAY), signed_ms=day_start_ms(FIRST_DAY) + 59_225_000)
    (tmp_path / "early.zip").write_bytes(early.pack())
    said = run("verify", tmp_path / "early.zip").stdout
    assert "2026-11-23 16:27:05 UTC, 7 h 32 min before the day's end" in said
    assert "closed at 2026-11-23 16:27:05 UTC, before the day was over" in said


def test_a_pack_of_another_day_than_asked_for_is_refused(pack: Path, tmp_path: Path) -> None:
    assert run("verify", pack, "--date", "2026-11-24").exit_code == 0
    told = json.loads(run("verify", pack, "--date", "2026-11-23", "--json").stdout)
    assert [failure["code"] for failure in told["failures"]] == ["other_day"]
    assert "is no date" in sentence_of(run("verify", pack, "--date", "yesterday"), 2)
    relabelled = edit(unzip(pack.read_bytes()), "manifest.json", lambda m: m.update(date="2026-11-23"))
    (tmp_path / "relabelled.zip").write_bytes(rezip(relabelled))
    result = run("verify", tmp_path / "relabelled.zip")
    assert result.exit_code == 1
    assert "[wrong_day]" in result.stdout
    assert "GOOD" not in result.stdout


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (lambda data: b"<html>403</html>" + data[:0], "NOT A PACK"),
        (lambda data: data[: len(data) // 2], "CUT SHORT"),
        (lambda data: data[:-2] + b"\x02\x00hi", "PACKED ANEW"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "BAD"),
    ],
)
def test_what_is_no_pack_is_told_from_a_bad_one(
    pack: Path, tmp_path: Path, made: Callable[[bytes], bytes], word: str
) -> None:
    (tmp_path / "file").write_bytes(made(pack.read_bytes()))
    result = run("verify", tmp_path / "file")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith(f"{word}: ")
    kind = json.loads(run("verify", tmp_path / "file", "--json").stdout)["kind"]
    assert kind == {"BAD": "pack"}.get(word, word.lower().replace(" ", "_"))


def test_an_unpacked_folder_is_no_pack(tmp_path: Path) -> None:
    result = run("verify", tmp_path)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("NOT A PACK: ")


def test_a_forged_pack_is_exit_1_with_place_and_code(forged: Path) -> None:
    result = run("verify", forged)
    assert result.exit_code == 1
    assert "FAILED  receipts.jsonl:1: has seq" in result.stdout
    assert "BAD: this pack does not prove what it claims." in result.stdout
    assert "GOOD" not in result.stdout
    told = json.loads(run("verify", forged, "--json").stdout)
    assert told["failures"][0]["code"] == "chain_gap"
    assert told["failures"][0]["line"] == 1
    assert set(told["failures"][0]) == {"code", "file", "line", "reason"}
    assert told["failures"][0]["file"] == "receipts.jsonl"


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
    if command == "prove":
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


def test_decisions_are_counted_by_the_api_that_they_name(tmp_path: Path) -> None:
    log = PackLog()
    named = [
        later("ok", number=0),
        later("nonce_replayed", *NO_TRANSCRIPT, number=1),
        later("unknown_api", *NOTHING, number=2),
        later("ok", put("api", "name", value="o\x1b[2J" + "x" * 70), number=3),
    ]
    log.close([*named, *log.decide(1, FIRST_DAY)])
    pack = tmp_path / "pack.zip"
    pack.write_bytes(log.pack())
    said = json.loads(run("verify", pack, "--json").stdout)
    assert said["good"]
    assert said["apis"] == [  # the decision of version 1 says no API
        {"name": "o\x1b[2J" + "x" * 59, "decisions": {"ok": 1}},
        {"name": "orders", "decisions": {"nonce_replayed": 1, "ok": 1}},
        {"name": None, "decisions": {"unknown_api": 1}},
    ]
    printed = run("verify", pack).stdout
    assert "\x1b" not in printed
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "API orders 1 nonce_replayed, 1 ok" in lines
    assert "no known API 1 unknown_api" in lines
    by_checker = run_checker(pack.read_bytes(), None)[1]
    assert "\x1b" not in by_checker
    assert "  API orders: 1 nonce_replayed, 1 ok" in by_checker.splitlines()


def test_a_proof_of_an_attached_api_s_decision_says_api_and_route(tmp_path: Path) -> None:
    log = PackLog()
    made = later("ok", number=0)
    log.close([made])
    pack, proof = tmp_path / "pack.zip", tmp_path / "proof.json"
    pack.write_bytes(log.pack())
    assert run("prove", pack, made.members["id"], "-o", proof).exit_code == 0
    lines = [" ".join(line.split()) for line in run("prove", "--check", proof).stdout.splitlines()]
    assert {"API orders", "route GET /orders/{id}"} <= {*lines}
