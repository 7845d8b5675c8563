"""Challenges for many APIs, issued by Signet's own: each nonce is good for what was asked, no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from signet.core.apis import Api
from signet.core.clocks import Elapsed
from signet.core.errors import Denied, NotFoundError
from signet.core.vocabulary import PayloadKind, bindings_at_least
from signet.handshake.asked import read_asked
from signet.handshake.challenge import Challenge
from signet.handshake.registry import CachedApis
from signet.policy.engine import PolicyEngine
from tests.support.world import AUTHORITY, OWN, FixedApis, World, digest, own, policy_files

SHOP = Api("shop", "sh0p1d0000", "v1", PayloadKind.REST_V1, "123456789012", frozenset({"shop.example.com"}))
TWO = replace(SHOP, name="two", api_id="tw0", authorities=frozenset({"default", "two.example.com"}))
DEFAULT = replace(SHOP, name="plain", api_id="pl41n", authorities=frozenset({"default"}))
GATEWAYS = "{}.execute-api.eu-central-1.amazonaws.com"
APIS = FixedApis((OWN, SHOP, TWO, DEFAULT))


class Counting:
    """A registry that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find(self, api_id: str, stage: str) -> Api | None:
        return APIS.find(api_id, stage)

    def named(self, name: str) -> Api | None:
        self.asked.append(name)
        return APIS.named(name)

    def names(self) -> tuple[str, ...]:
        self.asked.append("every name")
        return APIS.names()


def world_with_rules() -> World:
    files = policy_files()
    document = json.loads(files["config.json"])
    document["config"]["apis"] = {
        "shop": {
            "routes": {
                "GET /open": {"role": "caller", "minimum_binding": "none"},
                "PUT /items/{id}": {
                    "role": "caller",
                    "minimum_binding": "tls-exporter",
                    "required_components": ["if-match"],
                    "algorithms": ["ed25519"],
                },
            }
        }
    }
    world = World()
    world.__dict__["policy"] = PolicyEngine({**files, "config.json": json.dumps(document).encode()})
    return world


def cached(registry: Counting | None = None) -> CachedApis:
    return CachedApis(lambda _: OWN, registry or Counting(), lambda: 0.0)


def ask(world: World, query: Mapping[str, list[str]], apis: CachedApis | None = None) -> Challenge:
    inbound = own(world.event(path="/pch/challenge", query=query))
    issuer = world.verifier.issuer
    asked = read_asked(inbound, apis or cached(), issuer.site)
    return issuer.issue(inbound, asked, now_ms=world.now_ms)


def good_for(world: World, nonce: str, api: Api, authority: str, binding: str = "none") -> bool:
    issuer = world.verifier.issuer
    try:
        issuer._check_nonce(authority, api.name, nonce, (binding,), world.now_ms)
    except Denied:
        return False
    return True


@pytest.mark.parametrize(
    ("query", "api", "authority"),
    [
        ({}, OWN, AUTHORITY),
        ({"api": ["signet"]}, OWN, AUTHORITY),
        ({"authority": ["api.example.com"]}, OWN, "api.example.com"),
        ({"api": ["shop"]}, SHOP, "shop.example.com"),
        ({"api": ["shop"], "authority": ["Shop.Example.com"]}, SHOP, "shop.example.com"),
        ({"api": ["plain"]}, DEFAULT, GATEWAYS.format("pl41n")),
        ({"api": ["two"], "authority": [GATEWAYS.format("tw0")]}, TWO, GATEWAYS.format("tw0")),
        ({"api": ["two"], "authority": ["two.example.com"]}, TWO, "two.example.com"),
    ],
)
def test_a_nonce_is_good_for_the_api_and_the_name_that_were_asked_for(
    query: dict[str, list[str]], api: Api, authority: str
) -> None:
    world = world_with_rules()
    made = ask(world, {**query, "count": ["3"]})
    nonces = {made.nonce, *made.further}
    assert len(nonces) == 3
    for nonce in nonces:
        for other in (OWN, SHOP, TWO, DEFAULT):
            for name in (AUTHORITY, "shop.example.com", "two.example.com", "api.example.com"):
                right = other == api and name == authority
                assert good_for(world, nonce, other, name, made.binding) == right
        assert good_for(world, nonce, api, authority, made.binding)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"api": ["unlisted"]}, "unknown_api"),
        ({"api": [""]}, "unknown_api"),
        ({"api": ["Shop"]}, "unknown_api"),
        ({"api": ["a" * 33]}, "unknown_api"),
        ({"api": ["shop", "shop"]}, "malformed"),
        ({"api": ["two"]}, "malformed"),  # it has two names
        ({"api": ["shop"], "authority": ["two.example.com"]}, "malformed"),
        ({"api": ["shop"], "authority": [GATEWAYS.format("sh0p1d0000")]}, "malformed"),
        ({"api": ["shop"], "authority": [""]}, "malformed"),
        ({"authority": ["shop.example.com"]}, "malformed"),
        *(
            ({"count": [text]}, "malformed")
            for text in ("0", "65", "-1", "1.0", "", " 1", "01", "\u0661", "999")
        ),
        ({"count": ["1", "2"]}, "malformed"),
    ],
)
def test_what_is_not_registered_or_no_number_gets_no_nonce(query: dict[str, list[str]], error: str) -> None:
    with pytest.raises((Denied, NotFoundError)) as caught:
        ask(world_with_rules(), query)
    assert caught.value.code == error


