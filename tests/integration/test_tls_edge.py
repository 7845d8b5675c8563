"""Channel binding on the deployed stack, behind each edge: the right connection passes, no other does.

Runs after the tests that share one day and count its decisions.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from local.stack import Stack
from local.tools import HOME, ROOT
from signet.aws.chains import DynamoChainStore
from signet.aws.registry import DynamoClientRegistry
from signet.core.client import Client as Entry
from signet.crypto import suites
from signet.handshake.challenge import Challenge
from signet_client import AsyncExporterTransport, ExporterTransport, PCHAuth
from signet_client.messages import EvidencePosted, RequestSigned
from signet_client.signing import Plain, Signer, sign
from tests.edge.client import Answer, Client, connected
from tests.edge.conftest import KINDS, running
from tests.support.waiting import until

pytestmark = pytest.mark.integration

ROUNDS = 3


def variables_of_edge(stack: Stack, url: str) -> dict[str, str]:
    """Return the environment of an edge in front of an API of the stack."""
    secret = stack.client("secretsmanager").get_secret_value(SecretId=f"{stack.name}/edge")["SecretString"]
    [(kid, key)] = json.loads(secret).items()
    api = urlsplit(url)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "edge"),
        "SIGNET_EDGE_CERT": str(HOME / stack.name / "edge.pem"),
        "SIGNET_EDGE_KID": kid,
        "SIGNET_EDGE_KEY_B64": key,
        "SIGNET_EDGE_UPSTREAM": api.netloc,
        "SIGNET_EDGE_UPSTREAM_HOST": api.netloc,
        "SIGNET_EDGE_UPSTREAM_PREFIX": api.path,
        "SIGNET_EDGE_UPSTREAM_TLS": "off",
    }


@dataclass(frozen=True)
class Caller:
    """A caller with a key, in front of an edge on ``port`` that answers to ``authority``."""

    stack: Stack
    signer: Signer
    port: int
    authority: str

    def proof(self, client: Client, bound: bytes | None, url: str = "/protected") -> dict[str, str]:
        """Return the fields of a request signed for this edge, the nonce fetched over the same connection."""
        answer = client.request(target="/pch/challenge", host=self.authority)
        challenge = Challenge.from_header(dict(answer.headers)["www-authenticate"])
        assert challenge.challenge_uri == "/pch/challenge"
        field = binding(bound)
        plain = Plain("GET", f"https://{self.authority}{url}", {k.lower(): v for k, v in field.items()}, b"")
        signed = sign(plain, self.signer, nonce=challenge.nonce, now=int(time.time()))
        return field | dict(signed.fields)

    def send(self, client: Client, headers: dict[str, str], url: str = "/protected") -> Answer:
        return client.request(target=url, headers=list(headers.items()), host=self.authority)

    def reason(self, nonce_field: str) -> str:
        """Wait for the receipt of the request with this Signature-Input, and return its last reason."""
        nonce = nonce_field.partition('nonce="')[2].partition('"')[0]
        table = DynamoChainStore(self.stack.client("dynamodb"), self.stack.outputs["ReceiptsTable"])
        digest = hashlib.sha256(nonce.encode()).hexdigest()
        found: list[str] = []

        def there() -> bool:
            receipts = [json.loads(raw) for raw in table.read(0, start_seq=0)]
            found[:] = [r["reason"] for r in receipts if r.get("proof", {}).get("nonce_sha256") == digest]
            return bool(found)

        until(there, seconds=60)
        return found[-1]


def binding(value: bytes | None) -> dict[str, str]:
    if value is None:
        return {}
    return {"PCH-Channel-Binding": f"tls-exporter=:{base64.b64encode(value).decode()}:"}


@pytest.fixture(scope="module")
def signer(stack: Stack) -> Signer:
    key = suites.get("ed25519").generate()
    registry = DynamoClientRegistry(stack.client("dynamodb"), stack.outputs["ClientsTable"])
    registry.put(Entry("edge-caller", "ed25519", key.public_key_bytes))
    return Signer(key, "edge-caller")


@pytest.fixture(scope="module", params=KINDS)
def caller(request: pytest.FixtureRequest, stack: Stack, signer: Signer) -> Iterator[Caller]:
    """A caller behind each of the two edges in turn, the stack's own and the other."""
    with running(request.param, variables_of_edge(stack, stack.outputs["ApiUrl"])) as edge:
        yield Caller(stack, signer, edge.port, urlsplit(stack.outputs["EdgeUrl"]).netloc)


@pytest.mark.parametrize("url", ["/protected", "/protected/7", "/protected?b=1&a=x+y&a=%7e"])
def test_a_proof_bound_to_its_connection_passes_and_is_recorded_as_bound(caller: Caller, url: str) -> None:
    for _ in range(ROUNDS):
        with connected(caller.port) as client:
            answer = caller.send(client, caller.proof(client, client.exporter, url), url)
        assert answer.status == 200, answer.body
        assert (answer.told["binding"], answer.told["caller"]) == ("tls-exporter", "edge-caller")


