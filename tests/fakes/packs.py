"""Packs and orders for packs, in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

from signet.core.errors import UnavailableError
from signet.pack.store import StoredObject
from signet.pack.zipwriter import ByteWriter


class MemoryPackObjects:
    """Objects with their metadata, in ``objects``."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, Mapping[str, str]]] = {}

    def find(self, key: str) -> StoredObject | None:
        if key not in self.objects:
            return None
        body, metadata = self.objects[key]
        return StoredObject(len(body), metadata)

    def put_once(self, key: str, body: bytes, *, metadata: Mapping[str, str]) -> bool:
        if key in self.objects:
            return False
        self.objects[key] = body, dict(metadata)
        return True

    def upload_once(
        self, key: str, write: Callable[[ByteWriter], None], *, metadata: Mapping[str, str]
    ) -> bool:
        written = io.BytesIO()
        write(written)
        return self.put_once(key, written.getvalue(), metadata=metadata)

    def url(self, key: str, *, ttl_s: int, filename: str | None = None) -> str:
        named = "" if filename is None else f"&filename={filename}"
        return f"https://packs.example/{key}?ttl={ttl_s}{named}"


class MemoryPackOrders:
    """Takes orders into ``orders``, or raises ``error``."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, bool, bool]] = []
        self.error: UnavailableError | None = None

    def order(self, date: str, *, evidence: bool, transcripts: bool) -> None:
        if self.error is not None:
            raise self.error
        self.orders.append((date, evidence, transcripts))
