"""Compliance packs in the log's bucket, written once and handed out by presigned URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from signet.aws.checksum import crc32
from signet.aws.permanent import LOG_BUCKET
from signet.aws.session import error_code, s3, translate_errors
from signet.aws.upload import TAKEN, MultipartUpload
from signet.pack.store import StoredObject
from signet.pack.zipwriter import ByteWriter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT_TYPE: Final = "application/zip"
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True)
class S3PackObjects:
    """Implements ``signet.pack.store.PackObjects`` over one bucket.

    Attributes:
        client: S3, for reading and writing.
        signer: S3, for presigning (``presigning_s3``).
        bucket: the log's bucket.
    """

    client: S3Client
    signer: S3Client
    bucket: str

    def find(self, key: str) -> StoredObject | None:
        """Return size and metadata of an object, or None if there is none."""
        with translate_errors("look for the pack", LOG_BUCKET):
            try:
                found = self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                raise
        return StoredObject(found["ContentLength"], found["Metadata"])

    def put_once(self, key: str, body: bytes, *, metadata: Mapping[str, str]) -> bool:
        """Create by one request, unless there."""
        with translate_errors("store the pack", LOG_BUCKET):
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=body,
                    ContentType=CONTENT_TYPE,
                    ChecksumCRC32=crc32(body),
                    Metadata=metadata,
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error_code(error) in TAKEN:
                    return False
                raise
        return True

    def upload_once(
        self, key: str, write: Callable[[ByteWriter], None], *, metadata: Mapping[str, str]
    ) -> bool:
        """Create part by part, unless there."""
        upload = MultipartUpload(self.client, self.bucket, key, content_type=CONTENT_TYPE, metadata=metadata)
        with upload:
            write(upload)
            return upload.complete()

    def url(self, key: str, *, ttl_s: int, filename: str | None = None) -> str:
        """Return a presigned URL of an object."""
        parameters = {"Bucket": self.bucket, "Key": key}
        if filename is not None:
            parameters["ResponseContentDisposition"] = f'attachment; filename="{filename}"'
        return self.signer.generate_presigned_url("get_object", Params=parameters, ExpiresIn=ttl_s)


@cache
def presigning_s3() -> S3Client:
    """Return an S3 client that signs URLs with Signature Version 4 for the host of the bucket's region."""
    # Some regions would otherwise get version 2, which encrypted buckets refuse. And the global host, boto3's
    # default in URLs, redirects to the region while a bucket is new: but the signature covers the host.
    # An emulator has one host for all buckets; AWS's begin alike in every partition.
    host, region = urlsplit(s3().meta.endpoint_url).netloc, s3().meta.region_name
    on_aws = host == "s3.amazonaws.com" or host.startswith(f"s3.{region}.")
    config = Config(signature_version="s3v4", s3={"addressing_style": "virtual" if on_aws else "path"})
    client: S3Client = boto3.client("s3", config=config)
    return client
