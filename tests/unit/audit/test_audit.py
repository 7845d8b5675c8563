"""Auditing a whole log: a good one passes, and any one byte of it that changes is found."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

import pytest

from signet.audit.evidence import Retention
from signet.audit.live import LiveState
from signet.audit.log import audit_log
from signet.audit.report import AuditReport, EvidenceCounts
from signet.audit.source import LogSource
from signet.audit.tiles import audit_tiles
from signet.core.canonical import canonicalize, parse
from signet.core.decision import Reason
from signet.core.errors import UnavailableError
from signet.core.instants import day_start_ms, uuid7
from signet.log.note import log_verifier_keys
from signet.log.register import Register
from signet.log.sth import SignedTreeHead, TreeHead, sign_sth
from signet.log.tiles import TileReader
from signet.policy.register import Pushed
from signet.receipts import repeats
from signet.receipts.chain import chain_of, extend
from signet.receipts.facts import Emitter
from signet.receipts.reading import Receipt, read_receipt
from signet.receipts.summary import summary
from tests.corpus.later import later
from tests.corpus.lies import put
from tests.fakes.chains import MemoryChainStore
from tests.fakes.objects import MemoryObjectStore
from tests.support.packs import FIRST_DAY, PackLog, log_with_days
from tests.unit.log.test_rotation import RotatingLog
from tests.unit.log.test_sequencer import T0

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
    return [failure.code for failure in report.failures]


def test_a_good_log_passes_every_check(log: PackLog) -> None:
    report = audit_log(source(log.store), log_id=log.log_id)
    assert report.failures == ()
    assert report.notices == ()
    assert (report.tree_size, report.days, report.first_leaf) == (sum(COUNTS), len(COUNTS), 0)
    assert report.log_id == log.log_id
    assert report.objects == 7  # two full bundles and tiles, a partial bundle, two partial tiles
    assert len(report.checks) == 10


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
    assert [notice.code for notice in report.notices] == ["log_id_not_pinned", "not_listed"]


def test_of_a_log_without_keys_or_a_checkpoint_nothing_is_said() -> None:
    report = audit_log(LogSource(lambda _key: None), log_id="0" * 64)
    assert codes(report) == ["missing_object"]
    assert (report.log_id, report.origin, report.tree_size, report.root_hash) == ("", "", 0, b"")
    assert (report.days, report.objects, report.first_leaf, report.checks) == (0, 0, 0, ())


def test_another_log_is_refused(log: PackLog) -> None:
    assert codes(audit_log(source(log.store), log_id="0" * 64)) == ["wrong_log"]


@pytest.mark.parametrize("days", [1, 2, len(COUNTS), len(COUNTS) + 1])
def test_the_last_days_are_audited_alone(log: PackLog, days: int) -> None:
    report = audit_log(source(log.store), log_id=log.log_id, days=days)
    assert report.good
    assert report.days == min(days, len(COUNTS))
    assert report.first_leaf == sum(COUNTS[: max(len(COUNTS) - days, 0)])


@pytest.mark.long
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
            # A partial tile that a wider one has replaced may go; of a key set keys.json has a copy.
            may_go = key in SUPERSEDED or key.startswith("keys/")
            assert report.good == (changed is None and may_go), key


def test_a_tile_of_another_history_is_found(log: PackLog, store: MemoryObjectStore) -> None:
    store.objects["tile/0/000.p/7"] = bytes(32 * 7)
    store.objects["tile/entries/000.p/007"] = b""
    found = {failure.where: failure.code for failure in audit_log(source(store)).failures}
    assert found == {"tile/0/000.p/7": "wrong_tile", "tile/entries/000.p/007": "foreign_object"}


@pytest.mark.parametrize("change", [{"count": 2}, {"decisions": 2}, {"missing": 1}, {"sha256": "0" * 64}])
def test_a_resigned_lie_about_emitters_is_found(change: dict[str, Any]) -> None:
    """The holder of the keys can sign anything; it still has to follow from the entries."""
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
    assert [(failure.code, failure.where) for failure in report.failures] == [
        ("wrong_accounts", first),
        ("missing_accounts", last),
    ]


def test_gaps_of_emitters_are_reported_and_no_fault() -> None:
    log = PackLog()
    log.close(log.decide(4, date(2026, 11, 23), skip=(1, 2)), date(2026, 11, 23))
    report = audit_log(source(log.store), log_id=log.log_id)
    assert report.good
    assert [(gap.first, gap.last) for gap in report.gaps] == [(1, 2)]


def summary_of(emitter: Emitter, count: int, at_ms: int) -> Receipt:
    message = summary(
        uuid7(at_ms, bytes(9) + bytes([emitter.n])), emitter, {"malformed": count}, at_ms, at_ms
    )
    return read_receipt(message, chained=False)


def test_refusals_in_summaries_are_told_and_their_numbers_are_no_gaps() -> None:
    log, day = PackLog(), date(2026, 11, 23)
    decided = log.decide(4, day, skip=(1, 2))
    emitter = decided[0].emitter
    summaries = [summary_of(replace(emitter, n=n), 10 * n, decided[0].decided_at_ms) for n in (1, 2)]
    log.close(decided, day, others=summaries)
    report = audit_log(source(log.store), log_id=log.log_id)
    assert report.good
    assert not report.gaps
    [told] = [notice.text for notice in report.notices if notice.code == "refusals_summarised"]
    assert told.startswith("30 refusals are counted in 2 summaries ")


E = "e" * 32


def refusals_told(*days: tuple[dict[int, int], dict[int, int]], last: int | None = None) -> dict[str, str]:
    """Audit a log of days: ``folded`` of one emitter's decisions, and counts of its summaries, by number."""
    log, first = PackLog(), date(2026, 11, 23)
    for ahead, (said, counts) in enumerate(days):
        at_ms = day_start_ms(first + timedelta(days=ahead))
        decided = [
            later("ok", put("emitter", value={"id": E, "n": n, "folded": folded}), number=n)
            for n, folded in said.items()
        ]
        summaries = [summary_of(Emitter(E, n), count, at_ms) for n, count in counts.items()]
        log.close(decided, first + timedelta(days=ahead), others=summaries)
    report = audit_log(source(log.store), log_id=log.log_id, days=last)
    assert report.good
    return {notice.code: notice.text for notice in report.notices}


