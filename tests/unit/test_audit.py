"""Auditing a whole log: a good one passes, and any one byte of it that changes is found."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest

from signet.audit.live import LiveState
from signet.audit.log import audit_log, audit_tiles
from signet.audit.report import AuditReport
from signet.audit.source import LogSource
from signet.errors import UnavailableError
from signet.log.note import log_verifier_keys
from signet.log.register import Register
from signet.log.sth import SignedTreeHead, TreeHead, sign_sth
from signet.log.tiles import TileReader
from signet.receipts.canonical import canonicalize, parse
from signet.receipts.chain import chain_of, extend
from signet.receipts.reading import read_receipt
from tests.fakes.chains import MemoryChainStore
from tests.fakes.objects import MemoryObjectStore
from tests.support.packs import PackLog, log_with_days
from tests.unit.test_rotation import RotatingWorld
from tests.unit.test_sequencer import T0

COUNTS = (3, 0, 300, 257, 1)
#: Partial tiles of the sizes 3, 303 and 560, which wider ones have replaced at 561.
SUPERSEDED = {
    *(f"tile/{level}/{tile}" for level in ("0", "entries") for tile in ("000.p/3", "001.p/47", "002.p/48")),
    "tile/1/000.p/1",
}


@pytest.fixture(scope="module")
def log() -> PackLog:
    return log_with_days(*COUNTS, chains=2)


@pytest.fixture
def store(log: PackLog) -> MemoryObjectStore:
    """A copy to do harm to."""
    copy = MemoryObjectStore()
    copy.objects.update(log.store.objects)
    return copy


def source(store: MemoryObjectStore) -> LogSource:
    return LogSource(store.get, store.list)


def codes(report: AuditReport) -> list[str]:
    return [finding.code for finding in report.findings]


def test_a_good_log_passes_every_check(log: PackLog) -> None:
    report = audit_log(source(log.store), log_id=log.log_id)
    assert report.findings == ()
    assert report.remarks == ()
    assert (report.tree_size, report.days, report.first_leaf) == (sum(COUNTS), len(COUNTS), 0)
    assert report.log_id == log.log_id
    assert report.objects == 7  # two full bundles and tiles, a partial bundle, two partial tiles
    assert len(report.checks) == 6


def test_any_tlog_tiles_reader_needs_only_the_keys(log: PackLog) -> None:
    keys = log_verifier_keys(log.signer.keys, sum(COUNTS))
    report = audit_tiles(source(log.store), keys)
    assert report.good
    assert (report.origin, report.tree_size) == ("example.com/log", sum(COUNTS))
    other = log_verifier_keys(PackLog().signer.keys, 1)
    assert codes(audit_tiles(source(log.store), other[:1])) == ["bad_signature"]


def test_without_a_log_id_and_a_listing_it_says_what_it_did_not_see(log: PackLog) -> None:
    report = audit_log(LogSource(log.store.get))
    assert report.good
    assert [remark.code for remark in report.remarks] == ["log_id_not_pinned", "not_listed"]


def test_another_log_is_refused(log: PackLog) -> None:
    assert codes(audit_log(source(log.store), log_id="0" * 64)) == ["wrong_log"]


@pytest.mark.parametrize("days", [1, 2, len(COUNTS), len(COUNTS) + 1])
def test_the_last_days_are_audited_alone(log: PackLog, days: int) -> None:
    report = audit_log(source(log.store), log_id=log.log_id, days=days)
    assert report.good
    assert report.days == min(days, len(COUNTS))
    assert report.first_leaf == sum(COUNTS[: max(len(COUNTS) - days, 0)])


def test_every_object_matters(log: PackLog, store: MemoryObjectStore) -> None:
    """Each object lost, cut short, or with one bit flipped: each is found, or was not part of the tree."""
    seed = random.Random(6)
    for key, body in sorted(log.store.objects.items()):
        at = seed.randrange(len(body))
        flipped = body[:at] + bytes([body[at] ^ 1 << seed.randrange(8)]) + body[at + 1 :]
        for changed in (None, body[:-1], flipped):
            if changed is None:
                del store.objects[key]
            else:
                store.objects[key] = changed
            report = audit_log(source(store), log_id=log.log_id)
            store.objects[key] = body
            # A partial tile that a wider one has replaced may go.
            assert report.good == (changed is None and key in SUPERSEDED), key


def test_a_tile_of_another_history_is_found(log: PackLog, store: MemoryObjectStore) -> None:
    store.objects["tile/0/000.p/7"] = bytes(32 * 7)
    store.objects["tile/entries/000.p/007"] = b""
    found = {finding.where: finding.code for finding in audit_log(source(store)).findings}
    assert found == {"tile/0/000.p/7": "wrong_tile", "tile/entries/000.p/007": "foreign_object"}


def test_tiles_beyond_the_checkpoint_are_a_remark(log: PackLog, store: MemoryObjectStore) -> None:
    store.objects["tile/0/002.p/200"] = bytes(32 * 200)
    report = audit_log(source(store), log_id=log.log_id)
    assert report.good
    assert [remark.code for remark in report.remarks] == ["tiles_beyond"]


@pytest.mark.parametrize("change", [{"count": 2}, {"decisions": 2}, {"missing": 1}, {"sha256": "0" * 64}])
def test_a_resigned_lie_about_emitters_is_found(change: dict[str, Any]) -> None:
    """Whoever holds the keys can sign anything; it still has to follow from the entries."""
    log = log_with_days(3)
    honest = log.heads[-1]
    lie = sign_sth(replace_head(honest, emitters=replace(honest.emitters, **change)), log.signer)
    log.store.put(f"sth/{honest.date}.json", lie.raw)
    log.store.put("sth/latest.json", lie.raw)
    assert codes(audit_log(source(log.store), log_id=log.log_id)) == ["wrong_emitters"]


def test_accounts_that_are_lost_or_changed_are_found_on_every_day() -> None:
    log = log_with_days(2, 2)
    first, last = (str(head.emitters.key) for head in log.heads)
    log.store.put(first, log.store.objects[last])
    del log.store.objects[last]
    report = audit_log(source(log.store), log_id=log.log_id)
    assert [(finding.code, finding.where) for finding in report.findings] == [
        ("wrong_accounts", first),
        ("missing_accounts", last),
    ]


def test_gaps_of_emitters_are_reported_and_no_fault() -> None:
    log = PackLog()
    log.close(log.decide(4, date(2026, 11, 23), skip=(1, 2)), date(2026, 11, 23))
    report = audit_log(source(log.store), log_id=log.log_id)
    assert report.good
    assert [(gap.first, gap.last) for gap in report.gaps] == [(1, 2)]


def test_a_source_that_cannot_be_read_is_no_verdict(log: PackLog) -> None:
    def fail(_key: str) -> bytes | None:
        raise UnavailableError("the store is down")

    with pytest.raises(UnavailableError):
        audit_log(LogSource(fail))


class Live:
    """The register and the chains of a log in memory, to do harm to."""

    def __init__(self, log: PackLog) -> None:
        self.log = log
        self.chains = MemoryChainStore()
        head = log.heads[-1]
        checkpoint = log.store.objects["checkpoint"]
        self.register: bytes | None = Register(head, checkpoint, None, log.signer.keys, 0).encode()
        leaves = read_leaves(log)
        for data in leaves:
            receipt = read_receipt(data, chained=True)
            chain = self.chains.head(chain_of(receipt.id, log.chains))
            unchained = read_receipt(without_chain(data), chained=False)
            new_head, linked = extend(chain, [unchained], receipt.link.recorded_at_ms if receipt.link else 0)
            assert linked[0][1] == data
            assert self.chains.append(chain, new_head, linked).appended

    def append(self, count: int) -> None:
        for record in self.log.decide(count, date(2026, 11, 28)):
            chain = self.chains.head(chain_of(record.id, self.log.chains))
            new_head, linked = extend(
                chain, [read_receipt(record.encode(), chained=False)], record.decided_at_ms
            )
            assert self.chains.append(chain, new_head, linked).appended

    def audit(self, **options: Any) -> AuditReport:
        live = LiveState(lambda: self.register, self.chains)
        return audit_log(source(self.log.store), log_id=self.log.log_id, live=live, **options)


@pytest.fixture
def live() -> Live:
    return Live(log_with_days(3, 4, chains=2))


def test_the_live_log_agrees_with_its_register_and_chains(live: Live) -> None:
    report = live.audit()
    assert report.findings == ()
    assert len(report.checks) == 8
    live.append(5)
    report = live.audit()
    assert report.good
    assert [remark.text for remark in report.remarks] == ["5 receipts wait for the next integration"]


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda live: setattr(live, "register", None), "store_ahead"),
        (lambda live: setattr(live, "register", register_of(live, 0)), "store_ahead"),
        (lambda live: setattr(live, "register", b"{}"), "bad_register"),
        (lambda live: setattr(live, "chains", MemoryChainStore()), "chain_behind_log"),
    ],
    ids=["register lost", "register of an older head", "register damaged", "chains lost"],
)
def test_what_contradicts_the_store_is_found(live: Live, harm: Callable[[Live], None], code: str) -> None:
    harm(live)
    assert code in codes(live.audit())


def test_a_head_that_waits_for_its_publication_is_a_remark(live: Live) -> None:
    newest = live.log.heads[-1]
    live.register = register_of(live, -1)
    live.log.store.objects["sth/latest.json"] = live.log.heads[0].raw
    live.log.store.objects["checkpoint"] = live.log.store.objects[f"sth/{live.log.heads[0].date}.checkpoint"]
    report = live.audit()
    assert newest.tree_size == 7
    assert report.good
    assert report.tree_size == 3
    assert [remark.code for remark in report.remarks] == [
        "tiles_beyond",
        "heads_beyond",
        "not_published",
        "waiting",
    ]


def put_back(live: Live, number: int) -> None:
    """Let latest head and checkpoint be those of an earlier day, while the register is where it was."""
    live.register = register_of(live, -1)
    objects, day = live.log.store.objects, live.log.heads[number].date
    objects["sth/latest.json"] = objects[f"sth/{day}.json"]
    objects["checkpoint"] = objects[f"sth/{day}.checkpoint"]


@pytest.mark.parametrize(
    ("lost", "code"),
    [
        ("sth/{day}.json", "missing_head"),
        ("sth/{day}.checkpoint", "missing_checkpoint"),
        ("tile/entries/000.p/12", None),  # the next run puts the newest head back, and then it is missed
        ("tile/0/000.p/12", "missing_tile"),
        ("{accounts}", "bad_accounts"),
    ],
)
def test_an_old_latest_head_hides_no_loss_from_the_register(lost: str, code: str | None) -> None:
    live = Live(log_with_days(3, 4, 5, chains=2))
    put_back(live, 0)
    assert live.audit().good
    newest = live.log.heads[-1].emitters.key
    del live.log.store.objects[lost.format(day=live.log.heads[1].date, accounts=newest)]
    assert codes(live.audit()) == ([code] if code else [])


def test_an_old_latest_head_shows_in_a_listing() -> None:
    live = Live(log_with_days(3, 4, 5))
    put_back(live, 0)
    report = audit_log(source(live.log.store), log_id=live.log.log_id)
    assert "heads_beyond" in [remark.code for remark in report.remarks]


@pytest.mark.parametrize("moment", ["sth/latest.json", "checkpoint", "keys.json"])
def test_keys_that_rotate_while_an_audit_begins_are_no_fault(moment: str) -> None:
    """What was signed before the keys were read is signed by one of them."""
    world = RotatingWorld(rotation_days=None)
    world.append(2, T0)
    world.run(T0)

    def get(key: str) -> bytes | None:
        body = world.objects.get(key)
        if key == moment and len(world.keys.sets) == 1:
            world.run(T0 + 1, rotate_to=1)
        return body

    report = audit_log(LogSource(get), log_id=world.log_id)
    assert len(world.keys.sets) == 2
    assert report.findings == ()


def register_of(live: Live, number: int) -> bytes:
    head = live.log.heads[number]
    checkpoint = live.log.store.objects[f"sth/{head.date}.checkpoint"]
    return Register(head, checkpoint, None, live.log.signer.keys, 0).encode()


def read_leaves(log: PackLog) -> list[bytes]:
    size = log.heads[-1].tree_size
    return list(TileReader(log.store.get, size).entries(0, size))


def without_chain(data: bytes) -> bytes:
    return canonicalize({name: value for name, value in parse(data).items() if name != "chain"})


def replace_head(head: SignedTreeHead, **changes: Any) -> TreeHead:
    """The head as an unsigned one, with changes."""
    return replace(TreeHead(**{item.name: getattr(head, item.name) for item in fields(TreeHead)}), **changes)
