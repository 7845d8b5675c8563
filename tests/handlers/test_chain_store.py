"""One contract for every chain store: the fake that other tests stand on, and DynamoDB in moto."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.stub import Stubber

from signet.aws.chains import DynamoChainStore
from signet.aws.receipt_index import INDEX_TTL_SECONDS, span_of
from signet.core.errors import LogError, UnavailableError
from signet.core.instants import raw_id, uuid7
from signet.core.ports import AppendOutcome, ChainHead, ChainStore, EvidenceStore
from signet.receipts.chain import advance, empty_head, extend
from signet.receipts.model import Receipt, read_receipt
from signet.receipts.sink import Message, Sink
from tests.fakes.chains import MemoryChainStore
from tests.fakes.evidence import MemoryEvidenceStore, MemoryTranscriptStore
from tests.fakes.receipts_table import NAME as TABLE
from tests.fakes.receipts_table import receipts_table
from tests.fakes.records import DAY_MS, digest, message, receipt, record
from tests.support.serialized import Serialized

Store = MemoryChainStore | DynamoChainStore


def sink_of(store: ChainStore, evidence: EvidenceStore | None = None) -> Sink:
    """A sink of one chain whose clock stands still."""
    return Sink(store, 1, lambda: DAY_MS, evidence or MemoryEvidenceStore(), MemoryTranscriptStore())


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with receipts_table(monkeypatch) as client:
        yield client


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryChainStore()
    return DynamoChainStore(request.getfixturevalue("dynamodb"), TABLE)


def append(store: Store, *ns: int, head: ChainHead | None = None, now_ms: int = DAY_MS) -> AppendOutcome:
    return append_receipts(store, [receipt(n) for n in ns], head=head, now_ms=now_ms)


def append_receipts(
    store: Store, receipts: list[Receipt], *, head: ChainHead | None = None, now_ms: int = DAY_MS
) -> AppendOutcome:
    head = store.head(0) if head is None else head
    new_head, linked = extend(head, receipts, now_ms)
    return store.append(head, new_head, linked)


def history(store: Store, chain_id: int = 0) -> list[Receipt]:
    """The chain's receipts, every link checked, and its end against the head."""
    head = empty_head(chain_id)
    receipts = []
    for data in store.read(chain_id, start_seq=0):
        made = read_receipt(data, chained=True)
        head = advance(head, made)
        receipts.append(made)
    assert head == replace(store.head(chain_id), not_before_ms=0)
    return receipts


def ids(*ns: int) -> list[str]:
    return [receipt(n).id for n in ns]


def test_a_chain_begins_empty(store: Store) -> None:
    assert store.head(3) == empty_head(3)
    assert list(store.read(3, start_seq=0)) == []


def test_appends_stand_in_the_order_they_were_made(store: Store) -> None:
    assert append(store, 1, 2, 3) == AppendOutcome(appended=True)
    assert append(store, 5, 4) == AppendOutcome(appended=True)
    assert [made.id for made in history(store)] == ids(1, 2, 3, 5, 4)


def test_reading_starts_anywhere_also_inside_an_append(store: Store) -> None:
    append(store, 0, 1, 2)
    append(store, 3, 4)
    everything = list(store.read(0, start_seq=0))
    for start_seq in range(7):
        assert list(store.read(0, start_seq=start_seq)) == everything[start_seq:]


def test_of_two_writers_with_one_head_one_wins(store: Store) -> None:
    head = store.head(0)
    assert append(store, 1, head=head).appended
    assert append(store, 2, head=head) == AppendOutcome(appended=False, head_moved=True)
    assert [made.id for made in history(store)] == ids(1)


def test_an_id_enters_a_chain_once(store: Store) -> None:
    append(store, 1, 2)
    outcome = append(store, 3, 2, 4)
    assert outcome == AppendOutcome(appended=False, duplicates=frozenset(ids(2)))
    assert [made.id for made in history(store)] == ids(1, 2)


