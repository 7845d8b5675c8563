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

    def keep(self, evidence: Mapping[str, bytes]) -> Mapping[str, UnavailableError]:
        """Write what is not there yet; return why, by digest, of what could not be written."""
        if not evidence:
            return {}
        with ThreadPoolExecutor(_PARALLEL) as pool:
            kept = pool.map(self._keep, evidence, evidence.values())
            return {sha256: error for sha256, error in zip(evidence, kept, strict=True) if error is not None}

    def _keep(self, sha256: str, content: bytes) -> UnavailableError | None:
        try:
            self.objects.put_once(PREFIX + sha256, content, content_type="application/json")
        except UnavailableError as error:
            return error
        return None
