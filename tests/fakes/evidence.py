"""An evidence store in memory."""

from __future__ import annotations

from collections.abc import Mapping


class MemoryEvidenceStore:
    """Evidence by digest, in ``kept``; what is in ``refused`` cannot be stored for now."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.refused: set[str] = set()

    def keep(self, evidence: Mapping[str, bytes]) -> frozenset[str]:
        self.kept |= {sha256: content for sha256, content in evidence.items() if sha256 not in self.refused}
        return frozenset(self.refused & evidence.keys())
