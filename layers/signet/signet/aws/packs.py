"""Compliance packs in the log's bucket: built once, named by their inputs, handed out by presigned URL."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - a date's text is called date all over
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from signet.aws.checksum import crc32
from signet.aws.permanent import LOG_BUCKET
from signet.aws.session import error_code, s3, translate_errors
from signet.aws.upload import TAKEN, MultipartUpload
from signet.core.errors import LogError, UnavailableError
from signet.core.ports import ObjectStore
from signet.pack.build import PackPlan, PreparedPack, plan_pack, prepare_pack
from signet.pack.contents import Progress

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT_TYPE: Final = "application/zip"
#: A day's pack up to this size never touches the disk, and is stored by one request.
_IN_MEMORY_BYTES: Final = 8 * 1024 * 1024
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True)
class StoredPack:
    """A pack in the bucket.

    Attributes:
        key: where it is.
        sha256: hex digest of its bytes.
        size: bytes.
        tree_size: leaves in the tree of the day's final head.
        built: whether this call built it.
    """

    key: str
    sha256: str
    size: int
    tree_size: int
    built: bool


@dataclass(frozen=True, slots=True)
class PackStore:
    """Builds packs on demand and keeps them; a second request for the same inputs builds nothing.

    Attributes:
        client: S3, for reading and writing.
        signer: S3, for presigning (``presigning_s3``).
        bucket: the log's bucket.
        objects: the log in that bucket.
    """

    client: S3Client
    signer: S3Client
    bucket: str
    objects: ObjectStore

    def plan(self, date: str, *, today: Date, evidence: bool = False) -> PackPlan:
        """Return what the pack of a closed day is made of.

        Raises:
            NotFoundError: the day is before the log's first or in the future.
            NotReadyError: the day is not closed yet.
            LogError: the log contradicts itself.
            UnavailableError: the store cannot be reached.
        """
        return plan_pack(self.objects, date, today=today, evidence=evidence)

    def find(self, plan: PackPlan) -> StoredPack | None:
        """Return the pack of a plan if it was built before.

        Raises:
            LogError: ``bad_pack_object``; it is there, but not as ``obtain`` stores it.
            UnavailableError: the store cannot be reached.
        """
        with translate_errors("look for the pack", LOG_BUCKET):
            try:
                found = self.client.head_object(Bucket=self.bucket, Key=plan.key)
            except ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                raise
        facts: Mapping[str, str] = found["Metadata"]
        try:
            sha256, tree_size = facts["sha256"], int(facts["tree-size"])
        except (KeyError, ValueError) as error:
            raise LogError(
                f"{plan.key} lost its metadata, perhaps when the bucket was copied: delete this object, and "
                "whoever asks next has the same pack built again",
                code="bad_pack_object",
            ) from error
        return StoredPack(plan.key, sha256, found["ContentLength"], tree_size, built=False)

    def obtain(self, plan: PackPlan, progress: Progress | None = None) -> StoredPack:
        """Return the pack of a plan, built now unless it was before.

        Args:
            plan: what to build.
            progress: called now and then with (receipts read, receipts of the day).

        Raises:
            LogError: the log contradicts itself, or the day is too large for a pack.
            UnavailableError: the store cannot be reached.
        """
        return self.find(plan) or self._build(plan, progress)

    def presign(self, pack: StoredPack, *, ttl_s: int) -> str:
        """Return a URL that downloads the pack for ``ttl_s`` seconds (less if the role's session ends)."""
        name = pack.key.rsplit("/", 1)[-1]
        return self.presign_key(
            pack.key, ttl_s=ttl_s, ResponseContentDisposition=f'attachment; filename="{name}"'
        )

    def presign_key(self, key: str, *, ttl_s: int, **parameters: str) -> str:
        """Return a URL that reads an object for ``ttl_s`` seconds, whether it is there yet or not."""
        return self.signer.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": key, **parameters}, ExpiresIn=ttl_s
        )

    def _build(self, plan: PackPlan, progress: Progress | None) -> StoredPack:
        with _spooled() as spool:
            pack = prepare_pack(self.objects, plan, spool=cast("BinaryIO", spool), progress=progress)
            summary = pack.summary
            metadata = {"sha256": summary.sha256, "tree-size": str(summary.tree_size)}
            store = self._put if summary.size <= _IN_MEMORY_BYTES else self._upload
            if store(plan.key, pack, metadata):
                return StoredPack(plan.key, summary.sha256, summary.size, summary.tree_size, built=True)
        # Somebody was faster; equal plans give equal bytes, so theirs is as good.
        found = self.find(plan)
        if found is None:
            raise UnavailableError("the pack is being stored by another request; try again")
        return found

    def _put(self, key: str, pack: PreparedPack, metadata: Mapping[str, str]) -> bool:
        """Store by one request, unless there."""
        written = io.BytesIO()
        pack.write(written)
        body = written.getvalue()
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

    def _upload(self, key: str, pack: PreparedPack, metadata: Mapping[str, str]) -> bool:
        """Store part by part, unless there."""
        upload = MultipartUpload(self.client, self.bucket, key, content_type=CONTENT_TYPE, metadata=metadata)
        with upload:
            pack.write(upload)
            return upload.complete()


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


def _spooled() -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)
