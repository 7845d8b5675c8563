"""GET /pch/keys: any caller may ask, so a stranger's thousand calls are one read of the bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import boto3
import handshake_handler
import pytest
from moto import mock_aws

from signet.aws import session
from signet.aws.published import ABSENT_S, FRESH_S, Copy, PublishedObject
from signet.core.clocks import Elapsed
from signet.core.errors import UnavailableError
from tests.support.declared import NAMES, REGION, become
from tests.support.deployment import context

KEYS = b'{"v":1}'
ETAG = f'"{hashlib.sha256(KEYS).hexdigest()}"'


class Clocks:
    """A wall clock and a monotonic one, either of which may stand still."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 50.0

    def elapsed(self) -> Elapsed:
        return Elapsed(wall=lambda: self.wall, monotonic=lambda: self.monotonic)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


class Bucket:
    """The function beside a real (moto) bucket whose reads are counted."""

    def __init__(self, clocks: Clocks) -> None:
        self.clocks = clocks
        self.reads = 0
        s3: Any = session.s3()
        s3.meta.events.register("before-call.s3.GetObject", self._count)

    def _count(self, **_: object) -> None:
        self.reads += 1

    def holds(self, content: bytes) -> None:
        boto3.client("s3").put_object(Bucket=NAMES["LogBucket"], Key="keys.json", Body=content)

    def ask(self, *if_none_match: str) -> tuple[int, dict[str, str], str | None]:
        event = {
            "path": "/pch/keys",
            "httpMethod": "GET",
            "headers": {"if-None-match": if_none_match[-1]} if if_none_match else None,
            "multiValueHeaders": {"if-None-match": list(if_none_match)} if if_none_match else None,
            "requestContext": {"requestId": "r"},
        }
        answer = handshake_handler.handler(event, context("handshake"))
        fields = {name.lower(): values[-1] for name, values in answer["multiValueHeaders"].items()}
        return answer["statusCode"], fields, answer.get("body")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    become(monkeypatch, "HandshakeFunction", refs={"ReceiptQueue": "q", "HandshakeSecret": "s"})
    session.client.cache_clear()
    clocks = Clocks()
    kept = PublishedObject(handshake_handler._read_keys, clocks.elapsed())
    monkeypatch.setattr(handshake_handler, "_public_keys", lambda: kept)
    with mock_aws():
        boto3.client("s3").create_bucket(
            Bucket=NAMES["LogBucket"], CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield Bucket(clocks)
    session.client.cache_clear()


def test_keys_are_handed_out_with_their_tag_and_for_how_long_they_are_good(bucket: Bucket) -> None:
    bucket.holds(KEYS)
    status, fields, body = bucket.ask()
    assert (status, body) == (200, KEYS.decode())
    assert fields["content-type"] == "application/json"
    assert fields["cache-control"] == "public, max-age=60"
    assert fields["etag"] == ETAG


def test_a_thousand_calls_are_one_read(bucket: Bucket) -> None:
    bucket.holds(KEYS)
    for _ in range(1000):
        bucket.ask()
    assert bucket.reads == 1


@pytest.mark.parametrize("clock", ["wall", "monotonic"])
def test_a_copy_is_old_as_soon_as_either_clock_says_so(bucket: Bucket, clock: str) -> None:
    bucket.holds(KEYS)
    bucket.ask()
    bucket.holds(b'{"v":2}')
    bucket.clocks.pass_(FRESH_S - 1)
    assert bucket.ask()[2] == KEYS.decode()
    setattr(bucket.clocks, clock, getattr(bucket.clocks, clock) + 1)
    assert bucket.ask()[2] == '{"v":2}'


def test_a_clock_that_is_set_back_keeps_no_copy_alive(bucket: Bucket) -> None:
    bucket.holds(KEYS)
    bucket.ask()
    bucket.clocks.wall -= 3600
    bucket.ask()
    assert bucket.reads == 2


@pytest.mark.parametrize(
    "sent", [(ETAG,), (f"W/{ETAG}",), ("*",), (f'"other", {ETAG}',), ('"other"', ETAG)], ids=repr
)
def test_who_has_the_keys_already_is_told_so_without_them(bucket: Bucket, sent: tuple[str, ...]) -> None:
    bucket.holds(KEYS)
    status, fields, body = bucket.ask(*sent)
    assert (status, body or "") == (304, "")
    assert (fields["etag"], fields["cache-control"]) == (ETAG, "public, max-age=60")


@pytest.mark.parametrize("sent", ["", '"other"', ETAG.strip('"'), ETAG[:-1], "**", f'"{ETAG}'], ids=repr)
def test_who_has_other_keys_gets_these(bucket: Bucket, sent: str) -> None:
    bucket.holds(KEYS)
    assert bucket.ask(sent)[0] == 200


def test_without_keys_strangers_cost_a_read_now_and_then(bucket: Bucket) -> None:
    for _ in range(100):
        status, fields, _ = bucket.ask()
        assert (status, fields["cache-control"]) == (404, "no-store")
    assert bucket.reads == 1
    bucket.holds(KEYS)
    bucket.clocks.pass_(ABSENT_S)
    assert bucket.ask()[0] == 200


def test_a_store_that_is_away_is_asked_again_soon_and_not_by_every_call() -> None:
    clocks, calls = Clocks(), 0

    def read() -> bytes | None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise UnavailableError("away")
        return KEYS

    kept = PublishedObject(read, clocks.elapsed())
    for _ in range(10):
        with pytest.raises(UnavailableError):
            kept.get()
    assert calls == 1
    clocks.pass_(ABSENT_S)
    assert kept.get() == Copy(KEYS, ETAG)
