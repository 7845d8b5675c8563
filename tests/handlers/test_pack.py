"""POST /compliance/pack as Lambda runs it, on S3 in moto: events in, URLs and clear refusals out."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import pack_handler
import pytest
import requests
from botocore.exceptions import ClientError
from moto import mock_aws

from signet.aws import packs, session, upload
from signet.aws.compose import pack as composed
from signet.aws.packorders import LambdaPackOrders
from signet.core.errors import MisconfiguredError, UnavailableError
from signet.handshake.digest import content_digest
from signet.pack import store
from signet.pack.jobs import JobStore
from signet.policy.bundle import policy_bundle_sha256
from tests.corpus.evidence import EVIDENCE, log_with_evidence, name_of
from tests.support.declared import NAMES, become
from tests.support.deployment import context, printed
from tests.support.forgery import assert_good, unzip
from tests.support.packs import PackLog, log_with_days
from tests.support.serialized import Serialized
from tests.support.shapes import mapped
from tests.support.world import ROOT

BUCKET = NAMES["LogBucket"]
CONTEXT = context("pack")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SPREAD = {"5", "6", "7"}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    become(monkeypatch, "PackFunction", PackUrlTtlSeconds="60")
    monkeypatch.setattr(pack_handler, "_now", lambda: NOW)
    caches = (session.client, packs.presigning_s3, pack_handler._delivery, pack_handler._settings)
    with mock_aws():
        for cached in caches:
            cached.cache_clear()
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield client
    for cached in caches:
        cached.cache_clear()


@pytest.fixture(scope="module")
def closed() -> PackLog:
    return log_with_days(2, 3)


@pytest.fixture
def log(s3: Any, closed: PackLog) -> PackLog:
    for key, body in closed.store.objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    return closed


def event(name: str = "request", **changes: Any) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((ROOT / "events" / "pack" / f"{name}.json").read_text())
    return {**stored, **changes}


def asking(body: bytes) -> dict[str, Any]:
    """A request for a body, signed."""
    asked = event(body=body.decode())
    asked["requestContext"]["authorizer"]["content_digest"] = content_digest(body)
    return asked


def answer(asked: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
    got = pack_handler.handler(asked, CONTEXT)
    headers = {name.lower(): values[-1] for name, values in got["multiValueHeaders"].items()}
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    return got["statusCode"], json.loads(got["body"]), headers


def stored_packs(s3: Any) -> list[str]:
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix="packs/").get("Contents", [])
    return [item["Key"] for item in found if not item["Key"].startswith("packs/jobs/")]


class Orders:
    """Lambda, as far as the pack function uses it: what is ordered waits until it is carried out."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803 - boto3's
        assert (FunctionName, InvocationType) == (CONTEXT.function_name, "Event")
        self.waiting.append(json.loads(Payload))

    def carry_out(self) -> list[dict[str, Any]]:
        done = [pack_handler.handler(order, CONTEXT) for order in self.waiting]
        self.waiting.clear()
        return done


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Orders:
    """Every day is large: none is built while the caller waits."""
    made = Orders()
    monkeypatch.setenv("SIGNET_PACK_RECEIPTS_AT_ONCE", "0")
    monkeypatch.setattr(composed, "functions", lambda: made)
    return made


@pytest.mark.parametrize("name", ["request", "request_base64"])
def test_packs_are_handed_out_under_a_mapping(log: PackLog, name: str) -> None:
    for mapping in ("", "/public", "/compliance"):
        asked = mapped(event(name), mapping)
        assert answer(asked)[0] == 200
    asked["resource"] = asked["requestContext"]["resourcePath"] = "/pack"  # another API's, under /compliance
    assert pack_handler.handler(asked, CONTEXT)["statusCode"] == 404


@pytest.mark.parametrize("name", ["request", "request_base64"])
def test_the_url_downloads_a_pack_that_verifies(log: PackLog, name: str) -> None:
    status, body, _ = answer(event(name))
    assert status == 200
    assert body.keys() == {"url", "sha256", "size", "expires_at", "tree_size"}
    data = requests.get(body["url"], timeout=5).content
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (body["sha256"], body["size"])
    assert body["tree_size"] == 2
    assert assert_good(data, log).date == "2026-11-23"
    assert body["expires_at"] == "2026-11-26T12:01:00Z"
    assert "X-Amz-Expires=60" in body["url"]


