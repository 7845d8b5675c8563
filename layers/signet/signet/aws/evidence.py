"""Evidence beside the log, in S3: one object per content, written once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from signet.aws.objects import S3ObjectStore
from signet.core.errors import UnavailableError

PREFIX: Final = "evidence/"
# A batch may hold hundreds; one after the other they would not fit into the sink's time.
_PARALLEL = 16


@dataclass(frozen=True, slots=True)
class S3EvidenceStore:
    """Implements ``signet.core.ports.EvidenceStore``."""

    objects: S3ObjectStore

    def keep(self, evidence: Mapping[str, bytes]) -> frozenset[str]:
        """Write what is not there yet; return the digests of what could not be written now."""
        if not evidence:
            return frozenset()
        with ThreadPoolExecutor(_PARALLEL) as pool:
            kept = pool.map(self._keep, evidence, evidence.values())
            return frozenset(sha256 for sha256, done in zip(evidence, kept, strict=True) if not done)

    def _keep(self, sha256: str, content: bytes) -> bool:
        try:
            self.objects.put_once(PREFIX + sha256, content, content_type="application/json")
        except UnavailableError:
            return False
        return True
