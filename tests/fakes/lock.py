"""A register in memory."""

from __future__ import annotations


class MemoryLockStore:
    """One value, in ``value``."""

    def __init__(self) -> None:
        self.value: bytes | None = None

    def read(self) -> bytes | None:
        return self.value

    def compare_and_swap(self, old: bytes | None, new: bytes) -> bool:
        if self.value != old:
            return False
        self.value = new
        return True