def test_an_audit_holds_folded_to_the_summaries_of_all_days() -> None:
    assert "at least 0 more" in refusals_told(({0: 0, 2: 4}, {}), ({3: 4}, {1: 4}))["refusals_summarised"]
    lost = refusals_told(({0: 0, 2: 4}, {1: 4}), ({4: 9}, {}))
    assert "4 refusals are counted in 1 summaries" in lost["refusals_summarised"]
    assert "at least 5 more" in lost["refusals_summarised"]
    assert "folded_decreases" not in lost


def test_an_audit_of_the_whole_log_knows_that_an_emitter_began_with_none() -> None:
    days: list[tuple[dict[int, int], dict[int, int]]] = [({0: 0}, {}), ({2: 6, 3: 6}, {})]
    assert "at least 6 more" in refusals_told(*days)["refusals_summarised"]
    assert "at least 6 more" in refusals_told(days[1])["refusals_summarised"]
    assert "refusals_summarised" not in refusals_told(*days, last=1)


def test_an_audit_finds_an_emitter_that_says_fewer_on_a_later_day() -> None:
    assert "folded_decreases" in refusals_told(({1: 9}, {}), ({2: 3}, {}))
    assert "folded_decreases" not in refusals_told(({1: 9}, {}), ({2: 9}, {}))


def log_that_repeats(*numbers: int) -> PackLog:
    """A log of three days, in the last of which decisions of the first are recorded again."""
    log = PackLog(chains=2)
    decided = log.decide(300, date(2026, 11, 23))
    log.close(decided)
    log.close(log.decide(2, date(2026, 11, 24)))
    log.close([*log.decide(10, date(2026, 11, 25)), *(decided[number] for number in numbers)])
    return log


def test_a_receipt_that_came_again_on_another_day_is_found_and_both_leaves_are_named() -> None:
    log = log_that_repeats(7, 290)
    at: dict[str, list[int]] = {}
    for index, leaf in enumerate(read_leaves(log)):
        at.setdefault(read_receipt(leaf, chained=True).id, []).append(index)
    pairs = {places[1]: places[0] for places in at.values() if len(places) > 1}
    assert len(pairs) == 2
    report = audit_log(source(log.store), log_id=log.log_id)
    assert codes(report) == ["receipt_repeated"] * 2
    assert {failure.where: failure.reason for failure in report.failures} == {
        f"leaf {later}": f"has the id of the receipt at leaf {earlier}" for later, earlier in pairs.items()
    }
    assert "receipts: each id once" not in report.checks
    assert audit_log(source(log.store), log_id=log.log_id, days=1).good  # which has not read the first


