"""The checksum that every write to the log's bucket carries, as a header.

A bucket with Object Lock refuses writes that have neither Content-MD5 nor an ``x-amz-checksum-`` header:
parts of a multipart upload for certain (github.com/google/go-cloud/issues/3249,
github.com/s3tools/s3cmd/issues/1436). Over TLS botocore puts a checksum of its own into a trailer, behind
the body, which does not count (github.com/Altinity/clickhouse-backup/issues/1363). One that is given goes
into the header.
"""

from __future__ import annotations

import base64
import zlib
from typing import Final

ALGORITHM: Final = "CRC32"


def crc32(body: bytes) -> str:
    """Return a body's CRC-32 as S3 writes it: big endian, base64."""
    return base64.b64encode(zlib.crc32(body).to_bytes(4)).decode()
