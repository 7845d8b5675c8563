"""Receipt chains in DynamoDB: one transaction per append (ADR 1).

One table, keys ``pk`` (S) and ``sk`` (N):

====================  ============  ==================================================================
``pk``                ``sk``        attributes
====================  ============  ==================================================================
``h#<chain>``         0             ``next_seq``, ``head``, ``recorded_at_ms``, ``not_before_ms``
``c#<chain>``         first ``seq`` ``receipts``: zlib stream of (u32 big-endian length ‖ bytes), ``count``
``i#<chain>#<span>``  page          ``ids``: 16 bytes each, ``expires_at`` (TTL, Unix seconds)
====================  ============  ==================================================================

The head moves only if it still has its whole previous value, so two writers that read the same head cannot
both append. The index makes a receipt's id unique for as long as the queue could deliver it again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from botocore.exceptions import ClientError

from signet.aws.permanent import RECEIPTS_TABLE, Cause, misconfigured
from signet.aws.receipt_index import Span, pages, span_of
from signet.aws.session import error_code, translate_errors
from signet.core.errors import LogError, UnavailableError
from signet.core.instants import raw_id
from signet.core.ports import AppendOutcome, ChainHead
from signet.receipts.chain import empty_head

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# Of one DynamoDB transaction: the head, the segment, and the pages, which are as many as there are receipts
# if no two of them were decided at about the same time.
_MAX_OPERATIONS = 100
_LENGTH = struct.Struct(">I")
_MEND: Final = "change nothing, and take what it was from the table's point-in-time backup"
_HEAD_ATTRIBUTES = ("next_seq", "head", "recorded_at_ms", "not_before_ms")


@dataclass(frozen=True, slots=True)
class DynamoChainStore:
    """Implements ``signet.core.ports.ChainStore``."""

    max_append_receipts: ClassVar[int] = _MAX_OPERATIONS - 2
    # An item holds 409,600 bytes; receipts of random bytes would not shrink, so the bound is on them as they
    # are, with room for their lengths, the stream's own overhead and the other attributes.
    max_append_bytes: ClassVar[int] = 400_000

    client: DynamoDBClient
    table_name: str

    def head(self, chain_id: int) -> ChainHead:
        """Return the current head; the empty head if there is none yet.

        Raises:
            LogError: ``bad_head``; the item is not what this class writes.
        """
        with translate_errors("read the chain head", RECEIPTS_TABLE):
            answer = self.client.get_item(
                TableName=self.table_name, Key=_key(f"h#{chain_id}", 0), ConsistentRead=True
            )
        item = answer.get("Item")
        return empty_head(chain_id) if item is None else _head_of(chain_id, item)

    def append(
        self, head: ChainHead, new_head: ChainHead, receipts: Sequence[tuple[str, bytes]]
    ) -> AppendOutcome:
        """Append all receipts, or none. Duplicates are told before anything is written.

        Raises:
            ValueError: there are no receipts, more than ``max_append_*`` allow, or one of them twice.
            LogError: ``bad_index``; what is known of the ids is not what this class writes.
            UnavailableError: the append may or may not have taken place.
        """
        size = sum(len(data) for _id, data in receipts)
        if not 0 < len(receipts) <= self.max_append_receipts or size > self.max_append_bytes:
            raise ValueError("an append takes one to max_append_receipts receipts of max_append_bytes in all")
        raw_ids = {raw_id(receipt_id): receipt_id for receipt_id, _data in receipts}
        if len(raw_ids) != len(receipts):
            raise ValueError("an append takes each receipt once")
        keys = {span_of(head.chain_id, raw) for raw in raw_ids}
        spans = {key: Span.of(self._items(key, 0, "look up ids")) for key in sorted(keys)}
        known = frozenset().union(*(span.ids for span in spans.values())) & raw_ids.keys()
        if known:
            return AppendOutcome(appended=False, duplicates=frozenset(raw_ids[raw] for raw in known))
        segment = {"receipts": {"B": _pack(receipts)}, "count": _number(len(receipts))}
        operations = [
            self._move_head(head, new_head),
            self._put_new(_key(f"c#{head.chain_id}", head.next_seq) | segment),
            *map(self._put_new, pages(head.chain_id, list(raw_ids), spans, new_head.recorded_at_ms)),
        ]
        with translate_errors("append to the chain", RECEIPTS_TABLE):
            try:
                self.client.transact_write_items(TransactItems=operations)
            except ClientError as error:
                _check_lost_race(error, len(operations))
                return AppendOutcome(appended=False, head_moved=True)
        return AppendOutcome(appended=True)

    def fence(self, head: ChainHead, *, not_before_ms: int) -> bool:
        """Raise ``not_before_ms`` if the head still equals ``head``; False if it moved."""
        fenced = ChainHead(
            head.chain_id,
            head.next_seq,
            head.head,
            head.recorded_at_ms,
            max(not_before_ms, head.not_before_ms),
        )
        with translate_errors("fence the chain", RECEIPTS_TABLE):
            try:
                self.client.update_item(**self._head_update(head, fenced))
            except ClientError as error:
                if error_code(error) in {"ConditionalCheckFailedException", "TransactionConflictException"}:
                    return False
                raise
        return True

    def read(self, chain_id: int, *, start_seq: int) -> Iterator[bytes]:
        """Yield receipts' bytes from ``start_seq`` on, in order.

        Raises:
            LogError: ``chain_gap``, segments do not follow each other; ``bad_segment``.
        """
        first_seq = self._segment_start(chain_id, start_seq)
        expected = None
        for item in self._items(f"c#{chain_id}", first_seq, "read the chain"):
            seq, receipts = int(item["sk"]["N"]), _unpack(item)
            expected = min(seq, start_seq) if expected is None else expected
            if seq != expected:
                raise LogError(f"chain {chain_id} has no receipt {expected}", code="chain_gap")
            expected = seq + len(receipts)
            yield from receipts[max(start_seq - seq, 0) :]

    def _segment_start(self, chain_id: int, seq: int) -> int:
        """Return the first ``seq`` of the segment that holds ``seq``; ``seq`` itself if none does."""
        with translate_errors("read the chain", RECEIPTS_TABLE):
            answer = self.client.query(
                TableName=self.table_name,
                KeyConditionExpression="pk = :pk AND sk <= :seq",
                ExpressionAttributeValues={":pk": {"S": f"c#{chain_id}"}, ":seq": _number(seq)},
                ProjectionExpression="sk",
                ScanIndexForward=False,
                Limit=1,
                ConsistentRead=True,
            )
        items = answer["Items"]
        return int(items[0]["sk"]["N"]) if items else seq

    def _items(self, partition: str, first: int, what: str) -> Iterator[Mapping[str, Any]]:
        """Yield a partition's items from a sort key on, in order, strongly consistent."""
        page: dict[str, Any] = {}
        while True:
            with translate_errors(what, RECEIPTS_TABLE):
                answer = self.client.query(
                    TableName=self.table_name,
                    KeyConditionExpression="pk = :pk AND sk >= :first",
                    ExpressionAttributeValues={":pk": {"S": partition}, ":first": _number(first)},
                    ConsistentRead=True,
                    **page,
                )
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _put_new(self, item: dict[str, Any]) -> TransactWriteItemTypeDef:
        return {
            "Put": {
                "TableName": self.table_name,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    def _move_head(self, head: ChainHead, new_head: ChainHead) -> TransactWriteItemTypeDef:
        return {"Update": self._head_update(head, new_head)}

    def _head_update(self, head: ChainHead, new_head: ChainHead) -> Any:
        """Build the update of the head on condition that its whole previous value stands."""
        old, new = _head_values(head), _head_values(new_head)
        values = {f":new_{name}": value for name, value in new.items()}
        names = {f"#{name}": name for name in _HEAD_ATTRIBUTES}
        values |= {f":old_{name}": value for name, value in old.items()}
        condition = " AND ".join(f"#{name} = :old_{name}" for name in _HEAD_ATTRIBUTES)
        if head == empty_head(head.chain_id):
            condition = f"attribute_not_exists(pk) OR ({condition})"
        return {
            "TableName": self.table_name,
            "Key": _key(f"h#{head.chain_id}", 0),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :new_{name}" for name in _HEAD_ATTRIBUTES),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }


_MAX_STREAM_BYTES: Final = (
    DynamoChainStore.max_append_bytes + DynamoChainStore.max_append_receipts * _LENGTH.size
)


def _key(pk: str, sk: int) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": _number(sk)}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _head_values(head: ChainHead) -> dict[str, Any]:
    return {
        "next_seq": _number(head.next_seq),
        "head": {"B": head.head},
        "recorded_at_ms": _number(head.recorded_at_ms),
        "not_before_ms": _number(head.not_before_ms),
    }


def _head_of(chain_id: int, item: Mapping[str, Any]) -> ChainHead:
    try:
        return ChainHead(
            chain_id=chain_id,
            next_seq=int(item["next_seq"]["N"]),
            head=bytes(item["head"]["B"]),
            recorded_at_ms=int(item["recorded_at_ms"]["N"]),
            not_before_ms=int(item["not_before_ms"]["N"]),
        )
    except (KeyError, ValueError) as error:
        raise LogError(
            f"the item h#{chain_id} of the receipts table is damaged; {_MEND}", code="bad_head"
        ) from error


def _pack(receipts: Sequence[tuple[str, bytes]]) -> bytes:
    return zlib.compress(b"".join(_LENGTH.pack(len(data)) + data for _id, data in receipts))


def _unpack(item: Mapping[str, Any]) -> list[bytes]:
    """Return the receipts of a segment item.

    Raises:
        LogError: ``bad_segment``; the item was not written by ``append``, or was changed.
    """
    where = f"{item['pk']['S']}/{item['sk']['N']}"
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(bytes(item["receipts"]["B"]), _MAX_STREAM_BYTES)
        count = int(item["count"]["N"])
    except (KeyError, ValueError, zlib.error) as error:
        raise LogError(f"the segment {where} is damaged; {_MEND}", code="bad_segment") from error
    receipts: list[bytes] = []
    offset = 0
    while offset + _LENGTH.size <= len(data):
        start = offset + _LENGTH.size
        offset = start + _LENGTH.unpack_from(data, start - _LENGTH.size)[0]
        receipts.append(data[start:offset])
    whole = inflater.eof and not inflater.unused_data and offset == len(data)
    if not whole or len(receipts) != count:
        raise LogError(f"the segment {where} is not whole; {_MEND}", code="bad_segment")
    return receipts


def _check_lost_race(error: ClientError, operations: int) -> None:
    """Raise unless a transaction was cancelled because another writer was faster.

    A head that moved and a page whose number is taken say so, and so does a conflict: another transaction
    holds an item. A segment in the way without a moved head cannot be, but would be the same to the caller.
    """
    if error_code(error) != "TransactionCanceledException":
        raise error
    reasons = [reason.get("Code", "") for reason in error.response.get("CancellationReasons", [])]
    other = set(reasons) - {"None", "ConditionalCheckFailed", "TransactionConflict"}
    if other or len(reasons) != operations:
        failed = f"could not append to the chain: {', '.join(sorted(other)) or 'no reasons'}"
        if "ValidationError" in other:
            raise misconfigured(Cause.INVALID, failed, RECEIPTS_TABLE, "TransactWriteItems")
        raise UnavailableError(failed)
