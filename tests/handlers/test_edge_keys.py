"""The edge's keys as the functions read them: two during a rotation, none without an edge, never a guess."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import authorizer_handler
import boto3
import handshake_handler
import pytest

from signet.aws.compose.handshake_settings import HandshakeSettings
from signet.core.errors import UsageError
from signet.handshake.challenge import Challenge
from signet.handshake.edge import EdgeKeys
from tests.support.deployment import Deployment, context, deployed
from tests.support.world import AUTHORITY, EDGE_AUTHORITY, EDGE_KEYS


def _secret(*kids: str) -> str:
    return json.dumps({kid: base64.b64encode(EDGE_KEYS[kid]).decode() for kid in kids})


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    authorizer_handler._authorizer.cache_clear()
    handshake_handler._uploader.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        made.world.now_ms = time.time_ns() // 1_000_000
        monkeypatch.setenv("SIGNET_AUTHORITIES", f"default,{EDGE_AUTHORITY}")
        monkeypatch.setenv("SIGNET_EDGE_BASE_PATH", "/prod")
        yield made


def _configure(monkeypatch: pytest.MonkeyPatch, *versions: str) -> None:
    client = boto3.client("secretsmanager")
    arn = client.create_secret(Name="edge", SecretString=versions[0])["ARN"]
    for version in versions[1:]:
        client.put_secret_value(SecretId=arn, SecretString=version)
    monkeypatch.setenv("SIGNET_EDGE_SECRET_ARN", arn)


def _reason(deployment: Deployment, kid: str) -> str:
    world = deployment.world
    event = world.sign(world.edge_event(kid=kid), url=f"https://{EDGE_AUTHORITY}/protected")
    reason: str = authorizer_handler.handler(event, context("authorizer"))["context"]["reason"]
    return reason


@pytest.mark.parametrize("versions", [[_secret("e1", "e2")], [_secret("e1"), _secret("e2")]])
def test_two_keys_are_valid_during_a_rotation(deployment, monkeypatch, versions) -> None:
    _configure(monkeypatch, *versions)
    assert [_reason(deployment, kid) for kid in ("e1", "e2")] == ["ok", "ok"]


def test_a_key_that_was_taken_out_is_refused(deployment, monkeypatch) -> None:
    _configure(monkeypatch, _secret("e1"), _secret("e1", "e2"), _secret("e2"), _secret("e2"))
    assert [_reason(deployment, kid) for kid in ("e1", "e2")] == ["edge_attestation_invalid", "ok"]


@pytest.mark.parametrize(("said", "reason"), [("true", "ok"), ("false", "edge_attestation_invalid")])
def test_version_1_is_a_matter_of_a_parameter(deployment, monkeypatch, said, reason) -> None:
    _configure(monkeypatch, _secret("e1"))
    monkeypatch.setenv("SIGNET_EDGE_ACCEPT_V1", said)
    world = deployment.world
    event = world.sign(world.edge_event(version=1), url=f"https://{EDGE_AUTHORITY}/protected")
    assert authorizer_handler.handler(event, context("authorizer"))["context"]["reason"] == reason


@pytest.mark.parametrize("said", ["", "1", "True", "yes"])
def test_a_switch_that_says_neither_is_refused(deployment, monkeypatch, said) -> None:
    monkeypatch.setenv("SIGNET_EDGE_ACCEPT_V1", said)
    with pytest.raises(UsageError, match="SIGNET_EDGE_ACCEPT_V1"):
        HandshakeSettings.from_environment(os.environ)


def test_without_an_edge_every_attestation_is_refused(deployment) -> None:
    assert _reason(deployment, "e1") == "edge_attestation_invalid"


def test_the_challenge_behind_the_edge_is_for_the_edges_name(deployment, monkeypatch) -> None:
    _configure(monkeypatch, _secret("e1"))
    world = deployment.world
    event = world.edge_event(target="/pch/challenge")
    answer = handshake_handler.handler(event, context("handshake"))
    challenge = Challenge.from_header(answer["multiValueHeaders"]["WWW-Authenticate"][0])
    assert challenge.challenge_uri == "/pch/challenge"
    signed = world.sign(world.edge_event(), url=f"https://{EDGE_AUTHORITY}/protected", nonce=challenge.nonce)
    assert authorizer_handler.handler(signed, context("authorizer"))["context"]["reason"] == "ok"
    around = world.sign(world.event(), url=f"https://{AUTHORITY}/prod/protected", nonce=challenge.nonce)
    answer = authorizer_handler.handler(around, context("authorizer"))
    assert answer["context"]["reason"] == "nonce_invalid"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "{}",
        "[]",
        '"e1"',
        '{"e1": 7}',
        '{"e1": ""}',
        '{"e1": "AAAA"}',
        f'{{"e 1": "{"A" * 43}="}}',
        f'{{"e1": "{"A" * 43}"}}',
        f'{{"e1": "{"A" * 42}B="}}',
    ],
)
def test_a_secret_of_another_form_is_refused_in_words_that_do_not_quote_it(secret: str) -> None:
    with pytest.raises(UsageError, match="write it anew"):
        EdgeKeys.from_secrets([secret])


def test_keys_do_not_show_when_they_are_printed() -> None:
    shown = repr(EdgeKeys(EDGE_KEYS))
    assert "e1" not in shown
    assert repr(EDGE_KEYS["e1"])[2:-1] not in shown
