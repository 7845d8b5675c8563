"""What goes over the wire to a bucket with Object Lock, with botocore as it is and TLS as on AWS.

The server here stands for S3 as it answers where objects are retained: a write without a checksum header is
refused; a checksum in a trailer, which botocore adds by itself over TLS, does not count.
"""

from __future__ import annotations

import base64
import re
import ssl
import threading
import zlib
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from local.certificate import self_signed
from signet.aws import session, upload
from signet.aws.evidence import S3EvidenceStore
from signet.aws.objects import S3ObjectStore
from signet.aws.packs import S3PackObjects
from signet.aws.upload import MultipartUpload
from signet.core.errors import UnavailableError
from signet.pack import store as pack_store
from signet.pack.store import PackStore
from tests.support.packs import FIRST_DAY, log_with_days

MULTIPART = re.compile(rb"<Part>(.*?)</Part>", re.DOTALL)


class LockedBucket(ThreadingHTTPServer):
    """An S3 bucket with Object Lock, as far as writing goes.

    Attributes:
        objects: what is stored, by key.
        parts: of the upload that runs, by number.
        refused: requests that S3 would have refused.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.refused: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: LockedBucket
    protocol_version = "HTTP/1.1"

    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    @property
    def _key(self) -> str:
        return urlsplit(self.path).path.removeprefix("/log/")

    def do_HEAD(self) -> None:
        self._say(200 if self._key in self.server.objects else 404)

    def do_DELETE(self) -> None:
        self._say(204)

    def do_GET(self) -> None:
        body = self.server.objects.get(self._key)
        self._say(404, b"<Error><Code>NoSuchKey</Code></Error>") if body is None else self._say(200, body)

    def do_PUT(self) -> None:
        body = self._body()
        if "partNumber" in self._query():
            if self._is_covered(body):
                self.server.parts[int(self._query()["partNumber"][0])] = body
                self._say(200, fields={"ETag": '"part"'})
        elif self._is_covered(body):
            self.server.objects[self._key] = body
            self._say(200, fields={"ETag": '"object"'})

    def do_POST(self) -> None:
        body = self._body()
        if "uploads" in self._query():
            if self.headers["x-amz-checksum-algorithm"] != "CRC32":
                self._refuse("an upload whose parts have a checksum says so when it begins")
                return
            self._say(
                200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            )
            return
        named = {int(re.findall(rb"<PartNumber>(\d+)<", part)[0]): part for part in MULTIPART.findall(body)}
        for number, part in self.server.parts.items():
            checksum = f"<ChecksumCRC32>{_crc32(part)}</ChecksumCRC32>".encode()
            if checksum not in named.get(number, b"") or b"<ETag>" not in named[number]:
                self._refuse(f"part {number} is not named with its tag and its checksum")
                return
        self.server.objects[self._key] = b"".join(self.server.parts[n] for n in sorted(self.server.parts))
        self._say(200, b"<CompleteMultipartUploadResult/>")

    def _body(self) -> bytes:
        if "x-amz-trailer" not in self.headers:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        while self.rfile.readline() != b"\r\n":  # chunks, and the trailer: it is refused anyway
            pass
        return b""

    def _is_covered(self, body: bytes) -> bool:
        """Refuse a body without a checksum header, or with a wrong one, as S3 does."""
        if self.headers.get("x-amz-checksum-crc32") == _crc32(body) and "x-amz-trailer" not in self.headers:
            return True
        self._refuse("Content-MD5 OR x-amz-checksum- HTTP header is required with Object Lock parameters")
        return False

    def _refuse(self, why: str) -> None:
        self.server.refused.append(f"{self.command} {self.path}: {why}")
        text = f"<Error><Code>InvalidRequest</Code><Message>{why}</Message></Error>"
        self._say(400, text.encode())

    def _say(self, status: int, body: bytes = b"", fields: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(fields or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called with
        """Keep the tests' output clean."""


def _crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LockedBucket]:
    public, private = self_signed()
    certificate = tmp_path / "s3.pem"
    certificate.write_bytes(public + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with LockedBucket() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.server_port}")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        session.client.cache_clear()
        session._session.cache_clear()
        yield server
        session.client.cache_clear()
        session._session.cache_clear()
        server.shutdown()


@pytest.fixture
def s3(bucket: LockedBucket) -> Any:
    assert bucket
    return session.s3()


def test_botocore_by_itself_would_be_refused(bucket: LockedBucket, s3: Any) -> None:
    """Or the tests below show nothing: over TLS its own checksum goes into a trailer."""
    with pytest.raises(ClientError, match="checksum- HTTP header is required"):
        s3.put_object(Bucket="log", Key="a", Body=b"a")
    assert bucket.objects == {}


def test_parts_carry_their_checksum_in_a_header_and_are_named_with_it(
    bucket: LockedBucket, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PART_BYTES", 1000)
    content = bytes(range(256)) * 10
    with MultipartUpload(s3, "log", "packs/a.zip", content_type="application/zip", metadata={}) as writing:
        writing.write(content)
        assert writing.complete()
    assert bucket.refused == []
    assert [len(part) for part in bucket.parts.values()] == [1000, 1000, 560]
    assert bucket.objects == {"packs/a.zip": content}


@pytest.mark.parametrize("body", [b"", b"a", bytes(100_000)], ids=len)
def test_whole_objects_carry_theirs(bucket: LockedBucket, s3: Any, body: bytes) -> None:
    objects = S3ObjectStore(s3, "log")
    objects.put("checkpoint", body)
    assert objects.put_once("tile/0/000", body)
    assert S3EvidenceStore(objects).keep({"00": body}) == {}
    assert bucket.refused == []
    assert bucket.objects == dict.fromkeys(("checkpoint", "tile/0/000", "evidence/00"), body)


@pytest.mark.parametrize("in_memory", [0, 8 * 1024 * 1024], ids=["in parts", "at once"])
def test_a_pack_is_stored(
    bucket: LockedBucket, s3: Any, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    log = log_with_days(2)
    bucket.objects |= log.store.objects
    monkeypatch.setattr(pack_store, "_IN_MEMORY_BYTES", in_memory)
    store = PackStore(log.store, S3PackObjects(s3, s3, "log"))
    plan = store.plan(FIRST_DAY.isoformat(), today=FIRST_DAY + timedelta(days=1))
    made = store.obtain(plan)
    assert (bucket.refused, made.built) == ([], True)
    assert len(bucket.objects[plan.key]) == made.size


def test_a_refusal_is_an_outage_and_no_silent_loss(bucket: LockedBucket, s3: Any) -> None:
    with pytest.raises(UnavailableError, match="InvalidRequest"):
        S3ObjectStore(_WrongChecksums(s3), "log").put("checkpoint", b"body")
    assert bucket.objects == {}


class _WrongChecksums:
    """An S3 client on a machine that computes wrongly."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put_object(self, **arguments: Any) -> Any:
        return self._client.put_object(**{**arguments, "ChecksumCRC32": _crc32(b"other")})
