"""A client that calls too often, or whose requests fail: refused on record, after the signature."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from signet.breaker.callers import Caller, places_of
from signet.breaker.config import BreakerConfig
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.snapshot import OutcomeToken
from signet.core.decision import Decision, Reason
from signet.core.errors import UnavailableError
from signet.core.vocabulary import BreakerState
from signet.handshake.decision import RequestDecision
from signet.policy.check import check
from signet.policy.engine import PolicyEngine
from signet.receipts.model import read_receipt
from signet.receipts.v1 import V1
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.policies import config
from tests.support.world import World, authorizer_of, edit_header, own, policy_files

TWO = {"per_minute": 60, "burst": 2}


class Queue:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        self.sent.append(message)


def limited(**limits: Any) -> dict[str, bytes]:
    """Return a policy with limits: by route with _ for the space, or ``all``."""
    files = policy_files()

    def change(document: dict[str, Any]) -> None:
        for place, limit in limits.items():
            of_route = {} if place == "all" else document["routes"][place.replace("_", " /")]
            (document if place == "all" else of_route)["rate_limit"] = limit

    config(change)(files)
    return files


class Scene:
    """A world whose breaker is one environment's, under a policy with a limit."""

    def __init__(self, **limits: Any) -> None:
        self.world = World()
        self.world.__dict__["policy"] = PolicyEngine(limited(**limits))
        self.queue, self.store = Queue(), MemoryBreakerStore()
        self.keeper = self.world.breaker = BreakerKeeper(
            *("backend", self.store, self.queue, BreakerConfig(), Random(3).random),
            lambda: self.world.now_ms / 1000,
        )

    def judge(self, event: dict[str, Any]) -> RequestDecision:
        return self.world.verifier.judge(own(event), now_ms=self.world.now_ms)

    def ask(self, method: str = "GET", alg: str = "ed25519") -> str:
        return self.judge(self.world.sign(self.world.event(method), alg)).reason.value


def test_a_client_over_the_limit_keeps_the_nonce_and_no_other_client_is_refused() -> None:
    scene = Scene(all=TWO)
    assert [scene.ask() for _ in range(2)] == ["ok", "ok"]
    spent, proof = dict(scene.world.nonces.spent), scene.world.sign(scene.world.event())
    decision = scene.judge(proof)
    assert (decision.reason, decision.reason.decision) == (Reason.RATE_LIMITED, Decision.SHED)
    assert decision.context.retry_after_s in range(1, 5)
    assert scene.world.nonces.spent == spent
    assert scene.ask(alg="ecdsa-p256-sha256") == "ok"
    scene.world.now_ms += 1_010
    assert scene.judge(proof).reason is Reason.OK
    assert scene.judge(proof).reason is Reason.RATE_LIMITED  # a copy, too, as long as there is no token
    scene.world.now_ms += 1_010
    assert scene.judge(proof).reason is Reason.NONCE_REPLAYED


def test_copies_of_a_proof_take_no_tokens_from_the_client_they_were_taken_from() -> None:
    scene = Scene(all=TWO)
    proof = scene.world.sign(scene.world.event())
    assert scene.judge(proof).reason is Reason.OK
    assert {scene.judge(proof).reason for _ in range(50)} == {Reason.NONCE_REPLAYED}
    assert scene.ask() == "ok"


def test_what_is_not_verified_makes_no_entry_and_takes_no_token() -> None:
    scene = Scene(all=TWO)
    for _ in range(20):
        forged = edit_header(
            scene.world.sign(scene.world.event()), "Signature", lambda v: v[:10] + "AAAA" + v[14:]
        )
        assert scene.judge(forged).reason is Reason.BAD_SIGNATURE
        assert scene.judge(scene.world.event()).reason is Reason.CHALLENGE_REQUIRED
    assert len(scene.keeper._rates) == 0
    assert scene.ask() == "ok"


def test_a_route_s_own_limit_has_tokens_of_its_own_and_null_lifts_it() -> None:
    scene = Scene(all=TWO, GET_protected={"per_minute": 1, "burst": 1}, DELETE_protected=None)
    assert [scene.ask() for _ in range(2)] == ["ok", "rate_limited"]
    signed = {"Content-Digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"}
    posts = [scene.world.sign(scene.world.event("POST", headers=signed)) for _ in range(3)]
    assert [scene.judge(post).reason.value for post in posts] == ["ok", "ok", "rate_limited"]
    assert {scene.ask("DELETE") for _ in range(9)} == {"ok"}


