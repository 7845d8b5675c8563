"""Transcripts in S3, in a bucket without Object Lock: what a caller demands to have erased has to go."""

from __future__ import annotations

from dataclasses import dataclass

from signet.aws.objects import S3ObjectStore
from signet.log import object_keys

_JSON_LINES = "application/jsonl"


@dataclass(frozen=True, slots=True)
class S3TranscriptStore:
    """Implements ``signet.core.ports.TranscriptStore``."""

    objects: S3ObjectStore

    def keep(self, name: str, content: bytes) -> None:
        """Write the object unless it is there: its name follows from what is in it."""
        self.objects.put_once(object_keys.transcripts(name), content, content_type=_JSON_LINES)
