"""What others write, send again or leave lying about does not take the breaker, or the authorizer, down."""

from __future__ import annotations

import itertools
from decimal import Decimal
from random import Random

import pytest

from signet.breaker.config import BreakerConfig, EstimatorConfig
from signet.breaker.estimator import arrival_epochs, sum_epochs
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.reading import DEFAULT_NAME, arrivals_item, decode, sums_item
from signet.breaker.tally import SumsKey
from signet.handshake.decision import Reason
from signet.receipts.model import DecisionRecord, Emitter, read_receipt, uuid7
from tests.unit.test_breaker_keeper import Fleet

CONFIG = BreakerConfig(estimator=EstimatorConfig(servers=1))


def fleet_of_one() -> Fleet:
    fleet = Fleet()
    fleet.keepers = [BreakerKeeper(DEFAULT_NAME, fleet.store, fleet.queue, CONFIG, Random(7).random)]
    return fleet


@pytest.mark.parametrize("amount", ["1.5", "-3", "9E+125", "1E-130", "1" + 37 * "0", "-9E+125"])
@pytest.mark.parametrize(
    "name", ["count", "fast_n", "fast_bad", "fast_latency", "slow_latency", "slow_latency_sq"]
)
def test_no_number_that_a_backend_can_write_takes_the_authorizer_down(name: str, amount: str) -> None:
    """A backend may write what it likes into the sums: that is evidence or it is none, and never a crash."""
    fleet = fleet_of_one()
    fleet.run(2)
    generation = decode(fleet.store.records[DEFAULT_NAME].state).generation
    for epoch in sum_epochs(fleet.now_ms, CONFIG.estimator):
        sums = fleet.store.sums.setdefault(sums_item(DEFAULT_NAME, SumsKey(generation, epoch)), {})
        sums[name] = Decimal(amount)
    for epoch in arrival_epochs(fleet.now_ms, CONFIG.estimator):
        fleet.store.sums[arrivals_item(DEFAULT_NAME, epoch)] = {
            member: Decimal(amount) for member in ("b00", "b01", "flushes")
        }
    keeper = fleet.keepers[0]
    for _ in range(40):
        fleet.now_ms += 600
        judged = keeper.judge(fleet.now_ms)
        facts = judged.facts
        DecisionRecord(
            uuid7(fleet.now_ms, bytes(10)), fleet.now_ms, Reason.OK, Emitter("0" * 32, 0), 1, breaker=facts
        ).encode()
        assert judged.view is not None
        assert judged.view.reached
    for message in fleet.queue.sent:
        read_receipt(message, chained=False)


def test_a_queue_that_is_away_for_hours_neither_fills_the_state_nor_loses_a_transition() -> None:
    fleet = fleet_of_one()
    fleet.run(5)
    fleet.queue.away = True
    keeper, longest = fleet.keepers[0], 0
    for _ in range(3 * 3600):  # what is allowed cannot be recorded, which counts as a failure of our own
        fleet.now_ms += 1000
        admission = keeper.judge(fleet.now_ms)
        keeper.arrived(fleet.now_ms)
        if admission.admitted:
            keeper.failed(admission, fleet.now_ms)
        longest = max(longest, len(fleet.store.records[DEFAULT_NAME].unsent))
    assert 16 < longest <= 40
    fleet.queue.away = False
    fleet.run(120, until="closed")
    fleet.run(2)
    assert fleet.state == "closed"
    assert fleet.store.records[DEFAULT_NAME].unsent == ()
    story = [read_receipt(message, chained=False).members for message in fleet.queue.sent]
    seen = {member["id"]: member for member in story}
    told = sorted(seen.values(), key=lambda member: member["breaker"]["version"])
    for before, after in itertools.pairwise(told):
        assert before["to"] == after["from"]