def test_routes_of_a_group_share_a_client_s_tokens() -> None:
    group = {**TWO, "group": "both"}
    scene = Scene(GET_protected=group, DELETE_protected=group)
    assert [scene.ask(method) for method in ("GET", "DELETE", "GET")] == ["ok", "ok", "rate_limited"]


def test_what_is_over_the_limit_is_no_load_for_the_breaker() -> None:
    scene = Scene(all=TWO)
    for _ in range(9):
        scene.ask()
    scene.world.now_ms += 600
    scene.ask()
    [arrivals] = [item for name, item in scene.store.sums.items() if "#arrivals#" in name]
    assert sum(int(count) for name, count in arrivals.items() if name[0] == "b") == 2


def test_the_receipt_is_of_version_2_also_for_signet_s_own_api() -> None:
    scene = Scene(all={"per_minute": 1, "burst": 1})
    sent: list[bytes] = []
    authorizer = authorizer_of(scene.world, sent)
    authorizer.authorize(scene.world.sign(scene.world.event()), now_ms=scene.world.now_ms)
    recorded = authorizer.authorize(scene.world.sign(scene.world.event()), now_ms=scene.world.now_ms)
    assert (recorded.decision.reason, recorded.durable) == (Reason.RATE_LIMITED, True)
    first, second = (read_receipt(message, chained=False).members for message in sent)
    assert (first["v"], first["reason"]) == (2, "ok")
    assert (second["v"], second["decision"], second["reason"]) == (2, "shed", "rate_limited")
    assert (second["policy"]["action"], second["transcript_sha256"]) == ("allow", None)


def test_a_caller_that_is_to_blame_is_shed_first_on_record_and_keeps_the_nonce() -> None:
    scene = Scene()
    sent: list[bytes] = []
    assert scene.ask() == "ok"
    token = OutcomeToken.parse(scene.judge(scene.world.sign(scene.world.event())).context.outcome_token)
    assert token is not None
    assert token.caller is not None
    blame = {f"x{place}": "1" for place in places_of(token.caller.number)}
    scene.store.add(f"backend#arrivals#{scene.world.now_ms // 15_000}", blame, expires_at=0)
    reasons = []
    while "ok" not in reasons:  # one goes through, to be looked at
        scene.world.now_ms += 1_000
        decision = scene.judge(scene.world.sign(scene.world.event()))
        reasons.append(decision.reason.value)
        assert len(reasons) < 25
    assert set(reasons) == {"ok", "caller_shed"}
    probe = OutcomeToken.parse(decision.context.outcome_token)
    assert probe is not None
    assert probe.caller == Caller(token.caller.number, blamed=True)
    spent = dict(scene.world.nonces.spent)
    arrived = dict(scene.keeper._arrivals._bins)
    authorizer = authorizer_of(scene.world, sent)
    recorded = authorizer.authorize(scene.world.sign(scene.world.event()), now_ms=scene.world.now_ms)
    assert recorded.decision.reason is Reason.CALLER_SHED
    assert recorded.decision.context.retry_after_s is not None
    assert (scene.world.nonces.spent, scene.keeper._arrivals._bins) == (spent, arrived)
    [receipt] = (read_receipt(message, chained=False).members for message in sent)
    assert (receipt["v"], receipt["decision"], receipt["reason"]) == (2, "shed", "caller_shed")
    assert scene.ask(alg="ecdsa-p256-sha256") == "ok"


def test_every_reason_that_version_1_lacks_is_written_as_version_2() -> None:
    assert {reason.value for reason in Reason} - V1.decision_of.keys() == {
        *("unknown_api", "rate_limited", "caller_shed"),
    }


@pytest.mark.parametrize("away", [False, True])
def test_a_limit_holds_while_the_breaker_is_open_and_while_its_store_is_away(*, away: bool) -> None:
    scene = Scene(all=TWO)
    assert [scene.ask() for _ in range(2)] == ["ok", "ok"]
    scene.store.away, scene.store.error = away, UnavailableError("away")
    scene.world.now_ms += 400
    assert scene.ask() == "rate_limited"
    assert scene.keeper._view is not None
    assert scene.keeper._view.record.state is BreakerState.CLOSED


def test_a_policy_with_limits_is_good_and_one_that_is_none_is_found_in_its_line() -> None:
    files = limited(
        all=TWO, GET_protected={"per_second": 9, "burst": 1, "group": "reads"}, PUT_protected=None
    )
    assert check(files) == ()
    config(lambda document: document["routes"]["PUT /protected"].update(rate_limit={"per_second": 5}))(files)
    [finding] = check(files)
    line = files["config.json"].decode().splitlines()[(finding.line or 0) - 1]
    assert (finding.file, '"rate_limit"' in line) == ("config.json", True)
    assert "burst" in finding.message
