"""Several APIs on one Signet: a request counts for the API that is registered for it, and for no other."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from signet.breaker.asked import FixedBreaker
from signet.breaker.pool import BreakerPool
from signet.core.apis import Api
from signet.core.client import Role
from signet.core.errors import UnavailableError
from signet.core.target import parse_query
from signet.core.vocabulary import BreakerLevel
from signet.gateway import registered
from signet.handshake.asked import read_asked
from signet.handshake.challenge import Challenge
from signet.handshake.registry import CachedApis
from signet.policy.routes import api_and_route, route_key
from tests.support.attached import BILLING, ORDERS, event_of, signed, world_of
from tests.support.world import (
    AUTHORITY,
    EDGE_AUTHORITY,
    EXPORTER,
    OWN,
    OWN_URL,
    FixedApis,
    World,
    authorizer_of,
    issuing,
    own,
    set_header,
)


def test_a_request_is_decided_by_the_rules_of_its_own_api() -> None:
    orders, billing = world_of(ORDERS), world_of(BILLING)
    assert orders.reason(signed(orders)) == "ok"
    assert billing.reason(signed(billing)) == "policy_denied"  # the same route there is for auditors
    assert billing.reason(signed(billing, "/invoices", "/invoices")) == "ok"
    assert orders.reason(signed(orders, "/invoices", "/invoices")) == "no_rule"
    assert orders.reason(signed(orders, "/protected", "/protected")) == "no_rule"  # a route of Signet's own


def test_a_nonce_of_one_api_is_none_of_another() -> None:
    orders, billing = world_of(ORDERS), world_of(BILLING)
    for theirs in (billing, World()):
        authority = AUTHORITY.replace(OWN.api_id, ORDERS.api_id)
        assert orders.reason(signed(orders, nonce=theirs.nonce(authority=authority))) == "nonce_invalid"


def test_an_event_of_an_api_or_stage_that_is_not_registered_is_refused() -> None:
    world = world_of(ORDERS)
    sent: list[bytes] = []

    authorizer = authorizer_of(world, sent, FixedApis((OWN, ORDERS)))

    def reason(event: dict[str, Any]) -> str:
        return authorizer.authorize(event, now_ms=world.now_ms).decision.reason.value

    good = signed(world)
    assert reason(good) == "ok"
    for api_id, stage in ((BILLING.api_id, "v1"), (ORDERS.api_id, "v2"), ("", "v1")):
        event = signed(world)
        event["requestContext"] |= {"apiId": api_id, "stage": stage}
        assert reason(event) == "unknown_api"
    assert not world.nonces.spent.keys() - {next(iter(world.nonces.spent))}  # no nonce was spent for them


def challenged(world: World, event: dict[str, Any]) -> Challenge:
    return Challenge.from_header(world.verifier.judge(world.decoded(event), now_ms=world.now_ms).challenge)


def test_a_refusal_at_an_attached_api_says_where_signet_has_challenges_for_it() -> None:
    named = replace(ORDERS, authorities=frozenset({"api.example.com", "www.example.com"}))
    world = world_of(named)
    event = event_of(world)
    set_header(event, "Host", "Api.example.com")
    challenge = challenged(world, event)
    query = "?api=orders&authority=api.example.com"
    assert challenge.challenge_uri == f"{OWN_URL}/pch/challenge{query}"
    assert challenge.evidence_uri == f"{OWN_URL}/pch/evidence{query}"
    # Of a name that the API has not, nothing is said: there is no challenge for it.
    set_header(event, "Host", 'evil.example"')
    malformed = challenged(world, event)
    assert malformed.challenge_uri == f"{OWN_URL}/pch/challenge?api=orders"
    # For an API that is not registered there is none at all.
    decision = authorizer_of(world, [], FixedApis((OWN,))).authorize(event, now_ms=world.now_ms).decision
    assert decision.reason.value == "unknown_api"
    assert Challenge.from_header(decision.challenge).challenge_uri == f"{OWN_URL}/pch/challenge"


def test_what_a_refusal_names_hands_out_a_challenge_for_that_api() -> None:
    """A client that follows it: the nonce it gets there is good here."""
    world = world_of(ORDERS)
    challenge = challenged(world, event_of(world))
    query = parse_query(urlsplit(challenge.challenge_uri).query)
    at_signet = World()
    at_signet.__dict__["policy"] = world.policy
    inbound = own(at_signet.event("GET", "/pch/challenge", dict(query)))
    asked = read_asked(
        inbound, CachedApis(lambda _: OWN, FixedApis((OWN, ORDERS)), lambda: 0.0), world.verifier.issuer.site
    )
    made = world.verifier.issuer.issue(inbound, asked, now_ms=world.now_ms)
    assert world.reason(signed(world, nonce=made.nonce)) == "ok"


def test_signets_own_api_names_a_path_of_its_own() -> None:
    challenge = challenged(World(), World().event())
    assert challenge.challenge_uri == "/prod/pch/challenge"


def test_a_registry_that_cannot_be_read_lets_nothing_in() -> None:
    class Down:
        def find(self, api_id: str, stage: str) -> Api | None:
            raise UnavailableError("could not read the registered APIs")

    world = world_of(ORDERS)
    found = authorizer_of(world, [], Down()).authorize(signed(world), now_ms=world.now_ms)
    assert found.decision.reason.value == "store_unavailable"


def test_an_api_answers_under_its_own_names_and_base_paths_only() -> None:
    mapped = replace(
        ORDERS, authorities=frozenset({"api.example.com"}), base_paths=frozenset({"/v1", "/shop"})
    )
    world = world_of(mapped)

    def reason(host: str, prefix: str) -> str:
        event = event_of(world)
        set_header(event, "Host", host)
        event["path"] = f"{prefix}/orders/7"
        event["requestContext"] |= {"path": f"{prefix}/orders/7", "domainName": host}
        return world.reason(world.sign(event))

    assert [reason("api.example.com", prefix) for prefix in ("/v1", "/shop")] == ["ok", "ok"]
    assert reason("api.example.com", "/v1/v1") == "ok"  # the mapping names no stage, and the path keeps it
    assert reason("api.example.com", "/v2") == reason("api.example.com", "") == "malformed"
    assert reason("other.example.com", "/v1") == "malformed"
    assert reason(f"{ORDERS.api_id}.execute-api.eu-central-1.amazonaws.com", "/v1") == "malformed"


def test_each_backend_has_a_breaker_of_its_own() -> None:
    asked: list[str] = []

    def make(backend: str) -> FixedBreaker:
        asked.append(backend)
        return FixedBreaker(BreakerLevel.SHED if backend == "ledger" else BreakerLevel.FULL)

    for _ in range(2):
        orders, billing = world_of(ORDERS), world_of(BILLING)
        pool = BreakerPool(make)
        verifiers = [issuing(world.verifier, breakers=pool) for world in (orders, billing)]
        decided = [
            verifiers[0].judge(registered.decode(signed(orders), ORDERS), now_ms=orders.now_ms),
            verifiers[1].judge(
                registered.decode(signed(billing, "/invoices", "/invoices"), BILLING), now_ms=billing.now_ms
            ),
        ]
        assert [decision.reason.value for decision in decided] == ["ok", "half_open_full"]
    assert asked == ["orders", "ledger"] * 2  # one is made when its first request comes, and then stays


def test_an_api_is_read_again_after_a_minute_and_signet_s_own_after_ten() -> None:
    now, known, owns = [0.0], {("ord3rs1d00", "v1"): ORDERS}, [OWN, replace(OWN, api_id="n3w0wn1d00")]

    class Registry:
        reads = 0

        def find(self, api_id: str, stage: str) -> Api | None:
            self.reads += 1
            return known.get((api_id, stage))

        def named(self, name: str) -> Api | None:
            return next((api for api in known.values() if api.name == name), None)

        def names(self) -> list[str]:
            return [api.name for api in known.values()]

    registry = Registry()
    apis = CachedApis(lambda _: owns.pop(0), registry, lambda: now[0])
    assert [apis.find("ord3rs1d00", "v1") for _ in range(3)] == [ORDERS] * 3
    assert (registry.reads, apis.find(OWN.api_id, "any")) == (1, OWN)
    known.clear()
    now[0] = 60.0
    assert apis.find("ord3rs1d00", "v1") is None
    now[0] = 600.0
    assert apis.find("n3w0wn1d00", "prod") == replace(OWN, api_id="n3w0wn1d00")
    assert apis.find(OWN.api_id, "prod") is None


_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)
_ROUTES = st.from_regex(r"(GET|POST|DELETE) (/[A-Za-z0-9._~-]{1,8}|/\{[a-z]{1,4}\+?\}){1,3}", fullmatch=True)


@given(_NAMES, _NAMES, _ROUTES, _ROUTES)
@settings(max_examples=500)
def test_two_apis_never_share_the_key_of_a_route(one: str, other: str, route: str, another: str) -> None:
    assert api_and_route(route_key(one, route)) == (one, route)
    if (one, route) != (other, another):
        assert route_key(one, route) != route_key(other, another)


def test_the_edge_of_an_attached_api_sends_to_its_stage_or_a_registered_base_path() -> None:
    orders = replace(
        ORDERS, authorities=frozenset({EDGE_AUTHORITY}), base_paths=frozenset({"/shop", "/v1/x"})
    )

    def reason(target: str, prefix: str, *, path: str = "/orders/7", resource: str = "/orders/{id}") -> str:
        world = world_of(orders)
        event = world.edge_event(target=target, resource=resource)
        event = json.loads(json.dumps(event).replace(OWN.api_id, orders.api_id).replace("/prod/", "/v1/"))
        event["path"], event["methodArn"] = path, event["methodArn"].replace(target, path)
        event["requestContext"] |= {"path": prefix + path, "stage": "v1"}
        event["pathParameters"] = {"id": "7"}
        url = f"https://{EDGE_AUTHORITY}{target}"
        return world.reason(
            world.attest(world.sign(event, url=url, nonce=world.nonce(authority=EDGE_AUTHORITY)))
        )

    assert [reason("/orders/7", front) for front in ("/v1", "/shop", "/v1/x")] == ["ok"] * 3
    # Not to Signet's own stage, nor anywhere else; and what is routed there is what was attested.
    assert [reason("/orders/7", front) for front in ("/prod", "/v2", "")] == ["edge_attestation_invalid"] * 3
    assert reason("/orders/8", "/v1") == "edge_attestation_invalid"
    # A base path and a resource that spell the same: the API's own path is not the one that was attested.
    deep = {"path": "/x/orders/7", "resource": "/x/orders/{id}"}
    assert reason("/orders/7", "/v1", **deep) == "edge_attestation_invalid"


def test_what_an_edge_attests_for_one_api_opens_no_other() -> None:
    """Neither the attested name of another API, nor one name for both, lets an edge's word travel."""
    bound = {"PCH-Channel-Binding": f"tls-exporter=:{base64.b64encode(EXPORTER).decode()}:"}

    def reasons(name_of_billing: str) -> list[str]:
        orders = replace(ORDERS, authorities=frozenset({EDGE_AUTHORITY}), stage="prod")
        billing = replace(BILLING, authorities=frozenset({name_of_billing}), stage="prod")
        world = world_of(orders)
        world.register("auditor", roles=frozenset({Role.AUDITOR, Role.CALLER}))
        authorizer = authorizer_of(world, [], FixedApis((OWN, orders, billing)))
        event = world.edge_event(target="/orders/7", resource="/orders/{id}", headers=bound)
        event = json.loads(json.dumps(event).replace(OWN.api_id, orders.api_id))
        nonce = world.nonce(authority=EDGE_AUTHORITY, bound="tls-exporter")
        world.sign(event, keyid="auditor", url=f"https://{EDGE_AUTHORITY}/orders/7", nonce=nonce)
        elsewhere = json.loads(json.dumps(event).replace(orders.api_id, billing.api_id))
        decided = [authorizer.authorize(each, now_ms=world.now_ms).decision for each in (elsewhere, event)]
        assert decided[1].context.proof.binding.type == "tls-exporter"
        return [decision.reason.value for decision in decided]

    assert reasons("billing.example.com") == ["malformed", "ok"]
    assert reasons(EDGE_AUTHORITY) == ["nonce_invalid", "ok"]
