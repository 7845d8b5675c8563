"""An object store in memory."""

from __future__ import annotations

from collections.abc import Iterator


class MemoryObjectStore:
    """Objects by key, in ``objects``; their types in ``content_types``."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.content_types: dict[str, str] = {}

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> None:
        self.objects[key] = body
        self.content_types[key] = content_type

    def put_once(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> bool:
        if key in self.objects:
            return False
        self.put(key, body, content_type=content_type)
        return True

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def list(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in self.objects if key.startswith(prefix))