def test_a_receipt_that_came_twice_within_a_day_is_found_and_both_leaves_are_named() -> None:
    log = log_that_repeats()
    decided = log.decide(3, date(2026, 11, 26))
    log.close([*decided, decided[1]])
    listed = [read_receipt(leaf, chained=True).id for leaf in read_leaves(log)]
    first = listed.index(decided[1].id)
    again = listed.index(decided[1].id, first + 1)
    report = audit_log(source(log.store), log_id=log.log_id)
    assert [(failure.where, failure.reason, failure.code) for failure in report.failures] == [
        (f"leaf {again}", f"has the id of the receipt at leaf {first}", "receipt_repeated")
    ]


def test_ids_whose_hashes_are_equal_are_no_repetition(
    log: PackLog, store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "hash", lambda _raw: -7, raising=False)
    seen = repeats.Seen()
    seen.update({b"1", b"2"})
    assert seen.repeated() == {-7}
    report = audit_log(source(store), log_id=log.log_id)
    assert report.good
    assert "receipts: each id once" in report.checks
    again = log_that_repeats(0)
    assert codes(audit_log(source(again.store), log_id=again.log_id)) == ["receipt_repeated"]


def test_a_log_that_repeats_itself_all_over_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MAX_REPEATED", 3)
    log = log_that_repeats(*range(20))
    report = audit_log(source(log.store), log_id=log.log_id)
    assert codes(report) == ["receipt_repeated"] * 3


NOW = day_start_ms(date(2026, 11, 26))
PIECES = tuple(b'{"piece":%d}' % number for number in range(4))


def log_with_evidence(*pieces_by_day: tuple[int, ...]) -> PackLog:
    """One closed day for each, of one receipt that names nothing and one for each of its pieces."""
    log = PackLog()
    for number, pieces in enumerate(pieces_by_day):
        day = FIRST_DAY + timedelta(days=number)
        plain, *named = log.decide(1 + len(pieces), day)
        kept = [log.keep(one, PIECES[piece]) for one, piece in zip(named, pieces, strict=True)]
        log.close([plain, *kept], day)
    return log


def evidence_key(piece: int) -> str:
    return f"evidence/{hashlib.sha256(PIECES[piece]).hexdigest()}"


def evidence_of(log: PackLog, days: int) -> tuple[EvidenceCounts | None, list[tuple[str, str]]]:
    report = audit_log(source(log.store), log_id=log.log_id, evidence=Retention(days, NOW))
    return report.evidence, [(failure.code, failure.where) for failure in report.failures]


def test_evidence_that_receipts_name_is_counted() -> None:
    log = log_with_evidence((0, 1), (1, 2))
    assert evidence_of(log, 3653) == (EvidenceCounts(3, 3, 0, 0, 0, 0), [])
    report = audit_log(source(log.store), log_id=log.log_id, evidence=Retention(3653, NOW))
    assert "evidence: what allowed decisions name is there" in report.checks
    assert audit_log(source(log.store), log_id=log.log_id).evidence is None
    unlisted = audit_log(LogSource(log.store.get), log_id=log.log_id, evidence=Retention(3653, NOW))
    assert unlisted.evidence == EvidenceCounts(3, 3, 0, 0, 0, None)


def test_evidence_that_is_lost_is_told_apart_from_evidence_that_is_damaged() -> None:
    log = log_with_evidence((0, 1), (2,))
    del log.store.objects[evidence_key(1)]
    log.store.objects[evidence_key(2)] += b" "
    assert evidence_of(log, 3653) == (
        EvidenceCounts(3, 1, 1, 1, 0, 0),
        [("evidence_missing", evidence_key(1)), ("evidence_hash", evidence_key(2))],
    )


def test_evidence_may_go_when_its_days_are_over_counted_from_the_first_receipt_that_names_it() -> None:
    log = log_with_evidence((0,), (0, 1), (2,))  # 23, 24 and 25 November; it is the 26th, at midnight
    for piece in range(3):
        del log.store.objects[evidence_key(piece)]
    assert evidence_of(log, 1) == (EvidenceCounts(3, 0, 0, 0, 3, 0), [])
    assert evidence_of(log, 2) == (EvidenceCounts(3, 0, 0, 1, 2, 0), [("evidence_missing", evidence_key(2))])
    assert evidence_of(log, 3)[1] == [("evidence_missing", evidence_key(piece)) for piece in (1, 2)]
    assert len(evidence_of(log, 4)[1]) == 3


