"""A short, repeatable part of ``make fuzz``, and proof that its oracles notice what they are there for."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator

import pytest

from signet.core.decision import Reason
from signet.handshake import verifier as verifier_module
from tests.fuzz import events, packs
from tests.fuzz.events import Bench, Ledger, bench, one_event
from tests.fuzz.packs import one_pack
from tests.fuzz.run import TARGETS

SIGNED = bytes([1, 0, 0, 0])


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench that may be spoilt."""
    one = Bench()
    monkeypatch.setattr(events, "bench", lambda: one)
    return one


def _inputs(count: int, size: int) -> Iterator[bytes]:
    seed = random.Random(9421)
    return (seed.randbytes(seed.randrange(size)) for _ in range(count))


def test_every_seed_of_events_holds() -> None:
    reasons = {one_event(seed) for seed in events.seeds()}
    assert {case["reason"] for case in bench().cases.values()} <= reasons


def test_mutated_events_hold_and_reach_deep() -> None:
    reasons = [one_event(data) for data in _inputs(1200, 96)]
    assert {"ok", "malformed", "bad_signature", "component_missing", "nonce_invalid"} <= set(reasons)


def test_mutated_packs_hold() -> None:
    codes = {one_pack(data) for data in _inputs(120, 60)} | {one_pack(seed) for seed in packs.seeds()[:30]}
    assert {None, "zip_malformed", "member_missing"} <= codes


def test_input_that_is_no_event_is_left_out() -> None:
    assert one_event(b"{") is None


def test_plain_input_signs_a_request_that_is_allowed() -> None:
    assert one_event(SIGNED) == "ok"


def test_an_allow_that_nobody_signed_is_noticed(fresh: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier_module, "check_signature", lambda *_, **__: Reason.OK)
    with pytest.raises(AssertionError, match="no key signed"):
        fresh.check(fresh.use_stored("query_changed"))


def test_a_request_missing_in_the_ledger_is_noticed(fresh: Bench) -> None:
    event = fresh.use_stored("signed_ed25519")
    fresh.world.ledger = Ledger()
    with pytest.raises(AssertionError, match="no key signed"):
        fresh.check(event)


def test_a_malfunction_is_noticed(fresh: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(request: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(verifier_module, "parse_proof", broken)
    with pytest.raises(AssertionError, match="internal_error"):
        fresh.check(fresh.use_stored("signed_ed25519"))


def test_another_pack_that_is_good_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    original, other = packs.originals()[:2]
    claimed = dataclasses.replace(original, log_id=other.log_id)
    with pytest.raises(AssertionError, match="another pack"):
        packs.check(other.data, claimed)


def test_ledger_of_the_stored_events_knows_what_was_changed_after_signing() -> None:
    _, ledger = events.stored()
    held = {
        name: ledger.holds(json.loads((events.FOLDER / f"{name}.json").read_text()))
        for name in ("signed_ml_dsa_65", "query_changed", "path_changed", "method_changed")
    }
    assert held == {
        "signed_ml_dsa_65": True,
        "query_changed": False,
        "path_changed": False,
        "method_changed": False,
    }


def test_every_target_has_its_module() -> None:
    assert set(TARGETS) == {"events", "packs"}
