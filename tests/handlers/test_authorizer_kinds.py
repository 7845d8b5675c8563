"""Answers by the kind of the API: the table of attacks through the authorizer's handler, and what is shed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import authorizer_handler
import pytest

from signet.breaker.asked import FixedBreaker
from signet.core.decision import Decision, Reason
from signet.core.errors import UnavailableError
from signet.core.vocabulary import BreakerLevel, PayloadKind
from signet.handshake.authorizer import Authorizer
from signet.handshake.emitter import EmitterCounter
from tests.support.cases import CASES
from tests.support.deployment import context
from tests.support.payloads import PAYLOADS
from tests.support.world import FixedApis, World
from tests.unit.gateway.test_gateway_payloads import SHOWN

Event = dict[str, Any]
CONTEXT = context("authorizer")


@dataclass
class Queue:
    """Keeps what it is sent."""

    sent: list[bytes] = field(default_factory=list)

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        assert evidence is None or evidence
        self.sent.append(message)


class Away:
    """A store that cannot be reached."""

    def __getattr__(self, name: str) -> Any:
        raise UnavailableError(f"away: {name}")


@dataclass
class Deployed:
    """The handler, its authorizer built on a world whose one API is of some kind."""

    world: World
    kind: PayloadKind
    queue: Queue
    passed: Callable[[], float] = lambda: 0.0

    def ask(self, event: Event) -> dict[str, Any]:
        payload = PAYLOADS.get(self.kind)
        return authorizer_handler.handler(payload.transcribe(event) if payload else event, CONTEXT)

    def recorded(self) -> str:
        reason: str = json.loads(self.queue.sent[-1])["reason"]
        return reason


@pytest.fixture(params=list(PayloadKind))
def kind(request: pytest.FixtureRequest) -> PayloadKind:
    found: PayloadKind = request.param
    return found


@pytest.fixture
def front(kind: PayloadKind, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    world, queue = World(), Queue()
    made = Deployed(world, kind, queue)
    monkeypatch.setattr(authorizer_handler.time, "time_ns", lambda: world.now_ms * 1_000_000)

    def authorizer() -> Authorizer:
        apis = FixedApis((replace(world.api, kind=kind),))
        return Authorizer(
            world.verifier,
            queue,
            EmitterCounter(world.random),
            world.random,
            lambda: 0,
            apis,
            passed=made.passed,
        )

    monkeypatch.setattr(authorizer_handler, "_authorizer", authorizer)
    return made


def allows(kind: PayloadKind, answer: dict[str, Any]) -> bool:
    """Tell what a gateway makes of an answer: for HTTP APIs with payload 2.0 of the simple one only."""
    if kind is PayloadKind.HTTP_V2:
        assert answer.keys() == {"isAuthorized", "context"}
        return answer["isAuthorized"] is True
    [statement] = answer["policyDocument"]["Statement"]
    return bool(statement["Effect"] == "Allow")


#: One attack of each reason; tests/unit/gateway reads all in each payload.
ONE_OF_EACH = set({CASES[name][0]: name for name in SHOWN}.values())


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in ONE_OF_EACH else pytest.mark.sweep, id=name) for name in SHOWN],
)
def test_an_attack_gets_its_reason_before_every_kind_of_api(front: Deployed, name: str) -> None:
    reason, build = CASES[name]
    event = build(front.world)
    different = PAYLOADS[front.kind].different if front.kind in PAYLOADS else {}
    expected = Reason(different.get(name, reason))
    if expected.decision is Decision.SHED:
        with pytest.raises(authorizer_handler.Shed):
            front.ask(event)
    else:
        answer = front.ask(event)
        assert answer["context"]["reason"] == expected.value
        assert allows(front.kind, answer) == (expected.decision is Decision.ALLOW)
    assert front.recorded() == expected.value


def test_what_cannot_be_decided_is_raised(front: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front.world, "clients", Away())
    with pytest.raises(authorizer_handler.Shed):
        front.ask(front.world.sign(front.world.event()))


def test_what_the_breaker_sheds_passes_no_gateway(front: Deployed) -> None:
    """A REST API gets an answer without a policy; an HTTP API's authorizer may answer yes or no only."""
    front.world.breaker = FixedBreaker(BreakerLevel.SHED)
    event = front.world.sign(front.world.event())
    if front.kind is PayloadKind.REST_V1:
        assert front.ask(event).keys() == {"context"}
    else:
        with pytest.raises(authorizer_handler.Shed):
            front.ask(event)
    assert Reason(front.recorded()).decision is Decision.SHED


@pytest.mark.parametrize(("seconds", "late"), [(5.0, False), (5.1, True)])
def test_what_an_http_api_no_longer_waits_for_is_not_recorded_as_let_in(
    front: Deployed, seconds: float, late: bool
) -> None:
    times = iter((100.0, 100.0 + seconds))
    front.passed = lambda: next(times)
    event = front.world.sign(front.world.event())
    if front.kind is PayloadKind.REST_V1 or not late:
        assert allows(front.kind, front.ask(event))
        assert front.recorded() == "ok"
    else:
        with pytest.raises(authorizer_handler.Shed):
            front.ask(event)
        assert front.recorded() == "store_unavailable"


def test_all_that_a_backend_is_told_is_text(front: Deployed) -> None:
    told = front.ask(front.world.sign(front.world.event()))["context"]
    assert told["keyid"] == front.world.keyids["ed25519"]
    assert all(isinstance(value, str) for value in told.values())
