"""Transcripts in S3, in a bucket without Object Lock: what a caller demands to have erased has to go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from signet.aws.checksum import crc32
from signet.aws.objects import S3ObjectStore
from signet.aws.permanent import TRANSCRIPTS_BUCKET
from signet.aws.session import error_code, translate_errors
from signet.core.errors import UnavailableError
from signet.log import object_keys
from signet.receipts.transcripts import decode_transcripts, encode_transcripts

_JSON_LINES: Final = "application/jsonl"
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
#: Another erasure was faster: S3 answers 412, or 409 while it is under way
#: (docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
_OUTRUN: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class S3TranscriptStore:
    """Implements ``signet.core.ports.TranscriptStore``."""

    objects: S3ObjectStore

    def keep(self, name: str, content: bytes) -> None:
        """Write the object unless it is there: its name follows from what is in it."""
        self.objects.put_once(object_keys.transcripts(name), content, content_type=_JSON_LINES)

    def erase(self, name: str, receipt_ids: Collection[str]) -> int:
        """Take transcripts out of an object; return how many of them were there.

        Two erasures at once take nothing back of each other: each writes on condition of what it read.

        Raises:
            CanonicalError: the object holds something else than transcripts.
            UnavailableError: the store cannot be used, or others kept erasing from this object.
        """
        key, client, bucket = object_keys.transcripts(name), self.objects.client, self.objects.bucket
        with translate_errors(f"erase from {key}", TRANSCRIPTS_BUCKET):
            for _ in range(_TRIES):
                try:
                    found = client.get_object(Bucket=bucket, Key=key)
                except ClientError as error:
                    if error_code(error) in _MISSING:
                        return 0
                    raise
                held = decode_transcripts(found["Body"].read())
                left = {one: held[one] for one in held if one not in receipt_ids}
                if len(left) == len(held):
                    return 0
                try:
                    if left:
                        body = encode_transcripts(left)
                        client.put_object(
                            Bucket=bucket,
                            Key=key,
                            Body=body,
                            ContentType=_JSON_LINES,
                            ChecksumCRC32=crc32(body),
                            IfMatch=found["ETag"],
                        )
                    else:
                        client.delete_object(Bucket=bucket, Key=key)
                except ClientError as error:
                    if error_code(error) not in _OUTRUN:
                        raise
                    continue
                return len(held) - len(left)
        raise UnavailableError(f"others kept erasing from {key}; try again")

    def drop_packs(self, day: str) -> int:
        """Delete the packs with transcripts of a day: the next request builds another; return how many."""
        keys = list(self.objects.list(f"{object_keys.PACKS_WITH_TRANSCRIPTS}{day}-"))
        for key in keys:
            self.objects.delete(key)
        return len(keys)
