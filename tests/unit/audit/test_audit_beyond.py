"""What lies where the log will write next, and beside it: packs, key sets, what file managers leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from signet.audit.emitters import MAX_EMITTERS, MAX_GAPS, EmitterNumbers
from signet.audit.live import LiveState
from signet.audit.log import audit_log
from signet.audit.report import AuditReport
from signet.audit.source import LogSource
from signet.core.canonical import parse
from signet.core.decision import Reason
from signet.core.errors import LogError, UnavailableError
from signet.core.instants import day_start_ms
from signet.core.verification import Gap
from signet_client.logsources import open_source
from tests.corpus.lies import told
from tests.fakes.objects import MemoryObjectStore
from tests.support.forgery import remade, unzip
from tests.support.packs import FIRST_DAY, PackLog, log_with_days
from tests.unit.log.test_rotation import RotatingLog
from tests.unit.log.test_sequencer import DAY, T0

Harm = Callable[[MemoryObjectStore], None]


def codes(report: AuditReport) -> list[tuple[str, str]]:
    return [(failure.code, failure.where) for failure in report.failures]


def notices(report: AuditReport) -> set[str]:
    return {notice.code for notice in report.notices}


class Killed:
    """Lets a world's store fail from a write to one key on, until it is mended."""

    def __init__(self, world: RotatingLog, before: str) -> None:
        self.world, self.before = world, before
        self.put_once = world.objects.put_once
        world.objects.put_once = self

    def __call__(self, key: str, body: bytes, **how: str) -> bool:
        if key.startswith(self.before):
            raise UnavailableError("the store is away")
        return self.put_once(key, body, **how)

    def mend(self) -> None:
        self.world.objects.put_once = self.put_once


def a_log() -> RotatingLog:
    world = RotatingLog(rotation_days=None)
    world.append(3, T0)
    world.run(T0)
    return world


def audits(world: RotatingLog) -> tuple[AuditReport, AuditReport]:
    """What an operator sees, and what a reader of only the objects sees."""
    source = LogSource(world.objects.get, world.objects.list)
    live = LiveState(lambda: world.lock.value, world.chains)
    return audit_log(source, log_id=world.log_id, live=live), audit_log(source, log_id=world.log_id)


@pytest.mark.parametrize("place", ["tile/0/000.p/5", "tile/entries/000.p/5", "tile/0/000", "tile/1/000.p/1"])
def test_garbage_at_the_place_of_a_tile_to_come_is_found(place: str) -> None:
    world = a_log()
    world.objects.objects[place] = b"garbage"
    for report in audits(world):
        assert codes(report) == [("object_beyond", place)]


def test_garbage_stops_the_writer_with_a_word_on_how_to_get_past_it_and_the_audit_names_it() -> None:
    world = a_log()
    place = "tile/entries/000.p/5"
    world.objects.objects[place] = b"garbage"
    world.append(2, T0 + 1)
    for _ in range(2):  # the head is true already, and each run tries to publish it
        with pytest.raises(LogError, match=rf"{place} is in the store already.*operations\.md") as caught:
            world.run(T0 + 2)
        assert caught.value.code == "object_differs"
        for report in audits(world):
            assert codes(report) == [("object_beyond", place)]
    del world.objects.objects[place]
    world.run(T0 + 3)
    for report in audits(world):
        assert report.good
        assert report.tree_size == 5


def test_tiles_of_a_run_that_was_killed_are_those_of_its_staged_bundle() -> None:
    world = a_log()
    world.append(2, T0 + 1)
    killed = Killed(world, "emitters/")
    with pytest.raises(UnavailableError):
        world.run(T0 + 2)
    for report in audits(world):
        assert report.failures == ()
        assert "tiles_beyond" in notices(report)
    place = "tile/0/000.p/5"
    true = world.objects.objects[place]
    world.objects.objects[place] = true[:-1] + bytes([true[-1] ^ 1])
    for report in audits(world):
        assert codes(report) == [("object_beyond", place)]
    world.objects.objects[place] = true
    killed.mend()
    world.run(T0 + 3)
    assert all(report.good and notices(report) == {"policy_absent"} for report in audits(world))


