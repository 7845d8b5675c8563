"""Building packs: what is refused, and what a log that contradicts itself leads to."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from datetime import timedelta

import pytest

from signet.core.canonical import canonicalize, parse
from signet.core.errors import LogError, NotFoundError, NotReadyError
from signet.pack import contents, layout
from signet.pack.build import build_pack, plan_pack
from tests.fakes.objects import MemoryObjectStore
from tests.support.forgery import assert_good
from tests.support.packs import FIRST_DAY, PackLog, log_with_days

TODAY = FIRST_DAY + timedelta(days=2)


@pytest.fixture
def log() -> PackLog:
    return log_with_days(3, 300)


def test_the_summary_is_of_the_bytes_written(log: PackLog) -> None:
    out = io.BytesIO()
    plan = log.plan(FIRST_DAY + timedelta(days=1))
    summary = build_pack(log.store, plan, spool=io.BytesIO(), out=out)
    data = out.getvalue()
    assert (summary.sha256, summary.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (summary.date, summary.tree_size, summary.receipts) == ("2026-11-24", 303, 300)


def test_the_key_follows_from_the_inputs(log: PackLog) -> None:
    plan = log.plan(FIRST_DAY)
    assert plan.key.startswith("packs/2026-11-23-")
    assert len(plan.key) == len("packs/2026-11-23-0123456789abcdef.zip")
    key = f"sth/{FIRST_DAY}.checkpoint"
    log.store.put(key, log.store.objects[key] + b"\n")
    assert log.plan(FIRST_DAY).key != plan.key


@pytest.mark.parametrize("date", ["2026-11-26", "2999-01-01"])
def test_the_future_has_no_pack(log: PackLog, date: str) -> None:
    with pytest.raises(NotFoundError, match="future"):
        plan_pack(log.store, date, today=TODAY)


def test_before_the_first_day_there_is_no_pack(log: PackLog) -> None:
    with pytest.raises(NotFoundError, match="first day, 2026-11-23"):
        plan_pack(log.store, "2026-11-22", today=TODAY)


@pytest.mark.parametrize("date", ["2026-11-25"])
def test_today_is_not_closed(log: PackLog, date: str) -> None:
    with pytest.raises(NotReadyError, match="signet close --date 2026-11-25"):
        plan_pack(log.store, date, today=TODAY)


def test_a_past_day_may_be_not_closed_yet(log: PackLog) -> None:
    with pytest.raises(NotReadyError):
        plan_pack(log.store, "2026-11-25", today=TODAY + timedelta(days=5))


@pytest.mark.parametrize("missing", ["keys.json", "sth/2026-11-24.checkpoint"])
def test_a_head_without_what_was_written_before_it_is_a_contradiction(log: PackLog, missing: str) -> None:
    log.store.delete(missing)
    with pytest.raises(LogError, match="is missing"):
        plan_pack(log.store, "2026-11-24", today=TODAY)


def test_a_days_pack_stays_the_same_when_the_log_grows() -> None:
    log = log_with_days(3)
    before, key = log.pack(FIRST_DAY), log.plan(FIRST_DAY).key
    log.close(log.decide(5, FIRST_DAY + timedelta(days=1)))
    assert log.pack(FIRST_DAY) == before
    assert log.plan(FIRST_DAY).key == key


@pytest.mark.parametrize("key", ["tile/entries/000", "tile/0/000", "tile/1/000.p/1", "sth/2026-11-23.json"])
def test_a_missing_object_is_an_error_not_a_pack(log: PackLog, key: str) -> None:
    plan = log.plan(FIRST_DAY + timedelta(days=1))
    log.store.delete(key)
    with pytest.raises(LogError):
        build_pack(log.store, plan, spool=io.BytesIO(), out=io.BytesIO())


@pytest.mark.parametrize("key", ["tile/entries/000", "tile/0/000", "tile/1/000.p/1", "sth/2026-11-23.json"])
def test_a_flipped_bit_in_the_store_is_an_error_not_a_pack(log: PackLog, key: str) -> None:
    plan = log.plan(FIRST_DAY + timedelta(days=1))
    body = bytearray(log.store.objects[key])
    body[100 % len(body)] ^= 1
    log.store.put(key, bytes(body))
    with pytest.raises(LogError):
        build_pack(log.store, plan, spool=io.BytesIO(), out=io.BytesIO())


@pytest.mark.parametrize("member", contents._HEAD_MEMBERS)
def test_a_head_that_lacks_a_member_is_an_error_in_a_sentence(log: PackLog, member: str) -> None:
    key, day = "sth/2026-11-24.json", FIRST_DAY + timedelta(days=1)
    head = parse(log.store.objects[key])
    for changed in ({name: value for name, value in head.items() if name != member}, {**head, member: {}}):
        log.store.put(key, canonicalize(changed))
        with pytest.raises(LogError, match="a published tree head"):
            plan_pack(log.store, day.isoformat(), today=TODAY)


@pytest.mark.parametrize("change", [None, b"other"])
def test_a_policy_that_is_not_whole_is_left_out(change: bytes | None) -> None:
    log = log_with_days(2)
    [name] = [key for key in log.store.objects if key.endswith("/pch.rego")]
    if change is None:
        log.store.delete(name)
    else:
        log.store.put(name, change)
    assert [notice.code for notice in assert_good(log.pack(), log).notices] == ["policy_absent"]


def test_a_member_that_every_verifier_would_refuse_is_not_built(
    log: PackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "MAX_MEMBER_BYTES", 1000)
    with pytest.raises(LogError, match="larger than 1000 bytes") as refused:
        log.pack()
    assert refused.value.code == "pack_too_large"


class Counting(MemoryObjectStore):
    """Counts what is read, by kind."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__()
        self.objects = objects
        self.reads: Counter[str] = Counter()

    def get(self, key: str) -> bytes | None:
        found = super().get(key)
        if found is not None:
            kind, _, rest = key.partition("/")
            self.reads["entries" if rest.startswith("entries/") else kind] += 1
        return found


