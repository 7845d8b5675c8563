"""A store of bundles in memory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class MemoryBundles:
    """Bundles by digest, each with the second at which it is forgotten; ``reads`` counts calls of ``get``."""

    stored: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    reads: int = 0

    def put(self, sha256: bytes, bundle: bytes, *, expires_at: int) -> None:
        self.stored[sha256] = bundle, expires_at

    def get(self, sha256: bytes, *, now: int) -> bytes | None:
        self.reads += 1
        bundle, expires_at = self.stored.get(sha256, (None, 0))
        return bundle if now < expires_at else None
