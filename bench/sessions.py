"""Figure 11: HTTP requests for each call of a session. They are counted, not timed."""

from __future__ import annotations

from typing import Final

import httpx

from bench.figures import Figure, Section
from bench.timing import MeasurementError, Report
from signet_client import PCHAuth
from tests.interop.gateway import serving
from tests.support.pch_server import NO_AUTHORITIES
from tests.support.world import World

LIMIT: Final = 1.1
CALLS: Final = 100


def measure(report: Report, *, quick: bool) -> Section:  # noqa: ARG001 - as every part
    """Call a local gateway with the authorizer's own verifier, in three ways."""
    report(f"HTTP requests of sessions of {CALLS} calls")
    ways = (
        ("answers bring the next nonce", True, False),
        ("answers bring none: nonces come in batches", False, False),
        ("an HTTP API: no challenge in refusals, batches from elsewhere", False, True),
    )
    figures = [
        Figure(what, requests / CALLS, "", LIMIT, f"{requests} requests")
        for what, *way in ways
        for requests in [_requests(*way)]
    ]
    return Section(
        "11. HTTP requests per call",
        figures,
        [f"One client object, {CALLS} calls, each to a path of its own, one after the other."],
    )


def _requests(tells_next: bool, http_api: bool) -> int:  # noqa: FBT001 - two ways, named by their caller
    world = World()
    with serving(world) as gateway:
        gateway.tells_next, gateway.http_api = tells_next, http_api
        challenge_url = gateway.challenge_url if http_api else None
        auth = PCHAuth(world.keys["ed25519"], world.keyids["ed25519"], challenge_url=challenge_url)
        with httpx.Client(auth=auth, verify=NO_AUTHORITIES) as client:
            for number in range(CALLS):
                status = client.get(f"{gateway.url}/{number}").status_code
                if status != httpx.codes.OK:
                    raise MeasurementError(f"a good request was answered {status}")
        return gateway.requests