def test_evidence_of_refused_requests_need_not_be_there() -> None:
    """It never was: else a caller who sends a bad signature beside some evidence makes every audit fail."""
    log = PackLog()
    [refused] = log.decide(1, FIRST_DAY)
    refused.proof.evidence_sha256 = hashlib.sha256(PIECES[0]).digest()
    log.close([replace(refused, reason=Reason.BAD_SIGNATURE)])
    assert evidence_of(log, 3653) == (EvidenceCounts(0, 0, 0, 0, 0, 0), [])
    [allowed] = log.decide(1, FIRST_DAY + timedelta(days=1))
    log.close([log.keep(allowed, PIECES[0])])
    del log.store.objects[evidence_key(0)]
    assert evidence_of(log, 3)[1] == [("evidence_missing", evidence_key(0))]  # the refusal was three days ago


@pytest.mark.parametrize(
    ("claimed_ms", "kept"),  # days: it is two after the record, which comes at most 28 after the decision
    [((1 << 48) - 1, 2), (0, 2 + 28)],
    ids=["the year 10889", "1970"],
)
def test_what_time_a_message_claims_excuses_no_evidence_that_was_deleted(claimed_ms: int, kept: int) -> None:
    log = PackLog()
    decided, later = log.decide(2, FIRST_DAY)
    log.close([decided])
    log.close([log.keep(replace(later, id=uuid7(claimed_ms, bytes(10))), PIECES[0])])
    del log.store.objects[evidence_key(0)]
    assert evidence_of(log, kept)[1] == []
    assert evidence_of(log, kept + 1)[1] == [("evidence_missing", evidence_key(0))]


def test_evidence_that_outlives_its_retention_still_has_to_be_what_it_is_named_by() -> None:
    log = log_with_evidence((0,))
    log.store.objects[evidence_key(0)] = b"{}"
    assert evidence_of(log, 1)[1] == [("evidence_hash", evidence_key(0))]


def test_evidence_that_no_receipt_names_is_a_remark() -> None:
    log = log_with_evidence((0,))
    log.store.objects[evidence_key(3)] = PIECES[3]
    log.store.objects["evidence/readme"] = b""
    report = audit_log(source(log.store), log_id=log.log_id, evidence=Retention(3653, NOW))
    assert report.good
    assert report.evidence == EvidenceCounts(1, 1, 0, 0, 0, 2)
    assert [notice.code for notice in report.notices] == ["evidence_unnamed"]


def test_evidence_of_a_log_that_cannot_be_read_is_not_told() -> None:
    log = log_with_evidence((0,))
    del log.store.objects["tile/entries/000.p/2"]
    found, findings = evidence_of(log, 3653)
    assert found is None
    assert findings == [("missing_tile", "tile/entries/000.p/2")]


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
        self.policy: bytes | None = None
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
        live = LiveState(lambda: self.register, self.chains, lambda: self.policy)
        return audit_log(source(self.log.store), log_id=self.log.log_id, live=live, **options)


@pytest.fixture
def live() -> Live:
    return Live(log_with_days(3, 4, chains=2))


