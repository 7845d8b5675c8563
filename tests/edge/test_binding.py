"""From a real TLS connection through each edge to the decision, on routes that demand the exporter."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from signet.handshake.edge import EdgeKeys
from signet_client import AsyncExporterTransport, ExporterTransport
from signet_client.messages import PROVE
from tests.edge.client import Answer, Client, connected
from tests.edge.conftest import KEY, KID, UPSTREAM_HOST
from tests.support.cases import CERTIFICATE, CERTIFICATE_SHA256, OTHER_CERTIFICATE
from tests.support.world import EDGE_AUTHORITY, World, issuing, set_header
from tests.support.world import own as decode

ROUNDS = 10
TARGET = "/protected?b=1&a=x+y"
URL = f"https://{EDGE_AUTHORITY}{TARGET}"
PROOF = ("PCH-Channel-Binding", "Signature-Input", "Signature")


@pytest.fixture
def world() -> World:
    made = World()
    made.require("tls-exporter")
    made.now_ms = time.time_ns() // 1_000_000
    return made


def proof(world: World, bound: bytes | None, kind: str = "tls-exporter", **signing: Any) -> dict[str, str]:
    """Return the fields of a request signed for the edge's authority; without ``bound``, bound to nothing."""
    event = world.event()
    if bound is not None:
        set_header(event, "PCH-Channel-Binding", f"{kind}=:{base64.b64encode(bound).decode()}:")
    world.sign(event, url=URL, **signing)
    return {name: event["headers"][name] for name in PROOF if name in event["headers"]}


def send(client: Client, headers: dict[str, str]) -> Answer:
    return client.request(target=TARGET, headers=list(headers.items()), host=EDGE_AUTHORITY)


def decided(world: World, answer: Answer, certificate: str | None = None) -> str:
    """What the verifier decides on the request as it arrived behind the edge."""
    path, _, query = answer.told["target"].partition("?")
    event = world.event(path=path.removeprefix("/prod"), query=parse_qs(query))
    for name, value in answer.told["headers"]:
        set_header(event, name, value)
    if certificate:
        event["requestContext"]["identity"]["clientCert"] = {"clientCertPem": certificate}
    assert answer.received("host") == [UPSTREAM_HOST]
    verifier = issuing(world.verifier, edge_keys=EdgeKeys({KID: KEY}))
    return verifier.judge(decode(event), now_ms=time.time_ns() // 1_000_000).reason.value


def test_the_right_exporter_is_accepted(edge, world):
    for _ in range(ROUNDS):
        with connected(edge.port) as client:
            assert decided(world, send(client, proof(world, client.exporter))) == "ok"


@pytest.mark.parametrize("kind", ["httpx", "httpx async"])
def test_the_clients_transports_take_the_exporter_that_the_edge_attests(edge, certificate, kind):
    told = {}

    def prove(_url: str, exporter: bytes) -> dict[str, str]:
        told["exporter"] = exporter
        return {"X-Bound": "late"}

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=AsyncExporterTransport(verify=str(certificate))) as client:
            return await client.post(url, content=b"a" * 300_000, extensions={PROVE: prove})

    url = f"https://localhost:{edge.port}/protected"
    if kind == "httpx":
        with httpx.Client(transport=ExporterTransport(verify=str(certificate))) as client:
            answer = client.post(url, content=b"a" * 300_000, extensions={PROVE: prove})
    else:
        answer = asyncio.run(ask())
    arrived = dict(answer.json()["headers"])
    assert (answer.json()["body_bytes"], arrived["x-bound"]) == (300_000, "late")
    assert f"exporter=:{base64.b64encode(told['exporter']).decode()}:" in arrived["signet-edge"]


def test_another_connections_exporter_is_refused_and_burns_no_nonce(edge, world):
    for _ in range(ROUNDS):
        with connected(edge.port) as one, connected(edge.port) as other:
            bound = proof(world, one.exporter)
            assert decided(world, send(other, bound)) == "binding_mismatch"
            assert decided(world, send(one, bound)) == "ok"


def test_a_stripped_binding_is_refused(edge, world):
    for _ in range(ROUNDS):
        with connected(edge.port) as client:
            bound = proof(world, client.exporter)
            del bound["PCH-Channel-Binding"]
            assert decided(world, send(client, bound)) == "malformed"  # covered, and not there
            rewritten = bound | {
                "Signature-Input": bound["Signature-Input"].replace(' "pch-channel-binding"', "")
            }
            assert decided(world, send(client, rewritten)) == "binding_missing"
            assert decided(world, send(client, proof(world, None))) == "binding_missing"
    assert not world.nonces.spent


def test_a_downgraded_binding_is_refused(edge, world):
    for _ in range(ROUNDS):
        with connected(edge.port) as client:
            weak = world.nonce(authority=EDGE_AUTHORITY, bound="none")
            assert decided(world, send(client, proof(world, client.exporter, nonce=weak))) == "nonce_invalid"
            renamed = proof(world, client.exporter, "tls-client-cert")
            assert decided(world, send(client, renamed)) == "binding_missing"
    assert not world.nonces.spent


@pytest.mark.parametrize("shown", [None, CERTIFICATE, OTHER_CERTIFICATE])
def test_a_certificate_is_refused_whosever_it_is(edge, world, shown):
    """Behind an edge API Gateway sees the edge's certificate, if any: never the caller's."""
    for _ in range(ROUNDS):
        with connected(edge.port) as client:
            answer = send(client, proof(world, CERTIFICATE_SHA256, "tls-client-cert"))
            assert decided(world, answer, shown) == "binding_missing"
    assert not world.nonces.spent


def test_a_forged_attestation_helps_nobody(edge, world):
    made_up = hashlib.sha256(b"a connection of the forger's choice").digest()
    for _ in range(ROUNDS):
        forged = {
            "Signet-Edge": world.attestation(exporter=made_up, target=TARGET, key=b"f" * 32),
            "signet_edge": world.attestation(exporter=made_up, target=TARGET),
        }
        with connected(edge.port) as client:
            assert decided(world, send(client, proof(world, made_up) | forged)) == "binding_mismatch"
            around = world.event(headers=proof(world, made_up) | {"Signet-Edge": forged["Signet-Edge"]})
            assert world.reason(around) == "edge_attestation_invalid"
            assert decided(world, send(client, proof(world, client.exporter) | forged)) == "ok"