def test_after_an_unknown_outcome_every_id_is_a_duplicate(store: Store) -> None:
    head = store.head(0)
    append(store, 1, 2, head=head)
    outcome = append(store, 1, 2, head=head)
    assert outcome == AppendOutcome(appended=False, duplicates=frozenset(ids(1, 2)))
    assert [made.id for made in history(store)] == ids(1, 2)


def test_a_fence_stops_the_append_that_read_the_head_before(store: Store) -> None:
    head = store.head(0)
    assert store.fence(head, not_before_ms=DAY_MS)
    assert append(store, 1, head=head) == AppendOutcome(appended=False, head_moved=True)


def test_an_append_stops_the_fence_that_read_the_head_before(store: Store) -> None:
    head = store.head(0)
    append(store, 1)
    assert not store.fence(head, not_before_ms=DAY_MS)
    assert store.head(0).not_before_ms == 0


def test_a_fence_is_never_lowered(store: Store) -> None:
    assert store.fence(store.head(0), not_before_ms=DAY_MS)
    assert store.fence(store.head(0), not_before_ms=DAY_MS - 1)
    assert store.head(0).not_before_ms == DAY_MS


def test_a_fence_that_changes_nothing_leaves_the_chain_writable(store: Store) -> None:
    assert store.fence(store.head(0), not_before_ms=0)
    assert append(store, 1).appended


def test_the_fence_cuts_the_day_exactly(store: Store) -> None:
    append(store, 1, now_ms=DAY_MS - 1)
    assert store.fence(store.head(0), not_before_ms=DAY_MS)
    append(store, 2, now_ms=DAY_MS - 1)  # a clock that lags
    times = [made.link.recorded_at_ms for made in history(store) if made.link]
    assert times == [DAY_MS - 1, DAY_MS]


def test_an_append_takes_what_a_transaction_takes_and_no_more(store: Store) -> None:
    assert store.max_append_receipts == 98
    assert append(store, *range(98)).appended
    with pytest.raises(ValueError, match="max_append"):
        append(store, *range(100, 199))
    with pytest.raises(ValueError, match="max_append"):
        append(store)
    assert len(history(store)) == 98


