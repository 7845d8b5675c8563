from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.canonical import canonicalize
from signet.core.errors import MisconfiguredError, UnavailableError
from signet.core.instants import utc_millis
from signet.core.ports import AppendOutcome, ChainHead, ChainStore, EvidenceStore
from signet.receipts.chain import chain_of
from signet.receipts.retry import MAX_TRIES, RetryPolicy
from signet.receipts.sink import Message, Sink
from tests.fakes.chains import MemoryChainStore, ids_in
from tests.fakes.evidence import MemoryEvidenceStore, MemoryTranscriptStore
from tests.fakes.records import DAY_MS, message, record

POISON = "not a receipt"


def sink_of(store: ChainStore, evidence: EvidenceStore | None = None) -> Sink:
    """A sink of one chain whose clock stands still."""
    return Sink(store, 1, lambda: DAY_MS, evidence or MemoryEvidenceStore(), MemoryTranscriptStore())


def batch(*ns: int | None) -> list[Message]:
    """Messages m0, m1 …; None is poison."""
    return [Message(f"m{at}", POISON if n is None else message(n).decode()) for at, n in enumerate(ns)]


class Faulty(MemoryChainStore):
    """Goes through a list of faults, one per append: lost before it took effect, after, or outrun."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(max_append_receipts=3)
        self.faults = list(faults)

    def append(
        self, head: ChainHead, new_head: ChainHead, receipts: Sequence[tuple[str, bytes]]
    ) -> AppendOutcome:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise UnavailableError("not done")
        if fault == "outrun":
            return AppendOutcome(appended=False, head_moved=True)
        outcome = super().append(head, new_head, receipts)
        if fault == "after":
            raise UnavailableError("done, and the answer lost")
        return outcome


_faults = st.lists(st.sampled_from(["", "before", "after", "outrun"]), max_size=40)
_batches = st.lists(st.lists(st.none() | st.integers(0, 12), max_size=10), max_size=4)


@given(_batches, _faults, st.integers(1, 3))
def test_whatever_fails_every_receipt_is_in_its_chain_or_still_in_the_queue(
    batches: list[list[int | None]], faults: list[str], chains: int
) -> None:
    store = Faulty(faults)
    sink = Sink(store, chains, lambda: DAY_MS, MemoryEvidenceStore(), MemoryTranscriptStore())
    settled: set[int] = set()
    kept: set[int] = set()
    for ns in batches:
        result = sink.record(batch(*ns))
        for at, n in enumerate(ns):
            if n is None:
                assert f"m{at}" in result.failures
            else:
                (kept if f"m{at}" in result.failures else settled).add(n)
        receipts = sum(n is not None for n in ns)
        failed = sum(n is not None and f"m{at}" in result.failures for at, n in enumerate(ns))
        assert result.poison == len(ns) - receipts
        assert result.appended + result.duplicates + failed >= receipts
    store.faults.clear()
    for n in kept:
        assert sink.record(batch(n)).failures == {}
    found = [receipt_id for chain_id in range(chains) for receipt_id in ids_in(store, chain_id)]
    assert sorted(found) == sorted(record(n).id for n in settled | kept)


def test_a_head_that_keeps_moving_leaves_the_messages_to_the_queue() -> None:
    store = Faulty(["outrun"] * MAX_TRIES)
    result = sink_of(store).record(batch(1, None, 1))
    assert {name: error.code for name, error in result.failures.items()} == {
        "m0": "head_moved",
        "m1": "not_canonical",
        "m2": "head_moved",
    }
    assert (result.appended, result.retries) == (0, MAX_TRIES - 1)


class Invocation:
    """A clock that only pauses move, and how long this invocation lasts on it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.pauses: list[float] = []

    def retry(self, draw: float = 1.0) -> RetryPolicy:
        return RetryPolicy(self.pauses.append, lambda: draw, lambda: sum(self.pauses) < self.seconds)


