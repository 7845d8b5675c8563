"""What others write, send again or leave lying about does not take the breaker, or the authorizer, down."""

from __future__ import annotations

import itertools
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from signet.aws.nonces import DynamoNonceStore
from signet.breaker.accumulators import SumsKey
from signet.breaker.asked import FixedBreaker
from signet.breaker.config import BreakerConfig, EstimatorConfig
from signet.breaker.estimator import arrival_epochs, sum_epochs
from signet.breaker.presented import SIZE, CountedProofs, Presented
from signet.breaker.snapshot import DEFAULT_NAME, INTERVALS, arrivals_item, decode, sums_item
from signet.core.decision import Reason
from signet.core.errors import Denied, MisconfiguredError, UnavailableError
from signet.core.instants import uuid7
from signet.core.ports import THROTTLED
from signet.core.vocabulary import BINDING_TYPES, BreakerLevel
from signet.handshake.authorizer import Authorizer
from signet.handshake.challenge import nonce_sha256
from signet.handshake.emitter import EmitterCounter
from signet.handshake.request import Request
from signet.receipts.model import DecisionRecord, Emitter, read_receipt
from tests.support.world import NOW_MS, FixedApis, World, own
from tests.unit.breaker.test_breaker_keeper import Fleet

CONFIG = BreakerConfig(estimator=EstimatorConfig(servers=1))


def fleet_of_one() -> Fleet:
    fleet = Fleet()
    fleet.keepers = [fleet.keeper(CONFIG)]
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
            member: Decimal(amount) for member in ("b00", "b01", "interval_ms")
        }
    keeper = fleet.keepers[0]
    for _ in range(40):
        fleet.now_ms += 600
        judged = keeper.admit(fleet.now_ms)
        facts = judged.facts
        DecisionRecord(
            uuid7(fleet.now_ms, bytes(10)),
            fleet.now_ms,
            Reason.MALFORMED,
            Emitter("0" * 32, 0),
            1,
            breaker=facts,
        ).encode()
        assert judged.view is not None
        assert judged.view.reached
    for message in fleet.queue.sent:
        read_receipt(message, chained=False)


@pytest.mark.long
def test_a_queue_that_is_away_for_hours_neither_fills_the_state_nor_loses_a_transition() -> None:
    fleet = fleet_of_one()
    fleet.run(5)
    fleet.queue.away = True
    keeper, longest = fleet.keepers[0], 0
    for _ in range(3 * 3600):  # what is allowed cannot be recorded, which counts as a failure of our own
        fleet.now_ms += 1000
        admission = keeper.admit(fleet.now_ms)
        keeper.arrived(admission, fleet.now_ms)
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


def test_copies_of_one_proof_do_not_open_the_breaker() -> None:
    """A partition takes 1,000 writes a second: beyond, what an eavesdropper sends again is throttled."""
    world, fleet = World(), fleet_of_one()
    world.breaker = fleet.keepers[0]
    fleet.run(3)
    event = world.sign(world.event())

    def throttled(*_arguments: object, **_options: object) -> bool:
        raise UnavailableError("throttled", code=THROTTLED)

    world.nonces.spend = throttled  # type: ignore[method-assign]
    for number in range(2000):
        decision = world.verifier.judge(own(event), now_ms=NOW_MS + 3000 + number * 5)
        assert decision.reason is Reason.STORE_UNAVAILABLE
    assert fleet.state == "closed"


def test_copies_of_one_proof_count_one_failure_of_the_nonce_store() -> None:
    """Where it fails now and then, each copy is a further try, and a try that succeeds counts as nothing."""
    world, fleet = World(), fleet_of_one()
    world.breaker = keeper = fleet.keepers[0]
    fleet.run(3)

    def away(*_arguments: object, **_options: object) -> bool:
        raise UnavailableError("away")

    world.nonces.spend = away  # type: ignore[method-assign]
    event, other = world.sign(world.event()), world.sign(world.event())
    counted = []
    for sent in (event, event, other):
        for _ in range(20):
            decision = world.verifier.judge(own(sent), now_ms=fleet.now_ms)
            assert decision.reason is Reason.STORE_UNAVAILABLE
        counted.append(sum(sums.count for sums in keeper._evidence.drain().values()))
    assert counted == [1, 0, 1]


@pytest.mark.parametrize("where", ["nonces", "queue"])
@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UnavailableError("away"), "open"),
        (MisconfiguredError("could not write", "grant what is missing"), "closed"),
    ],
)
def test_what_a_person_has_to_mend_does_not_open_the_breaker(
    where: str, error: UnavailableError, state: str
) -> None:
    """Sparing the backend restores no permission, and an open breaker would hide what does."""
    world, fleet = World(), fleet_of_one()
    world.breaker = fleet.keepers[0]
    fleet.run(3)

    def refused(*_arguments: object, **_options: object) -> bool:
        raise error

    send: Any = (lambda *_arguments, **_options: None) if where == "nonces" else refused
    if where == "nonces":
        world.nonces.spend = refused  # type: ignore[method-assign]
    queue = SimpleNamespace(send=send)
    authorizer = Authorizer(world.verifier, queue, EmitterCounter(bytes), bytes, lambda: 0, FixedApis())
    expected = Reason.STORE_UNAVAILABLE if where == "nonces" else Reason.RECEIPT_QUEUE_UNAVAILABLE
    for number in range(600):
        world.now_ms = NOW_MS + 3000 + number * 20
        recorded = authorizer.authorize(world.sign(world.event()), now_ms=world.now_ms)
        if fleet.state != "closed":
            break
        assert recorded.decision.reason is expected
    assert fleet.state == state


