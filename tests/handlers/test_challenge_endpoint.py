"""The challenge endpoint as Lambda runs it, with APIs that are registered as ``signet apis add`` does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import handshake_handler
import pytest

from signet.aws import session
from signet.aws.apis import DynamoApiRegistry
from signet.core.apis import Api
from signet.core.errors import SignetError
from signet.core.vocabulary import PayloadKind
from signet.handshake.challenge import Challenge
from signet.handshake.evidence import Bundle
from signet_client.sources import Source, source_in
from tests.support.declared import NAMES
from tests.support.deployment import Deployment, context, deployed
from tests.support.registered import put_in_force, take_away
from tests.support.world import set_header

ORDERS = Api(
    "orders", "0rd3rs1d00", "$default", PayloadKind.HTTP_V2, "123456789012", frozenset({"o.example.com"})
)


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    handshake_handler._uploader.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        yield made


def registry() -> DynamoApiRegistry:
    return DynamoApiRegistry(session.dynamodb(), NAMES["ApisTable"])


def call(
    deployment: Deployment, method: str, path: str, query: Mapping[str, list[str]], **event: Any
) -> tuple[int, dict[str, Any], dict[str, str]]:
    sent = deployment.world.event(method, path, query)
    for name, value in event.pop("headers", {}).items():
        set_header(sent, name, value)
    answer = handshake_handler.handler({**sent, **event}, context("handshake"))
    fields = {name.lower(): values[-1] for name, values in answer["multiValueHeaders"].items()}
    return answer["statusCode"], json.loads(answer["body"]), fields


def test_a_registration_is_found_by_its_name(deployment: Deployment) -> None:
    assert registry().named("orders") is None
    put_in_force(session.dynamodb(), NAMES["ApisTable"], ORDERS)
    assert registry().named("orders") == ORDERS
    assert registry().names() == {"orders"}
    take_away(session.dynamodb(), NAMES["ApisTable"], "orders")
    assert registry().named("orders") is None


def test_a_name_that_points_to_another_registration_is_damaged(deployment: Deployment) -> None:
    put_in_force(session.dynamodb(), NAMES["ApisTable"], ORDERS)
    for place in ("api#0rd3rs1d00#$default", "junk"):
        item: Any = {"pk": {"S": "name#billing"}, "place": {"S": place}}
        boto3.client("dynamodb").put_item(TableName=NAMES["ApisTable"], Item=item)
        with pytest.raises(SignetError) as caught:
            registry().named("billing")
        assert caught.value.code == "bad_entry"


def test_challenges_come_in_batches_for_an_attached_api(deployment: Deployment) -> None:
    put_in_force(session.dynamodb(), NAMES["ApisTable"], ORDERS)
    status, body, fields = call(deployment, "GET", "/pch/challenge", {"api": ["orders"], "count": ["16"]})
    assert (status, len(set(body["nonces"])), fields["cache-control"]) == (200, 16, "no-store")
    carried = fields.get("www-authenticate") or fields["x-amzn-remapped-www-authenticate"]
    assert Challenge.from_header(carried).nonce == body["nonces"][0] == body["nonce"]
    nonce = body["nonces"][-1]
    for query, expected in (({}, 401), ({"api": ["orders"]}, 201)):
        status, body, _ = call(
            deployment,
            "POST",
            "/pch/evidence",
            query,
            headers={"PCH-Nonce": f'"{nonce}"'},
            body=base64.b64encode(Bundle(b'{"a":1}', None).encode()).decode(),
            isBase64Encoded=True,
        )
        assert status == expected, body


@pytest.mark.parametrize(("method", "path"), [("GET", "/pch/challenge"), ("POST", "/pch/evidence")])
def test_what_is_not_registered_is_refused_as_json(deployment: Deployment, method: str, path: str) -> None:
    put_in_force(session.dynamodb(), NAMES["ApisTable"], ORDERS)
    for query, status, error in (
        ({"api": ["billing"]}, 404, "unknown_api"),
        ({"api": ["orders"], "authority": ["elsewhere.example.com"]}, 400, "malformed"),
        ({"count": ["65"]}, 400, "malformed"),
    ):
        answered, body, fields = call(deployment, method, path, query, body="{}")
        assert (answered, body["error"]) == (status, error)
        assert "nonce" not in body
        assert not {"www-authenticate", "x-amzn-remapped-www-authenticate"} & set(fields)


@pytest.mark.parametrize("prefix", ["/prod", "", "/public"])
def test_clients_find_the_challenges_of_signets_own_api(deployment: Deployment, prefix: str) -> None:
    """At the root of a domain name that is mapped without a base path; elsewhere it says the same."""
    path = "/.well-known/pch"
    sent = deployment.world.event("GET", path)
    sent["requestContext"]["path"] = sent["path"] = prefix + path
    answer = handshake_handler.handler({**sent, "resource": path}, context("handshake"))
    assert answer["statusCode"] == 200
    assert answer["multiValueHeaders"]["Cache-Control"] == ["public, max-age=300"]
    found = source_in(answer["body"].encode(), "https://signet.example.com/protected")
    assert found == Source(f"https://signet.example.com{prefix}/pch/challenge")
