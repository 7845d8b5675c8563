"""Figure 11: HTTP requests for each call of a session. They are counted, not timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx

from bench.figures import Figure, Section
from bench.timing import MeasurementError, Report
from signet.core.vocabulary import PayloadKind
from signet_client import PCHAuth
from tests.interop.gateway import serving
from tests.support.pch_server import NO_AUTHORITIES
from tests.support.placed import PLACES, PlacedWorld
from tests.support.world import World

LIMIT: Final = 1.1
CALLS: Final = 100


@dataclass(frozen=True)
class Way:
    """How callers of an API come by nonces.

    Attributes:
        what: that, for the table.
        tells_next: answers bring the next nonce.
        http_api: refusals carry no challenge.
        attached: it is an attached API, whose challenges come from Signet's own.
    """

    what: str
    tells_next: bool = False
    http_api: bool = False
    attached: bool = False


def measure(report: Report, *, quick: bool) -> Section:  # noqa: ARG001 - as every part
    """Call a local gateway with the authorizer's own verifier, in six ways."""
    report(f"HTTP requests of sessions of {CALLS} calls")
    ways = (
        Way("answers bring the next nonce", tells_next=True),
        Way("answers bring none: nonces come in batches"),
        Way("an HTTP API: no challenge in refusals, batches from elsewhere", http_api=True),
        Way("an attached API: answers bring the next nonce", tells_next=True, attached=True),
        Way("an attached API: nonces in batches from Signet", attached=True),
        Way("an attached HTTP API: nonces in batches from Signet", http_api=True, attached=True),
    )
    figures = [
        Figure(way.what, requests / CALLS, "", LIMIT, f"{requests} requests")
        for way in ways
        for requests in [_requests(way)]
    ]
    return Section(
        "11. HTTP requests per call",
        figures,
        [f"One client object, {CALLS} calls, each to a path of its own, one after the other."],
    )


def _requests(way: Way) -> int:
    world = PlacedWorld(PLACES[0], PayloadKind.REST_V1) if way.attached else World()
    with serving(world) as gateway:
        gateway.tells_next, gateway.http_api = way.tells_next, way.http_api
        challenge_url = gateway.challenge_url if way.http_api or way.attached else None
        api = world.api.name if way.attached else None
        auth = PCHAuth(world.keys["ed25519"], world.keyids["ed25519"], challenge_url=challenge_url, api=api)
        with httpx.Client(auth=auth, verify=NO_AUTHORITIES) as client:
            for number in range(CALLS):
                status = client.get(f"{gateway.url}/{number}").status_code
                if status != httpx.codes.OK:
                    raise MeasurementError(f"a good request was answered {status}")
        return gateway.requests
