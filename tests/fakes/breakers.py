"""Breakers in memory, with the port's promises."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from signet.core.errors import UnavailableError
from signet.core.ports import StoredBreaker


class MemoryBreakerStore:
    """States in ``records``, sums in ``sums``; ``away`` makes every call fail, with ``error``.

    ``kept_until_s``: Unix time in seconds after which the sums of an item may go.
    """

    def __init__(self) -> None:
        self.records: dict[str, StoredBreaker] = {}
        self.sums: dict[str, dict[str, Decimal]] = {}
        self.kept_until_s: dict[str, int] = {}
        self.away = False
        self.error = UnavailableError("the store is away")
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def read(
        self, name: str, items: Sequence[str] = ()
    ) -> tuple[StoredBreaker | None, Sequence[Mapping[str, str]]]:
        self._called("read")
        with self._lock:
            return self.records.get(name), [
                {sum_: str(value) for sum_, value in self.sums.get(item, {}).items()} for item in items
            ]

    def add(self, item: str, amounts: Mapping[str, str], *, expires_at: int) -> Mapping[str, str]:
        self._called("add")
        with self._lock:
            self.kept_until_s[item] = expires_at
            sums = self.sums.setdefault(item, {})
            for name, amount in amounts.items():
                sums[name] = sums.get(name, Decimal(0)) + Decimal(amount)
            return {name: str(sums[name]) for name in amounts}

    def move(self, record: StoredBreaker) -> bool:
        self._called("move")
        with self._lock:
            stored = self.records.get(record.name)
            if (stored.version if stored else 0) != record.version - 1:
                return False
            self.records[record.name] = record
            return True

    def clear_unsent(self, name: str, *, version: int) -> None:
        self._called("clear_unsent")
        with self._lock:
            stored = self.records.get(name)
            if stored and stored.version == version:
                self.records[name] = replace(stored, unsent=())

    def _called(self, what: str) -> None:
        self.calls[what] += 1
        if self.away:
            raise self.error