def test_a_lost_race_is_run_again_after_longer_and_longer_pauses() -> None:
    invocation, store = Invocation(60), Faulty(["outrun"] * 8)
    sink = sink_of(store)
    result = sink.record(batch(1), invocation.retry())
    assert (result.failures, result.appended, result.retries) == ({}, 1, 8)
    assert invocation.pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_pauses_are_drawn_so_that_sinks_that_met_do_not_meet_again() -> None:
    invocation = Invocation(60)
    sink = sink_of(Faulty(["outrun"] * 3))
    sink.record(batch(1), invocation.retry(draw=0.5))
    assert invocation.pauses == [0.025, 0.05, 0.1]


@pytest.mark.parametrize("fault", ["outrun", "before"])
def test_no_try_begins_once_the_time_of_the_invocation_is_over(fault: str) -> None:
    invocation = Invocation(0.5)
    result = Sink(
        Faulty([fault] * MAX_TRIES), 1, lambda: DAY_MS, MemoryEvidenceStore(), MemoryTranscriptStore()
    ).record(batch(1), invocation.retry())
    assert (set(result.failures), result.retries) == ({"m0"}, 3)
    assert invocation.pauses == [0.05, 0.1, 0.2, 0.4]  # after the last of them there was no time for a try


def test_the_first_try_is_made_however_late_it_is() -> None:
    invocation = Invocation(0)
    result = sink_of(Faulty([])).record(batch(1), invocation.retry())
    assert (result.appended, invocation.pauses) == (1, [])


def test_what_this_environment_cannot_mend_is_left_to_another_at_once() -> None:
    class WrongClock(MemoryChainStore):
        def head(self, chain_id: int) -> ChainHead:
            raise UnavailableError(f"no clock for chain {chain_id}", code="clock_wrong")

    invocation = Invocation(60)
    result = sink_of(WrongClock()).record(batch(1), invocation.retry())
    assert (result.failures["m0"].code, invocation.pauses) == ("clock_wrong", [])


def test_what_a_person_has_to_mend_is_tried_once_and_left_to_the_queue() -> None:
    class Denied(MemoryChainStore):
        def head(self, chain_id: int) -> ChainHead:
            raise MisconfiguredError(f"could not read chain {chain_id}", "grant dynamodb:GetItem")

    invocation = Invocation(60)
    result = sink_of(Denied()).record(batch(1, 2), invocation.retry())
    assert {name: error.code for name, error in result.failures.items()} == dict.fromkeys(
        ["m0", "m1"], "misconfigured"
    )
    assert (result.retries, invocation.pauses) == (0, [])


def test_one_piece_that_fails_does_not_hold_up_the_next() -> None:
    store = Faulty(["before"] * MAX_TRIES)
    result = sink_of(store).record(batch(1, 2, 3, 4))
    assert set(result.failures) == {"m0", "m1", "m2"}
    assert ids_in(store, 0) == [record(4).id]


def test_a_rotation_in_the_queue_is_poison() -> None:
    members = {"v": 1, "type": "key.rotated", "id": record(1).id, "decided_at": utc_millis(DAY_MS), "set": {}}
    store = MemoryChainStore()
    result = sink_of(store).record([Message("m0", canonicalize(members).decode()), *batch(2)])
    assert (result.poison, set(result.failures), len(ids_in(store, 0))) == (1, {"m0"}, 1)


def test_duplicates_make_room_for_the_rest_of_their_piece() -> None:
    store = MemoryChainStore()
    sink = sink_of(store)
    sink.record(batch(1, 2))
    result = sink.record(batch(2, 3, 1, 4))
    assert (result.appended, result.duplicates, result.failures) == (2, 2, {})
    assert ids_in(store, 0) == [record(n).id for n in (1, 2, 3, 4)]


def test_receipts_are_told_apart_by_chain() -> None:
    store = MemoryChainStore()
    Sink(store, 4, lambda: DAY_MS, MemoryEvidenceStore(), MemoryTranscriptStore()).record(batch(*range(20)))
    for chain_id in range(4):
        assert ids_in(store, chain_id) == [
            record(n).id for n in range(20) if chain_of(record(n).id, 4) == chain_id
        ]


EVIDENCE = b'{"build":42}'
EVIDENCE_SHA256 = hashlib.sha256(EVIDENCE).hexdigest()


