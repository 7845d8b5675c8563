"""Whole random deployments of two APIs on one Signet, through its authorizer: neither counts for the other.

Both APIs declare the same routes, and often answer under one name. Their rules, backends and breakers differ.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.backend.network import NetworkGuard, Target
from signet.breaker.config import BreakerConfig
from signet.breaker.intake import OutcomeIntake, Result
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.machine import initial
from signet.breaker.pool import BreakerPool
from signet.breaker.snapshot import OutcomeToken, encode
from signet.breaker.ticket import read_ticket
from signet.core.apis import Api
from signet.core.canonical import parse
from signet.core.client import Role
from signet.core.errors import SignetError
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import BreakerState, PayloadKind
from signet.gateway.model import Event
from signet.handshake.assertion import assertion_key, assertion_public_key
from signet.handshake.authorizer import Authorizer, RecordedDecision
from signet.handshake.grants import Grants
from signet.policy.engine import PolicyEngine
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.payloads import PAYLOADS
from tests.support.shapes import mapped
from tests.support.world import (
    EDGE_AUTHORITY,
    EXPORTER,
    NOW_MS,
    OWN,
    SECRET,
    FixedApis,
    World,
    authorizer_of,
    issuing,
    policy_files,
)

ROUTES = ("GET /orders", "GET /orders/{id}", "DELETE /orders/{id}")
PREFIX = "/shop"
ROLES = ("caller", "auditor")
BOUND = f"tls-exporter=:{base64.b64encode(EXPORTER).decode()}:"
CONFIG = BreakerConfig()
GRANTS = Grants.from_secrets([SECRET])
KEYS = [assertion_public_key(assertion_key(SECRET))]


@dataclass(frozen=True)
class Rule:
    """What one API demands on one route."""

    role: str
    binding: str
    own_backend: bool
    sheds: bool


@dataclass(frozen=True)
class Side:
    """One API, its rules, and which of its backends is down."""

    api: Api
    rules: Mapping[str, Rule]
    down: frozenset[str]

    def backend(self, route: str) -> str:
        return f"{self.api.name}-{ROUTES.index(route)}" if self.rules[route].own_backend else self.api.name

    def listed(self) -> dict[str, dict[str, Any]]:
        return {
            route: {
                "role": rule.role,
                "minimum_binding": rule.binding,
                "backend": self.backend(route),
                "ladder": ["full", "relax", "shed"] if rule.sheds else ["full", "relax"],
            }
            for route, rule in self.rules.items()
        }


@dataclass(frozen=True)
class Call:
    """One request: for which API, on which route, by whom, through the edge or not."""

    side: int
    route: str
    role: str
    edge: bool
    prefix: str


_MOSTLY = st.sampled_from((True, True, True, False))
_RULES = st.builds(
    Rule, st.sampled_from(ROLES), st.sampled_from(("none", "tls-exporter")), st.booleans(), _MOSTLY
)


@st.composite
def _sides(draw: st.DrawFn) -> tuple[Side, Side]:
    """Two APIs that differ in all; most answer under one name, and under the same base paths."""
    made = []
    one_name, based = draw(_MOSTLY), draw(st.booleans())
    for name, api_id in (("one", "0neap1d000"), ("two", "tw0ap1d000")):
        kind = draw(st.sampled_from(list(PayloadKind)))
        host = EDGE_AUTHORITY if one_name else f"{name}.example.com"
        base = frozenset({PREFIX} if based else ())
        rules = {route: draw(_RULES) for route in ROUTES if draw(_MOSTLY)}
        side = Side(
            Api(name, api_id, "prod", kind, "123456789012", frozenset({host}), base), rules, frozenset()
        )
        backends = sorted({side.backend(route) for route in rules})
        made.append(replace(side, down=frozenset(name for name in backends if draw(st.booleans()))))
        based = based if draw(_MOSTLY) else not based
    one, two = made
    return one, two


_CALLS = st.lists(
    st.builds(
        Call,
        st.sampled_from((0, 1)),
        st.sampled_from(ROUTES),
        st.sampled_from(ROLES),
        st.booleans(),
        st.sampled_from(("", PREFIX)),
    ),
    min_size=2,
    max_size=5,
)


class Marks:
    """Implements ``OutcomeMarks``."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def mark(self, receipts: Mapping[str, int]) -> dict[str, bool | None]:
        new = {receipt: receipt not in self.seen for receipt in receipts}
        self.seen |= receipts.keys()
        return dict(new)


