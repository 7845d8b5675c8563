"""One contract for where packs are kept: what the port promises holds for the fake and over moto alike."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
from moto import mock_aws

from signet.aws import packs, session
from signet.aws.packs import S3PackObjects
from signet.core.errors import MisconfiguredError, UnavailableError
from signet.pack.store import PackObjects, StoredObject
from signet.pack.zipwriter import ByteWriter
from tests.fakes.packs import MemoryPackObjects
from tests.support.declared import NAMES, REGION, account

BUCKET = NAMES["LogBucket"]
FACTS = {"sha256": "00", "tree-size": "3"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3PackObjects]:
    account(monkeypatch)
    caches = (session.client, session._session, packs.presigning_s3)
    with mock_aws():
        for cached in caches:
            cached.cache_clear()
        session.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield S3PackObjects(session.s3(), packs.presigning_s3(), BUCKET)
    for cached in caches:
        cached.cache_clear()


@pytest.fixture(params=["memory", "aws"])
def kept(request: pytest.FixtureRequest) -> PackObjects:
    if request.param == "aws":
        found: PackObjects = request.getfixturevalue("aws")
        return found
    return MemoryPackObjects()


def test_the_first_object_of_a_key_stays(kept: PackObjects) -> None:
    assert kept.find("packs/a.zip") is None
    assert kept.put_once("packs/a.zip", b"zip", metadata=FACTS)
    assert not kept.put_once("packs/a.zip", b"other", metadata={})
    assert not kept.upload_once("packs/a.zip", lambda out: _write(out, b"more"), metadata={})
    assert kept.find("packs/a.zip") == StoredObject(3, FACTS)


def test_an_object_written_in_pieces_is_there_whole(kept: PackObjects) -> None:
    assert kept.upload_once("packs/b.zip", lambda out: _write(out, b"one", b"two"), metadata=FACTS)
    assert kept.find("packs/b.zip") == StoredObject(6, FACTS)
    assert not kept.put_once("packs/b.zip", b"zip", metadata={})


def test_a_write_that_fails_half_way_leaves_nothing(kept: PackObjects) -> None:
    def fail(out: ByteWriter) -> None:
        out.write(b"half")
        raise UnavailableError("the log cannot be read")

    with pytest.raises(UnavailableError, match="the log cannot be read"):
        kept.upload_once("packs/c.zip", fail, metadata=FACTS)
    assert kept.find("packs/c.zip") is None


def test_a_url_can_be_had_before_its_object(kept: PackObjects) -> None:
    bare, named = kept.url("packs/a.zip", ttl_s=60), kept.url("packs/a.zip", ttl_s=60, filename="a.zip")
    assert "packs/a.zip" in urlsplit(bare).path
    assert "a.zip" in urlsplit(named).query
    assert "a.zip" not in urlsplit(bare).query


def test_a_presigned_url_names_the_file_and_its_end(aws: S3PackObjects) -> None:
    aws.put_once("packs/a.zip", b"zip", metadata=FACTS)
    url = aws.url("packs/a.zip", ttl_s=60, filename="a.zip")
    answer = requests.get(url, timeout=5)
    assert (answer.content, answer.headers["content-type"]) == (b"zip", "application/zip")
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Expires"] == ["60"]
    assert query["response-content-disposition"] == ['attachment; filename="a.zip"']


def test_a_bucket_that_is_not_there_is_told(aws: S3PackObjects) -> None:
    boto3.client("s3").delete_bucket(Bucket=BUCKET)
    with pytest.raises(MisconfiguredError, match="SIGNET_LOG_BUCKET"):
        aws.put_once("packs/a.zip", b"zip", metadata=FACTS)


def _write(out: ByteWriter, *pieces: bytes) -> None:
    for piece in pieces:
        out.write(piece)
