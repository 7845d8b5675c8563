"""The first step of a ramp is a count over the fleet, and no copy of a proof uses it up."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from signet.breaker.config import BreakerConfig
from signet.breaker.firststep import CLAIMED
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.machine import initial
from signet.breaker.snapshot import DEFAULT_NAME, encode
from signet.core.decision import Reason
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import BreakerLevel, BreakerState
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.world import NOW_MS, World, digest, edit_header, own

ALL = BreakerConfig(probe_share=0.999)


class Watcher:
    """Keepers that look on, so that the state stays: the first step of a ramp after quiet."""

    def __init__(self, size: int, config: BreakerConfig) -> None:
        self.now_ms = NOW_MS
        self.store, rng = MemoryBreakerStore(), Random(7)
        record = replace(
            initial(NOW_MS), version=1, generation=9, state=BreakerState.HALF_OPEN,
            admit_ppm=round(1e6 * config.probe_share), first_step=True,
        )  # fmt: skip
        self.store.records[DEFAULT_NAME] = StoredBreaker(DEFAULT_NAME, 1, encode(record))
        self.keepers = [
            BreakerKeeper(DEFAULT_NAME, self.store, None, config, rng.random, lambda: self.now_ms / 1000)
            for _ in range(size)
        ]

    def request(self, number: int) -> bool:
        keeper = self.keepers[number % len(self.keepers)]
        admission = keeper.admit(self.now_ms)
        if admission.admitted:
            admission = keeper.counted(admission, self.now_ms)
            assert admission.admitted or (admission.retry_after_s or 0) >= 1
        return admission.admitted

    @property
    def claimed(self) -> list[int]:
        return [int(sums[CLAIMED]) for sums in self.store.sums.values() if CLAIMED in sums]


@pytest.mark.parametrize("size", [1, 20, 100])
def test_a_burst_after_quiet_meets_five_probes_a_second_over_the_fleet(size: int) -> None:
    fleet = Watcher(size, BreakerConfig())
    through = []
    for _second in range(3):
        admitted = 0
        for number in range(500):
            admitted += fleet.request(number)
            fleet.now_ms += 1
        fleet.now_ms += 500
        through.append(admitted)
    assert through == [5, 5, 5]  # claims that came too late do not count in the next second
    assert max(fleet.claimed) <= 5 + size  # one too many tells an environment that it is too late


def test_a_store_that_takes_no_claim_lets_no_probe_through() -> None:
    fleet = Watcher(1, ALL)
    fleet.keepers[0].admit(fleet.now_ms)
    fleet.store.away = True
    assert not any(fleet.request(0) for _ in range(20))


def test_later_steps_and_other_states_claim_nothing() -> None:
    fleet = Watcher(1, ALL)
    stored = fleet.store.records[DEFAULT_NAME]
    record = replace(initial(NOW_MS), state=BreakerState.HALF_OPEN, admit_ppm=999_999)
    fleet.store.records[DEFAULT_NAME] = replace(stored, state=encode(record))
    assert sum(fleet.request(0) for _ in range(50)) > 45
    assert fleet.claimed == []


def test_copies_of_a_proof_use_no_probes_up() -> None:
    """They fail at their nonce; a request that was never verified claims nothing in the first place."""
    world, fleet = World(), Watcher(1, ALL)
    world.breaker = fleet.keepers[0]
    first, *others = (world.sign(world.event()) for _ in range(7))
    forged = edit_header(world.sign(world.event()), "Signature", lambda v: v[:10] + "AAAA" + v[14:])
    for _ in range(10):
        assert world.verifier.judge(own(forged), now_ms=NOW_MS).reason is Reason.BAD_SIGNATURE
    assert fleet.claimed == []
    reasons = [world.verifier.judge(own(first), now_ms=NOW_MS).reason for _ in range(30)]
    assert reasons == [Reason.OK, *[Reason.NONCE_REPLAYED] * 29]
    assert fleet.claimed == [2]  # that of the first copy served all others
    reasons = [world.verifier.judge(own(other), now_ms=NOW_MS).reason for other in others]
    assert reasons == [*[Reason.OK] * 4, *[Reason.HALF_OPEN_FULL] * 2]


def test_a_request_that_was_not_counted_gives_no_claim_back() -> None:
    """On a route whose ladder has no ``shed``; else its copies would open the first step to all."""
    world, fleet = World(), Watcher(1, ALL)
    world.breaker = fleet.keepers[0]
    world.register("auditor", roles=frozenset({"auditor"}))
    requests = [world.sign(world.event()) for _ in range(6)]
    assert world.verifier.judge(own(requests[0]), now_ms=NOW_MS).reason is Reason.OK
    event = world.event("POST", "/compliance/pack", headers={"Content-Digest": digest(b"")})
    event = world.sign(event, keyid="auditor")
    reasons = [world.verifier.judge(own(event), now_ms=NOW_MS).reason for _ in range(10)]
    assert reasons == [Reason.OK, *[Reason.NONCE_REPLAYED] * 9]
    reasons = [world.verifier.judge(own(other), now_ms=NOW_MS).reason for other in requests[1:]]
    assert reasons == [*[Reason.OK] * 4, Reason.HALF_OPEN_FULL]


def test_a_probe_that_came_too_late_is_on_record_as_shed() -> None:
    world, fleet = World(), Watcher(1, replace(ALL, probe_rps=0.5))
    world.breaker = fleet.keepers[0]
    assert fleet.request(0)
    decision = world.verifier.judge(own(world.sign(world.event())), now_ms=NOW_MS)
    assert decision.reason is Reason.HALF_OPEN_FULL
    assert decision.context.breaker.level is BreakerLevel.SHED
    assert decision.context.breaker.admission is None
    assert decision.context.outcome_token == ""
    assert not world.nonces.spent
    fleet.now_ms += 2000
    assert fleet.request(0)  # half a probe a second is one in two seconds
