from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.canonical import canonicalize, parse
from signet.core.errors import LogError
from signet.core.instants import utc_millis
from signet.core.ports import ChainHead
from signet.receipts.chain import advance, chain_of, empty_head, extend
from signet.receipts.model import Receipt, read_receipt
from tests.fakes.records import DAY_MS, message, receipt, record

_receipts = st.lists(st.integers(0, 50), max_size=12, unique=True).map(lambda ns: [receipt(n) for n in ns])
_times = st.integers(0, DAY_MS * 2)


def linked(*ns: int, head: ChainHead | None = None, now_ms: int = DAY_MS) -> list[Receipt]:
    _head, pairs = extend(head or empty_head(0), [receipt(n) for n in ns], now_ms)
    return [read_receipt(data, chained=True) for _id, data in pairs]


@given(st.lists(st.tuples(_receipts, _times), max_size=4), _times)
def test_what_extend_links_advance_accepts(batches: list[tuple[list[Receipt], int]], fence_ms: int) -> None:
    head = check = replace(empty_head(3), not_before_ms=fence_ms)
    for batch, now_ms in batches:
        head, pairs = extend(head, batch, now_ms)
        for _id, data in pairs:
            check = advance(check, read_receipt(data, chained=True))
            assert check.recorded_at_ms >= fence_ms
    assert check == head
    assert head.next_seq == sum(len(batch) for batch, _now in batches)


@given(_receipts, st.integers(0, 2**53 - 1), st.binary(min_size=32, max_size=32), _times)
def test_the_sink_adds_chain_and_nothing_else(
    batch: list[Receipt], seq: int, prev: bytes, now_ms: int
) -> None:
    head = ChainHead(5, min(seq, 2**53 - 100), prev, 0, 0)
    _new, pairs = extend(head, batch, now_ms)
    for at, (sent, (receipt_id, data)) in enumerate(zip(batch, pairs, strict=True), head.next_seq):
        chain = {
            "id": 5,
            "seq": at,
            "prev": base64.b64encode(prev).decode(),
            "recorded_at": utc_millis(now_ms),
        }
        assert data == canonicalize({**sent.members, "chain": chain})
        assert receipt_id == sent.id
        prev = hashlib.sha256(data).digest()


def test_an_unusual_text_changes_nothing_about_where_chain_goes() -> None:
    sent = receipt(1, path='/","chain":{},"ü')
    _new, [(_id, data)] = extend(empty_head(0), [sent], DAY_MS)
    members = parse(data)
    assert members.pop("chain")["seq"] == 0
    assert members == sent.members


def test_an_empty_batch_leaves_the_head_alone() -> None:
    head = replace(empty_head(0), not_before_ms=5)
    assert extend(head, [], 10) == (head, [])


@pytest.mark.parametrize(
    ("now_ms", "recorded_at_ms", "not_before_ms"),
    [(7, 5, 6), (5, 7, 6), (5, 6, 7)],
    ids=["now", "last", "fence"],
)
def test_recorded_at_is_the_latest_of_clock_last_receipt_and_fence(
    now_ms: int, recorded_at_ms: int, not_before_ms: int
) -> None:
    head = ChainHead(0, 1, bytes(32), recorded_at_ms, not_before_ms)
    new_head, [(_id, data)] = extend(head, [receipt(1)], now_ms)
    assert new_head.recorded_at_ms == 7
    assert new_head.not_before_ms == not_before_ms
    assert parse(data)["chain"]["recorded_at"] == "1970-01-01T00:00:00.007Z"


def code_of(head: ChainHead, made: Receipt, *, chains: int | None = None) -> str:
    with pytest.raises(LogError) as caught:
        advance(head, made, chains=chains)
    return caught.value.code


def test_a_receipt_left_out_is_a_gap() -> None:
    first, _second, third = linked(1, 2, 3)
    assert code_of(advance(empty_head(0), first), third) == "chain_gap"


def test_an_edited_receipt_breaks_the_link_of_the_next() -> None:
    first, second = linked(1, 2)
    edited = first.encoded.replace(b"/protected", b"/protectee")
    assert code_of(advance(empty_head(0), read_receipt(edited, chained=True)), second) == "chain_broken"


def test_two_receipts_swapped_are_refused() -> None:
    _first, second = linked(1, 2)
    assert code_of(empty_head(0), second) == "chain_gap"


def test_a_time_before_the_receipt_before_is_refused() -> None:
    [first] = linked(1, now_ms=DAY_MS)
    head = advance(empty_head(0), first)
    [second] = linked(2, head=replace(head, recorded_at_ms=0), now_ms=DAY_MS - 1)
    assert code_of(head, second) == "recorded_at_decreases"


def test_a_time_before_the_day_is_refused() -> None:
    [first] = linked(1, now_ms=DAY_MS - 1)
    assert code_of(replace(empty_head(0), not_before_ms=DAY_MS), first) == "recorded_at_decreases"


def test_a_receipt_of_another_chain_is_refused() -> None:
    [first] = linked(1)
    assert code_of(empty_head(1), first) == "wrong_chain"
    elsewhere = next(n for n in range(100) if chain_of(record(n).id, 2) == 1)
    assert code_of(empty_head(0), linked(elsewhere)[0], chains=2) == "wrong_chain"


def test_a_receipt_that_is_in_no_chain_is_refused() -> None:
    assert code_of(empty_head(0), receipt(1)) == "wrong_chain"


def test_the_chain_follows_from_the_id_alone() -> None:
    digest = hashlib.sha256(record(1).id.encode()).digest()
    assert chain_of(record(1).id, 1_000) == int.from_bytes(digest[:8], "big") % 1_000
    assert chain_of(record(1).id, 1) == 0


def test_chains_share_receipts_evenly() -> None:
    counts = Counter(chain_of(record(n).id, 4) for n in range(400))
    assert set(counts) == {0, 1, 2, 3}
    assert min(counts.values()) > 60


def test_reading_needs_the_bytes_that_were_sent() -> None:
    assert receipt(1).encoded == message(1)