def test_a_staged_bundle_that_no_register_names_excuses_nothing() -> None:
    """A role that may write objects may write a bundle, too: the operator's audit knows which one is true."""
    world = a_log()
    other = RotatingLog(rotation_days=None)
    other.append(3, T0)
    other.run(T0)
    other.append(1, T0 + 1)
    killed = Killed(other, "emitters/")
    with pytest.raises(UnavailableError):
        other.run(T0 + 2)
    killed.mend()
    planted = [key for key in other.objects.objects if key.startswith("staging/") or key.endswith("p/4")]
    world.objects.objects |= {key: other.objects.objects[key] for key in planted}
    assert len(planted) == 3
    operator, _anybody = audits(world)
    assert {code for code, _where in codes(operator)} == {"object_beyond"}


@pytest.mark.parametrize("key", ["tile/.DS_Store", "sth/._2026-11-23.json", "emitters/Thumbs.db"])
def test_in_the_logs_own_store_no_file_manager_leaves_files(key: str) -> None:
    world = a_log()
    world.objects.objects[key] = b"Bud1"
    operator, copy = audits(world)
    assert codes(operator) == [("foreign_object", key)]
    assert copy.good
    assert "stray_files" in notices(copy)


@pytest.mark.parametrize("operator", [True, False])
def test_runs_that_end_while_the_tiles_are_listed_are_no_fault(operator: bool) -> None:
    """A listing of many pages outlasts runs: its last tiles are of trees that its first ones do not know."""
    world = a_log()
    runs = iter(range(1, 31))

    def tiles() -> Iterator[str]:
        last = ""
        while keys := sorted(key for key in world.objects.list("tile/") if key > last):
            last = keys[0]
            yield last
            if (run := next(runs, None)) is not None:
                world.append(1, T0 + 2 * run)
                world.run(T0 + 2 * run + 1)

    source = LogSource(
        world.objects.get, lambda prefix: tiles() if prefix == "tile/" else iter(world.objects.list(prefix))
    )
    live = LiveState(lambda: world.lock.value, world.chains) if operator else None
    report = audit_log(source, log_id=world.log_id, live=live)
    assert world.appended > 20
    assert report.failures == ()
    assert "tiles_beyond" in notices(report)


def test_a_run_that_goes_on_beside_the_audit_is_no_fault() -> None:
    """The listing comes last: tiles that were written since the checkpoint was read are of a newer tree."""
    world = a_log()

    def listing(prefix: str) -> list[str]:
        if prefix == "tile/" and world.appended == 3:
            world.append(300, T0 + 1)
            world.run(T0 + 2)
        return list(world.objects.list(prefix))

    report = audit_log(
        LogSource(world.objects.get, lambda prefix: iter(listing(prefix))), log_id=world.log_id
    )
    assert report.failures == ()
    assert "tiles_beyond" in notices(report)
    assert report.tree_size == 3


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("sth/2026-11-24.json", "object_beyond"),
        ("sth/2026-11-24.checkpoint", "object_beyond"),
        ("sth/2026-11-22.json", "foreign_object"),
        ("sth/readme", "foreign_object"),
        ("keys/1.json", "object_beyond"),
        ("keys/2.json", "object_beyond"),
        ("keys/00.json", "foreign_object"),
        (f"emitters/{'0' * 64}", "wrong_accounts"),
        ("emitters/readme", "foreign_object"),
    ],
)
def test_garbage_at_the_place_of_another_object_to_come_is_found(place: str, code: str) -> None:
    world = a_log()
    world.objects.objects[place] = b"{}"
    for report in audits(world):
        assert codes(report) == [(code, place)]


def test_the_head_of_another_day_at_the_place_of_the_next_is_found() -> None:
    world = a_log()
    world.run(T0 + DAY)
    world.objects.objects["sth/2026-11-24.json"] = world.objects.objects["sth/2026-11-23.json"]
    for report in audits(world):
        assert codes(report) == [("object_beyond", "sth/2026-11-24.json")]


def test_a_key_set_that_is_not_that_of_keys_json_is_found() -> None:
    world = a_log()
    world.objects.objects["keys/0.json"] = world.objects.objects["keys/0.json"].replace(b'"n":0', b'"n":1')
    for report in audits(world):
        assert codes(report) == [("wrong_key_set", "keys/0.json")]
    del world.objects.objects["keys/0.json"]
    assert all(report.good and "key_set_absent" in notices(report) for report in audits(world))


def test_the_key_set_of_a_rotation_under_way_is_no_fault() -> None:
    world = a_log()
    swap = world.lock.compare_and_swap

    def failing(held: bytes | None, value: bytes) -> bool:
        if b'"rotation":null' in value and "keys/1.json" in world.objects.objects:
            raise UnavailableError("the table is away")
        return swap(held, value)

    world.lock.compare_and_swap = failing
    with pytest.raises(UnavailableError):
        world.run(T0 + 1, rotate_to=1)
    assert "keys/1.json" in world.objects.objects
    assert len(parse(world.objects.objects["keys.json"])["sets"]) == 1
    for report in audits(world):
        assert report.failures == ()


