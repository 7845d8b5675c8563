"""What refused strangers leave on record is bounded, and counted; what others do is recorded one by one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from signet.core.decision import Reason
from signet.core.errors import UnavailableError
from signet.core.vocabulary import BreakerLevel
from signet.handshake.authorizer import Authorizer, RecordedDecision
from signet.handshake.emitter import EmitterCounter
from signet.handshake.strangers import FOLDED, OPEN_S, Strangers
from signet.receipts.reading import read_receipt
from tests.support.world import World, authorizer_of, edit_header

OWN = 3


@dataclass
class Queue:
    """Takes messages, or fails as told: before it takes one, or after."""

    taken: list[bytes] = field(default_factory=list)
    fails: bool = False
    answer_lost: bool = False
    takes: Callable[[], None] = lambda: None

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        if self.fails:
            raise UnavailableError("the queue is away")
        self.takes()
        self.taken.append(message)
        if self.answer_lost:
            raise UnavailableError("no answer")


@dataclass
class Gate:
    """An authorizer of one environment, with a clock of its own."""

    world: World = field(default_factory=World)
    queue: Queue = field(default_factory=Queue)
    at_s: float = 100.0
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        made = authorizer_of(self.world, [])
        emitter = EmitterCounter(self.world.random)
        self.authorizer: Authorizer = replace(
            made,
            queue=self.queue,
            emitter=emitter,
            passed=lambda: self.at_s,
            strangers=Strangers(OWN, emitter, self.world.random),
        )

    def ask(self, event: dict[str, Any]) -> RecordedDecision:
        found = self.authorizer.authorize(event, now_ms=self.world.now_ms)
        self.counted[found.decision.reason.value] += 1
        return found

    def anonymous(self) -> RecordedDecision:
        return self.ask(self.world.event())

    def allowed(self) -> RecordedDecision:
        return self.ask(self.world.sign(self.world.event(), "ed25519"))

    def wait(self, seconds: float) -> None:
        self.at_s += seconds
        self.world.now_ms += int(seconds * 1000)

    @property
    def receipts(self) -> list[dict[str, Any]]:
        return [json.loads(read_receipt(message, chained=False).encoded) for message in self.queue.taken]

    @property
    def summaries(self) -> list[dict[str, Any]]:
        return [receipt for receipt in self.receipts if receipt["type"] == "refusals.summary"]

    @property
    def own(self) -> list[dict[str, Any]]:
        return [receipt for receipt in self.receipts if receipt["type"] == "pch.decision"]

    def numbers(self) -> list[int]:
        return sorted(receipt["emitter"]["n"] for receipt in self.receipts)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_the_first_refusals_of_a_second_are_receipts_of_their_own(gate: Gate) -> None:
    for _ in range(2):
        found = [gate.anonymous() for _ in range(OWN + 4)]
        assert [one.folded for one in found] == [False] * OWN + [True] * 4
        gate.wait(1)
    assert len(gate.own) == 2 * OWN
    assert not gate.summaries


def test_refusals_beyond_them_are_counted_in_one_summary(gate: Gate) -> None:
    first_ms = gate.world.now_ms
    ids = {gate.anonymous().receipt_id for _ in range(20)}
    assert len(ids) == OWN + 1
    gate.wait(OPEN_S)
    gate.allowed()
    [summary] = gate.summaries
    assert summary["counts"] == {"challenge_required": 20 - OWN}
    assert summary["id"] in ids
    assert summary["emitter"]["n"] == OWN
    assert (summary["first"], summary["last"]) == (summary["decided_at"], summary["decided_at"])
    assert gate.own[-1]["emitter"] == summary["emitter"] | {"n": OWN + 1, "folded": 20 - OWN}
    assert gate.numbers() == [*range(OWN + 2)]
    assert first_ms == read_receipt(gate.queue.taken[-1], chained=False).decided_at_ms


def test_each_allow_has_a_receipt_of_its_own_within_a_flood(gate: Gate) -> None:
    gate.world.now_ms += 1
    for _ in range(30):
        gate.anonymous()
        assert gate.allowed().decision.reason is Reason.OK
        gate.wait(0.5)
    reasons = Counter(receipt["reason"] for receipt in gate.own)
    assert reasons["ok"] == 30
    told = sum(sum(summary["counts"].values()) for summary in gate.summaries)
    assert reasons["challenge_required"] + told <= gate.counted["challenge_required"] == 30


def test_a_refusal_after_a_verified_signature_is_never_counted_away(gate: Gate) -> None:
    gate.world.register("other", "ed25519", roles=("other",))
    for _ in range(OWN + 3):
        gate.anonymous()
    for _ in range(5):
        found = gate.ask(gate.world.sign(gate.world.event(), "ed25519", keyid="other"))
        assert found.decision.reason is Reason.POLICY_DENIED
        assert found.decision.context.transcript is not None
        assert not found.folded
    assert len(gate.own) == OWN + 5


def test_what_says_folded_never_falls_and_all_is_counted_in_the_end(gate: Gate) -> None:
    for step in range(200):
        gate.anonymous()
        if step % 7 == 0:
            gate.allowed()
        gate.wait(0.05 if step % 50 else 3)
    gate.wait(2 * OPEN_S)
    gate.allowed()
    gate.allowed()
    said = [receipt["emitter"]["folded"] for receipt in sorted(gate.own, key=lambda one: one["emitter"]["n"])]
    assert said == sorted(said)
    told = sum(sum(summary["counts"].values()) for summary in gate.summaries)
    assert told == said[-1]
    assert told + len(gate.own) == gate.counted.total()
    assert gate.numbers() == [*range(len(gate.receipts))]


def test_copies_of_a_spent_proof_are_counted_together(gate: Gate) -> None:
    event = gate.world.sign(gate.world.event(), "ed25519")
    assert gate.ask(event).decision.reason is Reason.OK
    assert [gate.ask(event).folded for _ in range(OWN + 5)] == [False] * OWN + [True] * 5


def test_copies_of_a_shed_proof_are_counted_together_and_others_are_not() -> None:
    world = World()
    world.level = BreakerLevel.SHED
    gate = Gate(world)
    event = world.sign(world.event(), "ed25519")
    assert [gate.ask(event).folded for _ in range(OWN + 4)] == [False] * (OWN + 1) + [True] * 3
    found = [gate.ask(world.sign(world.event(), "ed25519")) for _ in range(2 * OWN)]
    assert {one.decision.reason for one in found} == {Reason.HALF_OPEN_FULL}
    assert not any(one.folded for one in found)


def test_a_summary_that_does_not_arrive_is_sent_again_as_it_was(gate: Gate) -> None:
    for _ in range(OWN + 6):
        gate.anonymous()
    gate.wait(OPEN_S)
    gate.queue.answer_lost = True
    gate.anonymous()
    gate.queue.answer_lost = False
    assert len(gate.summaries) == 1
    gate.anonymous()  # too soon for another try
    assert len(gate.summaries) == 1
    for _ in range(OWN + 2):
        gate.anonymous()
    gate.wait(1)
    gate.anonymous()
    first, second = [message for message in gate.queue.taken if b"refusals.summary" in message]
    assert first == second
    gate.wait(OPEN_S)
    gate.allowed()
    assert len(gate.summaries) == 3
    assert gate.summaries[-1]["id"] != gate.summaries[0]["id"]


def test_a_queue_that_is_away_costs_no_refusal_and_grows_no_memory(gate: Gate) -> None:
    gate.queue.fails = True
    for _ in range(50):
        found = gate.anonymous()
        assert found.decision.reason in {Reason.CHALLENGE_REQUIRED, Reason.RECEIPT_QUEUE_UNAVAILABLE}
        gate.wait(OPEN_S)
        for _ in range(OWN + 2):
            gate.anonymous()
    gate.queue.fails = False
    gate.wait(OPEN_S)
    gate.allowed()
    gate.wait(OPEN_S)
    gate.allowed()
    assert len(gate.summaries) == 2


def test_a_summary_that_cannot_be_written_costs_no_answer(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(OWN + 6):
        gate.anonymous()
    gate.wait(OPEN_S)

    def failing(*_: object) -> bytes:
        raise ValueError

    monkeypatch.setattr("signet.handshake.strangers.summary", failing)
    assert gate.allowed().decision.reason is Reason.OK
    monkeypatch.undo()
    gate.wait(1)
    gate.allowed()
    assert len(gate.summaries) == 1


def test_a_slow_queue_is_not_asked_twice_for_one_answer(gate: Gate) -> None:
    for _ in range(OWN + 6):
        gate.anonymous()
    gate.wait(OPEN_S)
    gate.queue.takes = lambda: gate.wait(1)
    gate.allowed()
    assert not gate.summaries
    gate.queue.takes = lambda: None
    gate.allowed()
    assert len(gate.summaries) == 1


class Fails:
    """Stands for any store that is away, or has a fault."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self, _keyid: str) -> Any:
        raise self.error

    def spend(self, _digest: bytes, *, expires_at: int) -> bool:
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnavailableError("throttled"), Reason.STORE_UNAVAILABLE),
        (ValueError("a fault"), Reason.INTERNAL_ERROR),
    ],
)
def test_a_store_that_is_away_opens_the_log_to_no_flood(gate: Gate, error: Exception, reason: Reason) -> None:
    gate.authorizer = replace(
        gate.authorizer, verifier=replace(gate.authorizer.verifier, clients=Fails(error))
    )
    forged = [
        edit_header(
            gate.world.sign(gate.world.event(), "ed25519"), "Signature", lambda value: value[:-8] + "AAAAAA=:"
        )
        for _ in range(30)
    ]
    assert {gate.ask(event).decision.reason for event in forged} == {reason}
    assert len(gate.own) == OWN
    gate.wait(OPEN_S)
    gate.anonymous()
    [summary] = gate.summaries
    assert summary["counts"] == {reason.value: 30 - OWN}


