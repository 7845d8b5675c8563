"""Receipt chains in memory, with the port's promises: atomic, linearizable, ids unique."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from signet.core.ports import AppendOutcome, ChainHead, ChainStore
from signet.receipts.chain import advance, empty_head
from signet.receipts.model import read_receipt


class MemoryChainStore:
    """Chains in ``receipts``; ``max_append_*`` may be set smaller to see appends cut."""

    def __init__(self, *, max_append_receipts: int = 98, max_append_bytes: int = 400_000) -> None:
        self.max_append_receipts = max_append_receipts
        self.max_append_bytes = max_append_bytes
        self.receipts: dict[int, list[bytes]] = {}
        self._heads: dict[int, ChainHead] = {}
        self._ids: dict[int, set[str]] = {}
        self._lock = threading.Lock()

    def copy(self) -> MemoryChainStore:
        """Return chains that begin as these are."""
        copied = MemoryChainStore(
            max_append_receipts=self.max_append_receipts, max_append_bytes=self.max_append_bytes
        )
        with self._lock:
            copied.receipts = {chain_id: [*receipts] for chain_id, receipts in self.receipts.items()}
            copied._heads = dict(self._heads)
            copied._ids = {chain_id: {*ids} for chain_id, ids in self._ids.items()}
        return copied

    def head(self, chain_id: int) -> ChainHead:
        with self._lock:
            return self._heads.get(chain_id, empty_head(chain_id))

    def append(
        self, head: ChainHead, new_head: ChainHead, receipts: Sequence[tuple[str, bytes]]
    ) -> AppendOutcome:
        size = sum(len(data) for _id, data in receipts)
        if not 0 < len(receipts) <= self.max_append_receipts or size > self.max_append_bytes:
            raise ValueError("an append takes one to max_append_receipts receipts of max_append_bytes in all")
        if len({receipt_id for receipt_id, _data in receipts}) != len(receipts):
            raise ValueError("an append takes each receipt once")
        with self._lock:
            known = self._ids.setdefault(head.chain_id, set())
            duplicates = known & {receipt_id for receipt_id, _data in receipts}
            if duplicates:
                return AppendOutcome(appended=False, duplicates=frozenset(duplicates))
            if self._heads.get(head.chain_id, empty_head(head.chain_id)) != head:
                return AppendOutcome(appended=False, head_moved=True)
            known.update(receipt_id for receipt_id, _data in receipts)
            self.receipts.setdefault(head.chain_id, []).extend(data for _id, data in receipts)
            self._heads[head.chain_id] = new_head
            return AppendOutcome(appended=True)

    def fence(self, head: ChainHead, *, not_before_ms: int) -> bool:
        with self._lock:
            if self._heads.get(head.chain_id, empty_head(head.chain_id)) != head:
                return False
            fence = max(head.not_before_ms, not_before_ms)
            self._heads[head.chain_id] = replace(head, not_before_ms=fence)
            return True

    def read(self, chain_id: int, *, start_seq: int) -> Iterator[bytes]:
        with self._lock:
            receipts = self.receipts.get(chain_id, [])[start_seq:]
        yield from receipts


def ids_in(store: ChainStore, chain_id: int = 0) -> list[str]:
    """Return the ids in a chain, of any store; every link is checked, and the last against the head."""
    head = empty_head(chain_id)
    found = []
    for data in store.read(chain_id, start_seq=0):
        made = read_receipt(data, chained=True)
        head = advance(head, made)
        found.append(made.id)
    assert head == store.head(chain_id)
    return found
