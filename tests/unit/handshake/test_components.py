"""What a route wants signed is announced, demanded, and told to the backend; no caller gets around it."""

from __future__ import annotations

from typing import Any

import pytest

from signet.core.vocabulary import ALWAYS_COVERED, BreakerLevel
from signet.handshake.challenge import Challenge
from signet.policy.engine import PolicyEngine
from signet.policy.requirements import MAX_COMPONENTS, OutputError, component_trouble, read_requirements
from tests.support.policies import config
from tests.support.world import COVERED, World, digest, policy_files, set_header
from tests.support.world import own as decode

ORDERS = ("content-digest", "idempotency-key")


def world_that_demands(*names: str, route: str = "DELETE /protected") -> World:
    files = policy_files()
    config(lambda c: c["routes"][route].update(required_components=list(names)))(files)
    world = World()
    world.__dict__["policy"] = PolicyEngine(files)
    return world


def order(world: World, *covered: str, **headers: str) -> dict[str, Any]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return world.sign(world.event("DELETE", headers=fields), covered=(*COVERED, *covered))


def test_a_signature_over_all_that_a_route_demands_passes_and_the_backend_is_told() -> None:
    world = world_that_demands(*ORDERS)
    event = order(world, *ORDERS, Idempotency_Key="k1", Content_Digest=digest(b""))
    decision = world.verifier.judge(decode(event), now_ms=world.now_ms)
    assert decision.reason.value == "ok"
    assert decision.context.covered == (*COVERED, *ORDERS)


@pytest.mark.parametrize(("name", "kept"), [("authorization", False), ("cookie", False), ("if-match", True)])
def test_what_is_signed_over_a_secret_is_committed_to_and_not_kept(name: str, kept: bool) -> None:
    """The signature base holds the values of covered fields, and packs with transcripts go to auditors."""
    world = world_that_demands(name)
    decision = world.verifier.judge(decode(order(world, name, **{name: "s3cret"})), now_ms=world.now_ms)
    assert decision.reason.value == "ok"
    transcript = decision.context.transcript
    assert transcript is not None
    assert len(transcript.sha256) == 32
    assert (transcript.encoded is not None and b"s3cret" in transcript.encoded) is kept
    assert (transcript.encoded is None) is not kept


@pytest.mark.parametrize(
    ("covered", "sent", "says"),
    [
        (
            (),
            {},
            "covers content-digest, idempotency-key; the request has no content-digest, idempotency-key",
        ),
        (
            (),
            {"Idempotency_Key": "k1"},
            "covers content-digest, idempotency-key; the request has no content-d",
        ),
        (
            ("idempotency-key",),
            {"Idempotency_Key": "k1"},
            "covers content-digest; the request has no content-",
        ),
        (("content-digest",), {"Content_Digest": digest(b"")}, "the request has no idempotency-key: send it"),
        (
            ("content-digest",),
            {"Content_Digest": digest(b""), "Idempotency_Key": "k1"},
            "this route demands a signature that covers idempotency-key",
        ),
    ],
)
def test_what_is_missing_is_refused_by_name(
    covered: tuple[str, ...], sent: dict[str, str], says: str
) -> None:
    world = world_that_demands(*ORDERS)
    decision = world.verifier.judge(decode(order(world, *covered, **sent)), now_ms=world.now_ms)
    assert decision.reason.value == "component_missing"
    assert says in decision.message
    assert Challenge.from_header(decision.challenge).components == ORDERS
    assert world.nonces.spent == {}


def test_another_route_demands_nothing_by_it() -> None:
    world = world_that_demands(*ORDERS)
    assert world.reason(world.sign(world.event())) == "ok"


def test_a_demanded_value_cannot_be_changed_or_taken_away() -> None:
    world = world_that_demands("if-match")
    event = order(world, "if-match", If_Match='"7"')
    set_header(event, "If-Match", '"8"')
    assert world.reason(event) == "bad_signature"
    event = order(world, "if-match", If_Match='"7"')
    del event["headers"]["If-Match"], event["multiValueHeaders"]["If-Match"]
    assert world.reason(event) == "malformed"


def test_a_demanded_field_comes_in_one_line_whatever_is_signed() -> None:
    """Signed as "a, b" and sent as two lines, a backend that reads one of them would read "b" only."""
    world = world_that_demands("idempotency-key")
    event = order(world, "idempotency-key", Idempotency_Key="k1, k2")
    assert world.reason(event) == "ok"
    event = order(world, "idempotency-key", Idempotency_Key="k1, k2")
    event["multiValueHeaders"]["Idempotency-Key"] = ["k1", "k2"]
    event["headers"]["Idempotency-Key"] = "k2"
    assert world.reason(event) == "malformed"


def test_whoever_asks_for_a_challenge_hears_of_all_that_is_demanded_anywhere() -> None:
    world = world_that_demands(*ORDERS)
    found = world.verifier.issuer.issue(decode(world.event(path="/pch/challenge")), now_ms=world.now_ms)
    assert found.components == ("content-digest", "idempotency-key")
    assert found.max_age == 300


def test_a_challenge_says_how_long_it_can_be_answered() -> None:
    world = World()
    decision = world.verifier.judge(decode(world.event()), now_ms=world.now_ms)
    challenge = Challenge.from_header(decision.challenge)
    assert (challenge.components, challenge.max_age) == (
        (),
        world.verifier.issuer.limits.nonce_lifetime_ms // 1000,
    )
    assert "components" not in decision.challenge


@pytest.mark.parametrize("level", list(BreakerLevel))
def test_load_takes_no_demand_back(level: BreakerLevel) -> None:
    engine = world_that_demands("if-match").policy
    needs = engine.requirements("DELETE /protected", state="closed", level=level)
    assert needs.required_components == ("if-match",)


@pytest.mark.parametrize(
    "name", [*ALWAYS_COVERED, "content-type", "x-http-method-override", "authorization", "if-match"]
)
def test_names_that_can_be_demanded(name: str) -> None:
    assert component_trouble(name) is None
    assert world_that_demands(name).reason(order(World())) != "policy_denied"


@pytest.mark.parametrize(
    "names",
    [
        ["Content-Type"],
        ["@status"],
        ["signature"],
        [""],
        ["a b"],
        [7],
        [None],
        ["a", "a"],
        "a",
        None,
        [["a"]],
    ],
)
def test_names_that_cannot_be_demanded_are_no_answer(names: object) -> None:
    good = {
        "minimum_binding": "none",
        "allowed_algorithms": ["ed25519"],
        "ladder": ["full"],
        "classical_fallback": False,
        "header_budget": 8192,
        "availability_floor_ppm": 100_000,
        "latency_objective_ms": 1000,
        "breaker": {
            "trip_bad_share_ppm": 300_000,
            "step_bad_share_ppm": 120_000,
            "close_bad_share_ppm": 100_000,
            "down_bad_share_ppm": 50_000,
        },
    }
    assert read_requirements(good).required_components == ()  # policies from before there was such a rule
    with pytest.raises(OutputError, match="required_components"):
        read_requirements(good | {"required_components": names})
    many = [f"x-{n}" for n in range(MAX_COMPONENTS + 1)]
    with pytest.raises(OutputError, match="more than"):
        read_requirements(good | {"required_components": many})