@pytest.mark.parametrize("role", ["caller", "other"])
def test_a_verified_request_whose_nonce_cannot_be_spent_has_its_own_receipt(gate: Gate, role: str) -> None:
    gate.world.register("one", "ed25519", roles=(role,))
    gate.authorizer = replace(
        gate.authorizer,
        verifier=replace(gate.authorizer.verifier, nonces=Fails(UnavailableError("throttled"))),
    )
    for _ in range(OWN + 3):
        found = gate.ask(gate.world.sign(gate.world.event(), "ed25519", keyid="one"))
        assert found.decision.reason is Reason.STORE_UNAVAILABLE
        assert not found.folded
    assert len(gate.own) == OWN + 3


@pytest.mark.parametrize("back_ms", [1, 60_000, 86_400_000])
def test_a_clock_that_is_set_back_bounds_all_the_same(gate: Gate, back_ms: int) -> None:
    for _ in range(OWN + 3):
        gate.anonymous()
    gate.world.now_ms -= back_ms
    assert gate.anonymous().folded
    gate.wait(OPEN_S)
    gate.allowed()
    [summary] = gate.summaries
    assert summary["first"] <= summary["last"]


def test_a_flood_of_every_kind_is_bounded(gate: Gate) -> None:
    spoilt = [
        lambda event: edit_header(event, "Signature", lambda value: value[:-8] + "AAAAAA=:"),
        lambda event: edit_header(event, "Signature-Input", lambda value: value.replace("alg", "alq")),
        lambda event: edit_header(event, "Signature", lambda _: "x"),
    ]
    seen = Counter[str]()
    for number in range(300):
        event = spoilt[number % 3](gate.world.sign(gate.world.event(), "ed25519"))
        seen[gate.ask(event).decision.reason.value] += 1
    assert len(seen) > 1
    assert set(seen) <= {reason.value for reason in FOLDED}
    assert len(gate.own) == OWN
    gate.wait(OPEN_S)
    gate.allowed()
    [summary] = gate.summaries
    assert sum(summary["counts"].values()) == 300 - OWN


def test_no_reason_that_a_summary_counts_is_one_of_a_decision_that_was_let_in_or_denied_by_policy() -> None:
    assert not FOLDED & {Reason.OK, Reason.OK_CLASSICAL_FALLBACK, Reason.POLICY_DENIED}
    assert {
        Reason.STORE_UNAVAILABLE,
        Reason.INTERNAL_ERROR,
        Reason.RECEIPT_QUEUE_UNAVAILABLE,
    } & FOLDED == set()