def test_a_named_route_says_what_it_demands_and_without_one_the_strongest_of_the_api_counts() -> None:
    world = world_with_rules()
    shop = {"api": ["shop"]}
    strongest = ask(world, shop)
    assert (strongest.binding, strongest.components) == ("tls-exporter", ("if-match",))
    weak = ask(world, {**shop, "route": ["GET /open"]})
    assert (weak.binding, weak.components) == ("none", ())
    assert len(weak.algs) > 1
    strong = ask(world, {**shop, "route": ["PUT /items/{id}"]})
    assert (strong.binding, strong.components, strong.algs) == ("tls-exporter", ("if-match",), ("ed25519",))
    # A route of Signet's own is none of the shop's, and one that is not listed is none at all.
    for route in ("GET /protected", "PUT /items/7", "GET /pch/challenge", "", "x" * 5000):
        assert ask(world, {**shop, "route": [route]}).binding == "tls-exporter"


def test_strangers_names_and_routes_are_not_remembered_without_end() -> None:
    world, registry = world_with_rules(), Counting()
    apis = cached(registry)
    for n in range(2000):
        ask(world, {"api": ["shop"], "route": [f"GET /{n}"]}, apis)
        with pytest.raises(NotFoundError):
            ask(world, {"api": [f"n{n}"]}, apis)
    assert registry.asked == ["every name", "shop"]  # guesses cost no reads, and nothing is kept of them
    assert not apis._names._unknown
    assert len(world.policy._requirements) < 16
    with pytest.raises(NotFoundError):
        ask(world, {"api": ["NOT#A#NAME"]}, apis)
    assert "NOT#A#NAME" not in registry.asked


@pytest.mark.parametrize("stopped", ["monotonic", "wall"])
def test_names_are_listed_anew_after_a_minute_by_either_clock(stopped: str) -> None:
    now, names = {"monotonic": 0.0, "wall": 0.0}, ["shop"]

    class Growing(Counting):
        def names(self) -> tuple[str, ...]:
            self.asked.append("every name")
            return tuple(names)

    registry = Growing()
    clock = Elapsed(monotonic=lambda: now["monotonic"], wall=lambda: now["wall"])
    apis = CachedApis(lambda _: OWN, registry, clock)
    [going] = now.keys() - {stopped}
    assert apis.named("two") is None
    names.append("two")
    now[going] = 59.9
    assert apis.named("two") is None  # as it was listed; and that it was unknown is not remembered for longer
    now[going] = 60.0
    assert apis.named("two") is not None
    names.clear()
    now[going] = 120.0
    assert apis.named("two") is None
    assert registry.asked == ["every name", "every name", "two", "every name"]


def test_the_answer_says_where_the_next_one_and_bundles_of_that_api_go() -> None:
    made = ask(world_with_rules(), {"api": ["two"], "authority": ["two.example.com"], "count": ["64"]})
    assert made.challenge_uri == "/prod/pch/challenge?api=two&authority=two.example.com"
    assert made.evidence_uri == "/prod/pch/evidence?api=two&authority=two.example.com"
    assert Challenge.from_header(made.to_header()) == replace(made, further=())
    assert len(made.further) == 63
    own_challenge = ask(world_with_rules(), {"target": ["/prod/protected"]})
    assert own_challenge.challenge_uri == "/prod/pch/challenge"


def test_the_next_nonce_is_good_on_whichever_route_of_the_api() -> None:
    world = world_with_rules()
    issuer, engine, open_route = world.verifier.issuer, world.policy, "shop GET /open"
    event = own(world.event())
    request = replace(
        issuer.read(event, issuer.observe(event, now_ms=world.now_ms)),
        api="shop",
        authority="shop.example.com",
    )
    needs = engine.at_rest(open_route)
    assert needs.minimum_binding == "none"
    nonce = issuer.next_nonce(engine, request, needs, now_ms=world.now_ms)
    for route in (open_route, "shop PUT /items/{id}"):
        bindings = bindings_at_least(engine.at_rest(route).minimum_binding)
        issuer.check_nonce(request, nonce, bindings, now_ms=world.now_ms)
    for other in (replace(request, api="signet"), replace(request, authority=AUTHORITY)):
        with pytest.raises(Denied, match="not issued here"):
            issuer.check_nonce(other, nonce, bindings_at_least("none"), now_ms=world.now_ms)


def test_a_bundle_is_taken_for_a_nonce_of_the_api_it_names() -> None:
    world = world_with_rules()
    issuer, apis = world.verifier.issuer, cached()
    nonce = ask(world, {"api": ["shop"]}).nonce
    for query, taken in (
        ({"api": ["shop"]}, True),
        ({"api": ["shop"], "authority": ["shop.example.com"]}, True),
        ({}, False),
        ({"api": ["two"], "authority": ["two.example.com"]}, False),
    ):
        inbound = own(world.event("POST", "/pch/evidence", query, {"Content-Digest": digest(b"{}")}))
        asked = read_asked(inbound, apis, issuer.site)
        if taken:
            issuer.admit(inbound, nonce, asked, now_ms=world.now_ms)
        else:
            with pytest.raises(Denied, match="not issued here"):
                issuer.admit(inbound, nonce, asked, now_ms=world.now_ms)
