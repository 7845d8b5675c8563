"""Under every policy the real verifier refuses what no policy can switch off."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from signet.core.errors import PolicyError
from signet.policy.engine import PolicyEngine
from tests.support.policies import MISTAKES
from tests.support.world import EDGE_AUTHORITY, EXPORTER, World, digest, set_header
from tests.support.world import own as decode

Event = dict[str, Any]


def _bound(world: World, exporter: bytes = EXPORTER, **changes: Any) -> Event:
    """Return a request through the edge, bound to a connection: by default its own."""
    field = f"tls-exporter=:{base64.b64encode(exporter).decode()}:"
    event = world.edge_event(headers={"PCH-Channel-Binding": field})
    nonce = world.nonce(authority=EDGE_AUTHORITY, bound="tls-exporter")
    return world.sign(event, url=f"https://{EDGE_AUTHORITY}/protected", nonce=nonce, **changes)


def _unsigned(world: World) -> Event:
    return world.edge_event()


def _forged(world: World) -> Event:
    event = _bound(world)
    signature = event["headers"]["Signature"]
    set_header(event, "Signature", signature[:8] + ("A" if signature[8] != "A" else "B") + signature[9:])
    return event


def _of_nobody(world: World) -> Event:
    return _bound(world, keyid="nobody")


def _on_another_connection(world: World) -> Event:
    return _bound(world, hashlib.sha256(b"another connection").digest())


def _around_the_edge(world: World) -> Event:
    field = f"tls-exporter=:{base64.b64encode(EXPORTER).decode()}:"
    event = world.event(headers={"PCH-Channel-Binding": field})
    return world.sign(event, nonce=world.nonce(bound="tls-exporter"))


def _of_an_unknown_suite(world: World) -> Event:
    return _bound(world, named="hs256")


def _of_another_suite_than_the_keys(world: World) -> Event:
    return _bound(world, keyid=world.keyids["ml-dsa-65"])


def _larger_than_any_budget(world: World) -> Event:
    event = world.edge_event(headers={"X-Large": "x" * 10_300})
    nonce = world.nonce(authority=EDGE_AUTHORITY, bound="tls-exporter")
    return world.sign(event, url=f"https://{EDGE_AUTHORITY}/protected", nonce=nonce)


def _without_its_evidence(world: World) -> Event:
    event = world.edge_event(headers={"PCH-Evidence-Digest": digest(b"{}")})
    nonce = world.nonce(authority=EDGE_AUTHORITY, bound="tls-exporter")
    return world.sign(event, url=f"https://{EDGE_AUTHORITY}/protected", nonce=nonce)


ATTACKS: dict[str, Callable[[World], Event]] = {
    build.__name__.strip("_"): build
    for build in (
        _unsigned,
        _forged,
        _of_nobody,
        _on_another_connection,
        _around_the_edge,
        _of_an_unknown_suite,
        _of_another_suite_than_the_keys,
        _larger_than_any_budget,
        _without_its_evidence,
    )
}


class Broken:
    """A policy that does not compile, as a source: no verifier is given an engine."""

    epoch = "0" * 64

    def __init__(self, error: PolicyError) -> None:
        self.error = error

    def current(self) -> PolicyEngine:
        raise self.error


def _world(name: str) -> World:
    """Return a world with a bad policy in force, compiled without any check if it compiles at all."""
    world = World()
    source: PolicyEngine | Broken
    try:
        source = PolicyEngine(MISTAKES[name].files())
    except PolicyError as error:
        source = Broken(error)
    world.__dict__["policy"] = source
    return world


@pytest.mark.parametrize("name", MISTAKES)
def test_no_policy_lets_an_attack_pass(name: str) -> None:
    world = _world(name)
    for attack, build in ATTACKS.items():
        decision = world.verifier.judge(decode(build(world)), now_ms=world.now_ms)
        assert decision.reason.decision in {"deny", "challenge"}, attack
        assert decision.error is None, attack
    assert world.nonces.spent == {}


def test_the_attacks_fail_for_their_own_reasons_under_a_policy_that_allows_everything() -> None:
    world = _world("allow_all")
    assert world.reason(_bound(world)) == "ok"
    assert {attack: world.reason(build(world)) for attack, build in ATTACKS.items()} == {
        "unsigned": "challenge_required",
        "forged": "bad_signature",
        "of_nobody": "unknown_key",
        "on_another_connection": "binding_mismatch",
        "around_the_edge": "binding_missing",
        "of_an_unknown_suite": "alg_not_allowed",
        "of_another_suite_than_the_keys": "alg_mismatch",
        "larger_than_any_budget": "header_budget_exceeded",
        "without_its_evidence": "evidence_missing",
    }


def test_a_proof_passes_once_under_a_policy_that_allows_everything() -> None:
    world = _world("allow_all")
    event = _bound(world)
    assert [world.reason(event) for _ in range(3)] == ["ok", "nonce_replayed", "nonce_replayed"]


@pytest.mark.parametrize(
    "name",
    [
        "syntax_error",
        "missing_rule",
        "wrong_type",
        "action_is_a_boolean",
        "two_values_at_once",
        "unknown_algorithm",
        "closes_above_where_it_opens",
        "classical_without_consent",
        "budget_above_the_gateways",
        "another_package",
        "data_replaces_the_rules",
    ],
)
def test_a_policy_that_does_not_answer_as_it_must_denies_a_good_request(name: str) -> None:
    world = _world(name)
    assert world.reason(_bound(world)) == "policy_denied"
