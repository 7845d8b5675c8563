"""What the client sends is what the authorizer's verifier accepts: written apart, met without a network."""

from __future__ import annotations

from urllib.parse import parse_qsl

import httpx
import pytest

from signet.crypto import suites
from signet_client import PCHAuth
from tests.support.world import AUTHORITY, World
from tests.support.world import own as decode

URL = f"https://{AUTHORITY}/prod/protected"


class Gateway(httpx.BaseTransport):
    """Answers as API Gateway would with this verifier as its authorizer."""

    def __init__(self, world: World, *, maps_challenge: bool) -> None:
        self.world = world
        self.maps_challenge = maps_challenge
        self.reasons: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        event = self._event(request)
        if event["path"] == "/pch/challenge":
            field = self.world.verifier.issuer.issue(decode(event), now_ms=self.world.now_ms).to_header()
            return httpx.Response(200, headers={"x-amzn-Remapped-WWW-Authenticate": field})
        decision = self.world.verifier.judge(decode(event), now_ms=self.world.now_ms)
        self.reasons.append(decision.reason.value)
        if decision.reason.value == "ok":
            return httpx.Response(200)
        if not self.maps_challenge:
            return httpx.Response(403, json={"Message": "User is not authorized to access this resource"})
        return httpx.Response(401, headers={"WWW-Authenticate": decision.challenge or ""})

    def _event(self, request: httpx.Request):
        decoded: dict[str, list[str]] = {}
        for name, value in parse_qsl(request.url.query.decode(), keep_blank_values=True):
            decoded.setdefault(name, []).append(value)
        path = request.url.path.removeprefix("/prod")
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        return self.world.event(request.method, path, decoded, headers)


def _client(world: World, gateway: Gateway, alg: str = "ed25519", **options: object) -> httpx.Client:
    clock = lambda: world.now_ms / 1000  # noqa: E731 - one expression
    auth = PCHAuth(world.keys[alg], world.keyids[alg], unix_clock=clock, **options)  # type: ignore[arg-type]
    return httpx.Client(auth=auth, transport=gateway)


@pytest.mark.parametrize("maps_challenge", [True, False], ids=["aws", "emulator"])
@pytest.mark.parametrize("alg", suites.NAMES)
def test_verifier_accepts_the_client_with_every_suite(alg: str, maps_challenge: bool):
    world = World()
    gateway = Gateway(world, maps_challenge=maps_challenge)
    with _client(world, gateway, alg) as client:
        for _ in range(2):
            assert client.get(URL).status_code == 200
    assert gateway.reasons == ["challenge_required", "ok", "ok"]


@pytest.mark.parametrize("query", ["", "?a=x y&b", "?b=2&a=1&a=0", "?q=%C3%A4%20%2B+&~=-._", "?=x"])
def test_verifier_rebuilds_every_query_the_client_sends(query: str):
    world = World()
    gateway = Gateway(world, maps_challenge=True)
    with _client(world, gateway) as client:
        assert client.get(URL + query).status_code == 200
    assert gateway.reasons == ["challenge_required", "ok"]


def test_verifier_accepts_content_and_evidence():
    world = World()
    gateway = Gateway(world, maps_challenge=True)
    with _client(world, gateway, evidence={"sbom": "sha256:00", "n": 1}) as client:
        assert client.post(URL, content=b'{"a":1}').status_code == 200
    assert gateway.reasons == ["challenge_required", "ok"]


def test_expired_nonce_is_replaced_once():
    world = World()
    gateway = Gateway(world, maps_challenge=True)
    with _client(world, gateway) as client:
        world.register("caller-1", routes=("GET /nothing",))
        assert client.get(URL).status_code == 401  # its nonce is kept for the next request
        world.register("caller-1")
        world.now_ms += 301_000
        assert client.get(URL).status_code == 200
    assert gateway.reasons == ["challenge_required", "key_not_allowed", "nonce_expired", "ok"]


@pytest.mark.parametrize("maps_challenge", [True, False], ids=["aws", "emulator"])
def test_a_route_without_a_rule_is_final(maps_challenge: bool):
    """The client answers the challenge once, and takes the refusal for what it is."""
    world = World()
    gateway = Gateway(world, maps_challenge=maps_challenge)
    with _client(world, gateway) as client:
        assert client.get(f"https://{AUTHORITY}/prod/unlisted").status_code in {401, 403}
    assert gateway.reasons == ["challenge_required", "no_rule"]
