"""The log's objects in S3."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from botocore.exceptions import ClientError

from signet.aws.checksum import crc32
from signet.aws.permanent import LOG_BUCKET, Resource
from signet.aws.session import error_code, translate_errors
from signet.core.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_EXISTS = frozenset({"PreconditionFailed", "412"})
_CONFLICT = frozenset({"ConditionalRequestConflict", "409"})
#: S3 answers 409 while another conditional write of the key is under way; by the next try it is decided.
_CONFLICT_TRIES = 5
_IN_MEMORY_BYTES: Final = 8 << 20
#: How the keys of partial tiles begin and go on; their tag lets a lifecycle rule tell them from full ones.
_TILES: Final = "tile/"
_PARTIAL: Final = ".p/"
_PARTIAL_TAG: Final = "signet=partial-tile"


class S3ObjectStore:
    """Implements ``signet.core.ports.ObjectStore`` over one bucket."""

    def __init__(self, client: S3Client, bucket: str, resource: Resource = LOG_BUCKET) -> None:
        """Take S3, the bucket's name, and which of the deployment's buckets it is."""
        self.client = client
        self.bucket = bucket
        self._resource = resource

    def get(self, key: str) -> bytes | None:
        """Return the object's bytes, or None if there is none."""
        with translate_errors(f"read {key} from the {self._resource.kind}", self._resource):
            try:
                return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error_code(error) in _MISSING:
                    return None
                raise

    @contextmanager
    def opened(self, key: str) -> Iterator[BinaryIO]:
        """Open a copy of an object of any size: small ones in memory, others in a temporary file.

        Raises:
            NotFoundError: it is not there (any more).
            UnavailableError: the store cannot be reached.
        """
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as copy:
            with translate_errors(f"read {key} from the {self._resource.kind}", self._resource):
                try:
                    self.client.download_fileobj(self.bucket, key, copy)
                except ClientError as error:
                    if error_code(error) in _MISSING:
                        raise NotFoundError(f"there is no {key} in the {self._resource.kind}") from error
                    raise
            copy.seek(0)
            yield cast("BinaryIO", copy)

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> None:
        """Create or replace."""
        with translate_errors(f"write {key} to the {self._resource.kind}", self._resource):
            self.client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, ChecksumCRC32=crc32(body)
            )

    def put_once(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> bool:
        """Create if absent; False if an object is there already.

        A write that botocore repeats after a lost answer meets its own first try and reads as "there
        already"; callers compare bytes then, and find their own.

        A partial tile gets a tag: lifecycle rules know no suffixes, but tags, and the writer may tag nothing
        else (docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-filters.html; the header needs
        s3:PutObjectTagging: docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html).
        """
        is_partial = key.startswith(_TILES) and _PARTIAL in key
        tags: dict[str, Any] = {"Tagging": _PARTIAL_TAG} if is_partial else {}
        with translate_errors(f"write {key} to the {self._resource.kind}", self._resource):
            for tries_left in reversed(range(_CONFLICT_TRIES)):
                try:
                    self.client.put_object(
                        Bucket=self.bucket,
                        Key=key,
                        Body=body,
                        ContentType=content_type,
                        ChecksumCRC32=crc32(body),
                        IfNoneMatch="*",
                        **tags,
                    )
                except ClientError as error:
                    if error_code(error) in _EXISTS:
                        return False
                    if error_code(error) not in _CONFLICT or not tries_left:
                        raise
                else:
                    break
        return True

    def delete(self, key: str) -> None:
        """Delete; a missing object is no error."""
        with translate_errors(f"delete {key} from the {self._resource.kind}", self._resource):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix in lexicographic order."""
        with translate_errors(f"list the {self._resource.kind}", self._resource):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for entry in page.get("Contents", []):
                    yield entry["Key"]