def test_copies_of_a_proof_that_was_allowed_are_no_load() -> None:
    world, fleet = World(), fleet_of_one()
    world.breaker = fleet.keepers[0]
    fleet.request()
    event = world.sign(world.event())
    reasons = [world.verifier.judge(own(event), now_ms=NOW_MS + 100).reason for _ in range(50)]
    assert reasons == [Reason.OK, *([Reason.NONCE_REPLAYED] * 49)]
    fleet.keepers[0].admit(NOW_MS + 1000)  # what was counted is stored
    epoch = NOW_MS // CONFIG.estimator.arrival_epoch_ms
    bins = fleet.store.sums[arrivals_item(DEFAULT_NAME, epoch)]
    assert (
        sum(count for name, count in bins.items() if name != "interval_ms") == 2
    )  # the fleet's, and the world's


def _load(fleet: Fleet) -> int:
    """Return how many arrivals the fleet has counted, stored ones and those that are not yet."""
    fleet.now_ms += CONFIG.refresh_ms
    fleet.keepers[0].admit(fleet.now_ms)
    items = [amounts for key, amounts in fleet.store.sums.items() if INTERVALS in amounts]
    return sum(int(count) for amounts in items for name, count in amounts.items() if name != INTERVALS)


def _open(world: World) -> Fleet:
    """A fleet of one that sheds everything for eight seconds, and has stored what it counted."""
    fleet = fleet_of_one()
    fleet.run(5)
    fleet.run(20, slow=True, until="open")
    world.breaker, world.now_ms = fleet.keepers[0], fleet.now_ms
    return fleet


def test_10_000_copies_of_a_proof_that_was_shed_are_the_load_of_one() -> None:
    world = World()
    fleet = _open(world)
    before = _load(fleet)
    event, other = world.sign(world.event()), world.sign(world.event())
    decision = world.verifier.judge(own(event), now_ms=fleet.now_ms)
    assert decision.reason is Reason.BREAKER_OPEN
    for _ in range(10):  # by the whole verifier
        world.verifier.judge(own(event), now_ms=fleet.now_ms)
    for _ in range(9_989):  # by its last step alone: 10,000 signatures take a minute
        fleet.keepers[0].turned_away(Presented(decision.context.nonce_sha256, 330_000), fleet.now_ms)
    assert _load(fleet) == before + 1
    world.verifier.judge(own(other), now_ms=fleet.now_ms)
    assert _load(fleet) == before + 2


def test_a_shed_proof_is_remembered_for_as_long_as_a_copy_of_it_verifies() -> None:
    """The nonce may come from an instance whose clock is ahead, as far as the skew allows."""
    world, told = World(), []

    class Watching(FixedBreaker):
        def turned_away(self, proof: Presented, now_ms: int) -> None:
            told.append((*proof, now_ms))

    world.breaker = Watching(BreakerLevel.SHED)
    nonce = world.nonce(issued_ms=world.now_ms + world.verifier.issuer.limits.skew_ms)
    event = world.sign(world.event(), nonce=nonce)
    assert world.verifier.judge(own(event), now_ms=world.now_ms).reason is Reason.HALF_OPEN_FULL
    [(digest, good_for_ms, now_ms)] = told
    assert (digest, now_ms) == (nonce_sha256(nonce), world.now_ms)
    check = partial(
        world.verifier.issuer.check_nonce,
        Request.read(own(event), world.verifier.issuer.site),
        nonce,
        BINDING_TYPES,
    )
    check(now_ms=now_ms + good_for_ms)
    with pytest.raises(Denied, match="expired"):
        check(now_ms=now_ms + good_for_ms + 1)


def test_the_memory_of_shed_proofs_is_bounded_and_a_proof_pushed_out_counts_again() -> None:
    """That spares the backend: too large a load lets fewer probes through."""
    shed = CountedProofs()
    proofs = [Presented(number.to_bytes(32), 330_000) for number in range(SIZE + 1)]
    for turn in range(3):
        assert all(shed.is_new(proof, at_s=turn) for proof in proofs)
        assert len(shed) == SIZE
    assert not shed.is_new(proofs[-1], at_s=3)
    assert shed.is_new(proofs[0], at_s=3)


def test_a_shed_proof_is_forgotten_at_its_end_and_not_for_being_presented_later() -> None:
    shed = CountedProofs()
    a, b, c = (Presented(name, 330_000) for name in (b"a", b"b", b"c"))
    assert shed.is_new(a, at_s=10)
    assert shed.is_new(b, at_s=20)
    for at_s in (11.0, 339.9):
        assert not shed.is_new(a, at_s=at_s)
    assert shed.is_new(c, at_s=340)
    assert len(shed) == 2  # b, and c
    assert shed.is_new(a, at_s=340)


def test_dynamodb_tells_a_nonce_that_is_throttled_from_a_store_that_is_away() -> None:
    client = botocore.session.get_session().create_client(
        "dynamodb", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    codes = {}
    for code in ("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError"):
        with Stubber(client) as stub:
            stub.add_client_error("put_item", code)
            with pytest.raises(UnavailableError) as failed:
                DynamoNonceStore(client, "nonces").spend(bytes(32), expires_at=1)
            codes[code] = failed.value.code
    assert codes.pop("InternalServerError") == "store_unavailable"
    assert set(codes.values()) == {THROTTLED}
