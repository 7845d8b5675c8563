"""A secret store in memory."""

from __future__ import annotations


class MemorySecretStore:
    """Write-once secrets by name, in ``values``."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.values.get(name)

    def create(self, name: str, value: bytes) -> bool:
        return self.values.setdefault(name, value) is value
