"""``signet prove --check``: a proof that was handed on proves its receipt, or says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from signet.core.canonical import canonicalize, parse
from signet_client.cli import app
from tests.support.forgery import unzip
from tests.support.packs import PackLog, log_with_days, log_with_rotations

RUNNER = CliRunner()


def run(*arguments: object):
    return RUNNER.invoke(app, ["prove", *map(str, arguments)], env={"SIGNET_LOG_ID": None})


@pytest.fixture(scope="module")
def log() -> PackLog:
    return log_with_days(3, 6)


@pytest.fixture
def files(tmp_path: Path, log: PackLog) -> dict[str, Path]:
    """The pack of the second day, its fourth receipt, that one's proofs, and the log's keys."""
    members = unzip(log.pack())
    line = members["receipts.jsonl"].splitlines(keepends=True)[3]
    found = {
        name: tmp_path / name for name in ("pack.zip", "receipt", "keys.json", "proof.json", "tlog-proof")
    }
    found["pack.zip"].write_bytes(log.pack())
    found["receipt"].write_bytes(line)
    found["keys.json"].write_bytes(members["keys.json"])
    receipt_id = json.loads(line)["id"]
    assert run(found["pack.zip"], receipt_id, "-o", found["proof.json"]).exit_code == 0
    written = run(found["pack.zip"], receipt_id, "--format", "tlog-proof", "-o", found["tlog-proof"])
    assert written.exit_code == 0
    return found


def tlog(files: dict[str, Path], **other: Path) -> list[object]:
    given = files | other
    return ["--check", files["tlog-proof"], "--receipt", given["receipt"], "--keys", given["keys"]]


def test_what_prove_writes_is_good(files: dict[str, Path], log: PackLog) -> None:
    result = run("--check", files["proof.json"], "--log-id", log.log_id)
    assert result.exit_code == 0, result.output
    assert "GOOD: this receipt is in the log" in result.stdout
    assert "6 of a tree of 9" in result.stdout
    assert "2026-11-24" in result.stdout
    told = json.loads(run("--check", files["proof.json"], "--json").stdout)
    assert (told["good"], told["leaf_index"], told["tree_size"], told["date"]) == (True, 6, 9, "2026-11-24")
    assert [notice["code"] for notice in told["notices"]] == ["log_id_not_pinned"]
    result = run(*tlog(files, keys=files["keys.json"]), "--log-id", log.log_id)
    assert result.exit_code == 0, result.output


def test_a_proof_of_a_day_after_rotations_is_good(tmp_path: Path) -> None:
    log = log_with_rotations(2, 2, 2)
    (tmp_path / "pack.zip").write_bytes(log.pack(date(2026, 11, 24)))
    receipt_id = json.loads(unzip(log.pack(date(2026, 11, 24)))["receipts.jsonl"].splitlines()[1])["id"]
    assert run(tmp_path / "pack.zip", receipt_id, "-o", tmp_path / "proof").exit_code == 0
    assert run("--check", tmp_path / "proof", "--log-id", log.log_id).exit_code == 0


def _receipt(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda proof: change(proof["receipt"])


BAD: dict[str, tuple[Callable[[Any], object], str]] = {
    "decision changed": (_receipt(lambda r: r.update(authorizer_us=1)), "bad_proof"),
    "impossible decision": (_receipt(lambda r: r["policy"].update(action="deny")), "bad_receipt"),
    "recorded on another day": (
        _receipt(lambda r: r["chain"].update(recorded_at="2026-11-23T01:00:00.000Z")),
        "outside_day",
    ),
    "another leaf": (lambda p: p.update(leaf_index=5), "bad_proof"),
    "leaf before the day": (lambda p: p.update(leaf_index=2), "outside_day"),
    "leaf beyond the tree": (lambda p: p.update(leaf_index=9), "bad_proof"),
    "true for a leaf": (lambda p: p.update(leaf_index=True), "bad_proof"),
    "another size": (lambda p: p.update(tree_size=8), "bad_proof"),
    "another root": (lambda p: p.update(root_hash="A" * 43 + "="), "wrong_root"),
    "root in another spelling": (lambda p: p.update(root_hash="A" * 42 + "B="), "bad_proof"),
    "hash less": (lambda p: p["proof"].pop(), "bad_proof"),
    "hash more": (lambda p: p["proof"].append(p["proof"][0]), "bad_proof"),
    "hash no base64": (lambda p: p.update(proof=["!"]), "bad_proof"),
    "proof no array": (lambda p: p.update(proof=None), "bad_proof"),
    "head changed": (lambda p: p["sth"].update(date="2026-11-25"), "bad_signature"),
    "head no object": (lambda p: p.update(sth=[]), "bad_sth"),
    "keys changed": (lambda p: p["keys"].update(origin="other"), "bad_key_file"),
    "keys no object": (lambda p: p.update(keys=None), "bad_key_file"),
    "member more": (lambda p: p.update(extra=1), "bad_proof"),
    "member less": (lambda p: p.pop("v"), "bad_proof"),
    "another version": (lambda p: p.update(v=2), "bad_proof"),
    "true for a version": (lambda p: p.update(v=True), "bad_proof"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_proof_that_was_changed_is_refused(files: dict[str, Path], name: str) -> None:
    change, code = BAD[name]
    value = parse(files["proof.json"].read_bytes()[:-1])
    change(value)
    files["proof.json"].write_bytes(canonicalize(value))
    result = run("--check", files["proof.json"], "--json")
    assert result.exit_code == 1, result.output
    assert [failure["code"] for failure in json.loads(result.stdout)["failures"]] == [code]
    assert "BAD: " in run("--check", files["proof.json"]).stdout.splitlines()[-1]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"PK\3\4", b'{"v": 1}'])
def test_what_is_no_proof_is_refused(files: dict[str, Path], data: bytes) -> None:
    files["proof.json"].write_bytes(data)
    assert run("--check", files["proof.json"]).exit_code == 1


def test_a_file_too_large_for_any_proof_is_not_read(files: dict[str, Path]) -> None:
    with files["proof.json"].open("r+b") as file:
        file.truncate(1 << 40)  # sparse: reading it whole would take all memory
    result = run("--check", files["proof.json"])
    assert result.exit_code == 2
    assert "is larger than any proof" in result.stderr


def test_a_proof_of_another_log_is_refused(files: dict[str, Path]) -> None:
    for arguments in (["--check", files["proof.json"]], tlog(files, keys=files["keys.json"])):
        result = run(*arguments, "--log-id", "0" * 64)
        assert result.exit_code == 1
        assert "[wrong_log]" in result.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"index 6", b"index 5"),
        (b"index 6", b"index 06"),
        (b"index 6", b"index -6"),
        (b"index 6\n", b""),
        (b"\n\n", b"\n"),
        (b"\n\n", b"\nAAAA\n\n"),
        (b"\n\n", b"\n!\n\n"),
        (b"example.com/log\n9", b"example.com/log\n8"),
    ],
)
def test_a_tlog_proof_that_was_changed_is_refused(files: dict[str, Path], old: bytes, new: bytes) -> None:
    data = files["tlog-proof"].read_bytes()
    assert old in data
    files["tlog-proof"].write_bytes(data.replace(old, new, 1))
    assert run(*tlog(files, keys=files["keys.json"])).exit_code == 1


def test_a_tlog_proof_holds_for_its_own_receipt_and_keys_only(files: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(files["receipt"].read_bytes().replace(b'"authorizer_us":4', b'"authorizer_us":5', 1))
    assert run(*tlog(files, keys=files["keys.json"], receipt=other)).exit_code == 1
    other.write_bytes(log_with_days(1).keys())
    assert run(*tlog(files, keys=other)).exit_code == 1


def test_an_extra_line_of_a_tlog_proof_is_left_alone(files: dict[str, Path]) -> None:
    data = files["tlog-proof"].read_bytes()
    files["tlog-proof"].write_bytes(data.replace(b"index", b"extra aGk=\nindex", 1))
    assert run(*tlog(files, keys=files["keys.json"])).exit_code == 0


def test_other_signatures_of_a_tlog_proof_are_named_as_not_checked(files: dict[str, Path]) -> None:
    lines = f"— witness.example {'A' * 96}\n— example.com/log {'A' * 96}\n"
    with files["tlog-proof"].open("ab") as file:
        file.write(lines.encode())
    result = run(*tlog(files, keys=files["keys.json"]), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["signed_by"] == ["ed25519", "ml-dsa-44"]
    assert told["not_checked"] == ["witness.example", "example.com/log"]
    assert "not checked" in run(*tlog(files, keys=files["keys.json"])).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["pack.zip"],
        ["pack.zip", "id", "--check", "proof.json"],
        ["--check", "proof.json", "-o", "x"],
        ["--check", "proof.json", "--receipt", "receipt", "--keys", "keys.json"],
        ["--check", "tlog-proof"],
        ["--check", "tlog-proof", "--receipt", "receipt"],
        ["--check", "absent"],
        ["--check", "proof.json", "--log-id", "abc"],
        ["pack.zip", "id", "--json"],
        ["pack.zip", "id", "--format", "cose"],
        ["pack.zip", "id", "--keys", "keys.json"],
    ],
)
def test_wrong_use_is_exit_2(
    files: dict[str, Path], arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files["pack.zip"].parent)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert len(result.stderr.strip().splitlines()) == 1