def test_who_accepts_a_zip_is_redirected_to_it(log: PackLog) -> None:
    status, body, headers = answer(event("request_zip"))
    assert status == 303
    assert headers["location"] == body["url"]
    data = requests.get(headers["location"], timeout=5).content
    assert_good(data, log)


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/zipper", ""])
def test_others_get_json(log: PackLog, accept: str) -> None:
    assert answer(event(headers={"accept": accept}))[0] == 200


def test_a_second_request_builds_nothing(log: PackLog, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = answer(event())[1]

    def refuse(*_arguments: object, **_named: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(store, "prepare_pack", refuse)
    second = answer(event())[1]
    assert {**first, "url": "", "expires_at": ""} == {**second, "url": "", "expires_at": ""}
    assert len(stored_packs(s3)) == 1


def test_two_requests_at_once_store_one_pack(log: PackLog, s3: Any) -> None:
    made = pack_handler._delivery("pack").packs
    one = replace(made, packs=replace(made.packs, client=Serialized(session.s3())))
    plan = one.plan("2026-11-24", today=NOW.date())
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: one.obtain(plan), range(4)))
    assert len({pack.sha256 for pack in found}) == 1
    assert sum(pack.built for pack in found) == 1
    assert len(stored_packs(s3)) == 1


def test_a_day_too_big_for_memory_goes_over_the_disk(log: PackLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_IN_MEMORY_BYTES", 1)
    body = answer(event())[1]
    assert_good(requests.get(body["url"], timeout=5).content, log)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("bad_date", 400, "bad_date"),
        ("malformed", 400, "malformed"),
        ("body_changed", 400, "digest_mismatch"),
        ("not_signed", 400, "digest_mismatch"),
    ],
)
def test_a_bad_request_is_refused(log: PackLog, s3: Any, name: str, status: int, code: str) -> None:
    got, body, _ = answer(event(name))
    assert (got, body["error"]) == (status, code)
    assert body.keys() == {"error", "message"}
    assert stored_packs(s3) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b'{"date":null}',
        b'{"date":20261123}',
        b'{"date":"2026-11-23","more":1}',
        b'{"date":"2026-11-23","date":"2026-11-23"}',
        b'{"date":"20261123"}',
        b'{"date":"2026-W48-1"}',
        b'{"date":" 2026-11-23"}',
        b'{"date":"2026-11-23"} x',
        b"[" * 100_000,
    ],
)
def test_a_body_that_asks_for_no_day_is_refused(log: PackLog, body: bytes) -> None:
    status, refusal, _ = answer(asking(body))
    assert status == 400
    assert refusal["error"] in {"malformed", "bad_date"}


def test_broken_base64_is_refused(log: PackLog) -> None:
    assert answer(event(body="###", isBase64Encoded=True))[0] == 400


@pytest.mark.parametrize("digest", [None, 7, "md5=:AA==:"])
def test_a_body_nobody_signed_is_refused(log: PackLog, digest: object) -> None:
    asked = event()
    asked["requestContext"]["authorizer"]["content_digest"] = digest
    status, refusal, _ = answer(asked)
    assert (status, refusal["error"]) == (400, "digest_mismatch")


@pytest.mark.parametrize("authorizer", [None, {}, {"keyid": "auditor-1"}])
def test_a_request_past_the_authorizer_is_refused(log: PackLog, authorizer: object) -> None:
    asked = event()
    asked["requestContext"]["authorizer"] = authorizer
    status, refusal, _ = answer(asked)
    assert (status, refusal["error"]) == (403, "not_authorized")


@pytest.mark.parametrize("date", ["2026-11-22", "2026-11-27", "9999-12-31", "1999-01-01"])
def test_unknown_days_are_404(log: PackLog, date: str) -> None:
    status, body, _ = answer(asking(json.dumps({"date": date}).encode()))
    assert (status, body["error"]) == (404, "not_found")


@pytest.mark.parametrize("date", ["2026-11-25", "2026-11-26"])
def test_days_that_are_not_closed_are_409(log: PackLog, date: str) -> None:
    status, body, _ = answer(asking(json.dumps({"date": date}).encode()))
    assert (status, body["error"]) == (409, "not_ready")
    assert f"signet close --date {date}" in body["message"]


def test_a_log_that_contradicts_itself_is_500_with_a_code(log: PackLog, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="tile/0/000.p/2", Body=bytes(64))
    status, body, _ = answer(event())
    assert (status, body["error"]) == (500, "wrong_root")
    assert stored_packs(s3) == []