class Deployed:
    """One Signet: an authorizer, its store of breakers, and who takes outcomes."""

    def __init__(self, sides: tuple[Side, Side]) -> None:
        files = policy_files()
        document = json.loads(files["config.json"])
        document["config"]["apis"] = {side.api.name: {"routes": side.listed()} for side in sides}
        self.world = World()
        self.world.__dict__["policy"] = PolicyEngine({**files, "config.json": json.dumps(document).encode()})
        for role in ROLES:
            self.world.register(role, roles=frozenset({Role(role)}))
        self.sides, self.sent, self.store = sides, list[bytes](), MemoryBreakerStore()
        for side in sides:
            for name in side.down:
                is_open = replace(
                    initial(NOW_MS), state=BreakerState.OPEN, generation=1, open_until_ms=NOW_MS + 60_000
                )
                self.store.records[name] = StoredBreaker(name, 1, encode(is_open))
        verifier = issuing(self.world.verifier, breakers=BreakerPool(self._keeper))
        apis = FixedApis((OWN, *(side.api for side in sides)))
        self.authorizer: Authorizer = replace(
            authorizer_of(self.world, self.sent, apis), verifier=verifier, grants=GRANTS
        )
        self.intake = OutcomeIntake([GRANTS.ticket_key], Marks(), self.store, CONFIG)

    def _keeper(self, name: str) -> BreakerKeeper:
        return BreakerKeeper(name, self.store, None, CONFIG, Random(7).random, lambda: 0.0)

    def decide(self, event: Event) -> tuple[RecordedDecision, dict[str, Any]]:
        found = self.authorizer.authorize(event, now_ms=self.world.now_ms)
        return found, parse(self.sent[-1])

    def sums(self, side: Side) -> dict[str, Any]:
        return {item: dict(sums) for item, sums in self.store.sums.items() if item.startswith(side.api.name)}

    def signed(self, call: Call) -> Event:
        """The request as a client signs it for its API, and as REST APIs tell of it."""
        world, api = self.world, self.sides[call.side].api
        world.api = api
        method, _, resource = call.route.partition(" ")
        path, [host] = resource.replace("{id}", "7"), api.authorities
        nonce = world.nonce(authority=host, bound="tls-exporter")
        if call.edge:
            headers = {"PCH-Channel-Binding": BOUND}
            event = world.edge_event(method, path, resource=resource, headers=headers, authority=host)
            event = event | {"path": call.prefix + path} if call.prefix else event
            event["requestContext"]["path"] = f"{call.prefix or '/prod'}{path}"
            return world.sign(event, keyid=call.role, nonce=nonce, url=f"https://{host}{path}")
        event = mapped(world.event(method, path, resource=resource), call.prefix)
        shown = event["requestContext"]["path"]
        return world.sign(event, keyid=call.role, nonce=nonce, url=f"https://{host}{shown}") | _host(
            event, host
        )

    def expected(self, call: Call) -> str:
        """What the rule of the called API says, and of no other."""
        side = self.sides[call.side]
        based = side.api.base_paths
        if call.edge and call.prefix and call.prefix not in based:
            return "edge_attestation_invalid"  # edges send to the stage, or to a base path that is registered
        if not call.edge and based and call.prefix not in based:
            return "malformed"
        rule = side.rules.get(call.route)
        if rule is None:
            return "no_rule"
        if rule.binding != "none" and not call.edge:
            return "binding_missing"
        if rule.role != call.role:
            return "policy_denied"
        return "breaker_open" if rule.sheds and side.backend(call.route) in side.down else "ok"


def _host(event: Event, host: str) -> Event:
    for name in ("headers", "multiValueHeaders"):
        event[name]["Host"] = host if name == "headers" else [host]
    return event


