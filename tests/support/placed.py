"""The cases of an attached API, at each place where it can be called: stage, domain, mapping, edge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from urllib.parse import quote

from signet.core.apis import Api
from signet.core.vocabulary import PayloadKind
from signet.policy.engine import PolicyEngine
from tests.support.cases import CASES
from tests.support.shapes import mapped
from tests.support.world import AUTHORITY, EDGE_AUTHORITY, World, policy_files, set_header

Event = dict[str, Any]
MAPPING = "/shop"


class OwnPlaceError(Exception):
    """The case is about a place of its own; it cannot be had at another one."""


@dataclass(frozen=True)
class Place:
    """Where requests arrive.

    Attributes:
        front: what stands before the API's own path: ``/prod`` is the stage, on the gateway's own name.
        edge: whether they come through an edge.
    """

    front: str
    edge: bool

    @property
    def base_paths(self) -> frozenset[str]:
        return frozenset({MAPPING} if self.front == MAPPING else ())

    def api(self, kind: PayloadKind) -> Api:
        names = frozenset({"default", EDGE_AUTHORITY})
        return Api("shop", "a1b2c3d4e5", "prod", kind, "123456789012", names, self.base_paths)


PLACES = [Place(front, edge) for front in ("/prod", "", MAPPING) for edge in (False, True)]


@cache
def _engine(minimum_binding: str | None) -> PolicyEngine:
    """Return the policy; the attached API's routes have the rules that Signet's own have in the cases."""
    files = policy_files()
    document = json.loads(files["config.json"])
    routes = document["config"]["routes"]
    if minimum_binding is not None:
        for route in routes.values():
            route["minimum_binding"] = minimum_binding
    document["config"]["apis"] = {"shop": {"routes": routes}}
    return PolicyEngine({**files, "config.json": json.dumps(document).encode()})


class PlacedWorld(World):
    """A world whose requests are to an attached API, at one place."""

    def __init__(self, place: Place, kind: PayloadKind) -> None:
        super().__init__()
        self.place = place
        self.api = place.api(kind)

    @cached_property
    def policy(self) -> PolicyEngine:
        return _engine(self.minimum_binding)

    def event(self, *arguments: Any, **named: Any) -> Event:
        """As ``World.event``; what a client or a case says of ``Host`` is about a place."""
        event = super().event(*arguments, **named)
        if "Host" in (named.get("headers") or {}):
            raise OwnPlaceError
        if self.place.front != "/prod":
            mapped(event, self.place.front)
        if self.place.edge:
            event["requestContext"]["identity"]["sourceIp"] = "10.0.0.5"  # the edge's own address
            self._attest_anew(event)
        return event

    def edge_event(self, *_: Any, **__: Any) -> Event:
        raise OwnPlaceError

    def sign(self, event: Event, *arguments: Any, url: str | None = None, **named: Any) -> Event:
        """As ``World.sign``: behind an edge a client addresses the edge, and no stage."""
        if url is not None:
            raise OwnPlaceError
        if self.place.edge:
            url = f"https://{EDGE_AUTHORITY}{_target(event, self.place)}"
        return super().sign(event, *arguments, url=url, **named)

    def nonce(
        self, *, authority: str | None = None, bound: str | None = None, issued_ms: int | None = None
    ) -> str:
        """As ``World.nonce``, for the name that is called here."""
        direct = self.place.front == "/prod" and not self.place.edge
        here = AUTHORITY if direct else EDGE_AUTHORITY
        return super().nonce(authority=authority or here, bound=bound, issued_ms=issued_ms)

    def sent(self, name: str) -> Event:
        """Return a case's event as the authorizer gets it: an edge sees what its client did last."""
        event = CASES[name][1](self)
        if self.place.edge:
            self._attest_anew(event)
        return event

    def _attest_anew(self, event: Event) -> None:
        said = {"method": event["httpMethod"], "target": _target(event, self.place)}
        proof = event["headers"].get("Signature-Input")
        value = self.attestation(**said, signature_input=proof)
        self._attested[value] = said
        set_header(event, "Signet-Edge", value)


def _target(event: Mapping[str, Any], place: Place) -> str:
    path: str = event["requestContext"]["path"].removeprefix(place.front)
    query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, values in sorted((event["multiValueQueryStringParameters"] or {}).items())
        for value in values
    )
    return path + (f"?{query}" if query else "")