def noise(n: int, size: int) -> Receipt:
    """A receipt of about ``size`` bytes that shrink as little as text can."""
    text = b"".join(digest(f"{n} {at}") for at in range(size // 40))
    return receipt(n, path=base64.b85encode(text).decode())


def test_as_many_bytes_as_an_append_takes_fit_their_item(store: Store) -> None:
    big = [noise(n, 64_000) for n in range(6)]
    size = sum(len(data) for _id, data in extend(empty_head(0), big, DAY_MS)[1])
    room = store.max_append_bytes - size
    assert 0 < room < 65_000
    [(_id, short)] = extend(replace(empty_head(0), next_seq=6), [receipt(6, path="")], DAY_MS)[1]
    big.append(receipt(6, path="p" * (room - len(short))))
    assert append_receipts(store, big).appended
    assert sum(len(data) for data in store.read(0, start_seq=0)) == store.max_append_bytes
    with pytest.raises(ValueError, match="max_append"):
        append_receipts(store, [noise(n, 64_000) for n in range(10, 17)])


class LostAnswers:
    """A store whose appends take effect and then fail, as long as ``losses`` lasts."""

    def __init__(self, store: Store, losses: int) -> None:
        self.store = store
        self.losses = losses
        self.max_append_receipts = store.max_append_receipts
        self.max_append_bytes = store.max_append_bytes

    def append(self, head: ChainHead, new_head: ChainHead, receipts: Any) -> AppendOutcome:
        outcome = self.store.append(head, new_head, receipts)
        if self.losses:
            self.losses -= 1
            raise UnavailableError("the answer was lost")
        return outcome

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def batch(*ns: int) -> list[Message]:
    return [Message(f"message {at}", message(n).decode()) for at, n in enumerate(ns)]


def test_the_sink_settles_an_append_whose_answer_was_lost(store: Store) -> None:
    result = Sink(
        LostAnswers(store, 1), 1, lambda: DAY_MS, MemoryEvidenceStore(), MemoryTranscriptStore()
    ).record(batch(1, 2))
    assert (result.failures, result.duplicates, result.retries) == ({}, 2, 1)
    assert [made.id for made in history(store)] == ids(1, 2)


@pytest.mark.parametrize("kind", ["memory", "dynamodb"])
def test_many_sinks_at_once_write_one_history_without_a_gap(
    kind: str, request: pytest.FixtureRequest
) -> None:
    store: Store = MemoryChainStore()
    if kind == "dynamodb":
        client: Any = Serialized(request.getfixturevalue("dynamodb"))
        store = DynamoChainStore(client, TABLE)
    workers, each = 6, 8
    started = threading.Barrier(workers)

    def work(worker: int) -> int:
        started.wait()
        retries = 0
        sink = Sink(store, 1, lambda: DAY_MS + worker, MemoryEvidenceStore(), MemoryTranscriptStore())
        for n in range(worker * each, (worker + 1) * each):
            # Every message is delivered twice, by two workers.
            left = batch(n, (n + each) % (workers * each))
            while left:
                result = sink.record(left)
                retries += result.retries
                left = [one for one in left if one.message_id in result.failures]
        return retries

    with ThreadPoolExecutor(workers) as pool:
        retries = sum(pool.map(work, range(workers)))
    assert sorted(made.id for made in history(store)) == sorted(ids(*range(workers * each)))
    assert kind == "memory" or retries > 0  # the writers did meet


# What only DynamoDB can do wrong.


def test_a_long_chain_is_read_page_by_page(dynamodb: Any) -> None:
    store = DynamoChainStore(dynamodb, TABLE)
    for start in range(0, 30, 6):
        assert append_receipts(store, [noise(n, 60_000) for n in range(start, start + 6)]).appended
    pages: list[str] = []
    dynamodb.meta.events.register("after-call.dynamodb.Query", lambda **_: pages.append("page"))
    assert [made.id for made in history(store)] == ids(*range(30))
    assert len(pages) > 2  # one finds the first segment, the others read


def cancelled(dynamodb: Any, *codes: str) -> AppendOutcome:
    """What ``append`` makes of a transaction of one receipt that was cancelled for these reasons."""
    head = empty_head(0)
    new_head, linked = extend(head, [receipt(1)], DAY_MS)
    with Stubber(dynamodb) as stub:
        stub.add_response("query", {"Items": []})
        stub.add_client_error(
            "transact_write_items",
            service_error_code="TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": code} for code in codes]} if codes else None,
        )
        return DynamoChainStore(dynamodb, TABLE).append(head, new_head, linked)


@pytest.mark.parametrize(
    "codes",
    [
        ("TransactionConflict", "None", "None"),
        ("None", "TransactionConflict", "None"),
        ("None", "None", "TransactionConflict"),
    ],
)
def test_a_conflict_with_another_transaction_is_a_lost_race(dynamodb: Any, codes: tuple[str, ...]) -> None:
    assert cancelled(dynamodb, *codes) == AppendOutcome(appended=False, head_moved=True)


@pytest.mark.parametrize(
    "codes",
    [
        ("ThrottlingError", "None", "None"),
        ("ConditionalCheckFailed", "None", "ProvisionedThroughputExceeded"),
        (),
        ("ConditionalCheckFailed",),
    ],
)
def test_any_other_reason_to_cancel_is_no_verdict(dynamodb: Any, codes: tuple[str, ...]) -> None:
    with pytest.raises(UnavailableError):
        cancelled(dynamodb, *codes)


def test_a_fence_that_meets_a_transaction_is_a_lost_race(dynamodb: Any) -> None:
    with Stubber(dynamodb) as stub:
        stub.add_client_error("update_item", service_error_code="TransactionConflictException")
        assert not DynamoChainStore(dynamodb, TABLE).fence(empty_head(0), not_before_ms=1)


