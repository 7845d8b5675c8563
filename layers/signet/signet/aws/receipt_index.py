"""Which receipts a chain holds, as write-once pages in DynamoDB (ADR 1). Pure.

A receipt's id begins with the millisecond in which it was decided. The ids of one chain and one span of
2048 ms share a partition, ``i#<chain>#<span>``. Each append adds one *page*, numbered from 0, to each span
that its receipts fall into; a page never changes. So an append pays for a kilobyte or two instead of for an
item per receipt, and reading a byte costs a fortieth of writing it.

Why an id cannot get in twice: a page is put on condition that its number is free, and its writer has read
the span before. If a page was missing in what it read (DynamoDB shows the items of a transaction one after
the other), then that page has the number it wants, and its transaction is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Self

from signet.core.errors import LogError

#: How long an id is remembered. A message lives 14 days at most, and redriving it from the dead-letter
#: queue gives it another 14: it must not meet a chain that has forgotten it.
INDEX_TTL_SECONDS: Final = 30 * 24 * 3600

# About the time in which the queue gathers a batch: an append touches one or two spans at low rates, and at a
# chain's highest rate a span still has no more than some 80 kB to read.
_SPAN_BITS: Final = 11
_RANDOM_BITS: Final = 80  # of a UUIDv7, behind its 48 bits of milliseconds
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Span:
    """What a chain holds of one span of time.

    Attributes:
        ids: the receipts' ids, 16 bytes each.
        next_page: number of the next page.
    """

    ids: frozenset[bytes]
    next_page: int

    @classmethod
    def of(cls, items: Iterable[Mapping[str, Any]]) -> Self:
        """Read the pages of a span, as items.

        Raises:
            LogError: ``bad_index``; an item was not written by ``pages``.
        """
        ids: set[bytes] = set()
        next_page = 0
        for item in items:
            page = bytes(item.get("ids", {}).get("B", b""))
            if not page or len(page) % _ID_BYTES:
                raise LogError(
                    f"the page {item['pk']['S']}/{item['sk']['N']} of ids is not whole; change nothing, and "
                    "take what it was from the table's point-in-time backup",
                    code="bad_index",
                )
            ids.update(page[at : at + _ID_BYTES] for at in range(0, len(page), _ID_BYTES))
            next_page = max(next_page, int(item["sk"]["N"]) + 1)
        return cls(frozenset(ids), next_page)


def span_of(chain_id: int, raw: bytes) -> str:
    """Return the partition key of the span that an id belongs to."""
    return f"i#{chain_id}#{int.from_bytes(raw) >> (_RANDOM_BITS + _SPAN_BITS)}"


def pages(
    chain_id: int, raw_ids: Sequence[bytes], spans: Mapping[str, Span], recorded_at_ms: int
) -> Iterator[dict[str, Any]]:
    """Yield the items that add ids to the index, one per span.

    One, because of two pages a reader might see the later one alone, and take the number after it.

    Args:
        chain_id: the chain.
        raw_ids: the ids, in any order.
        spans: by partition key, what each span they belong to holds.
        recorded_at_ms: when they are recorded; they are forgotten ``INDEX_TTL_SECONDS`` later.
    """
    expires_at = recorded_at_ms // 1000 + INDEX_TTL_SECONDS
    for key, run in groupby(sorted(raw_ids), lambda raw: span_of(chain_id, raw)):
        yield {
            "pk": {"S": key},
            "sk": {"N": str(spans[key].next_page)},
            "ids": {"B": b"".join(run)},
            "expires_at": {"N": str(expires_at)},
        }
