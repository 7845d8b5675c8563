"""What earlier versions wrote stays good: no new rule may call a true pack or a true log bad."""

from __future__ import annotations

import io
import zipfile
from datetime import date

import pytest

from signet.audit.log import audit_log
from signet.audit.source import LogSource
from signet.core.decision import Reason
from signet.log.keys import parse_keys
from signet.pack.build import build_pack, plan_pack
from tests.corpus.kept import FOLDER, LOG_ID, PACKS
from tests.fakes.objects import MemoryObjectStore
from tests.support.forgery import library, unzip


@pytest.fixture(scope="module")
def store() -> MemoryObjectStore:
    kept = MemoryObjectStore()
    with zipfile.ZipFile(FOLDER / "log.zip") as archive:
        kept.objects.update({name: archive.read(name) for name in archive.namelist()})
    return kept


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_of_an_earlier_version_is_good(name: str) -> None:
    report = library((FOLDER / name).read_bytes(), LOG_ID)
    assert report.failures == ()


def test_it_has_every_reason_that_an_authorizer_can_record() -> None:
    found = library((FOLDER / PACKS[0]).read_bytes(), LOG_ID).decisions
    # The first never enters a log, the others came later.
    without = {
        Reason.RECEIPT_QUEUE_UNAVAILABLE,
        Reason.NO_RULE,
        Reason.UNKNOWN_API,
        Reason.RATE_LIMITED,
        Reason.CALLER_SHED,
    }
    assert {reason.value for reason in Reason} - found.keys() == {reason.value for reason in without}


def test_the_log_of_an_earlier_version_is_good(store: MemoryObjectStore) -> None:
    report = audit_log(LogSource(store.get, store.list), log_id=LOG_ID)
    assert report.failures == ()
    assert report.days == 3
    assert parse_keys(store.objects["keys.json"]).log_id == LOG_ID


@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-24", "2026-11-25"])
def test_packs_that_are_built_of_it_today_are_good(store: MemoryObjectStore, day: str) -> None:
    out = io.BytesIO()
    build_pack(store, plan_pack(store, day, today=date(2026, 11, 27)), spool=io.BytesIO(), out=out)
    report = library(out.getvalue(), LOG_ID)
    assert report.failures == ()
    if day == "2026-11-23":
        kept = unzip((FOLDER / PACKS[0]).read_bytes())
        assert unzip(out.getvalue())["receipts.jsonl"] == kept["receipts.jsonl"]
