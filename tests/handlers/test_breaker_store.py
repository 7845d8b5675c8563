"""One contract for every breaker store: the fake that other tests stand on, and DynamoDB in moto."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import boto3
import pytest
from moto import mock_aws

from signet.aws import session
from signet.aws.breaker import DynamoBreakerStore
from signet.core.errors import UnavailableError
from signet.core.ports import BreakerStore, StoredBreaker
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.declared import account, create_tables
from tests.support.serialized import Serialized

FIRST = StoredBreaker("backend", 1, b'{"state":"open"}', (b"receipt 1",))


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BreakerStore]:
    if request.param == "memory":
        yield MemoryBreakerStore()
        return
    account(monkeypatch)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client, "BreakersTable")
        yield DynamoBreakerStore(client, "breakers")


def test_nothing_is_stored_before_the_first_transition(store: BreakerStore) -> None:
    assert store.read("backend") == (None, [])
    assert store.read("backend", ["backend#0#7"]) == (None, [{}])


def test_a_transition_is_read_back_with_its_unsent_receipts(store: BreakerStore) -> None:
    assert store.move(FIRST)
    assert store.read("backend") == (FIRST, [])
    second = replace(FIRST, version=2, state=b"{}", unsent=(b"receipt 1", b"receipt 2"))
    assert store.move(second)
    assert store.read("backend", ["x"]) == (second, [{}])
    assert store.read("other") == (None, [])


@pytest.mark.parametrize("version", [1, 3, 4])
def test_a_transition_from_another_version_than_the_stored_one_is_refused(
    store: BreakerStore, version: int
) -> None:
    assert store.move(FIRST)
    assert not store.move(replace(FIRST, version=version, state=b"{}"))
    assert store.read("backend")[0] == FIRST


def test_of_many_writers_one_wins_each_transition(store: BreakerStore) -> None:
    if isinstance(store, DynamoBreakerStore):
        store = type(store)(Serialized(store.client), store.table)
    with ThreadPoolExecutor(16) as pool:
        for version in range(1, 6):
            tries = [replace(FIRST, version=version, state=str(n).encode()) for n in range(16)]
            won = list(pool.map(store.move, tries))
            assert won.count(True) == 1
            assert store.read("backend")[0] == tries[won.index(True)]


def test_unsent_receipts_are_cleared_only_for_the_version_they_were_sent_for(store: BreakerStore) -> None:
    store.clear_unsent("backend", version=1)
    assert store.read("backend")[0] is None
    assert store.move(FIRST)
    store.clear_unsent("backend", version=2)
    assert store.read("backend")[0] == FIRST
    store.clear_unsent("backend", version=1)
    assert store.read("backend")[0] == replace(FIRST, unsent=())


def test_sums_are_added_up_item_by_item(store: BreakerStore) -> None:
    store.add("backend#0#7", {"fast_n": "1.25", "count": "1"}, expires_at=100)
    store.add("backend#0#7", {"fast_n": "2.5", "bad_count": "1"}, expires_at=100)
    store.add("backend#0#8", {"count": "9"}, expires_at=100)
    record, [first, second, third] = store.read("backend", ["backend#0#7", "backend#0#8", "backend#0#9"])
    assert record is None
    assert {name: Decimal(value) for name, value in first.items()} == {
        "fast_n": Decimal("3.75"),
        "count": 1,
        "bad_count": 1,
    }
    assert second == {"count": "9"}
    assert third == {}


def test_an_addition_is_answered_with_what_its_sums_are_then(store: BreakerStore) -> None:
    store.add("backend#0#7", {"interval_ms": "500", "count": "1"}, expires_at=100)
    sums = store.add("backend#0#7", {"interval_ms": "1500"}, expires_at=100)
    assert sums == {"interval_ms": "2000"}


def test_a_table_that_is_gone_is_unavailable(store: BreakerStore) -> None:
    if isinstance(store, DynamoBreakerStore):
        store.client.delete_table(TableName="breakers")
    else:
        store.away = True
    for call in (
        lambda: store.read("backend"),
        lambda: store.read("backend", ["x"]),
        lambda: store.add("x", {"count": "1"}, expires_at=1),
        lambda: store.move(FIRST),
        lambda: store.clear_unsent("backend", version=1),
    ):
        with pytest.raises(UnavailableError):
            call()


def test_additions_are_tried_once_and_keep_a_backend_waiting_a_second_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    session.dynamodb_once.cache_clear()
    config = session.dynamodb_once().meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.connect_timeout + config.read_timeout <= 1