def told(event: Event, api: Api) -> Event:
    """Say of a request that it came to this API, as its gateway would."""
    arn = event["methodArn"].replace("a1b2c3d4e5", api.api_id)
    context = {**event["requestContext"], "apiId": api.api_id}
    named = {**event, "methodArn": arn, "requestContext": context}
    payload = PAYLOADS.get(api.kind)
    return payload.transcribe(named) if payload else named


def check(sides: tuple[Side, Side], calls: list[Call]) -> None:
    deployed = Deployed(sides)
    for call in calls:
        own, other = sides[call.side], sides[1 - call.side]
        event, before = deployed.signed(call), deployed.sums(other)
        spent = len(deployed.world.nonces.spent)
        # Sent to the other API, it is refused: its nonce is not of there. It stays good for its own.
        found, receipt = deployed.decide(told(event, other.api))
        assert receipt["reason"] in {"malformed", "no_rule", "nonce_invalid", "edge_attestation_invalid"}
        if own.api.authorities == other.api.authorities and own.api.base_paths == other.api.base_paths:
            away = replace(call, side=1 - call.side)
            early = {"malformed", "no_rule", "edge_attestation_invalid"} & {deployed.expected(away)}
            assert receipt["reason"] == (early.pop() if early else "nonce_invalid")
        assert receipt["api"]["name"] == other.api.name
        assert len(deployed.world.nonces.spent) == spent
        # At its own, its own rule decides.
        found, receipt = deployed.decide(told(event, own.api))
        assert receipt["reason"] == deployed.expected(call)
        assert (receipt["v"], receipt["api"]["name"]) == (2, own.api.name)
        if receipt["reason"] in {"ok", "breaker_open"}:
            assert (receipt["route"], receipt["breaker"]["name"]) == (call.route, own.backend(call.route))
        if receipt["reason"] == "ok":
            granted(deployed, call, found)
        assert deployed.sums(other) == before


def granted(deployed: Deployed, call: Call, found: RecordedDecision) -> None:
    """What backends are told of a request is good for the one API and its one backend."""
    own, other = deployed.sides[call.side], deployed.sides[1 - call.side]
    told_of = GRANTS.told(found.decision.context, found.receipt_id, now_ms=NOW_MS)
    method, _, resource = call.route.partition(" ")
    target = Target(method, resource.replace("{id}", "7"), "")
    for side, opens in ((other, False), (own, True)):
        guard = NetworkGuard(KEYS, api=side.api.name, clock=lambda: NOW_MS / 1000)
        fields = [("signet-assertion", told_of["assertion"])]
        if opens:
            assert guard.admit(target, fields)["receipt_id"] == found.receipt_id
        else:
            with pytest.raises(SignetError, match="another API"):
                guard.admit(target, fields)
    if not own.rules[call.route].sheds:
        assert "breaker" not in told_of or read_ticket([GRANTS.ticket_key], told_of["breaker"], now_s=1)
        return
    token = OutcomeToken.parse(found.decision.context.outcome_token)
    assert token is not None
    assert token.name == own.backend(call.route)
    outcome = {"ticket": told_of["breaker"], "latency_ms": 9_000, "error": True}
    body = json.dumps({"outcomes": [outcome]}).encode()
    before = {side.api.name: deployed.sums(side) for side in deployed.sides}
    assert [deployed.intake.take(body, now_ms=NOW_MS) for _ in range(2)] == [
        [Result.ACCEPTED],
        [Result.DUPLICATE],
    ]
    assert deployed.sums(own) != before[own.api.name]
    assert deployed.sums(other) == before[other.api.name]
    moved = {item.partition("#")[0] for item in deployed.sums(own).keys() - before[own.api.name].keys()}
    assert moved <= {token.name}


@given(_sides(), _CALLS)
@settings(max_examples=10)
def test_two_apis_never_count_for_each_other(sides: tuple[Side, Side], calls: list[Call]) -> None:
    check(sides, calls)


@pytest.mark.long
@given(_sides(), _CALLS)
@settings(max_examples=200)
def test_two_apis_never_count_for_each_other_at_length(sides: tuple[Side, Side], calls: list[Call]) -> None:
    check(sides, calls)