def test_a_proof_on_another_connection_is_refused(caller: Caller) -> None:
    for _ in range(ROUNDS):
        with connected(caller.port) as one, connected(caller.port) as other:
            proof = caller.proof(one, one.exporter)
            assert caller.send(other, proof).status in {401, 403}
            assert caller.reason(proof["Signature-Input"]) == "binding_mismatch"
            assert caller.send(one, proof).status == 200  # and no request burned its nonce meanwhile


def test_a_resumed_session_is_another_connection(caller: Caller) -> None:
    with connected(caller.port) as first:
        proof = caller.proof(first, first.exporter)
    with connected(caller.port, resume=first) as resumed:
        assert resumed.resumed
        assert caller.send(resumed, proof).status in {401, 403}
        assert caller.send(resumed, caller.proof(resumed, resumed.exporter)).status == 200


def test_a_binding_that_was_stripped_on_the_way_is_refused(caller: Caller) -> None:
    with connected(caller.port) as client:
        proof = caller.proof(client, client.exporter)
        stripped = {name: value for name, value in proof.items() if name != "PCH-Channel-Binding"}
        assert caller.send(client, stripped).status in {401, 403}
        assert caller.send(client, proof).status == 200


def test_a_forged_edge_header_changes_nothing_behind_the_edge(caller: Caller) -> None:
    forged = f'v=2, kid="local", ts={int(time.time())}, exporter=:{base64.b64encode(bytes(32)).decode()}:'
    with connected(caller.port) as client:
        proof = caller.proof(client, client.exporter)
        assert caller.send(client, proof | {"Signet-Edge": forged, "signet_edge": forged}).status == 200
        forgery = caller.proof(client, bytes(32))
        assert caller.send(client, forgery | {"Signet-Edge": forged}).status in {401, 403}
    assert caller.reason(forgery["Signature-Input"]) == "binding_mismatch"


def test_around_the_edge_a_binding_is_not_observed_and_its_header_not_believed(
    stack: Stack, signer: Signer
) -> None:
    url = stack.outputs["ProtectedUrl"]
    made_up = {
        "Signet-Edge": 'v=2, kid="local"',
        "Client-Cert": ":AAAA:",
        "X-Amzn-Mtls-Clientcert": "AAAA",
    }
    own = Caller(stack, signer, 0, "")
    for extra, reason in ({}, "binding_missing"), (made_up, None):
        nonce = httpx.get(stack.outputs["ChallengeUrl"]).json()["nonce"]
        field = {name.lower(): value for name, value in binding(bytes(32)).items()}
        signed = sign(Plain("GET", url, field, b""), signer, nonce=nonce, now=int(time.time()))
        headers = field | dict(signed.fields) | extra
        assert httpx.get(url, headers=headers).status_code in {401, 403}
        if reason:
            assert own.reason(signed.fields["Signature-Input"]) == reason


def test_the_stacks_own_edge_answers_under_its_url(stack: Stack, signer: Signer) -> None:
    parts = urlsplit(stack.env["SIGNET_EDGE_URL"])
    caller = Caller(stack, signer, parts.port or 0, parts.netloc)
    with connected(caller.port) as client:
        assert caller.send(client, caller.proof(client, client.exporter)).status == 200


def test_an_async_client_is_bound_to_the_connection_of_each_request(stack: Stack, signer: Signer) -> None:
    auth = PCHAuth(signer.key, signer.keyid, binding="tls-exporter")
    transport = AsyncExporterTransport(verify=False)  # the edge's certificate is its own

    async def call() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, auth=auth, timeout=30) as client:
            url = f"{stack.env['SIGNET_EDGE_URL']}/protected"
            return await asyncio.gather(*(client.get(url) for _ in range(ROUNDS)))

    for answer in asyncio.run(call()):
        assert (answer.status_code, answer.json()["binding"]) == (200, "tls-exporter")


def test_bulky_evidence_goes_apart_behind_the_edge_and_its_request_is_bound(
    stack: Stack, signer: Signer
) -> None:
    events: list[Any] = []
    auth = PCHAuth(
        signer.key,
        signer.keyid,
        binding="tls-exporter",
        evidence={"sbom": ["a" * 100] * 120},
        observer=events.append,
    )
    transport = ExporterTransport(verify=False)  # the edge's certificate is its own
    with httpx.Client(transport=transport, auth=auth, timeout=30) as client:
        answer = client.get(f"{stack.env['SIGNET_EDGE_URL']}/protected")
    assert (answer.status_code, answer.json()["binding"]) == (200, "tls-exporter")
    assert [event.status for event in events if isinstance(event, EvidencePosted)] == [201]
    [signed] = [event.signed for event in events if isinstance(event, RequestSigned)]
    assert {"Signature", "PCH-Channel-Binding", "PCH-Evidence-Digest", "PCH-Proof"} <= set(signed.fields)
