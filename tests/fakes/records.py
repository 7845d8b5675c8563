"""Decision records for tests: as the authorizer builds them, told apart by a number."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from signet.core.decision import Reason
from signet.core.instants import uuid7
from signet.core.vocabulary import BreakerLevel, BreakerState, PolicyAction, ProofMode
from signet.receipts.model import (
    BreakerFacts,
    DecisionRecord,
    Emitter,
    PolicyFacts,
    ProofFacts,
    Receipt,
    RequestFacts,
    read_receipt,
)

#: 2026-11-23T00:00:00Z
DAY_MS = 1_795_392_000_000


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def record(n: int, *, path: str = "/protected", reason: Reason = Reason.OK) -> DecisionRecord:
    return DecisionRecord(
        id=uuid7(DAY_MS + n, digest(f"id {n}")[:10]),
        decided_at_ms=DAY_MS + n,
        reason=reason,
        emitter=Emitter(digest("emitter").hex()[:32], n),
        authorizer_us=250,
        request=RequestFacts(
            method="GET",
            authority="api.example.com",
            path=path,
            query_sha256=digest("?"),
            request_id=f"request-{n}",
            stage="dev",
            source_ip_hash=digest("192.0.2.1"),
        ),
        proof=ProofFacts(
            keyid="caller-1",
            alg="ed25519",
            mode=ProofMode.INLINE,
            nonce_sha256=digest(f"nonce {n}"),
            created=DAY_MS // 1000,
            header_bytes=400,
        ),
        policy=PolicyFacts(digest("bundle"), PolicyAction.ALLOW),
        breaker=BreakerFacts(BreakerState.CLOSED, BreakerLevel.FULL, header_budget=8192),
    )


def verified(draw: object, *, bundle: bytes | None = None, path: str = "/protected") -> dict[str, Any]:
    """What a decision after verification says of request, proof and policy; its nonce is told by ``draw``."""
    made = record(0, path=path)
    return {
        "request": made.request,
        "proof": replace(made.proof, nonce_sha256=digest(f"nonce {draw}")),
        "policy": PolicyFacts(bundle or made.policy.bundle_sha256, PolicyAction.ALLOW),
    }


def message(n: int, *, path: str = "/protected") -> bytes:
    """The bytes of record ``n`` on their way to the sink."""
    return record(n, path=path).encode()


def receipt(n: int, *, path: str = "/protected") -> Receipt:
    return read_receipt(message(n, path=path), chained=False)
