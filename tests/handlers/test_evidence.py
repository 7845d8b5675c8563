"""Detached proofs as Lambda runs them: the endpoint stores, the authorizer loads, the sink keeps."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import authorizer_handler
import boto3
import handshake_handler
import pytest
import receipt_sink_handler
from botocore.client import BaseClient

from signet.aws import session
from signet.aws.compose.handshake_settings import HandshakeSettings
from signet.aws.evidence import S3EvidenceStore
from signet.aws.objects import S3ObjectStore
from signet.aws.queue import EVIDENCE_ATTRIBUTE, evidence_of
from signet.core.errors import UsageError
from signet.gateway import rest_v1
from signet.gateway.model import Event, InboundRequest
from signet.handshake.challenge import Challenge
from signet.handshake.evidence import MAX_BUNDLE_BYTES, Bundle
from tests.support.deployment import Deployment, context, deployed, printed
from tests.support.world import World, digest, drop_header, set_header

EVIDENCE = json.dumps({"sbom": "a" * 12_000}, separators=(",", ":")).encode()
SHA256 = hashlib.sha256(EVIDENCE).hexdigest()


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    for part in (authorizer_handler._authorizer, handshake_handler._uploader, receipt_sink_handler._sink):
        part.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        made.world.now_ms = time.time_ns() // 1_000_000
        yield made


def post(world: World, body: bytes | str, nonce: str | None, *, encoded: bool = False) -> dict[str, Any]:
    """Post a bundle; returns status, body and header fields."""
    event = world.event("POST", "/pch/evidence")
    if nonce is not None:
        set_header(event, "PCH-Nonce", nonce)
    text = body if isinstance(body, str) else base64.b64encode(body).decode() if encoded else body.decode()
    answer = handshake_handler.handler(
        {**event, "body": text, "isBase64Encoded": encoded}, context("handshake")
    )
    return {
        "status": answer["statusCode"],
        "fields": {n.lower(): v[-1] for n, v in answer["multiValueHeaders"].items()},
        **json.loads(answer["body"]),
    }


def detached(world: World, nonce: str, alg: str = "ml-dsa-65") -> tuple[dict[str, Any], bytes]:
    """A signed event with its bulk taken out, and the bundle that holds it."""
    event = world.sign(world.event(headers={"PCH-Evidence-Digest": digest(EVIDENCE)}), alg, nonce=nonce)
    signature = base64.b64decode(event["headers"]["Signature"].removeprefix("pch=:").removesuffix(":"))
    drop_header(event, "Signature")
    bundle = Bundle(EVIDENCE, signature).encode()
    set_header(event, "PCH-Proof", digest(bundle))
    return event, bundle


def authorize(event: dict[str, Any]) -> str:
    reason: str = authorizer_handler.handler(event, context("authorizer"))["context"]["reason"]
    return reason


def messages(deployment: Deployment) -> list[dict[str, Any]]:
    """What waits in the queue, as Lambda hands it on."""
    found = boto3.client("sqs").receive_message(
        QueueUrl=deployment.queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return [
        {
            "messageId": m["MessageId"],
            "body": m["Body"],
            "messageAttributes": {
                name: {"dataType": a["DataType"], "binaryValue": base64.b64encode(a["BinaryValue"]).decode()}
                for name, a in m.get("MessageAttributes", {}).items()
            },
            "eventSource": "aws:sqs",
        }
        for m in found["Messages"]
    ]


def test_a_stored_bundle_proves_the_request_that_names_it(deployment: Deployment) -> None:
    world = deployment.world
    nonce = world.nonce()
    event, bundle = detached(world, nonce)
    assert authorize(event) == "evidence_missing"
    made = post(world, bundle, f'"{nonce}"')
    assert made["status"] == 201
    assert made["digest"] == event["headers"]["PCH-Proof"]
    assert made["expires_at"] == pytest.approx(time.time() + 330, abs=20)
    assert made["fields"]["cache-control"] == "no-store"
    assert authorize(event) == "ok"
    assert authorize(event) == "nonce_replayed"
    missing, allowed, replayed = deployment.receipts()
    for receipt in (missing, allowed, replayed):
        assert receipt["proof"]["mode"] == "detached"
        assert receipt["proof"]["evidence_sha256"] == SHA256
        assert receipt["proof"]["header_bytes"] < 1024


def test_a_bundle_may_come_base64_encoded(deployment: Deployment) -> None:
    nonce = deployment.world.nonce()
    event, bundle = detached(deployment.world, nonce, "ed25519")
    assert post(deployment.world, bundle, f'"{nonce}"', encoded=True)["status"] == 201
    assert authorize(event) == "ok"


@pytest.mark.parametrize(
    ("nonce", "status", "error"),
    [
        (None, 401, "challenge_required"),
        ('"%s"', 201, None),
        ("%s", 400, "malformed"),
        ('"%s";a=1', 400, "malformed"),
        ('"%s", "b"', 400, "malformed"),
        ('""', 400, "malformed"),
        ('"AQAAAaIF' + "A" * 47 + '"', 401, "nonce_invalid"),
    ],
)
def test_a_live_nonce_is_the_price_of_storing(
    deployment: Deployment, nonce: str | None, status: int, error: str | None
) -> None:
    world = deployment.world
    field = nonce % world.nonce() if nonce and "%s" in nonce else nonce
    answer = post(world, Bundle(EVIDENCE).encode(), field)
    assert (answer["status"], answer.get("error")) == (status, error)
    stored = boto3.client("dynamodb").scan(TableName="bundles")["Count"]
    assert stored == (status == 201)


def test_a_refusal_for_the_nonce_brings_a_challenge_that_works(deployment: Deployment) -> None:
    world = deployment.world
    old = world.nonce(issued_ms=world.now_ms - 301_000)
    answer = post(world, Bundle(EVIDENCE).encode(), f'"{old}"')
    assert (answer["status"], answer["error"]) == (401, "nonce_expired")
    fields = {name.replace("x-amzn-remapped-", ""): value for name, value in answer["fields"].items()}
    challenge = Challenge.from_header(fields["www-authenticate"])
    assert challenge.error == "nonce_expired"
    assert challenge.evidence_uri == "/prod/pch/evidence"
    assert authorize(world.sign(world.event(), nonce=challenge.nonce)) == "ok"


def test_the_nonce_is_not_spent_by_storing(deployment: Deployment) -> None:
    world = deployment.world
    nonce = world.nonce()
    for _ in range(2):
        assert post(world, Bundle(EVIDENCE).encode(), f'"{nonce}"')["status"] == 201
    assert authorize(world.sign(world.event(), nonce=nonce)) == "ok"


@pytest.mark.parametrize(
    "body", ["", "{}", "not json", '{"evidence":{"a":1.5}}', '{"evidence": {}}', '{"alg":"none"}', "\ud800"]
)
def test_what_is_no_bundle_is_refused(deployment: Deployment, body: str) -> None:
    answer = post(deployment.world, body, f'"{deployment.world.nonce()}"')
    assert (answer["status"], answer["error"]) == (400, "malformed")
    assert answer["message"]


def test_the_size_is_capped_before_the_nonce_is_looked_at(deployment: Deployment) -> None:
    head, tail = b'{"evidence":{"a":"', b'"}}'
    largest = head + b"a" * (MAX_BUNDLE_BYTES - len(head) - len(tail)) + tail
    nonce = f'"{deployment.world.nonce()}"'
    assert post(deployment.world, largest, nonce)["status"] == 201
    answer = post(deployment.world, largest + b"}", None)
    assert (answer["status"], answer["error"]) == (413, "bundle_too_large")


def test_an_unreachable_store_sheds(deployment: Deployment) -> None:
    world = deployment.world
    nonce = world.nonce()
    event, bundle = detached(world, nonce)
    boto3.client("dynamodb").delete_table(TableName="bundles")
    answer = post(world, bundle, f'"{nonce}"')
    assert (answer["status"], answer["error"]) == (503, "store_unavailable")
    assert answer["fields"]["retry-after"] in {"2", "3", "4"}
    with pytest.raises(authorizer_handler.Shed, match="store_unavailable"):
        authorize(event)


@pytest.mark.parametrize("mode", ["inline", "detached"])
def test_authorizer_makes_two_round_trips_and_one_more_for_a_bundle(
    deployment: Deployment, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = deployment.world
    assert (
        authorize(world.sign(world.event(), "ml-dsa-65")) == "ok"
    )  # from now on client and secret are known
    nonce = world.nonce()
    event, bundle = detached(world, nonce)
    post(world, bundle, f'"{nonce}"')
    if mode == "inline":
        small = base64.b64encode(b'{"build":42}').decode()
        event = world.sign(world.event(headers={"PCH-Evidence": f":{small}:"}), "ml-dsa-65", nonce=nonce)
    calls: list[str] = []
    send = BaseClient._make_api_call  # type: ignore[attr-defined]

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        calls.append(operation)
        return send(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    assert authorize(event) == "ok"
    assert calls == ([] if mode == "inline" else ["GetItem"]) + ["PutItem", "SendMessage"]


@pytest.mark.parametrize("mode", ["inline", "detached"])
def test_evidence_of_an_allowed_request_is_kept_beside_the_log(
    deployment: Deployment, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = deployment.world
    nonce = world.nonce()
    event, bundle = detached(world, nonce)
    kept = EVIDENCE
    if mode == "inline":
        kept = b'{"build":42}'
        inline = base64.b64encode(kept).decode()
        event = world.sign(world.event(headers={"PCH-Evidence": f":{inline}:"}), nonce=nonce)
    else:
        post(world, bundle, f'"{nonce}"')
    assert authorize(event) == "ok"
    [message] = messages(deployment)
    assert evidence_of(message) == kept
    key = f"evidence/{hashlib.sha256(kept).hexdigest()}"
    take(message)
    assert boto3.client("s3").get_object(Bucket="log", Key=key)["Body"].read() == kept
    take(message)
    versions = boto3.client("s3").list_objects_v2(Bucket="log", Prefix="evidence/")["KeyCount"]
    assert versions == 1


def take(message: dict[str, Any]) -> None:
    """Have the sink take one message."""
    answer = receipt_sink_handler.handler({"Records": [message]}, context("receipt_sink"))
    assert answer == {"batchItemFailures": []}


@pytest.mark.parametrize("change", ["replayed", "forged"])
def test_evidence_of_a_refused_request_goes_nowhere(deployment: Deployment, change: str) -> None:
    world = deployment.world
    inline = base64.b64encode(b'{"build":42}').decode()
    event = world.sign(world.event(headers={"PCH-Evidence": f":{inline}:"}))
    if change == "replayed":
        assert authorize(event) == "ok"
        messages(deployment)
        assert authorize(event) == "nonce_replayed"
    else:
        set_header(event, "Signature", f"pch=:{base64.b64encode(bytes(64)).decode()}:")
        assert authorize(event) == "bad_signature"
    [message] = messages(deployment)
    assert json.loads(message["body"])["decision"] == "deny"
    assert evidence_of(message) is None


def test_a_caller_reads_nothing_of_what_an_operator_has_to_mend(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.dynamodb().delete_table(TableName=os.environ["SIGNET_BUNDLES_TABLE"])
    with printed(handshake_handler.logger) as log:
        answer = post(deployment.world, Bundle(EVIDENCE).encode(), f'"{deployment.world.nonce()}"')
    assert (answer["status"], answer["error"]) == (503, "store_unavailable")
    assert answer["message"] == "could not store the bundle"
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if "not set up right" in line]
    assert (line["level"], line["error"]) == ("ERROR", "misconfigured")
    assert "set SIGNET_BUNDLES_TABLE" in line["reason"]


def test_a_record_without_readable_evidence_matches_no_receipt() -> None:
    assert evidence_of({}) is None
    assert evidence_of({"messageAttributes": {}}) is None
    for text in ("e30=", "e31=", "e30", "e30=\n"):  # the first is {}; no other spelling of it counts
        attribute = {EVIDENCE_ATTRIBUTE: {"binaryValue": text}}
        assert evidence_of({"messageAttributes": attribute}) == (b"{}" if text == "e30=" else b"")
    for value in (None, "", "AA", "no base64"):
        record = {"messageAttributes": {EVIDENCE_ATTRIBUTE: {"binaryValue": value}}}
        assert evidence_of(record) == b""


def test_what_the_bucket_cannot_take_is_named(deployment: Deployment) -> None:
    store = S3EvidenceStore(S3ObjectStore(session.s3(), "no-such-bucket"))
    assert store.keep({}) == {}
    lost = store.keep({"a": b"1", "b": b"2"})
    assert {sha256: error.code for sha256, error in lost.items()} == {
        "a": "misconfigured",
        "b": "misconfigured",
    }


def test_objects_there_already_are_left_as_they_are(deployment: Deployment) -> None:
    boto3.client("s3").put_object(Bucket="log", Key="evidence/a", Body=b"first")
    assert S3EvidenceStore(S3ObjectStore(session.s3(), "log")).keep({"a": b"second"}) == {}
    assert boto3.client("s3").get_object(Bucket="log", Key="evidence/a")["Body"].read() == b"first"


def test_relaxed_level_moves_bulk_off_the_header(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNET_LEVEL", "relax")
    world = deployment.world
    answer = handshake_handler.handler(world.event(path="/pch/challenge"), context("handshake"))
    assert json.loads(answer["body"])["header_budget"] == 2048
    assert authorize(world.sign(world.event(), "ed25519")) == "ok"
    refused = authorizer_handler.handler(world.sign(world.event(), "ml-dsa-65"), context("authorizer"))
    assert refused["context"]["reason"] == "header_budget_exceeded"
    challenge = Challenge.from_header(refused["context"]["challenge"])
    assert challenge.header_budget == 2048
    event, bundle = detached(world, challenge.nonce)
    post(world, bundle, f'"{challenge.nonce}"')
    assert authorize(event) == "ok"
    for receipt in deployment.receipts():
        assert receipt["breaker"]["level"] == "relax"
        assert receipt["breaker"]["header_budget"] == 2048


@pytest.mark.parametrize("level", ["classical", "shed", "", "Full"])
def test_a_setting_forces_no_other_level(deployment: Deployment, level: str) -> None:
    with pytest.raises(UsageError, match="SIGNET_LEVEL"):
        HandshakeSettings.from_environment({**os.environ, "SIGNET_LEVEL": level})


@pytest.mark.parametrize(("method", "path"), [("GET", "/pch/challenge"), ("POST", "/pch/evidence")])
def test_an_event_is_decoded_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    seen = []

    def decode(event: Event) -> InboundRequest:
        seen.append(event)
        return decoded(event)

    decoded = rest_v1.decode
    monkeypatch.setattr(rest_v1, "decode", decode)
    event = deployment.world.event(method, path)
    answer = handshake_handler.handler({**event, "body": "{}"}, context("handshake"))
    assert answer["statusCode"] in {200, 401}
    assert seen == [{**event, "body": "{}"}]
