"""What a session of many calls costs in HTTP requests, against the authorizer's own verifier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
import requests

from signet_client import PCHAuth
from tests.interop.gateway import Gateway, serving
from tests.support.pch_server import NO_AUTHORITIES
from tests.support.world import World

CALLS = 100
#: HTTP requests for each call of a session.
MOST_REQUESTS_PER_CALL = 1.1


def _httpx(auth: PCHAuth, url: str) -> list[int]:
    with httpx.Client(auth=auth, verify=NO_AUTHORITIES) as client:
        return [client.get(f"{url}/{n}").status_code for n in range(CALLS)]


def _async(auth: PCHAuth, url: str) -> list[int]:
    async def run() -> list[int]:
        async with httpx.AsyncClient(auth=auth, verify=NO_AUTHORITIES) as client:
            return [(await client.get(f"{url}/{n}")).status_code for n in range(CALLS)]

    return asyncio.run(run())


def _requests(auth: PCHAuth, url: str) -> list[int]:
    with requests.Session() as session:
        return [session.get(f"{url}/{n}", auth=auth).status_code for n in range(CALLS)]


def _rest_with_next_nonces(gateway: Gateway) -> str | None:
    gateway.tells_next = True
    return None


def _rest_with_batches(_gateway: Gateway) -> str | None:
    return None


def _http_api(gateway: Gateway) -> str | None:
    gateway.http_api = True
    return gateway.challenge_url


@pytest.mark.parametrize("send", [_httpx, _async, _requests], ids=["httpx", "async", "requests"])
@pytest.mark.parametrize("kind", [_rest_with_next_nonces, _rest_with_batches, _http_api])
def test_a_session_of_a_hundred_calls_makes_hardly_more_requests(
    send: Callable[[PCHAuth, str], list[int]],
    kind: Callable[[Gateway], str | None],
) -> None:
    world = World()
    with serving(world) as gateway:
        challenge_url = kind(gateway)
        auth = PCHAuth(world.keys["ed25519"], world.keyids["ed25519"], challenge_url=challenge_url)
        assert send(auth, gateway.url) == [200] * CALLS
    assert gateway.requests / CALLS <= MOST_REQUESTS_PER_CALL
    assert gateway.reasons.count("ok") == CALLS
    assert set(gateway.reasons) <= {"ok", "challenge_required"}