def test_what_file_managers_leave_in_a_copy_is_a_remark(tmp_path: Path) -> None:
    log = log_with_days(3, 2)
    copied(log, tmp_path)
    with open_source(str(tmp_path)) as source:
        assert audit_log(source, log_id=log.log_id).notices == ()
    for litter in (
        "tile/.DS_Store",
        "sth/._latest.json",
        "keys/Thumbs.db",
        "tile/0/desktop.ini",
        "emitters/.directory",
    ):
        (tmp_path / litter).write_bytes(b"\0\0\0\1Bud1")
    with open_source(str(tmp_path)) as source:
        report = audit_log(source, log_id=log.log_id)
    assert report.failures == ()
    assert [notice.code for notice in report.notices] == ["stray_files"]
    assert "5 files" in report.notices[0].text
    (tmp_path / "tile/DS_Store").write_bytes(b"")
    with open_source(str(tmp_path)) as source:
        assert codes(audit_log(source, log_id=log.log_id)) == [("foreign_object", "tile/DS_Store")]


def copied(log: PackLog, folder: Path) -> None:
    for key, body in log.store.objects.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(body)


def named(log: PackLog, number: int) -> str:
    return log.plan(log.heads[number].date).key


def test_stored_packs_are_verified_when_that_is_asked_for(tmp_path: Path) -> None:
    log, other = log_with_days(3, 2), log_with_days(3, 2)
    good = {named(log, number): log.pack(log.heads[number].date) for number in (0, 1)}
    files = unzip(good[named(log, 1)])
    bad: dict[str, tuple[bytes, str]] = {
        "packs/2026-11-24-0000000000000001.zip": (other.pack(), "wrong_log"),
        "packs/2026-11-23-0000000000000002.zip": (good[named(log, 1)], "other_day"),
        "packs/2026-11-24-0000000000000003.zip": (
            remade({**files, "verify.py": b"print('GOOD')\n"}),
            "other_checker",
        ),
        "packs/evidence/2026-11-24-0000000000000004.zip": (b"<html>", "zip_malformed"),
        "packs/readme.txt": (b"", "foreign_object"),
    }
    log.store.objects |= good | {"packs/jobs/2026-11-24-0000000000000005.json": b"{}"}
    copied(log, tmp_path)
    with open_source(str(tmp_path)) as source:
        report = audit_log(source, log_id=log.log_id, packs=True)
        assert report.failures == ()
        assert report.packs is not None
        assert (report.packs.verified, report.packs.bad) == (2, 0)
        assert "packs: each is the log's own, of its day" in report.checks
    log.store.objects |= {key: body for key, (body, _code) in bad.items()}
    copied(log, tmp_path)
    with open_source(str(tmp_path)) as source:
        assert audit_log(source, log_id=log.log_id).good  # who does not ask is not told
        report = audit_log(source, log_id=log.log_id, packs=True)
    assert {where: code for code, where in codes(report)} == {key: code for key, (_, code) in bad.items()}


def test_a_stored_pack_of_another_head_of_its_day_is_found(tmp_path: Path) -> None:
    """Signed by the same keys: what the log's writer would have to deny."""
    log = log_with_days(3, 2, keys_seed=1)
    fork = log_with_days(3, 1, keys_seed=1)
    key = "packs/2026-11-24-0000000000000001.zip"
    log.store.objects[key] = fork.pack()
    copied(log, tmp_path)
    with open_source(str(tmp_path)) as source:
        assert codes(audit_log(source, log_id=log.log_id, packs=True)) == [("wrong_head", key)]


def test_a_pack_that_is_dropped_while_the_audit_runs_is_no_fault(tmp_path: Path) -> None:
    log = log_with_days(2)
    copied(log, tmp_path)
    gone = "packs/evidence/2026-11-23-0000000000000001.zip"
    with open_source(str(tmp_path)) as source:
        listing = source.keys
        assert listing is not None
        moved = replace(source, keys=lambda p: iter([*listing(p), *([gone] if p == "packs/" else [])]))
        report = audit_log(moved, log_id=log.log_id, packs=True)
    assert report.failures == ()
    assert report.packs is not None
    assert report.packs.verified == 0


