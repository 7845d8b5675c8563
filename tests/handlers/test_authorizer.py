"""The authorizer as Lambda runs it: events in, IAM answers out, one receipt in the queue per decision."""

import io
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import authorizer_handler
import boto3
import handshake_handler
import pytest

from signet.aws import session
from signet.aws.compose import authorizer as composition
from signet.aws.nonces import DynamoNonceStore
from signet.aws.registry import DynamoClientRegistry
from signet.core.clocks import Elapsed
from signet.core.decision import Reason
from signet.core.vocabulary import PayloadKind
from signet.handshake.authorizer import Authorizer, RecordedDecision
from signet.handshake.challenge import Challenge
from signet.handshake.registry import CachedRegistry
from tests.support.deployment import Deployment, context, deployed
from tests.support.serialized import Serialized
from tests.support.shapes import DOMAIN, mapped
from tests.support.world import ROOT, World, digest, edit_header, own

CONTEXT = context("authorizer")


def printed_from_now(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Give what the function prints."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stdout", log)
    return log


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    authorizer_handler._authorizer.cache_clear()
    handshake_handler._uploader.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        made.world.now_ms = time.time_ns() // 1_000_000
        yield made


def test_first_call_is_challenged_and_the_answer_to_it_allowed(deployment: Deployment) -> None:
    world = deployment.world
    refused = authorizer_handler.handler(world.event(), CONTEXT)
    assert refused["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert refused["context"]["reason"] == "challenge_required"
    nonce = Challenge.from_header(refused["context"]["challenge"]).nonce
    allowed = authorizer_handler.handler(world.sign(world.event(), nonce=nonce), CONTEXT)
    assert allowed["policyDocument"]["Statement"] == [
        {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": world.event()["methodArn"]}
    ]
    assert allowed["principalId"] == allowed["context"]["keyid"] == "caller-1"
    assert "challenge" not in allowed["context"]
    assert allowed["context"]["covered"] == "@method @authority @path @query"
    assert "covered" not in refused["context"]
    receipts = deployment.receipts()
    assert [r["reason"] for r in receipts] == ["challenge_required", "ok"]
    assert [r["id"] for r in receipts] == [a["context"]["receipt_id"] for a in (refused, allowed)]


def test_nonce_from_the_challenge_endpoint_is_good(deployment: Deployment) -> None:
    world = deployment.world
    answer = handshake_handler.handler(world.event(path="/pch/challenge"), context("handshake"))
    assert answer["statusCode"] == 200
    headers = {n.lower(): v[-1] for n, v in answer["multiValueHeaders"].items()}
    assert headers["cache-control"] == "no-store"
    offered, told = Challenge.from_header(headers["www-authenticate"]), json.loads(answer["body"])
    assert (told["components"], told["max_age"]) == ([], 300)
    assert (offered.components, offered.max_age) == ((), 300)
    nonce = offered.nonce
    assert (
        authorizer_handler.handler(world.sign(world.event(), nonce=nonce), CONTEXT)["context"]["reason"]
        == "ok"
    )


def test_an_allow_tells_the_backend_who_called_and_how(deployment: Deployment) -> None:
    world = deployment.world
    field = digest(b"hello")
    event = world.sign(world.event("POST", headers={"Content-Digest": field}), "ml-dsa-65")
    answer = authorizer_handler.handler(event, CONTEXT)
    context_ = dict(answer["context"])
    assert context_.pop("receipt_id") == deployment.receipts()[0]["id"]
    assert context_.pop("breaker", None)  # a ticket for what the backend reports
    assert len(context_.pop("nonce")) == 55  # for the caller's next request
    assert context_ == {
        "reason": "ok",
        "api": "signet",
        "route": "POST /protected",
        "keyid": world.keyids["ml-dsa-65"],
        "alg": "ml-dsa-65",
        "binding": "none",
        "content_digest": field,
        "covered": "@method @authority @path @query content-digest",
    }


def test_each_allow_brings_the_nonce_for_the_next_request_and_no_refusal_does(
    deployment: Deployment,
) -> None:
    world = deployment.world
    nonce, used = world.nonce(), set()
    for _ in range(3):
        event = world.sign(world.event(), nonce=nonce)
        told = authorizer_handler.handler(event, CONTEXT)["context"]
        used.add(nonce)
        nonce = told["nonce"]
        assert (told["reason"], nonce in used) == ("ok", False)
        replayed = authorizer_handler.handler(event, CONTEXT)["context"]
        assert (replayed["reason"], replayed.get("nonce")) == ("nonce_replayed", None)


def test_a_refusal_names_nobody(deployment: Deployment) -> None:
    event = edit_header(
        deployment.world.sign(deployment.world.event()), "Signature", lambda v: v[:10] + "AAAA" + v[14:]
    )
    answer = authorizer_handler.handler(event, CONTEXT)
    assert answer["principalId"] == "anonymous"
    assert answer["context"].keys() == {"reason", "receipt_id", "challenge"}
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_the_challenge_endpoint_says_in_json_what_its_header_says(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNET_AUTHORITIES", f"default,{DOMAIN}")
    event = mapped(deployment.world.event(path="/pch/challenge"), "/public")
    answer = handshake_handler.handler(event, context("handshake"))
    assert answer["statusCode"] == 200
    offered = Challenge.from_header(answer["multiValueHeaders"]["WWW-Authenticate"][-1])
    assert json.loads(answer["body"]) == {
        "nonces": [offered.nonce],
        "realm": "signet",
        "nonce": offered.nonce,
        "algs": list(offered.algs),
        "binding": "none",
        "header_budget": 8192,
        "components": [],
        "max_age": 300,
        "challenge_uri": "/public/pch/challenge",
        "evidence_uri": "/public/pch/evidence",
    }
    assert (offered.realm, offered.binding, offered.header_budget) == ("signet", "none", 8192)
    assert offered.challenge_uri == "/public/pch/challenge"
    signed = deployment.world.sign(mapped(deployment.world.event(), "/public"), nonce=offered.nonce)
    assert authorizer_handler.handler(signed, CONTEXT)["context"]["reason"] == "ok"


@pytest.mark.parametrize("mapping", ["", "/public", "/public/v1", "/pch"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_signet_s_own_endpoints_answer_under_a_mapping(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, mapping: str, slash: str
) -> None:
    monkeypatch.setenv("SIGNET_AUTHORITIES", f"default,{DOMAIN}")
    world = deployment.world

    def ask(method: str, path: str, fields: dict[str, str] | None = None, **parts: Any) -> int:
        event = mapped(world.event(method, path + slash, resource=path, headers=fields), mapping)
        status: int = handshake_handler.handler(event | parts, context("handshake"))["statusCode"]
        return status

    boto3.client("s3").put_object(Bucket="log", Key="keys.json", Body=b'{"v":1}')
    nonce = {"PCH-Nonce": f'"{world.nonce(authority=DOMAIN)}"'}
    assert ask("GET", "/pch/challenge") == 200
    assert ask("GET", "/pch/keys") == 200
    assert ask("POST", "/pch/evidence", nonce, body='{"evidence":{"a":1}}', isBase64Encoded=False) == 201
    assert ask("GET", "/pch/other") == 404
    assert ask("GET", "/challenge") == 404  # under the mapping /pch it is addressed as /pch/challenge


def test_outage_is_no_challenge_but_a_reason_to_wait(deployment: Deployment) -> None:
    secret = boto3.client("secretsmanager")
    secret.delete_secret(SecretId="handshake", ForceDeleteWithoutRecovery=True)
    event = deployment.world.event(path="/pch/challenge")
    answer = handshake_handler.handler(event, context("handshake"))
    assert answer["statusCode"] == 503
    assert {n: v[-1] for n, v in answer["multiValueHeaders"].items()}["Retry-After"] in {"2", "3", "4"}


@pytest.mark.usefixtures("deployment")
def test_stores_that_hang_leave_time_to_record_the_refusal() -> None:
    """With DynamoDB away the policy's register takes its time first, then the next store."""

    def longest(client: Any) -> float:
        config = client.meta.config
        tries: int = config.retries["total_max_attempts"]
        return tries * (config.connect_timeout + config.read_timeout) + (tries - 1)  # at most 1 s in between

    template = (ROOT / "template.yaml").read_text()
    function = template[template.index("  AuthorizerFunction:") : template.index("  AuthorizerRole:")]
    timeout_s = int(re.findall(r"Timeout: (\d+)", function)[0])
    breaker, sqs = longest(session.dynamodb_once()), 2
    assert breaker + 2 * longest(session.dynamodb()) + sqs <= timeout_s
    assert breaker + longest(session.s3()) <= timeout_s
    assert timeout_s < 29  # when API Gateway gives up


@pytest.mark.parametrize("changes", [{}, {"version": "1.0"}])
def test_an_event_that_names_no_method_is_refused_before_its_nonce_is_spent(
    deployment: Deployment, changes: dict[str, str]
) -> None:
    """Only a call past the gateway lacks it; nothing could be allowed in the answer."""
    event = deployment.world.sign(deployment.world.event())
    nameless = {name: value for name, value in event.items() if name != "methodArn"} | changes
    answered = authorizer_handler.handler(nameless, context("authorizer"))
    assert answered["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert answered["context"]["reason"] == "malformed"
    assert authorizer_handler.handler(event, context("authorizer"))["context"]["reason"] == "ok"


@pytest.mark.long
def test_fifty_parallel_presentations_of_one_proof_allow_one(deployment: Deployment) -> None:
    authorizer = authorizer_handler._authorizer()
    table = cast("DynamoNonceStore", authorizer.verifier.nonces).table
    nonces = DynamoNonceStore(cast("Any", Serialized(session.dynamodb())), table)
    verifier = replace(authorizer.verifier, nonces=nonces)
    # Threads share it here, and each refusal is to be seen.
    authorizer = replace(authorizer, verifier=verifier, strangers=None)
    now_ms = deployment.world.now_ms
    for _ in range(20):  # races differ from run to run
        event = deployment.world.sign(deployment.world.event())
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _, e=event: authorizer.authorize(e, now_ms=now_ms), range(50)))
        reasons = Counter(a.decision.reason.value for a in answers)
        assert reasons == {"ok": 1, "nonce_replayed": 49}
        # Taken in each round: moto's queue takes the longer the more lie in it.
        assert Counter(receipt["reason"] for receipt in deployment.receipts()) == reasons


def test_strangers_beyond_ten_a_second_are_counted(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(200):
        answer = authorizer_handler.handler(deployment.world.event(), context("authorizer"))
        assert answer["context"]["reason"] == "challenge_required"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"decision"' in line]
    assert len(lines) == 200
    folded = sum(line.get("RefusalsFolded", 0) for line in lines)
    receipts = deployment.receipts()
    assert len(receipts) + folded == 200
    assert folded > 100  # it took less than ten seconds
    assert max(receipt["emitter"]["folded"] for receipt in receipts) <= folded


@pytest.mark.parametrize("kind", PayloadKind)
def test_a_client_over_its_limit_is_answered_without_a_policy_and_makes_no_failure(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, kind: PayloadKind
) -> None:
    """Or any client could make the alarm ring that counts the function's failures."""
    authorizer = authorizer_handler._authorizer()

    def over(self: Authorizer, event: Any, *, now_ms: int) -> RecordedDecision:
        judged = authorizer.verifier.judge(replace(own(event), kind=kind), now_ms=now_ms)
        judged.context.retry_after_s = 7
        return RecordedDecision(
            replace(judged, reason=Reason.RATE_LIMITED), "a receipt's id", 1, durable=True
        )

    monkeypatch.setattr(Authorizer, "authorize", over)
    log = printed_from_now(monkeypatch)
    answer = authorizer_handler.handler(deployment.world.sign(deployment.world.event()), CONTEXT)
    assert answer == {"context": {"reason": "rate_limited", "receipt_id": "a receipt's id"}}
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if '"decision"' in line]
    assert (line["retry_after_s"], line["backend"]) == (7, "backend")
    assert "BreakerSheds" not in log.getvalue()


def test_unreachable_queue_sheds(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=deployment.queue_url)
    log = printed_from_now(monkeypatch)
    with pytest.raises(authorizer_handler.Shed, match="receipt_queue_unavailable"):
        authorizer_handler.handler(deployment.world.sign(deployment.world.event()), CONTEXT)
    assert '"level":"ERROR"' in log.getvalue()
    assert '"error":"MisconfiguredError","place":"translate_errors:' in log.getvalue()
    assert "there is no such receipt queue" in log.getvalue()


def test_a_table_that_may_not_be_read_is_answered_as_any_outage_and_logged_with_what_to_do(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = printed_from_now(monkeypatch)
    session.dynamodb().delete_table(TableName=os.environ["SIGNET_NONCES_TABLE"])
    with pytest.raises(authorizer_handler.Shed, match="store_unavailable"):
        authorizer_handler.handler(deployment.world.sign(deployment.world.event()), CONTEXT)
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if '"decision"' in line]
    assert (line["level"], line["reason"], line["error"]) == (
        *("ERROR", "store_unavailable", "MisconfiguredError"),
    )
    assert "set SIGNET_NONCES_TABLE" in line["why"]
    assert [receipt["reason"] for receipt in deployment.receipts()] == ["store_unavailable"]


def test_operator_reads_why_where_the_caller_reads_a_code(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = printed_from_now(monkeypatch)
    event = deployment.world.event("POST", "/compliance/pack", headers={"Content-Digest": digest(b"{}")})
    answer = authorizer_handler.handler(deployment.world.sign(event), CONTEXT)
    assert answer["context"]["reason"] == "policy_denied"
    assert "roles" not in str(answer)
    assert '"why":"the client\'s roles do not include the route\'s"' in log.getvalue()


def test_unreachable_registry_sheds_on_record(deployment: Deployment) -> None:
    boto3.client("dynamodb").delete_table(TableName="clients")
    with pytest.raises(authorizer_handler.Shed, match="store_unavailable"):
        authorizer_handler.handler(deployment.world.sign(deployment.world.event()), CONTEXT)
    assert [r["reason"] for r in deployment.receipts()] == ["store_unavailable"]


def test_a_revocation_holds_within_a_minute_although_lambda_froze_the_environment(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = [1_795_392_000.0]
    frozen = partial(Elapsed, monotonic=lambda: 7.0, wall=lambda: wall[0])
    monkeypatch.setattr(composition, "Elapsed", frozen)
    world = deployment.world

    def reason() -> str:
        answer = authorizer_handler.handler(world.sign(world.event()), CONTEXT)
        return str(answer["context"]["reason"])

    assert reason() == "ok"
    DynamoClientRegistry(session.dynamodb(), "clients").revoke("caller-1")
    assert reason() == "ok"
    wall[0] += 60
    assert reason() == "key_revoked"


def test_revocation_holds_once_the_cache_is_old(deployment: Deployment) -> None:
    clock = [0.0]
    registry = DynamoClientRegistry(session.dynamodb(), "clients")
    cached = CachedRegistry(registry, lambda: clock[0])
    assert cached.get("caller-1") == registry.get("caller-1")
    registry.revoke("caller-1")
    found = cached.get("caller-1")
    assert found is not None
    assert found.status == "active"
    clock[0] = 60.0
    found = cached.get("caller-1")
    assert found is not None
    assert found.status == "revoked"


def test_guessing_key_ids_pushes_no_client_out_and_reads_once() -> None:
    world = World()
    cached = CachedRegistry(world.clients, lambda: 0.0, size=8)
    cached.get("caller-1")
    for n in range(100):
        cached.get(f"guess-{n}")
    reads = world.clients.reads
    cached.get("caller-1")
    cached.get("guess-99")
    assert world.clients.reads == reads


def test_log_lines_carry_the_receipt_id_and_no_secret(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = printed_from_now(monkeypatch)
    event = deployment.world.sign(deployment.world.event())
    answer = authorizer_handler.handler(event, CONTEXT)
    printed = log.getvalue() + capsys.readouterr().out
    assert answer["context"]["receipt_id"] in printed
    assert '"Decisions"' in printed
    assert event["headers"]["Signature"][5:40] not in printed
    assert "203.0.113.7" not in printed