def reads_of(days: int, per_day: int) -> Counter[str]:
    log = log_with_days(*[per_day] * days)
    store = Counting(log.store.objects)
    plan = plan_pack(store, log.heads[-1].date.isoformat(), today=log.heads[-1].date)
    build_pack(store, plan, spool=io.BytesIO(), out=io.BytesIO())
    return store.reads


def test_of_an_older_log_a_pack_reads_more_heads_and_little_else() -> None:
    young, old = reads_of(2, 300), reads_of(40, 300)
    assert old["sth"] - young["sth"] == 38
    assert old["entries"] <= young["entries"] + 1
    assert old["tile"] <= 60  # of 47 full tiles the consistency proofs of 40 days meet each at most once
    assert old["policy"] == young["policy"]


def test_a_missing_head_of_an_earlier_day_is_an_error_not_a_pack() -> None:
    log = log_with_days(1, 1, 1)
    plan = log.plan(FIRST_DAY + timedelta(days=2))
    for missing in ("sth/2026-11-23.json", "sth/2026-11-24.json"):
        store = MemoryObjectStore()
        store.objects = {key: body for key, body in log.store.objects.items() if key != missing}
        with pytest.raises(LogError, match="tree head"):
            build_pack(store, plan, spool=io.BytesIO(), out=io.BytesIO())


def test_evidence_that_is_not_what_its_key_says_is_an_error_not_a_pack() -> None:
    log = log_with_days()
    [decided] = log.decide(1, FIRST_DAY)
    log.close([log.keep(decided, b"{}")])
    [key] = [key for key in log.store.objects if key.startswith("evidence/")]
    log.store.put(key, b"[]")
    log.pack()
    with pytest.raises(LogError, match="does not have its hash"):
        log.pack(evidence=True)