def spread(n: int, *, apart_ms: int = 0) -> Receipt:
    """Receipt ``n`` with an id of its own millisecond, ``n`` times ``apart_ms`` into the day."""
    at_ms = DAY_MS + n * apart_ms
    made = replace(record(n), id=uuid7(at_ms, digest(f"spread {n}")[:10]))
    return read_receipt(made.encode(), chained=False)


def index(dynamodb: Any) -> dict[str, list[tuple[int, int]]]:
    """By span, the number and count of ids of its pages."""
    found: dict[str, list[tuple[int, int]]] = {}
    for item in dynamodb.scan(TableName=TABLE)["Items"]:
        if item["pk"]["S"].startswith("i#"):
            found.setdefault(item["pk"]["S"], []).append((int(item["sk"]["N"]), len(item["ids"]["B"]) // 16))
    return found


def test_receipts_of_about_one_time_are_indexed_by_one_page_per_append(dynamodb: Any) -> None:
    store = DynamoChainStore(dynamodb, TABLE)
    append_receipts(store, [spread(n) for n in range(98)])
    append_receipts(store, [spread(n) for n in range(98, 100)])
    assert index(dynamodb) == {span_of(0, raw_id(spread(0).id)): [(0, 98), (1, 2)]}


def test_receipts_of_any_times_are_appended_together(dynamodb: Any) -> None:
    store = DynamoChainStore(dynamodb, TABLE)
    days_apart = [spread(n, apart_ms=86_400_000) for n in range(98)]
    assert append_receipts(store, days_apart).appended
    assert len(index(dynamodb)) == 98
    absurd = [
        read_receipt(replace(record(n), id=uuid7(ms, bytes(10))).encode(), chained=False)
        for n, ms in ((100, 0), (101, (1 << 48) - 1))
    ]
    assert append_receipts(store, absurd).appended
    assert append_receipts(store, [days_apart[7], *absurd]).duplicates == {
        made.id for made in (days_apart[7], *absurd)
    }


def test_ids_in_any_order_are_each_remembered_by_one_page_per_span(dynamodb: Any) -> None:
    """Of two pages of one transaction a reader might see the later one alone, and write after it."""
    store = DynamoChainStore(dynamodb, TABLE)
    mixed = [spread(n % 2 * 1000 + n, apart_ms=10) for n in range(10)]  # spans take turns
    assert append_receipts(store, mixed).appended
    assert sorted(index(dynamodb).values()) == [[(0, 5)], [(0, 5)]]
    for one in mixed:
        assert append_receipts(store, [one]).duplicates == {one.id}


def test_one_receipt_twice_in_an_append_is_refused(store: Store) -> None:
    head = store.head(0)
    new_head, [linked] = extend(head, [receipt(1)], DAY_MS)
    with pytest.raises(ValueError, match="once"):
        store.append(head, new_head, [linked, linked])


def test_a_page_that_was_not_seen_yet_cancels_the_append(dynamodb: Any) -> None:
    """DynamoDB shows a transaction's items one after the other: here the head before the page."""
    store = DynamoChainStore(dynamodb, TABLE)
    append(store, 1, 2)

    def nothing_yet(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Items"] = [item for item in parsed["Items"] if not item["pk"]["S"].startswith("i#")]

    dynamodb.meta.events.register("after-call.dynamodb.Query", nothing_yet)
    assert append(store, 2, 3) == AppendOutcome(appended=False, head_moved=True)
    dynamodb.meta.events.unregister("after-call.dynamodb.Query", nothing_yet)
    assert append(store, 2, 3).duplicates == frozenset(ids(2))
    assert [made.id for made in history(store)] == ids(1, 2)


def test_a_span_with_many_pages_is_read_page_by_page(dynamodb: Any) -> None:
    store = DynamoChainStore(dynamodb, TABLE)
    assert append_receipts(store, [spread(0)]).appended
    key = span_of(0, raw_id(spread(0).id))
    for page, first in enumerate((200_000, 300_000, 400_000), 1):
        many = b"".join(n.to_bytes(16, "big") for n in range(first, first + 25_000))
        item = {"pk": {"S": key}, "sk": {"N": str(page)}, "ids": {"B": many}, "expires_at": {"N": "1"}}
        dynamodb.put_item(TableName=TABLE, Item=item)
    assert append_receipts(store, [spread(1)]).appended
    for known in (spread(0), spread(1)):
        assert append_receipts(store, [known]).duplicates == {known.id}


def test_the_index_forgets_after_thirty_days(dynamodb: Any) -> None:
    append(DynamoChainStore(dynamodb, TABLE), 1)
    [receipt_id] = ids(1)
    key = {"pk": {"S": span_of(0, raw_id(receipt_id))}, "sk": {"N": "0"}}
    item = dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    assert int(item["expires_at"]["N"]) == DAY_MS // 1000 + INDEX_TTL_SECONDS
    assert item["ids"]["B"] == raw_id(receipt_id)


def test_a_page_that_is_not_whole_is_refused(dynamodb: Any) -> None:
    store = DynamoChainStore(dynamodb, TABLE)
    append(store, 1)
    key = {"pk": {"S": span_of(0, raw_id(receipt(1).id))}, "sk": {"N": "0"}}
    dynamodb.put_item(TableName=TABLE, Item=key | {"ids": {"B": bytes(17)}})
    with pytest.raises(LogError) as caught:
        append(store, 2)
    assert caught.value.code == "bad_index"


def damage(dynamodb: Any, sk: int, value: bytes | None) -> None:
    key = {"pk": {"S": "c#0"}, "sk": {"N": str(sk)}}
    if value is None:
        dynamodb.delete_item(TableName=TABLE, Key=key)
        return
    dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET receipts = :value",
        ExpressionAttributeValues={":value": {"B": value}},
    )


@pytest.mark.parametrize("start_seq", [0, 2, 3, 4])
def test_a_missing_segment_is_noticed_wherever_reading_starts(dynamodb: Any, start_seq: int) -> None:
    store = DynamoChainStore(dynamodb, TABLE)
    for ns in ((0, 1), (2, 3, 4), (5,)):
        append(store, *ns)
    damage(dynamodb, 2, None)
    with pytest.raises(LogError) as caught:
        list(store.read(0, start_seq=start_seq))
    assert caught.value.code == "chain_gap"


def test_a_damaged_segment_is_refused(dynamodb: Any) -> None:
    store = DynamoChainStore(dynamodb, TABLE)
    append(store, 0, 1)
    key = {"pk": {"S": "c#0"}, "sk": {"N": "0"}}
    whole = bytes(dynamodb.get_item(TableName=TABLE, Key=key)["Item"]["receipts"]["B"])
    one_bit = bytes([*whole[:-1], whole[-1] ^ 1])
    other = DynamoChainStore(dynamodb, TABLE)
    append(other, 2)
    fewer = bytes(dynamodb.get_item(TableName=TABLE, Key=key | {"sk": {"N": "2"}})["Item"]["receipts"]["B"])
    for bad in (one_bit, whole[:-1], whole + b"x", b"x", fewer):
        damage(dynamodb, 0, bad)
        with pytest.raises(LogError) as caught:
            list(store.read(0, start_seq=0))
        assert caught.value.code == "bad_segment"
    damage(dynamodb, 0, whole)
    assert len(history(store)) == 3


def test_a_store_that_cannot_be_reached_says_so(dynamodb: Any) -> None:
    store = DynamoChainStore(dynamodb, "no-such-table")
    head = empty_head(0)
    new_head, linked = extend(head, [receipt(1)], DAY_MS)
    for call in (
        lambda: store.head(0),
        lambda: store.append(head, new_head, linked),
        lambda: store.fence(head, not_before_ms=1),
        lambda: list(store.read(0, start_seq=0)),
    ):
        with pytest.raises(UnavailableError):
            call()
