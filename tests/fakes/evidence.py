"""An evidence store in memory."""

from __future__ import annotations

from collections.abc import Mapping

from signet.core.errors import UnavailableError


class MemoryEvidenceStore:
    """Evidence by digest, in ``kept``; what is in ``refused`` cannot be stored, because of ``error``."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.refused: set[str] = set()
        self.error = UnavailableError("the bucket is away")

    def keep(self, evidence: Mapping[str, bytes]) -> Mapping[str, UnavailableError]:
        self.kept |= {sha256: content for sha256, content in evidence.items() if sha256 not in self.refused}
        return dict.fromkeys(self.refused & evidence.keys(), self.error)


class MemoryTranscriptStore:
    """Transcripts by name, in ``kept``; what comes while ``error`` is set cannot be stored."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.error: UnavailableError | None = None

    def keep(self, name: str, content: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.kept.setdefault(name, content)
