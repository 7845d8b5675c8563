"""The budgets of the shipped policy are ones that clients can meet, on every rung."""

from __future__ import annotations

import pytest

from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.crypto import suites
from signet.handshake.challenge import Challenge
from signet.policy.engine import PolicyEngine
from signet_client.placement import RESERVE, Channel, Form, ProofPlacement, header_bytes
from signet_client.signing import Plain, Signer, binding_field
from tests.support.world import policy_files

REQUEST = Plain(
    "POST",
    "https://api.example.com/protected",
    {
        "host": "api.example.com",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate, br, zstd",
        "connection": "keep-alive",
        "content-type": "application/json",
        "content-length": "1000000",
        "user-agent": "python-httpx/0.28.1",
    },
    b"{}",
)


@pytest.mark.parametrize("level", list(BreakerLevel))
@pytest.mark.parametrize("alg", suites.NAMES)
def test_load_turns_no_suite_away_where_the_signature_has_to_stay_in_its_field(alg: str, level: BreakerLevel):
    """Over the exporter it is made last, so that only the evidence can go apart."""
    needs = PolicyEngine(policy_files("")).requirements(
        "POST /protected", state=BreakerState.CLOSED.value, level=level
    )
    assert needs.minimum_binding == "tls-exporter"
    key = suites.get(alg).generate()
    placement = ProofPlacement(Signer(key, key.key_id), b'{"build":42}', "auto", Channel(late=True))
    prepared = placement.in_form(
        Form.EVIDENCE_APART,
        REQUEST,
        Challenge("signet", "A" * 55, (), "tls-exporter", 0, "", "", "challenge_required"),
        now=1_760_000_000,
        binding=binding_field("tls-exporter", bytes(32)),
    )
    assert header_bytes(REQUEST, prepared.signed.fields) + RESERVE <= needs.header_budget
