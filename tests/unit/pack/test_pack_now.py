"""A receipt is proved out of the log itself, by the newest head or by that of its closed day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.core.errors import LogError, NotFoundError, PackError, SignetError, UsageError
from signet.core.instants import uuid7
from signet.log.keys import Algorithm
from signet.log.tiles import TileReader
from signet.pack.now import cose_receipt, prove_now
from signet.pack.proofs import check_proof, check_tlog_proof
from signet_client.cli import app
from tests.unit.log.test_sequencer import DAY, SIGNER, T0, LogOnFakes

LOG_ID = SIGNER.keys.log_id


@pytest.fixture(scope="module")
def world() -> LogOnFakes:
    """300 receipts of a closed day and 40 of the open one, under two heads."""
    made = LogOnFakes()
    made.append(300, T0)
    made.run(T0)
    made.append(20, T0 + DAY)
    made.run(T0 + DAY)
    made.append(20, T0 + DAY + 60_000)
    made.run(T0 + DAY + 60_000)
    return made


def write_log(world: LogOnFakes, folder: Path) -> None:
    for key, body in world.objects.objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def run(*arguments: object):
    return CliRunner().invoke(app, ["prove", *map(str, arguments)], env={"SIGNET_LOG_ID": None})


def ids(world: LogOnFakes) -> list[str]:
    return [json.loads(entry)["id"] for entry in TileReader(world.objects.get, 340).entries(0, 340)]


@pytest.mark.parametrize(("leaf", "size", "final"), [(0, 300, True), (299, 300, True), (300, 340, False)])
def test_each_receipt_is_proved_by_the_newest_head_of_its_day(
    world: LogOnFakes, leaf: int, size: int, *, final: bool
):
    proof = prove_now(world.objects.get, ids(world)[leaf], log_id=LOG_ID)
    found = check_proof(proof.to_json(), log_id=LOG_ID)
    assert (found.leaf_index, found.tree_size) == (leaf, size)
    assert found.head is not None
    assert found.head.final is final
    tlog = check_tlog_proof(
        proof.to_tlog_proof(), receipt=proof.receipt, keys=SIGNER.keys.encode(), log_id=LOG_ID
    )
    assert (tlog.leaf_index, tlog.tree_size) == (leaf, size)


def test_a_receipt_in_no_head_yet_is_told_apart_from_one_that_should_be_there(world: LogOnFakes):
    later, earlier = uuid7(T0 + 2 * DAY, bytes(10)), uuid7(T0, bytes([255] * 10))
    with pytest.raises(NotFoundError, match=r"in no signed head yet: .* 90 seconds"):
        prove_now(world.objects.get, later)
    with pytest.raises(NotFoundError, match="not in the newest signed head"):
        prove_now(world.objects.get, earlier)
    with pytest.raises(UsageError, match="not the id of a receipt"):
        prove_now(world.objects.get, "x")
    with pytest.raises(NotFoundError, match="no signed head here"):
        prove_now({}.get, later)


def test_what_was_never_there_is_not_searched_for_back_to_the_first_day(world: LogOnFakes):
    read: list[str] = []

    def get(key: str) -> bytes | None:
        read.append(key)
        return world.objects.get(key)

    with pytest.raises(NotFoundError):
        prove_now(get, uuid7(T0 + 30 * DAY, bytes(10)))
    assert not [key for key in read if key == "tile/entries/000"]


def test_another_log_and_a_changed_entry_are_refused(world: LogOnFakes):
    wanted = ids(world)[310]
    with pytest.raises(PackError, match="this is the log"):
        prove_now(world.objects.get, wanted, log_id="0" * 64)
    bundle = "tile/entries/001.p/84"
    changed = {bundle: world.objects.objects[bundle].replace(b'"n":310', b'"n":311')}
    assert changed[bundle] != world.objects.objects[bundle]
    with pytest.raises(LogError, match="leaf hash"):
        prove_now(lambda key: changed.get(key) or world.objects.get(key), wanted)
    with pytest.raises(SignetError):
        prove_now({**world.objects.objects, "sth/latest.json": b"{}"}.get, wanted)


def test_the_command_writes_what_it_checks(world: LogOnFakes, tmp_path: Path):
    write_log(world, tmp_path / "log")
    wanted, proof = ids(world)[320], tmp_path / "proof.json"
    written = run("--now", wanted, "--log", tmp_path / "log", "--log-id", LOG_ID, "-o", proof)
    assert written.exit_code == 0, written.output
    assert run("--check", proof, "--log-id", LOG_ID).exit_code == 0
    shown = run("--now", wanted, "--log", tmp_path / "log", "--format", "tlog-proof")
    assert "c2sp.org/tlog-proof@v1" in shown.stdout
    assert "without --log-id" in shown.stderr
    missing = run("--now", uuid7(T0 + 2 * DAY, bytes(10)), "--log", tmp_path / "log")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert run("--log", tmp_path / "log").exit_code == 2
    assert run("pack.zip", "--now", wanted).exit_code == 2


@pytest.mark.parametrize(
    ("form", "alg"), [("cose", Algorithm.ED25519), ("cose-ml-dsa-65", Algorithm.ML_DSA_65)]
)
def test_the_command_writes_and_checks_cose_receipts(
    world: LogOnFakes, tmp_path: Path, form: str, alg: Algorithm
):
    write_log(world, tmp_path / "log")
    wanted, proof, receipt = ids(world)[320], tmp_path / "proof.cose", tmp_path / "receipt.json"
    receipt.write_bytes(list(TileReader(world.objects.get, 340).entries(0, 340))[320] + b"\n")
    written = run("--now", wanted, "--log", tmp_path / "log", "--format", form, "-o", proof)
    assert written.exit_code == 0, written.output
    check = ["--check", proof, "--receipt", receipt, "--keys", tmp_path / "log/keys.json"]
    good = run(*check, "--log-id", LOG_ID)
    assert good.exit_code == 0, good.output
    assert f"this proof has one, {alg}" in good.stdout
    told = json.loads(run(*check, "--json").stdout)
    assert (told["leaf_index"], told["tree_size"], told["signed_by"]) == (320, 340, [alg])
    assert [notice["code"] for notice in told["notices"]] == ["log_id_not_pinned", "one_signature"]
    assert "[wrong_log]" in run(*check, "--log-id", "0" * 64).stdout
    receipt.write_bytes(receipt.read_bytes().replace(b'"n":320', b'"n":321'))
    assert run(*check, "--log-id", LOG_ID).exit_code == 1
    assert run("--check", proof).exit_code == 2


def test_a_head_from_before_there_were_signed_roots_has_no_cose_receipt(world: LogOnFakes):
    proof = prove_now(world.objects.get, ids(world)[0])
    older = {key: body for key, body in world.objects.objects.items() if not key.startswith("cose/")}
    with pytest.raises(NotFoundError, match=r"cose/300\.ed25519 is not in the log"):
        cose_receipt(older.get, proof, Algorithm.ED25519)
    wrong = {**older, "cose/300.ed25519": world.objects.objects["cose/340.ed25519"]}
    with pytest.raises(PackError, match="signature does not verify"):
        cose_receipt(wrong.get, proof, Algorithm.ED25519)