def test_the_live_log_agrees_with_its_register_and_chains(live: Live) -> None:
    report = live.audit()
    assert report.failures == ()
    assert len(report.checks) == 13
    live.append(5)
    report = live.audit()
    assert report.good
    assert [notice.text for notice in report.notices] == ["5 receipts wait for the next integration"]


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
    assert [notice.code for notice in report.notices] == [
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
    assert report.failures == ()  # the tiles beyond are those of trees that closed days have signed
    assert "heads_beyond" in [notice.code for notice in report.notices]


def test_a_checkpoint_older_than_the_newest_head_is_a_remark_and_hides_nothing(
    log: PackLog, store: MemoryObjectStore
) -> None:
    store.objects["checkpoint"] = log.store.objects[f"sth/{log.heads[0].date}.checkpoint"]
    report = audit_log(source(store), log_id=log.log_id)
    assert report.good
    assert report.tree_size == log.heads[-1].tree_size
    assert "stale_checkpoint" in [notice.code for notice in report.notices]
    of_today = audit_log(source(log.store), log_id=log.log_id)
    assert "stale_checkpoint" not in [notice.code for notice in of_today.notices]


@pytest.mark.parametrize("moment", ["sth/latest.json", "checkpoint", "keys.json"])
def test_keys_that_rotate_while_an_audit_begins_are_no_fault(moment: str) -> None:
    """What was signed before the keys were read is signed by one of them."""
    world = RotatingLog(rotation_days=None)
    world.append(2, T0)
    world.run(T0)

    def get(key: str) -> bytes | None:
        body = world.objects.get(key)
        if key == moment and len(world.keys.sets) == 1:
            world.run(T0 + 1, rotate_to=1)
        return body

    report = audit_log(LogSource(get), log_id=world.log_id)
    assert len(world.keys.sets) == 2
    assert report.failures == ()


def pushes(*bundles: bytes, after: Pushed | None = None) -> list[Pushed]:
    """The register's values as policies are pushed one after the other."""
    values: list[Pushed] = []
    for number, files in enumerate(bundles):
        before = values[-1] if values else after
        values.append(Pushed.after(before, {"pch.rego": files}, now_ms=T0 + number))
    return values


def log_of_pushes(values: Sequence[Pushed], **changes: Any) -> Live:
    """A log with the receipts of pushes, the last with changes, and the register at the last."""
    receipts = [value.receipt() for value in values]
    receipts[-1] = canonicalize({**parse(receipts[-1]), **changes})
    log = log_with_days(1)
    log.close(
        log.decide(1, date(2026, 11, 24)), others=[read_receipt(one, chained=False) for one in receipts]
    )
    live = Live(log)
    live.policy = values[-1].encode()
    return live


def test_the_register_of_pushed_policies_agrees_with_the_receipts_of_the_pushes() -> None:
    values = pushes(b"a", b"b", b"c")
    live = log_of_pushes(values)
    report = live.audit()
    assert report.good
    assert "policy register and log agree" in report.checks
    assert report.notices == ()
    [newer] = pushes(b"d", after=values[-1])
    live.policy = newer.encode()
    report = live.audit()
    assert report.good
    assert [notice.code for notice in report.notices] == ["policy_not_recorded"]
    assert live.audit(days=1).notices == ()  # it may be on a day that was not read


@pytest.mark.parametrize("back", ["emptied", "an older version", "another of the same number"])
def test_a_register_of_pushed_policies_that_went_back_is_found(back: str) -> None:
    values = pushes(b"a", b"b", b"c")
    live = log_of_pushes(values)
    [other] = pushes(b"d", after=values[1])
    live.policy = {"emptied": None, "an older version": values[1].encode()}.get(back, other.encode())
    assert [(failure.code, failure.where) for failure in live.audit().failures] == [
        ("policy_went_back", "policy register")
    ]
    assert audit_log(source(live.log.store), log_id=live.log.log_id).good  # no other reader can see it


def test_a_register_that_went_back_and_was_led_out_above_is_no_fault_for_ever() -> None:
    values = pushes(b"a", b"b", b"c")
    above = Pushed.after(values[0], {"pch.rego": b"c"}, now_ms=T0 + 3, above=3)
    assert above.version.n == 4
    assert Pushed.decode(above.encode()) == above
    assert log_of_pushes([*values, above]).audit().failures == ()


def test_a_register_that_went_back_and_on_again_is_found_in_the_log_and_in_its_history() -> None:
    values = pushes(b"a", b"b")
    other, following = pushes(b"c", b"d", after=values[0])
    live = log_of_pushes([*values, other, following])
    assert following.version.n == 3
    at = next(
        n for n, leaf in enumerate(read_leaves(live.log)) if parse(leaf).get("change", {}).get("n") == 2
    )
    assert [(failure.code, failure.where, failure.reason) for failure in live.audit().failures] == [
        (
            "policy_went_back",
            f"leaf {at + 1}",
            f"announces another version 2 of the policy than leaf {at}",
        ),
        ("policy_went_back", "policy register", f"has another version 2 of the policy than leaf {at}"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        None,
        {},
        {"n": 0},
        {"n": True},
        {"to": "x"},
        {"to": 7},
        {"from": "x"},
        {"from": 7},
        {"pushed_at": "x"},
        {"x": 1},
    ],
    ids=str,
)
def test_a_receipt_of_a_push_that_announces_nothing_is_found(change: dict[str, Any] | None) -> None:
    values = pushes(b"a", b"b")
    whole = parse(values[-1].receipt())["change"]
    broken = {**whole, **change} if change else change
    live = log_of_pushes(values, change=broken)
    assert codes(live.audit(days=1)) == ["bad_change"]


def test_a_damaged_register_of_pushed_policies_is_a_finding() -> None:
    live = log_of_pushes(pushes(b"a"))
    live.policy = b"{}"
    assert codes(live.audit()) == ["bad_register"]


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
