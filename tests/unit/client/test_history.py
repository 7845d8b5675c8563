"""What was seen before: a log that shows another history is found out, by files and by memory."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.core.verification import Checks
from signet.log.merkle import CompactRange, leaf_hash
from signet.log.note import sign_checkpoint
from signet.log.tiles import TileReader
from signet.pack.known import KnownTree, Shown, check_known
from signet_client.cli import app
from signet_client.remembered import Remembered, state_folder
from tests.support.packs import FIRST_DAY, PackLog, log_with_days

RUNNER = CliRunner()
SECOND_DAY = FIRST_DAY + timedelta(days=1)
THIRD_DAY = FIRST_DAY + timedelta(days=2)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNET_STATE", str(tmp_path / "state"))


def run(*arguments: object):
    return RUNNER.invoke(app, list(map(str, arguments)), env={"SIGNET_LOG_ID": None})


def told(*arguments: object) -> dict:
    return json.loads(run(*arguments, "--json").stdout)


def codes(found: dict, member: str = "failures") -> list[str]:
    return [item["code"] for item in found[member]]


@pytest.fixture(scope="module")
def log() -> PackLog:
    return log_with_days(3, 6, 4)


@pytest.fixture(scope="module")
def fork() -> Iterator[tuple[PackLog, PackLog]]:
    """Two logs with one id and one first day, and then two histories."""
    one = log_with_days(3)
    other = copy.copy(one)
    for name in ("store", "heads", "chain_heads", "builder", "seed"):
        setattr(other, name, copy.deepcopy(getattr(one, name)))
    for side, count in ((one, 6), (other, 7)):
        side.close(side.decide(count, SECOND_DAY), SECOND_DAY)
        side.close(side.decide(2, THIRD_DAY), THIRD_DAY)
    return one, other


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def pack(log: PackLog, folder: Path, day, name: str = "") -> Path:
    return put(folder, f"{name}{day}.zip", log.pack(day))


def stored(log: PackLog, folder: Path) -> Path:
    """The log as a folder."""
    for key in log.store.list(""):
        path = folder / "log" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(log.store.get(key))
    return folder / "log"


@pytest.mark.parametrize("form", ["head", "checkpoint", "keys", "pack"])
@pytest.mark.parametrize("day", [FIRST_DAY, SECOND_DAY])
def test_a_pack_goes_on_from_what_was_signed_before(log: PackLog, tmp_path: Path, form: str, day) -> None:
    found = {
        "head": lambda: log.store.get(f"sth/{day}.json"),
        "checkpoint": lambda: log.store.get(f"sth/{day}.checkpoint"),
        "keys": log.keys,
        "pack": lambda: log.pack(day),
    }
    known = put(tmp_path, "known", found[form]())
    result = told("verify", pack(log, tmp_path, SECOND_DAY), "--known", known, "--log-id", log.log_id)
    assert result["good"]
    assert result["notices"] == []
    assert "seen before: of this log, and signed" in result["checks"]
    assert ("history: the one that was seen before" in result["checks"]) == (form != "keys")


def test_a_head_within_the_day_is_held_to_the_receipts(log: PackLog, tmp_path: Path) -> None:
    """Heads are signed all day: the root at any size of the day follows from the receipts."""
    shorter = log_of_first_leaves(log)
    result = told("verify", pack(log, tmp_path, SECOND_DAY), "--known", put(tmp_path, "known", shorter))
    assert result["good"]
    assert [code for code in codes(result, "notices") if code.startswith("known")] == []


def log_of_first_leaves(log: PackLog, size: int = 5) -> bytes:
    """A checkpoint of the log's first leaves, as it stood during the second day."""
    tree = CompactRange()
    tree.extend(map(leaf_hash, TileReader(log.store.get, log.builder.size).entries(0, size)))
    return sign_checkpoint(size, tree.root(), 1_795_000_000, log.signer)


