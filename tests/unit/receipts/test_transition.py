"""A breaker's transition has one receipt, however often it is sent and by any number of senders."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signet.core.errors import CanonicalError
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.receipts.chain import chain_of
from signet.receipts.model import read_receipt
from signet.receipts.sink import Message, Sink
from signet.receipts.transition import TransitionRecord
from tests.fakes.chains import MemoryChainStore
from tests.fakes.evidence import MemoryEvidenceStore, MemoryTranscriptStore

NOW_MS = 1_795_392_000_000
TRIP = TransitionRecord(
    breaker="backend",
    version=7,
    decided_at_ms=NOW_MS,
    before=(BreakerState.CLOSED, BreakerLevel.RELAX),
    after=(BreakerState.OPEN, BreakerLevel.SHED),
    cause="tripped",
    policy_bundle="ab" * 32,
    figures={"bad_ppm": 640_000, "latency_ewma_us": 1_500_000},
)


def sink(store: MemoryChainStore) -> Sink:
    return Sink(store, 1, lambda: NOW_MS, MemoryEvidenceStore(), MemoryTranscriptStore())


def test_the_receipt_says_what_changed_and_why() -> None:
    receipt = read_receipt(TRIP.encode(), chained=False)
    assert receipt.type == "breaker.transition"
    assert receipt.emitter is None
    assert receipt.members == {
        "v": 1,
        "type": "breaker.transition",
        "id": TRIP.id,
        "decided_at": "2026-11-23T00:00:00.000Z",
        "breaker": {"name": "backend", "version": 7},
        "from": {"state": "closed", "level": "relax"},
        "to": {"state": "open", "level": "shed"},
        "cause": "tripped",
        "policy": {"bundle_sha256": "ab" * 32},
        "figures": {"bad_ppm": 640_000, "latency_ewma_us": 1_500_000},
    }


def test_the_sink_takes_a_transition_once_however_often_it_is_sent() -> None:
    store = MemoryChainStore()
    message = TRIP.encode().decode()
    first = sink(store).record([Message("a", message), Message("b", message)])
    again = sink(store).record([Message("c", message)])
    assert (first.appended, first.duplicates, again.appended, again.duplicates) == (1, 1, 0, 1)
    [data] = store.read(chain_of(TRIP.id, 1), start_seq=0)
    assert read_receipt(data, chained=True).members["cause"] == "tripped"


@pytest.mark.parametrize("change", [{"version": 8}, {"breaker": "other"}, {"decided_at_ms": NOW_MS + 1}])
def test_another_transition_has_another_id(change: dict[str, object]) -> None:
    assert replace(TRIP, **change).id != TRIP.id
    assert replace(TRIP, cause="other", figures={}).id == TRIP.id


def test_a_figure_names_its_unit_and_is_an_integer() -> None:
    with pytest.raises(ValueError, match="unit"):
        replace(TRIP, figures={"bad": 1}).encode()
    with pytest.raises(CanonicalError):
        replace(TRIP, figures={"bad_ppm": 0.5}).encode()  # type: ignore[dict-item]
