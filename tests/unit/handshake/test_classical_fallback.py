"""Half a signature passes where policy says so in so many words, on that rung, and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signet.breaker.config import BreakerConfig
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.machine import initial
from signet.breaker.snapshot import DEFAULT_NAME, encode
from signet.core.decision import Reason
from signet.core.errors import PolicyError, SignatureError
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.crypto import suites
from signet.crypto.suites import CompositeSuite
from signet.policy.engine import PolicyEngine
from signet.receipts.model import read_receipt
from tests.fakes.breakers import MemoryBreakerStore
from tests.support.policies import config
from tests.support.world import NOW_MS, World, authorizer_of, digest, edit_header, policy_files
from tests.support.world import own as decode

HYBRIDS = ["ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65"]
SINGLES = [alg for alg in suites.NAMES if alg not in HYBRIDS]
CONSENT = {"ladder": ["full", "relax", "classical", "shed"], "classical_fallback": True}
CUT = 3309
Spoil = Callable[[bytes], bytes]


def flip(place: int) -> Spoil:
    return lambda sig: sig[:place] + bytes([sig[place] ^ 1]) + sig[place + 1 :]


POST_QUANTUM, CLASSICAL = flip(100), flip(CUT + 20)


def world_of(level: BreakerLevel, **entry: Any) -> World:
    """A world on a rung, with a policy that says this of GET /protected and limits no header bytes there."""
    world = World()
    files = policy_files()

    def change(c: dict[str, Any]) -> None:
        c["routes"]["GET /protected"].update(entry)
        c["header_budget"] = dict.fromkeys(c["header_budget"], 8192)

    config(change)(files)
    world.__dict__["policy"] = PolicyEngine(files)
    world.level = level
    return world


def spoilt(event: dict[str, Any], spoil: Spoil) -> dict[str, Any]:
    def edit(field: str) -> str:
        raw = base64.b64decode(field.removeprefix("pch=:").removesuffix(":"))
        return f"pch=:{base64.b64encode(spoil(raw)).decode()}:"

    return edit_header(event, "Signature", edit)


@pytest.mark.parametrize("alg", HYBRIDS)
def test_on_the_rung_only_the_classical_half_counts_and_the_receipt_says_so(alg: str) -> None:
    world = world_of(BreakerLevel.CLASSICAL, **CONSENT)
    sent: list[bytes] = []

    authorizer = authorizer_of(world, sent)
    recorded = authorizer.authorize(spoilt(world.sign(world.event(), alg), POST_QUANTUM), now_ms=world.now_ms)
    assert recorded.decision.reason is Reason.OK_CLASSICAL_FALLBACK
    receipt = read_receipt(sent[0], chained=False).members
    assert (receipt["decision"], receipt["reason"]) == ("allow", "ok_classical_fallback")
    assert receipt["breaker"]["level"] == "classical"
    assert world.reason(spoilt(world.sign(world.event(), alg), CLASSICAL)) == "bad_signature"
    assert world.reason(world.sign(world.event(), alg, keyid="nobody")) == "unknown_key"
    again = world.sign(world.event(), alg)
    assert [world.reason(again), world.reason(again)] == ["ok_classical_fallback", "nonce_replayed"]


@pytest.mark.parametrize("alg", SINGLES)
def test_a_key_of_one_algorithm_is_verified_as_ever(alg: str) -> None:
    world = world_of(BreakerLevel.CLASSICAL, **CONSENT)
    assert world.reason(world.sign(world.event(), alg)) == "ok"
    assert world.reason(spoilt(world.sign(world.event(), alg), flip(20))) == "bad_signature"


@pytest.mark.parametrize("level", [level for level in BreakerLevel if level is not BreakerLevel.CLASSICAL])
def test_on_every_other_rung_both_halves_count(level: BreakerLevel) -> None:
    world = world_of(level, **CONSENT)
    event = world.sign(world.event(), HYBRIDS[0])
    assert world.reason(spoilt(event, POST_QUANTUM)) == "bad_signature"


@pytest.mark.parametrize("level", BreakerLevel)
@pytest.mark.parametrize("entry", [{}, {"classical_fallback": True}, {"ladder": ["full", "relax"]}])
def test_a_route_that_does_not_name_the_rung_never_takes_it(
    level: BreakerLevel, entry: dict[str, Any]
) -> None:
    world = world_of(level, **entry)
    event = world.sign(world.event(), HYBRIDS[0])
    decision = world.verifier.judge(decode(spoilt(event, POST_QUANTUM)), now_ms=world.now_ms)
    assert decision.reason is Reason.BAD_SIGNATURE
    assert decision.context.breaker.level is not BreakerLevel.CLASSICAL


def test_consent_of_one_route_is_not_that_of_another() -> None:
    world = world_of(BreakerLevel.CLASSICAL, **CONSENT)
    event = world.sign(world.event("POST", headers={"Content-Digest": digest(b"")}), HYBRIDS[0])
    assert world.reason(spoilt(event, POST_QUANTUM)) == "bad_signature"


def test_the_rung_without_consent_denies() -> None:
    world = world_of(BreakerLevel.CLASSICAL, ladder=CONSENT["ladder"])
    assert world.reason(spoilt(world.sign(world.event(), HYBRIDS[0]), POST_QUANTUM)) == "policy_denied"


def test_a_policy_that_fails_on_the_rung_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(BreakerLevel.CLASSICAL, **CONSENT)
    event = spoilt(world.sign(world.event(), HYBRIDS[0]), POST_QUANTUM)

    def broken(*_args: object, **_options: object) -> None:
        raise PolicyError("the policy does not evaluate")

    monkeypatch.setattr(PolicyEngine, "requirements", broken)
    assert world.reason(event) == "policy_denied"


@pytest.mark.parametrize("state", [BreakerState.CLOSED, BreakerState.OPEN])
def test_a_store_that_is_away_verifies_in_full_whatever_the_rung_was(state: BreakerState) -> None:
    world = world_of(BreakerLevel.FULL, ladder=CONSENT["ladder"][:-1], classical_fallback=True)
    store = MemoryBreakerStore()
    record = replace(initial(NOW_MS), state=state, rung=BreakerLevel.CLASSICAL, open_until_ms=NOW_MS + 60_000)
    store.records[DEFAULT_NAME] = StoredBreaker(DEFAULT_NAME, record.version, encode(record))
    numbers = BreakerConfig()
    world.breaker = BreakerKeeper(
        DEFAULT_NAME, store, None, numbers, lambda: 0.5, lambda: world.now_ms / 1000
    )
    assert (
        world.reason(spoilt(world.sign(world.event(), HYBRIDS[0]), POST_QUANTUM)) == "ok_classical_fallback"
    )
    store.away = True
    world.now_ms += numbers.refresh_ms
    decision = world.verifier.judge(
        decode(spoilt(world.sign(world.event(), HYBRIDS[0]), POST_QUANTUM)), now_ms=world.now_ms
    )
    assert decision.reason is Reason.BAD_SIGNATURE
    assert decision.context.breaker.level is BreakerLevel.FULL


@pytest.mark.parametrize("alg", HYBRIDS)
@pytest.mark.parametrize(
    "spoil",
    [
        CLASSICAL,
        lambda sig: sig[CUT:],
        lambda sig: sig[:CUT],
        lambda sig: sig[:-1],
        lambda sig: sig + b"\0" * 8,
        lambda sig: sig[CUT:] + sig[:CUT],
        lambda _: b"",
    ],
)
def test_half_a_verification_takes_no_other_form_of_signature(alg: str, spoil: Spoil) -> None:
    suite, key, message = suites.get(alg), suites.get(alg).generate(), b"a signature base"
    assert isinstance(suite, CompositeSuite)
    suite.verify_classical_half(key.public_key_bytes, message, key.sign(message))
    with pytest.raises(SignatureError):
        suite.verify_classical_half(key.public_key_bytes, message, spoil(key.sign(message)))


@pytest.mark.parametrize("alg", HYBRIDS)
def test_half_a_verification_still_holds_to_the_pair_of_keys(alg: str) -> None:
    suite = suites.get(alg)
    assert isinstance(suite, CompositeSuite)
    mine, other = suite.generate(), suite.generate()
    mixed = other.public_key_bytes[:1952] + mine.public_key_bytes[1952:]
    with pytest.raises(SignatureError):
        suite.verify_classical_half(mixed, b"a signature base", mine.sign(b"a signature base"))