def test_a_store_that_cannot_be_reached_is_503(log: PackLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "please"}}, "HeadObject")

    monkeypatch.setattr(session.s3(), "head_object", fail)
    status, body, headers = answer(event())
    assert (status, body["error"]) == (503, "store_unavailable")
    assert headers["retry-after"] in SPREAD


def test_another_path_is_404(log: PackLog) -> None:
    assert pack_handler.handler(event(path="/other"), CONTEXT)["statusCode"] == 404


def test_an_operator_may_invoke_it_directly(log: PackLog) -> None:
    body = pack_handler.handler(event("direct"), CONTEXT)
    assert_good(requests.get(body["url"], timeout=5).content, log)
    refusal = pack_handler.handler({"date": "1999-01-01"}, CONTEXT)
    assert refusal.keys() == {"error", "message"}
    assert refusal["error"] == "not_found"
    assert pack_handler.handler({}, CONTEXT)["error"] == "malformed"


def out_of_reach(*_arguments: object, **_named: object) -> None:
    """Answer as S3 does under load; the code is what a person reads in the log."""
    raise ClientError({"Error": {"Code": "SlowDown", "Message": "please"}}, "GetObject")


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_an_operator_is_told_of_a_store_out_of_reach_and_the_function_does_not_fail(
    log: PackLog, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Lambda does not repeat a direct call: what would be raised would be read as a fault of the function."""
    monkeypatch.setattr(session.s3(), operation, out_of_reach)
    refusal = pack_handler.handler(event("direct"), CONTEXT)
    assert refusal.keys() == {"error", "message"}
    assert refusal["error"] == "store_unavailable"
    assert "SlowDown" in refusal["message"]


@pytest.mark.parametrize("operation", ["get_object", "head_object", "put_object"])
def test_the_api_answers_503_where_a_direct_call_says_store_unavailable(
    log: PackLog, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(session.s3(), operation, out_of_reach)
    status, body, headers = answer(event())
    assert (status, body["error"]) == (503, "store_unavailable")
    assert headers["retry-after"] in SPREAD


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"build": {"date": "2026-11-23"}, "date": "2026-11-23"}, "malformed"),
        ({"build": "2026-11-23"}, "malformed"),
        ({"build": {"date": "2026-02-30"}}, "bad_date"),
        ({"build": {"date": "1999-01-01"}}, "not_found"),
        ({"build": {"date": "2026-11-25"}}, "not_ready"),
    ],
    ids=str,
)
def test_an_order_that_no_repetition_helps_is_answered_and_not_raised(
    log: PackLog, s3: Any, asked: dict[str, Any], error: str
) -> None:
    assert pack_handler.handler(asked, CONTEXT)["error"] == error
    assert stored_packs(s3) == []


def test_an_order_that_names_no_day_is_not_raised_for_a_store_out_of_reach(
    log: PackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused for what it is, before anything is read."""
    monkeypatch.setattr(session.s3(), "get_object", out_of_reach)
    assert pack_handler.handler({"build": {}}, CONTEXT)["error"] == "malformed"
    with pytest.raises(UnavailableError):  # Lambda calls again
        pack_handler.handler({"build": {"date": "2026-11-23"}}, CONTEXT)


def test_the_event_with_base64_says_the_same() -> None:
    plain, encoded = event(), event("request_base64")
    assert base64.b64decode(encoded["body"]).decode() == plain["body"]


@pytest.mark.parametrize(
    ("region", "endpoint", "host"),
    [
        # not the global one, which redirects at first
        ("eu-central-1", None, f"{BUCKET}.s3.eu-central-1.amazonaws.com"),
        ("us-east-1", None, f"{BUCKET}.s3.amazonaws.com"),
        ("cn-north-1", None, f"{BUCKET}.s3.cn-north-1.amazonaws.com.cn"),
        ("us-iso-east-1", None, f"{BUCKET}.s3.us-iso-east-1.c2s.ic.gov"),
        ("eu-central-1", "http://localhost:4566", "localhost:4566"),
        ("eu-central-1", "http://s3.localhost.localstack.cloud:4566", "s3.localhost.localstack.cloud:4566"),
    ],
)
def test_the_url_names_the_host_that_answers(
    s3: Any, monkeypatch: pytest.MonkeyPatch, region: str, endpoint: str | None, host: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, region)
    if endpoint is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    for made in (session.client, session._session, packs.presigning_s3, pack_handler._delivery):
        made.cache_clear()
    pack = store.StoredPack("packs/a.zip", "", 0, 0, built=False)
    url = pack_handler._delivery("pack").packs.presign(pack, ttl_s=60)
    assert urlsplit(url).netloc == host


# --- Large days ---------------------------------------------------------------------------------


def test_a_large_day_is_built_apart_and_waited_for(orders: Orders, log: PackLog, s3: Any) -> None:
    status, body, headers = answer(event())
    assert (status, body["state"], body["receipts"], body["done"]) == (202, "building", 2, 0)
    assert headers["location"] == body["status_url"]
    assert headers["retry-after"] in SPREAD
    assert requests.get(headers["location"], timeout=5).json()["state"] == "building"
    assert stored_packs(s3) == []
    [built] = orders.carry_out()
    assert built["built"]
    said = requests.get(headers["location"], timeout=5).json()
    assert (said["state"], said["done"]) == ("built", 2)
    status, body, _ = answer(event())
    assert status == 200
    assert_good(requests.get(body["url"], timeout=5).content, log)


def test_who_asks_again_meanwhile_waits_for_the_same_job(orders: Orders, log: PackLog) -> None:
    assert [answer(event())[0] for _ in range(3)] == [202, 202, 202]
    assert answer(event("request_zip"))[0] == 202
    assert len(orders.waiting) == 1


def test_an_order_carried_out_twice_builds_once(orders: Orders, log: PackLog, s3: Any) -> None:
    answer(event())
    orders.waiting *= 2
    assert [done["built"] for done in orders.carry_out()] == [True, False]
    assert len(stored_packs(s3)) == 1


def test_a_job_that_died_is_begun_again(
    orders: Orders, log: PackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(event())
    monkeypatch.setattr(pack_handler, "_now", lambda: NOW + timedelta(minutes=14))
    assert answer(event())[0] == 202
    assert len(orders.waiting) == 1
    monkeypatch.setattr(pack_handler, "_now", lambda: NOW + timedelta(minutes=16))
    assert answer(event())[0] == 202
    assert len(orders.waiting) == 2


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"state":"building"}', b"null", b"as built"])
def test_a_job_that_cannot_be_read_is_begun_again(
    orders: Orders, log: PackLog, s3: Any, damaged: bytes
) -> None:
    answer(event())
    [key] = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="packs/jobs/")["Contents"]]
    if damaged == b"as built":
        stored = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        damaged = json.dumps({**stored, "updated_at_ms": "never"}).encode()
    s3.put_object(Bucket=BUCKET, Key=key, Body=damaged)
    assert answer(event())[0] == 202
    assert len(orders.waiting) == 2
    assert orders.carry_out()[0]["built"]