@pytest.mark.parametrize("form", ["json", "checkpoint"])
def test_another_history_is_a_fork(fork: tuple[PackLog, PackLog], tmp_path: Path, form: str) -> None:
    one, other = fork
    known = put(tmp_path, "known", other.store.get(f"sth/{SECOND_DAY}.{form}"))
    path = pack(one, tmp_path, THIRD_DAY)
    result = told("verify", path, "--known", known)
    # A checkpoint of 10 leaves lies within the third day; a head names its day as well.
    assert (result["good"], codes(result)) == (False, ["forked"])
    assert result["failures"][0]["file"] == str(known)
    assert "two histories" in run("verify", path, "--known", known).stdout


def test_a_later_pack_of_the_same_history_leads_back(log: PackLog, tmp_path: Path) -> None:
    result = told("verify", pack(log, tmp_path, FIRST_DAY), "--known", pack(log, tmp_path, THIRD_DAY))
    assert result["good"]
    assert codes(result, "notices") == ["log_id_not_pinned"]


def test_what_cannot_be_told_is_said(log: PackLog, tmp_path: Path) -> None:
    later = put(tmp_path, "later", log.store.get(f"sth/{THIRD_DAY}.checkpoint"))
    result = told("verify", pack(log, tmp_path, FIRST_DAY), "--known", later, "--log-id", log.log_id)
    assert (result["good"], codes(result, "notices")) == (True, ["known_later"])
    within = put(tmp_path, "within", log_of_first_leaves(log))
    result = told("verify", pack(log, tmp_path, THIRD_DAY), "--known", within, "--log-id", log.log_id)
    assert (result["good"], codes(result, "notices")) == (True, ["known_untold"])


def test_other_logs_unsigned_and_unreadable_files_are_refused(log: PackLog, tmp_path: Path) -> None:
    stranger = log_with_days(3)
    head = log.store.get(f"sth/{FIRST_DAY}.json")
    cases = {
        "wrong_log": [stranger.store.get(f"sth/{FIRST_DAY}.json"), stranger.keys(), stranger.pack()],
        "known_unsigned": [
            head.replace(b'"tree_size":3', b'"tree_size":2'),
            head[:-60] + b"A" * 8 + head[-52:],
        ],
        "known_unreadable": [b"", b"<html>", b"{}", b"[1]", b"PK\3\4", b"\xff" * 90, head[:200]],
    }
    path = pack(log, tmp_path, SECOND_DAY)
    for code, files in cases.items():
        for number, data in enumerate(files):
            result = told("verify", path, "--known", put(tmp_path, f"{code}-{number}", data))
            assert (result["good"], codes(result)) == (False, [code]), (code, number)


def test_other_key_sets_are_a_fork(tmp_path: Path) -> None:
    one, other = (rotated(log_with_days(2, keys_seed=5)) for _side in range(2))
    assert one.log_id == other.log_id
    keys = put(tmp_path, "keys", other.keys())
    assert codes(told("verify", pack(one, tmp_path, SECOND_DAY), "--known", keys)) == ["forked_keys"]


def test_a_log_is_remembered_and_a_fork_found(fork: tuple[PackLog, PackLog], tmp_path: Path) -> None:
    one, other = fork
    first, second = pack(one, tmp_path, SECOND_DAY, "a"), pack(other, tmp_path, SECOND_DAY, "b")
    assert told("verify", first, "--log-id", one.log_id)["good"]
    result = told("verify", second, "--log-id", one.log_id)
    assert codes(result) == ["forked"]
    assert "what you saw on" in result["failures"][0]["file"]
    assert codes(told("audit", stored(other, tmp_path)), "findings") == ["forked"]
    assert told("verify", second, "--log-id", one.log_id, "--no-remember")["good"]
    assert told("verify", first, "--log-id", one.log_id)["good"]  # what was refused is not remembered


def test_only_pinned_logs_are_remembered(log: PackLog, tmp_path: Path) -> None:
    path = pack(log, tmp_path, FIRST_DAY)
    assert told("verify", path)["good"]
    assert not (tmp_path / "state").exists()
    told("verify", path, "--log-id", log.log_id)
    assert [file.name for file in (tmp_path / "state").iterdir()] == [f"heads-{log.log_id}.jsonl"]
    told("verify", pack(log, tmp_path, THIRD_DAY))  # known by now
    lines = (tmp_path / "state" / f"heads-{log.log_id}.jsonl").read_text().splitlines()
    assert [json.loads(line)["tree_size"] for line in lines] == [3, 9, 13]