def test_packs_that_cannot_be_listed_are_said_not_to_be_read() -> None:
    log = log_with_days(2)
    report = audit_log(LogSource(log.store.get), log_id=log.log_id, packs=True)
    assert report.packs is None
    assert {"packs_not_read", "not_listed"} <= notices(report)


# --- numbers of emitters


def gaps_of(*days: dict[str, list[int]], whole: bool = True) -> EmitterNumbers:
    numbers = EmitterNumbers(whole=whole)
    for day in days:
        numbers.add_day(day)
    numbers.finish()
    return numbers


A, B = "a" * 32, "b" * 32


@pytest.mark.parametrize(
    ("days", "gaps"),
    [
        ([{A: [0, 1, 2]}, {A: [3, 4]}], []),
        ([{A: [0, 1]}, {A: [4]}], [Gap(A, 2, 3)]),
        ([{A: [0, 1]}, {}, {A: [3]}], [Gap(A, 2, 2)]),
        ([{A: [0, 2]}, {A: [1, 3]}], []),
        ([{A: [2, 1]}, {A: [0]}], []),
        ([{A: [2, 3]}], [Gap(A, 0, 1)]),
        ([{}, {A: [1], B: [0]}], [Gap(A, 0, 0)]),
        ([{B: [0, 2], A: [1]}], [Gap(A, 0, 0), Gap(B, 1, 1)]),
    ],
)
def test_numbers_are_followed_over_midnight_and_from_their_beginning(
    days: list[dict[str, list[int]]], gaps: list[Gap]
) -> None:
    assert gaps_of(*days).gaps == gaps


def test_where_the_first_day_read_is_not_the_logs_an_emitter_may_have_begun_before() -> None:
    assert gaps_of({A: [5, 6]}, {A: [8], B: [1]}, whole=False).gaps == [Gap(A, 7, 7), Gap(B, 0, 0)]


@pytest.mark.parametrize(
    ("days", "twice"),
    [
        ([{A: [0, 1]}, {A: [2]}], 0),
        ([{A: [0, 0, 1]}], 1),
        ([{A: [0, 1]}, {A: [1, 2]}], 1),
        ([{A: [0, 3]}, {A: [1, 3, 3]}], 2),
        ([{A: [0]}, {B: [0]}], 0),
    ],
)
def test_a_number_that_stands_there_twice_is_counted(days: list[dict[str, list[int]]], twice: int) -> None:
    found = gaps_of(*days)
    assert (found.twice, found.first_twice) == (twice, A if twice else "")


def test_what_is_kept_of_emitters_is_bounded_by_time_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_EMITTERS <= 200_000
    numbers = EmitterNumbers(whole=True)
    for day in range(100):
        numbers.add_day({f"{day:032x}": [0, 2]})
        assert len(numbers._open) <= 31
    monkeypatch.setattr("signet.audit.emitters.MAX_EMITTERS", 5)
    numbers.add_day({f"{number:032x}": [0] for number in range(1000, 1020)})
    assert len(numbers._open) == 5
    monkeypatch.setattr("signet.audit.emitters.MAX_GAPS", len(numbers.gaps) + 1)
    numbers.add_day({A: [0, 2, 4, 6]})
    numbers.finish()
    assert numbers.more_gaps == 2


def test_an_audit_tells_numbers_twice_and_missing_over_days() -> None:
    log = PackLog()
    log.close([told("ok", number=n) for n in (0, 1)])
    again = told("ok", number=1)
    again.members["id"] = again.members["id"][:-4] + "0000"
    again.members["proof"]["nonce_sha256"] = "d" * 64
    log.close([again, told("ok", number=3)])
    report = audit_log(LogSource(log.store.get, log.store.list), log_id=log.log_id)
    assert report.failures == ()
    assert report.gaps == (Gap(A, 2, 2),)
    assert notices(report) == {"emitter_number_twice"}
    assert "1 receipts" in next(r.text for r in report.notices if r.code == "emitter_number_twice")


def test_a_nonce_allowed_on_two_days_is_found() -> None:
    log = PackLog()
    log.close([told("ok", number=0)])
    again = told("ok", number=1)
    again.members["proof"]["nonce_sha256"] = told("ok", number=0).members["proof"]["nonce_sha256"]
    replayed = told(Reason.NONCE_REPLAYED.value, number=2)
    replayed.members["proof"]["nonce_sha256"] = again.members["proof"]["nonce_sha256"]
    log.close([again, replayed])
    report = audit_log(LogSource(log.store.get, log.store.list), log_id=log.log_id)
    assert codes(report) == [("nonce_allowed_twice", "leaf 1")]
    assert "leaf 0" in report.failures[0].reason