def with_evidence(n: int, evidence: bytes = EVIDENCE) -> Message:
    """A message whose receipt names ``EVIDENCE``, and the evidence that comes along."""
    made = record(n)
    proof = dataclasses.replace(made.proof, evidence_sha256=bytes.fromhex(EVIDENCE_SHA256))
    return Message(f"m{n}", dataclasses.replace(made, proof=proof).encode().decode(), evidence)


def test_evidence_is_kept_under_its_hash_and_its_receipt_says_nothing_new() -> None:
    store, evidence = MemoryChainStore(), MemoryEvidenceStore()
    result = sink_of(store, evidence).record([with_evidence(1), *batch(2), with_evidence(3)])
    assert (result.appended, result.evidence, result.failures) == (3, 2, {})
    assert evidence.kept == {EVIDENCE_SHA256: EVIDENCE}
    assert ids_in(store, 0) == [record(n).id for n in (1, 2, 3)]


def test_receipt_waits_in_the_queue_until_its_evidence_is_stored() -> None:
    store, evidence = MemoryChainStore(), MemoryEvidenceStore()
    sink = sink_of(store, evidence)
    evidence.refused.add(EVIDENCE_SHA256)
    result = sink.record([with_evidence(1), Message("m2", message(2).decode())])
    assert {name: error.code for name, error in result.failures.items()} == {"m1": "store_unavailable"}
    assert ids_in(store, 0) == [record(2).id]
    evidence.refused.clear()
    assert sink.record([with_evidence(1)]).failures == {}
    assert ids_in(store, 0) == [record(n).id for n in (2, 1)]


def test_evidence_that_cannot_be_stored_is_tried_again_as_long_as_there_is_time() -> None:
    store, evidence, invocation = MemoryChainStore(), MemoryEvidenceStore(), Invocation(60)
    evidence.refused.add(EVIDENCE_SHA256)

    def sleep(seconds: float) -> None:
        invocation.pauses.append(seconds)
        evidence.refused.clear()

    retry = dataclasses.replace(invocation.retry(), sleep=sleep)
    result = sink_of(store, evidence).record([with_evidence(1)], retry)
    assert (result.failures, result.evidence, result.retries) == ({}, 1, 1)
    assert invocation.pauses == [0.05]


def test_evidence_that_the_bucket_refuses_for_good_is_tried_once_and_its_receipt_waits() -> None:
    store, evidence, invocation = MemoryChainStore(), MemoryEvidenceStore(), Invocation(60)
    evidence.refused.add(EVIDENCE_SHA256)
    evidence.error = MisconfiguredError("could not write", "grant s3:PutObject")
    messages = [with_evidence(1), *batch(2)]
    result = sink_of(store, evidence).record(messages, invocation.retry())
    assert list(result.failures.values()) == [evidence.error]
    assert (result.appended, result.retries, invocation.pauses) == (1, 0, [])


def test_delivering_evidence_again_changes_nothing() -> None:
    store, evidence = MemoryChainStore(), MemoryEvidenceStore()
    sink = sink_of(store, evidence)
    sink.record([with_evidence(1)])
    again = sink.record([with_evidence(1), with_evidence(1)])
    assert (again.appended, again.duplicates, again.failures) == (0, 2, {})
    assert evidence.kept == {EVIDENCE_SHA256: EVIDENCE}


def test_a_decision_that_cannot_be_is_poison_and_its_neighbours_are_recorded() -> None:
    impossible = json.loads(message(1))
    impossible["policy"]["action"] = "deny"
    store = MemoryChainStore()
    before, after = batch(0, 2)
    odd = Message("odd", canonicalize(impossible).decode())
    result = sink_of(store).record([before, odd, after])
    assert (result.poison, set(result.failures), result.appended) == (1, {"odd"}, 2)
    assert result.failures["odd"].code == "bad_receipt"


def test_evidence_that_its_receipt_does_not_name_is_poison_and_not_kept() -> None:
    store, evidence = MemoryChainStore(), MemoryEvidenceStore()
    named_none = Message("m2", message(2).decode(), EVIDENCE)
    result = sink_of(store, evidence).record([with_evidence(1, b'{"build":43}'), named_none])
    assert {name: error.code for name, error in result.failures.items()} == {
        "m1": "bad_evidence",
        "m2": "bad_evidence",
    }
    assert (result.poison, evidence.kept, ids_in(store, 0)) == (2, {}, [])
