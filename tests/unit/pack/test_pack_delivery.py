"""Packs are handed out at once or ordered, and a job says what became of an order; no AWS is needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from signet.core.errors import MisconfiguredError, NotFoundError, UnavailableError
from signet.pack.delivery import Delivered, PackDelivery, Pending, Wanted
from signet.pack.jobs import JobState
from signet.pack.store import PackStore
from tests.fakes.packs import MemoryPackObjects, MemoryPackOrders
from tests.support.packs import FIRST_DAY, log_with_days

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
WANTED = Wanted(FIRST_DAY, evidence=False)


@pytest.fixture
def orders() -> MemoryPackOrders:
    return MemoryPackOrders()


@pytest.fixture
def delivery(orders: MemoryPackOrders) -> PackDelivery:
    """Hands out packs of a log with one closed day of two receipts."""
    packs = PackStore(log_with_days(2).store, MemoryPackObjects())
    return PackDelivery(packs, orders, lambda: NOW, receipts_at_once=2, url_ttl_s=60)


def test_a_small_pack_is_built_at_once_and_then_found(
    delivery: PackDelivery, orders: MemoryPackOrders
) -> None:
    first, second = delivery.deliver(WANTED), delivery.deliver(WANTED)
    assert isinstance(first, Delivered)
    assert isinstance(second, Delivered)
    assert (first.pack.built, second.pack.built) == (True, False)
    assert replace(first.pack, built=False) == second.pack
    assert first.expires_at == NOW + timedelta(seconds=60)
    assert first.pack.key in first.url
    assert orders.orders == []


@pytest.mark.parametrize(("at_once", "evidence"), [(1, False), (19, True)])
def test_a_large_pack_is_ordered_once_and_built_apart(
    delivery: PackDelivery, orders: MemoryPackOrders, at_once: int, evidence: bool
) -> None:
    """With evidence a receipt counts ten times."""
    wanted, delivery = replace(WANTED, evidence=evidence), replace(delivery, receipts_at_once=at_once)
    first, second = delivery.deliver(wanted), delivery.deliver(wanted)
    assert isinstance(first, Pending)
    assert isinstance(second, Pending)
    assert (first.ordered, second.ordered) == (True, False)
    assert (first.job, first.url) == (second.job, second.url)
    assert orders.orders == [(FIRST_DAY.isoformat(), evidence, False)]
    assert delivery.build(wanted).built
    found = delivery.deliver(wanted)
    assert isinstance(found, Delivered)
    assert not found.pack.built


@pytest.mark.parametrize("evidence", [False, True])
def test_the_limit_itself_is_built_at_once(delivery: PackDelivery, evidence: bool) -> None:
    delivery = replace(delivery, receipts_at_once=20 if evidence else 2)
    assert isinstance(delivery.deliver(replace(WANTED, evidence=evidence)), Delivered)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UnavailableError("could not order the pack: throttled"), "could not order the pack: throttled"),
        (MisconfiguredError("could not order the pack: denied", "grant it"), "could not order the pack"),
    ],
    ids=["passing", "staying"],
)
def test_an_order_that_is_not_taken_is_no_job_that_runs(
    delivery: PackDelivery, orders: MemoryPackOrders, error: UnavailableError, message: str
) -> None:
    delivery = replace(delivery, receipts_at_once=0)
    orders.error = error
    with pytest.raises(UnavailableError):
        delivery.deliver(WANTED)
    job = delivery._jobs.read(delivery._plan(WANTED))
    assert job is not None
    assert (job.state, job.message) == (JobState.FAILED, message)
    orders.error = None
    again = delivery.deliver(WANTED)
    assert isinstance(again, Pending)
    assert again.ordered


def test_a_day_before_the_log_is_neither_built_nor_ordered(
    delivery: PackDelivery, orders: MemoryPackOrders
) -> None:
    with pytest.raises(NotFoundError):
        delivery.deliver(replace(WANTED, day=FIRST_DAY - timedelta(days=1)))
    assert orders.orders == []