def test_an_audit_says_how_many_gaps_it_does_not_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signet.audit.emitters.MAX_GAPS", 1)
    log = PackLog()
    log.close([told("ok", number=n) for n in (0, 2, 4, 6)])
    report = audit_log(LogSource(log.store.get, log.store.list), log_id=log.log_id)
    assert len(report.gaps) == 1
    assert [r.text for r in report.notices if r.code == "more_gaps"] == [
        "2 more gaps were found and are not listed"
    ]


@pytest.mark.parametrize("days", [None, 1, 5])
def test_an_open_day_follows_the_closed_ones(days: int | None) -> None:
    world = a_log()
    world.append(2, T0 + DAY)
    world.run(T0 + DAY)
    world.append(4, T0 + 2 * DAY)
    world.run(T0 + 2 * DAY)
    report = audit_log(LogSource(world.objects.get, world.objects.list), log_id=world.log_id, days=days)
    assert report.failures == ()
    assert (report.days, report.tree_size) == (1 if days == 1 else 2, 9)
    assert report.first_leaf == (3 if days == 1 else 0)


def test_a_rotation_that_ends_while_key_sets_are_listed_is_no_fault() -> None:
    world = a_log()

    def listing(prefix: str) -> list[str]:
        if prefix == "keys/" and len(world.keys.sets) == 1:
            world.run(T0 + 1, rotate_to=1)
        return list(world.objects.list(prefix))

    report = audit_log(
        LogSource(world.objects.get, lambda prefix: iter(listing(prefix))), log_id=world.log_id
    )
    assert len(world.keys.sets) == 2
    assert report.failures == ()


def test_a_stored_pack_with_other_notices_is_good(tmp_path: Path) -> None:
    log = PackLog()
    log.close(log.decide(2, FIRST_DAY), signed_ms=day_start_ms(FIRST_DAY) + 3_600_000)
    log.store.objects[named(log, 0)] = log.pack()
    copied(log, tmp_path)
    with open_source(str(tmp_path)) as source:
        report = audit_log(source, log_id=log.log_id, packs=True)
    assert report.failures == ()
    assert report.packs is not None
    assert (report.packs.verified, report.packs.bad) == (1, 0)


def test_progress_over_packs_counts_them(tmp_path: Path) -> None:
    log = log_with_days(1, 1)
    log.store.objects |= {named(log, number): log.pack(log.heads[number].date) for number in (0, 1)}
    copied(log, tmp_path)
    seen: list[tuple[int, int]] = []
    with open_source(str(tmp_path)) as source:
        audit_log(
            source, log_id=log.log_id, packs=True, progress=lambda done, total: seen.append((done, total))
        )
    assert seen[-2:] == [(1, 2), (2, 2)]


def test_an_emitter_is_done_after_thirty_silent_days_and_not_before() -> None:
    numbers = EmitterNumbers(whole=True)
    numbers.add_day({A: [0, 2]})
    for _ in range(29):
        numbers.add_day({})
        assert numbers.gaps == []
    numbers.add_day({})
    assert numbers.gaps == [Gap(A, 1, 1)]
    late = EmitterNumbers(whole=True)
    late.add_day({A: [0, 2]})
    for _ in range(29):
        late.add_day({})
    late.add_day({A: [1]})
    late.finish()
    assert (late.gaps, late.twice) == ([], 0)


def test_as_many_gaps_are_kept_as_an_audit_lists() -> None:
    numbers = gaps_of({A: list(range(0, 2 * (MAX_GAPS + 3), 2))})
    assert (len(numbers.gaps), numbers.more_gaps) == (10_000, 2)
    assert (MAX_GAPS, MAX_EMITTERS) == (10_000, 200_000)


def test_a_log_of_file_managers_files_is_remarked_on_up_to_a_bound() -> None:
    log = log_with_days(1)
    litter = [f"tile/._{number}" for number in range(1_001)]
    source = LogSource(
        log.store.get, lambda prefix: iter([*log.store.list(prefix), *(litter if prefix == "tile/" else [])])
    )
    [notice] = audit_log(source, log_id=log.log_id).notices
    assert notice.code == "stray_files"
    assert notice.text.startswith("1000 files")


def test_a_report_that_says_nothing_is_empty() -> None:
    report = AuditReport()
    assert report.good
    assert [report.tree_size, report.first_leaf, report.objects, report.days, report.more_failures] == [0] * 5