def test_a_day_is_large_earlier_if_evidence_is_wanted(
    orders: Orders, log: PackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece is an object to fetch, and the gateway waits for no more than 29 seconds."""
    settings = pack_handler._settings()
    monkeypatch.setattr(pack_handler, "_settings", lambda: replace(settings, receipts_at_once=10))
    asked = {name: b'{"date":"2026-11-23","include_evidence":%s}' % name for name in (b"true", b"false")}
    assert answer(asking(asked[b"true"]))[0] == 202
    assert answer(asking(asked[b"false"]))[0] == 200


def test_a_job_that_cannot_succeed_says_why(orders: Orders, log: PackLog, s3: Any) -> None:
    location = answer(event())[2]["location"]
    s3.put_object(Bucket=BUCKET, Key="tile/0/000.p/2", Body=bytes(64))
    [refusal] = orders.carry_out()
    assert refusal["error"] == "wrong_root"
    said = requests.get(location, timeout=5).json()
    assert (said["state"], said["error"]) == ("failed", "wrong_root")


def test_a_job_that_meets_a_store_out_of_reach_is_left_to_lambda_to_repeat(
    orders: Orders, log: PackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = answer(event())[2]["location"]

    def fail(*_arguments: object, **_named: object) -> None:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "please"}}, "HeadObject")

    with monkeypatch.context() as patched:
        patched.setattr(session.s3(), "head_object", fail)
        with pytest.raises(UnavailableError):
            orders.carry_out()
    assert requests.get(location, timeout=5).json()["state"] == "building"
    assert orders.carry_out()[0]["built"]


def test_a_job_that_may_not_read_fails_at_once_and_tells_its_caller_no_more_than_an_outage(
    orders: Orders, log: PackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = answer(event())[2]["location"]

    def fail(*_arguments: object, **_named: object) -> None:
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")

    with monkeypatch.context() as patched, printed(pack_handler.logger) as said:
        patched.setattr(session.s3(), "head_object", fail)
        with pytest.raises(MisconfiguredError):
            orders.carry_out()
        status, refusal, headers = answer(event())
    job = requests.get(location, timeout=5).json()
    assert (job["state"], job["error"]) == ("failed", "store_unavailable")
    assert (status, refusal["error"]) == (503, "store_unavailable")
    assert headers["retry-after"] in SPREAD
    assert refusal["message"] == job["message"] == "could not look for the pack"
    assert said.getvalue().count("grant s3:GetObject and s3:ListBucket on the log bucket") == 2


def test_a_job_that_could_not_be_ordered_is_no_job_that_runs(
    orders: Orders, log: PackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise UnavailableError("could not order the pack")

    with monkeypatch.context() as patched:
        patched.setattr(LambdaPackOrders, "order", fail)
        assert answer(event())[0] == 503
    location = answer(event())[2]["location"]  # the next call orders it again
    assert requests.get(location, timeout=5).json()["state"] == "building"
    assert orders.carry_out()[0]["built"]


def test_the_job_tells_how_far_it_is(orders: Orders, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_with_days(1300)
    for key, body in log.store.objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    clock = itertools.count(0, 3)
    monkeypatch.setattr(pack_handler, "_now", lambda: NOW + timedelta(seconds=next(clock)))
    answer(event())
    said: list[int] = []
    write = JobStore.write
    monkeypatch.setattr(
        JobStore, "write", lambda self, plan, job: (said.append(job.done), write(self, plan, job))
    )
    orders.carry_out()
    assert said == [0, 512, 1024, 1300, 1300]


def test_a_pack_larger_than_a_part_is_uploaded_in_parts(
    log: PackLog, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_IN_MEMORY_BYTES", 1)
    monkeypatch.setattr(upload, "PART_BYTES", 5 * 1024 * 1024)
    noise = random.Random(1).randbytes(6 * 1024 * 1024)
    bundle = policy_bundle_sha256({"noise": noise})
    files = {**log.store.objects, f"policy/{bundle}/noise": noise}
    named = log_with_days(0)
    named.policy_sha256 = bundle
    named.close([])
    for key, body in {**files, **named.store.objects}.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    body = answer(asking(b'{"date":"2026-11-24"}'))[1]
    data = requests.get(body["url"], timeout=5).content
    assert len(data) > 6 * 1024 * 1024
    assert hashlib.sha256(data).hexdigest() == body["sha256"]
    assert_good(data, named)
    assert s3.head_object(Bucket=BUCKET, Key=stored_packs(s3)[0])["ETag"].endswith('-2"')


def test_an_upload_that_fails_leaves_nothing(log: PackLog, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_IN_MEMORY_BYTES", 1)

    def fail(*_arguments: object, **_named: object) -> None:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "please"}}, "UploadPart")

    monkeypatch.setattr(session.s3(), "upload_part", fail)
    assert answer(event())[0] == 503
    assert stored_packs(s3) == []
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


# --- Evidence -----------------------------------------------------------------------------------


def test_evidence_comes_on_request_only_and_makes_another_pack(s3: Any) -> None:
    log = log_with_evidence()
    for key, body in log.store.objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    plain = answer(event())[1]
    with_evidence = answer(asking(b'{"date":"2026-11-23","include_evidence":true}'))[1]
    assert plain["sha256"] != with_evidence["sha256"]
    places = [key.rsplit("/", 1) for key in stored_packs(s3)]
    assert sorted(folder for folder, _name in places) == ["packs", "packs/evidence"]
    assert len({name for _folder, name in places}) == 2
    data = requests.get(with_evidence["url"], timeout=5).content
    assert_good(data, log)
    assert {name for name in unzip(data) if name.startswith("evidence/")} == set(map(name_of, EVIDENCE))
    again = answer(asking(b'{"date":"2026-11-23","include_evidence":false}'))[1]
    assert again["sha256"] == plain["sha256"]


@pytest.mark.parametrize("value", [b"1", b"null", b'"yes"'])
def test_another_value_for_evidence_is_refused(log: PackLog, value: bytes) -> None:
    status, refusal, _ = answer(asking(b'{"date":"2026-11-23","include_evidence":%b}' % value))
    assert (status, refusal["error"]) == (400, "malformed")
