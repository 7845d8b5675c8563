"""Receipts of two versions stand side by side: a version that only this file knows is added to the library.

Asked are the library's readers: of messages, of chains, of packs, of the whole log; and the builder of packs.
``verify.py`` and the page are not asked: they have shapes of their own.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from signet.audit.log import audit_log
from signet.audit.source import LogSource
from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError
from signet.receipts.chain import advance, empty_head, extend
from signet.receipts.model import DecisionRecord, Emitter, check_receipt, read_receipt
from signet.receipts.rules import SHA256, Rule, nullable, the_number
from signet.receipts.shape import DECISION_TYPE
from signet.receipts.sink import Message, Sink, SinkResult
from signet.receipts.table import Table, decision_pattern
from signet.receipts.v1 import V1
from signet.receipts.v2 import V2
from signet.receipts.versions import DRAFTS, VERSIONS, table_at_end
from tests.corpus.later import ID, cases, changed_log, event, under
from tests.corpus.later import later as later_decision
from tests.corpus.lies import put, told
from tests.fakes.chains import MemoryChainStore
from tests.fakes.evidence import MemoryEvidenceStore, MemoryTranscriptStore
from tests.fakes.records import DAY_MS, message
from tests.support.forgery import library, run_checker, unzip
from tests.support.packs import FIRST_DAY, PackLog

NUMBER = 99
#: It sorts after ``chain``, unlike all that version 1 has there.
MEMBER = "client"


def _grown(rules: dict[str, Rule]) -> dict[str, Rule]:
    return {**rules, "v": the_number(NUMBER)}


def _later_version() -> Table:
    closed = {kind: _grown(dict(rules)) for kind, rules in V1.closed.items()}
    closed[DECISION_TYPE][MEMBER] = nullable(SHA256)
    return dataclasses.replace(V1, version=NUMBER, common=_grown(dict(V1.common)), closed=closed)


LATER = _later_version()


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERSIONS, NUMBER, LATER)


def later(data: bytes, **changes: Any) -> bytes:
    """A decision of version 1 as one of the later version."""
    return canonicalize(parse(data) | {"v": NUMBER, MEMBER: "a" * 64} | changes)


@dataclasses.dataclass(frozen=True)
class Later:
    """A decision that is written in the later version."""

    made: DecisionRecord

    @property
    def emitter(self) -> Emitter:
        return self.made.emitter

    def encode(self) -> bytes:
        return later(self.made.encode())


def mixed(log: PackLog) -> PackLog:
    """Two days in which every other decision is of the later version."""
    for day in (FIRST_DAY, FIRST_DAY + timedelta(days=1)):
        made = log.decide(7, day)
        log.close([Later(one) if number % 2 else one for number, one in enumerate(made)], day)
    return log


def test_the_product_knows_version_1_and_the_draft_of_2() -> None:
    assert VERSIONS == {1: V1, 2: V2}
    assert {2} == DRAFTS


def test_the_writer_writes_version_1(both: None) -> None:
    assert parse(message(1))["v"] == 1


@pytest.mark.parametrize("path", ["/protected", '/"ü"'], ids=["short-way", "long-way"])
def test_each_version_is_read_by_its_own_table(both: None, path: str) -> None:
    for data, table in ((message(1, path=path), V1), (later(message(1, path=path)), LATER)):
        read = read_receipt(data, chained=False)
        assert (read.id, read.encoded) == (parse(data)["id"], data)
        assert table_at_end(data) is table  # without it, every receipt would take the long way
        matched = decision_pattern(table, chained=False).fullmatch(data)
        assert (matched is None) == ("ü" in path)
        linked = extend(empty_head(0), [read], DAY_MS)[1][0][1]
        assert linked == canonicalize(parse(linked))  # the chain stands where the order of keys puts it
        assert read_receipt(linked, chained=True).link is not None


@pytest.mark.parametrize(
    "data",
    [
        later(message(1), v=1),
        later(message(1), v=98),
        later(message(1), client="a"),
        canonicalize(parse(message(1)) | {"v": NUMBER}),
        later(message(1), decision="deny"),
        later(message(1), proof=parse(message(1))["proof"] | {"keyid": None}),
    ],
    ids=["member-in-1", "unknown", "value", "member-less", "decision", "not-whole"],
)
def test_a_receipt_is_held_to_the_version_it_names(both: None, data: bytes) -> None:
    for refusing in (
        lambda: read_receipt(data, chained=False),
        lambda: check_receipt(parse(data), chained=False),
    ):
        with pytest.raises(CanonicalError) as caught:
            refusing()
        assert caught.value.code == "bad_receipt"


@pytest.mark.parametrize("version", [0, -1, None, True, "1", [], {}], ids=repr)
def test_an_unknown_version_is_refused_as_a_value_that_cannot_stand_there(version: object) -> None:
    """For each type and on both ways; the code says no more than of any other member."""
    for data in (message(1), _event("breaker.transition"), _event("key.rotated", set={})):
        members = parse(data) | {"v": version}
        with pytest.raises(CanonicalError, match=r"receipt\.v has a value that cannot stand there") as caught:
            read_receipt(canonicalize(members), chained=False)
        assert caught.value.code == "bad_receipt"


@pytest.mark.parametrize("version", [3, NUMBER])
def test_a_version_to_come_is_told_from_damage(version: int) -> None:
    for data in (message(1), _event("breaker.transition")):
        with pytest.raises(CanonicalError, match=f"receipt.v is {version}, .* a newer one") as caught:
            read_receipt(canonicalize(parse(data) | {"v": version}), chained=False)
        assert caught.value.code == "bad_receipt"
    case = next(case for case in cases() if case.name == "later-a-decision-of-version-3")
    _code, said = run_checker(case.data, case.log_id)
    assert "receipts.jsonl:2: is of version 3, which this checker does not know: a newer one" in said


def _event(kind: str, **members: Any) -> bytes:
    common = {name: parse(message(1))[name] for name in ("v", "id", "decided_at")}
    return canonicalize({**common, "type": kind, **members})


def test_one_chain_runs_across_versions(both: None) -> None:
    read = [read_receipt(data, chained=False) for data in (message(1), later(message(2)), message(3))]
    _, linked = extend(empty_head(0), read, DAY_MS)
    head = empty_head(0)
    for _, data in linked:
        head = advance(head, read_receipt(data, chained=True))
    assert head.next_seq == 3


@pytest.mark.parametrize("chains", [1, 3])
def test_one_pack_and_one_log_hold_both(both: None, chains: int) -> None:
    log = mixed(PackLog(chains=chains))
    pack = log.pack()
    found = [parse(line)["v"] for line in unzip(pack)["receipts.jsonl"].splitlines()]
    assert set(found) == {1, NUMBER}
    report = library(pack, log.log_id)
    assert (report.failures, report.receipts) == ((), 7)
    assert sum(report.decisions.values()) == 7
    audited = audit_log(LogSource(log.store.get, log.store.list), log_id=log.log_id)
    assert (audited.failures, audited.tree_size) == ((), 14)


def test_a_reader_that_does_not_know_the_version_refuses_pack_and_log(
    both: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = mixed(PackLog())
    pack = log.pack()
    monkeypatch.delitem(VERSIONS, NUMBER)
    first = library(pack, log.log_id).failures[0]
    assert (first.code, first.where, first.line) == ("bad_receipt", "receipts.jsonl", 2)
    audited = audit_log(LogSource(log.store.get, log.store.list), log_id=log.log_id)
    assert audited.failures


def audited(log: PackLog) -> list[tuple[str, str]]:
    report = audit_log(LogSource(log.store.get, log.store.list), log_id=log.log_id)
    return [(finding.code, finding.where) for finding in report.failures]


def test_a_day_may_hold_both_versions_until_the_day_after_a_change_of_format() -> None:
    assert audited(changed_log()) == []


def test_an_audit_finds_receipts_of_a_version_that_a_change_of_format_ended() -> None:
    log = changed_log()
    log.close([later_decision("ok", number=5), told("ok", number=6), told("malformed", number=7)])
    log.close([later_decision("ok", number=8)])
    log.close([told("ok", number=9)])
    assert audited(log) == [("format_retired", "leaf 7"), ("format_retired", "leaf 10")]


def test_an_audit_holds_registrations_to_decisions_of_other_days() -> None:
    log = PackLog()
    added = read_receipt(event("api.added"), chained=False)
    log.close([under(number=0)])  # recorded before its registration: the queue keeps no order
    log.close([under(number=1)], others=[added])
    log.close([under(put("api", "stage", value="beta"), number=2)])
    log.close([under(registration=ID, number=3)])
    report = audit_log(LogSource(log.store.get, log.store.list), log_id=log.log_id)
    assert [(found.code, found.where) for found in report.failures] == [("wrong_registration", "leaf 3")]
    noticed = {notice.code: notice.text for notice in report.notices}
    assert "decisions name 1 registrations" in noticed["registration_absent"]
    part = audit_log(LogSource(log.store.get, log.store.list), log_id=log.log_id, days=1)
    assert not part.failures
    assert "registration_absent" not in {notice.code for notice in part.notices}


def _taken(body: bytes, **how: Any) -> SinkResult:
    sink = Sink(MemoryChainStore(), 1, lambda: DAY_MS, MemoryEvidenceStore(), MemoryTranscriptStore(), **how)
    return sink.record([Message("m", body.decode())])


def test_the_sink_takes_the_versions_it_is_told() -> None:
    second = later_decision("ok").encode()
    assert _taken(second).appended == 1
    assert _taken(message(1)).appended == 1
    assert _taken(second, versions=frozenset({1})).poison == 1
    assert _taken(message(1), versions=frozenset({2})).poison == 1


@pytest.mark.parametrize("kind", ["format.changed", "head.signed"])
def test_the_sink_takes_no_receipt_that_is_the_log_writers_own(kind: str) -> None:
    assert _taken(event(kind), versions=frozenset({1, 2})).poison == 1
    assert _taken(event("emitter.ended"), versions=frozenset({1, 2})).appended == 1
