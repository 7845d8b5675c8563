"""Building packs: what is refused, and what a log that contradicts itself leads to."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta

import pytest

from signet.errors import LogError, NotFoundError, NotReadyError
from signet.pack.build import build_pack, plan_pack
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
    log.store.put("checkpoint", log.store.objects["checkpoint"] + b"\n")
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


@pytest.mark.parametrize("missing", ["keys.json", "checkpoint"])
def test_a_head_that_is_being_published_is_not_ready(log: PackLog, missing: str) -> None:
    log.store.delete(missing)
    with pytest.raises(NotReadyError, match="try again"):
        plan_pack(log.store, "2026-11-24", today=TODAY)


def test_a_checkpoint_that_lags_is_not_ready(log: PackLog) -> None:
    earlier = log_with_days(1)
    log.store.put("checkpoint", earlier.store.objects["checkpoint"])
    with pytest.raises(NotReadyError):
        plan_pack(log.store, "2026-11-24", today=TODAY)


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