def test_a_damaged_memory_is_told(log: PackLog, tmp_path: Path) -> None:
    path = pack(log, tmp_path, FIRST_DAY)
    told("verify", path, "--log-id", log.log_id)
    (tmp_path / "state" / f"heads-{log.log_id}.jsonl").write_text("{}\n")
    result = run("verify", path, "--log-id", log.log_id)
    assert result.exit_code == 2
    assert "is damaged" in result.stderr
    assert "Traceback" not in result.output


def test_a_memory_that_cannot_be_written_is_no_verdict(
    log: PackLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNET_STATE", str(put(tmp_path, "file", b"") / "state"))
    result = run("verify", pack(log, tmp_path, FIRST_DAY), "--log-id", log.log_id)
    assert result.exit_code == 0
    assert "heads were not remembered" in result.stderr


def test_an_audit_finds_that_a_log_went_back(log: PackLog, tmp_path: Path) -> None:
    later = put(tmp_path, "later", log.store.get(f"sth/{THIRD_DAY}.checkpoint"))
    shorter = log_with_days(3, 6, keys_seed=5)
    longer = log_with_days(3, 6, 4, keys_seed=5)
    known = put(tmp_path, "known", longer.store.get(f"sth/{THIRD_DAY}.json"))
    folder = stored(shorter, tmp_path)
    assert codes(told("audit", folder, "--known", known), "findings") == ["log_went_back"]
    assert codes(told("audit", folder, "--known", later), "findings") in (["known_unsigned"], ["wrong_log"])
    (tmp_path / "whole").mkdir()
    assert told("audit", stored(longer, tmp_path / "whole"), "--known", known)["good"]


@pytest.mark.parametrize(
    ("first", "second", "relation"),
    [
        ("pack2", "pack2", "same"),
        ("pack3", "pack1", "extends"),
        ("pack1", "pack3", "extended"),
        ("pack3", "head1", "extends"),
        ("log", "pack2", "extends"),
        ("head3", "log", "same"),
        ("head1", "log", "extended"),
        ("head1", "checkpoint3", "untold"),
        ("checkpoint1", "head1", "same"),
        ("fork", "pack2", "forked"),
        ("log", "fork", "forked"),
        ("stranger", "pack2", "not_good"),
    ],
)
def test_compare(
    fork: tuple[PackLog, PackLog], tmp_path: Path, first: str, second: str, relation: str
) -> None:
    one, other = fork
    days = {"1": FIRST_DAY, "2": SECOND_DAY, "3": THIRD_DAY}

    def side(name: str) -> Path:
        if name == "log":
            return stored(one, tmp_path)
        if name == "fork":
            return pack(other, tmp_path, SECOND_DAY, "fork")
        if name == "stranger":
            return pack(log_with_days(4), tmp_path, FIRST_DAY, "stranger")
        day = days[name[-1]]
        form = {"pack": None, "head": "json", "checkpoint": "checkpoint"}[name[:-1]]
        return (
            pack(one, tmp_path, day)
            if form is None
            else put(tmp_path, name, one.store.get(f"sth/{day}.{form}"))
        )

    keys = put(tmp_path, "keys.json", one.keys())
    arguments = ["compare", side(first), side(second), "--keys", keys]
    found = told(*arguments)
    assert found["relation"] == relation, found
    assert found["good"] == (relation in {"same", "extends", "extended"})
    result = run(*arguments)
    assert result.exit_code == (0 if found["good"] else 1)
    assert "Traceback" not in result.output


def test_compare_needs_keys(log: PackLog, tmp_path: Path) -> None:
    head = put(tmp_path, "head", log.store.get(f"sth/{FIRST_DAY}.json"))
    result = run("compare", head, head)
    assert (result.exit_code, "--keys" in result.stderr) == (2, True)


def rotated(log: PackLog) -> PackLog:
    """The log with a second day, signed by a key set drawn for it."""
    log.rotate()
    log.close(log.decide(2, SECOND_DAY), SECOND_DAY)
    return log


def test_keys_changed_between_two_heads_and_that_is_no_fault(tmp_path: Path) -> None:
    """The earlier side has no keys that the later head is signed by: others bring them."""
    log = rotated(log_with_days(2))
    earlier, later = (
        pack(log, tmp_path, FIRST_DAY),
        put(tmp_path, "head", log.store.get(f"sth/{SECOND_DAY}.json")),
    )
    keys = put(tmp_path, "keys.json", log.keys())
    assert told("compare", earlier, later, "--keys", keys)["relation"] == "untold"
    assert told("compare", earlier, stored(log, tmp_path))["relation"] == "extended"
    assert told("compare", later, earlier, "--keys", keys)["relation"] == "untold"
    result = told("verify", earlier, "--known", later, "--known", keys)
    assert (result["good"], "known_later" in codes(result, "notices")) == (True, True)
    alone = run("verify", earlier, "--known", later)
    assert (alone.exit_code, "keys.json of that time" in alone.stdout) == (1, True)


def test_keys_of_two_histories_are_a_fork(tmp_path: Path) -> None:
    one, other = (rotated(log_with_days(2, keys_seed=5)) for _side in range(2))
    first, second = pack(one, tmp_path, SECOND_DAY, "a"), pack(other, tmp_path, SECOND_DAY, "b")
    assert told("compare", first, second)["relation"] == "forked"
    keys = put(tmp_path, "keys.json", other.keys())
    assert told("compare", first, first, "--keys", keys)["relation"] == "forked"


def test_a_stored_log_that_contradicts_its_own_heads_is_a_fork(tmp_path: Path) -> None:
    """Its newest tree goes on from the first day, but not from the second, which it signed as well."""
    log = log_with_days(3)
    other = copy.copy(log)
    for name in ("store", "heads", "chain_heads", "builder"):
        setattr(other, name, copy.deepcopy(getattr(log, name)))
    for side in (log, other):
        side.close(side.decide(6, SECOND_DAY), SECOND_DAY)
    log.builder, log.chain_heads = other.builder, other.chain_heads
    for key in other.store.list("tile"):
        log.store.put(key, other.store.get(key))
    log.close(log.decide(2, THIRD_DAY), THIRD_DAY)
    first = pack(log, tmp_path, FIRST_DAY)
    assert told("compare", first, stored(log, tmp_path))["relation"] == "forked"


def test_names_of_files_do_not_reach_the_terminal_raw(log: PackLog, tmp_path: Path) -> None:
    path = put(tmp_path, "\x1b[2Jhead\u202e", log.store.get(f"sth/{FIRST_DAY}.json"))
    for arguments in (["compare", path, pack(log, tmp_path, SECOND_DAY)], ["verify", path, "--known", path]):
        shown = run(*arguments)
        assert "\x1b" not in shown.output
        assert "\u202e" not in shown.output


def test_what_is_only_remembered_makes_no_remarks(log: PackLog, tmp_path: Path) -> None:
    """Heads within other days were seen by audits; a pack cannot show them, and need not."""
    told("audit", stored(log, tmp_path), "--log-id", log.log_id)
    memory = Remembered(tmp_path / "state")
    memory.add(log.log_id, [KnownTree("an audit", 5, b"r" * 32)])
    found = told("verify", pack(log, tmp_path, THIRD_DAY), "--log-id", log.log_id)
    assert (found["good"], found["notices"]) == (True, [])
    assert codes(told("verify", pack(log, tmp_path, SECOND_DAY), "--log-id", log.log_id)) == ["forked"]


def test_an_audit_of_the_last_days_reads_no_root_for_each_remembered_day(
    log: PackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = [replace(KnownTree.of(head, "memory"), remembered=True) for head in log.heads]
    asked: list[int] = []
    shown = Shown(
        log.signer.keys,
        log.heads[-1].tree_size,
        asked.append,
        {THIRD_DAY: log.heads[-1].sha256},
        whole=True,
    )
    checks = Checks()
    check_known(trees, shown, checks)
    assert (checks.failures, checks.notices, asked) == ([], [], [log.heads[-1].tree_size])


def test_a_user_without_a_home_remembers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", none)
    memory = Remembered(state_folder({}))
    assert memory.trees("0" * 64) == []
    assert state_folder({"XDG_STATE_HOME": "/x"}) == Path("/x/signet")
    assert state_folder({"SIGNET_STATE": "/y"}) == Path("/y")
