"""An object written piece by piece: there whole or not at all, with as much memory as one part."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from signet.aws.checksum import ALGORITHM, crc32
from signet.aws.permanent import LOG_BUCKET
from signet.aws.session import error_code, translate_errors

if TYPE_CHECKING:
    from types import TracebackType

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: Bytes of a part; S3 takes 10,000 of them, and wants all but the last to have 5 MiB.
PART_BYTES: Final = 16 * 1024 * 1024
#: What S3 answers where an object of the key is there, or is being written.
TAKEN: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class MultipartUpload:
    """A sink of bytes that becomes an object with ``complete``; left without it, nothing stays."""

    def __init__(
        self, client: S3Client, bucket: str, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> None:
        """Prepare; nothing is sent before the block is entered."""
        self._client = client
        self._bucket = bucket
        self._key = key
        self._described = {"ContentType": content_type, "Metadata": dict(metadata)}
        self._upload_id: str | None = None
        self._buffer = bytearray()
        self._parts: list[CompletedPartTypeDef] = []

    def __enter__(self) -> Self:
        """Begin the upload."""
        with translate_errors("begin an upload", LOG_BUCKET):
            begun = self._client.create_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                ChecksumAlgorithm=ALGORITHM,
                **self._described,  # type: ignore[arg-type]  # the stubs do not see through the dictionary
            )
        self._upload_id = begun["UploadId"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort unless completed; where that fails, the bucket's lifecycle rule does it later."""
        if self._upload_id is None:
            return
        with contextlib.suppress(BotoCoreError, ClientError):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)

    def write(self, data: bytes, /) -> None:
        """Take bytes; send what makes whole parts.

        Raises:
            UnavailableError: the store cannot be reached.
        """
        self._buffer += data
        while len(self._buffer) >= PART_BYTES:
            self._send(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]

    def complete(self) -> bool:
        """Make the object of what was written; False if one of its key is there already.

        Raises:
            UnavailableError: the store cannot be reached.
        """
        self._send(bytes(self._buffer))
        self._buffer.clear()
        with translate_errors("complete an upload", LOG_BUCKET):
            try:
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=self._key,
                    UploadId=self._upload_id or "",
                    MultipartUpload={"Parts": self._parts},
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error_code(error) in TAKEN:
                    return False
                raise
        self._upload_id = None
        return True

    def _send(self, part: bytes) -> None:
        number, checksum = len(self._parts) + 1, crc32(part)
        with translate_errors("upload a part", LOG_BUCKET):
            sent = self._client.upload_part(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload_id or "",
                PartNumber=number,
                Body=part,
                ChecksumCRC32=checksum,
            )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumCRC32": checksum})
