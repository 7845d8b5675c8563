"""Decisions that no authorizer writes, in a log that holds otherwise: chain, tree, head and proofs fit them.

And days that are odd and not false: good packs with remarks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.core.decision import Reason
from signet.core.instants import day_start_ms, utc_millis, uuid7
from signet.log.keys import LocalSigner
from signet.pack import contents
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.register import Pushed
from signet.receipts.model import DecisionRecord, Emitter
from signet.receipts.reading import Receipt, _from_members, read_receipt
from signet.receipts.versions import VERSIONS
from tests.corpus.case import Case
from tests.corpus.world import KEYS_SEED, facts_of
from tests.support.packs import FIRST_DAY, POLICY, Decided, PackLog, decision, seeded_private_set

RECEIPTS = "receipts.jsonl"
Change = Callable[[Any], Any]
START = day_start_ms(FIRST_DAY)
#: When ``PackLog`` records what it is given.
RECORDED = START + 3_600_000
DAY_MS = 86_400_000
OTHER_POLICY = {"pch.rego": b"package other\n", "data.json": b"{}\n"}


@dataclass(frozen=True)
class Told:
    """A decision with any members, false ones too."""

    members: dict[str, Any]

    @property
    def emitter(self) -> Emitter:
        return Emitter(self.members["emitter"]["id"], self.members["emitter"]["n"])

    def encode(self) -> bytes:
        return canonicalize(self.members)


def unchecked(data: bytes, **_how: bool) -> Receipt:
    members = parse(data)
    table = VERSIONS.get(members["v"], VERSIONS[max(VERSIONS)])
    emitter = members.get("emitter")
    if members["type"] != "pch.decision" and emitter is not None and emitter.keys() < {"id", "n"}:
        members = {**members, "emitter": {"id": "e" * 32, "n": 0, **emitter}}
    return _from_members(data, members, table)


@contextmanager
def credulous() -> Iterator[None]:
    """Let the builder of packs take any receipt; nothing else of it is changed."""
    honest = contents.read_receipt
    contents.read_receipt = unchecked  # type: ignore[assignment]
    try:
        yield
    finally:
        contents.read_receipt = honest


@dataclass
class LyingLog(PackLog):
    """A log whose sink takes all that it is told."""

    signer: Any = field(default_factory=lambda: LocalSigner("example.com/log", seeded_private_set(KEYS_SEED)))

    def receipt(self, message: bytes) -> Receipt:
        return unchecked(message)

    def pack(self, day: date | None = None, *, evidence: bool = False) -> bytes:
        with credulous():
            return super().pack(day, evidence=evidence)


def allowed(number: int, **changes: Any) -> DecisionRecord:
    """An allowed decision of the first day."""
    seed = random.Random(number)
    made = decision(seed, 0, START)
    made = replace(made, proof=replace(made.proof, nonce_sha256=seed.randbytes(32)))
    return replace(
        made, id=uuid7(START + number, seed.randbytes(10)), emitter=Emitter("a" * 32, number), **changes
    )


def told(reason: str, *changes: Change, number: int = 1) -> Told:
    """A decision as an authorizer writes it after verification, then changed."""
    members = parse(allowed(number).encode())
    members["reason"], members["decision"] = reason, Reason(reason).decision.value
    for change in changes:
        change(members)
    return Told(members)


def put(*path: str, value: Any = None) -> Change:
    """Put a value in the place of another, null by default."""

    def change(members: Any) -> None:
        for name in path[:-1]:
            members = members[name]
        members[path[-1]] = value

    return change


OPEN = put("breaker", "state", value="open")
SHED = put("breaker", "level", value="shed")
DENIED = put("policy", "action", value="deny")
CLASSICAL = put("breaker", "level", value="classical")
HYBRID = put("proof", "alg", value="ed25519+ml-dsa-65")
NOTHING_PROVED: tuple[Change, ...] = (
    *(put("proof", n) for n in ("keyid", "alg", "mode", "nonce_sha256", "created", "header_bytes")),
    *(put("request", n) for n in ("method", "authority", "path", "query_sha256")),
    put("policy", "bundle_sha256"),
)
_PARTS = ("keyid", "alg", "mode", "nonce_sha256", "created", "header_bytes")
_ASKED = ("method", "authority", "path", "query_sha256")

#: What cannot be: (reason, changes to a decision that was allowed).
IMPOSSIBLE: dict[str, tuple[str, Sequence[Change]]] = {
    "allow-against-the-policy": ("ok", [DENIED]),
    "allow-without-the-policy": ("ok", [put("policy", "action")]),
    "allow-with-nothing-proved": ("ok", NOTHING_PROVED),
    **{f"allow-without-{name}": ("ok", [put("proof", name)]) for name in _PARTS},
    **{f"allow-without-{name}": ("ok", [put("request", name)]) for name in _ASKED},
    "allow-without-a-policy-bundle": ("ok", [put("policy", "bundle_sha256")]),
    "allow-created-before-1970": ("ok", [put("proof", "created", value=-1)]),
    "allow-with-an-unknown-algorithm": ("ok", [put("proof", "alg", value="hmac-sha256")]),
    "allow-with-an-algorithm-in-capitals": ("ok", [put("proof", "alg", value="Ed25519")]),
    "allow-while-shed": ("ok", [SHED]),
    "allow-while-open-and-shed": ("ok", [OPEN, SHED]),
    "fallback-on-another-rung": ("ok_classical_fallback", [HYBRID]),
    "fallback-without-a-rung": ("ok_classical_fallback", [HYBRID, put("breaker", "level")]),
    "fallback-of-one-algorithm": ("ok_classical_fallback", [CLASSICAL]),
    "fallback-against-the-policy": ("ok_classical_fallback", [CLASSICAL, HYBRID, DENIED]),
    "policy-denied-and-allowed": ("policy_denied", []),
    "shed-against-the-policy": ("breaker_open", [OPEN, SHED, DENIED]),
    "shed-with-nothing-proved": ("breaker_open", [OPEN, SHED, *NOTHING_PROVED]),
    "shed-for-an-open-breaker-that-is-closed": (
        "breaker_open",
        [SHED, put("breaker", "state", value="closed")],
    ),
    "shed-for-an-open-breaker-that-is-unknown": ("breaker_open", [SHED, put("breaker", "state")]),
    "shed-for-a-half-open-breaker-that-is-open": ("half_open_full", [OPEN, SHED]),
    "shed-on-the-ramp-with-nothing-proved": ("half_open_full", NOTHING_PROVED),
    "replayed-against-the-policy": ("nonce_replayed", [DENIED]),
    "replayed-without-a-nonce": ("nonce_replayed", [put("proof", "nonce_sha256")]),
    "bound-to-nothing": ("ok", [put("proof", "binding", "type", value="tls-exporter")]),
    "not-bound-to-something": ("ok", [put("proof", "binding", "value_sha256", value="a" * 64)]),
    "refused-and-bound-to-nothing": (
        "malformed",
        [put("proof", "binding", "type", value="tls-client-cert")],
    ),
}

#: What can be, close to what cannot.
POSSIBLE: dict[str, tuple[str, Sequence[Change]]] = {
    "allow-while-open": ("ok", [OPEN]),
    "allow-while-open-on-another-rung": ("ok", [OPEN, CLASSICAL]),
    "allow-with-an-unknown-breaker": ("ok", [put("breaker", "state"), put("breaker", "level")]),
    "allow-created-in-1970": ("ok", [put("proof", "created", value=0)]),
    "allow-of-a-key-named-null": ("ok", [put("proof", "keyid", value="null")]),
    "allow-of-a-key-without-a-name": ("ok", [put("proof", "keyid", value="")]),
    "allow-of-a-path-with-escapes": ("ok", [put("request", "path", value='/ü"\\')]),
    "allow-bound": (
        "ok",
        [put("proof", "binding", value={"type": "tls-exporter", "value_sha256": "a" * 64})],
    ),
    "fallback": ("ok_classical_fallback", [CLASSICAL, HYBRID]),
    "policy-denied": ("policy_denied", [DENIED]),
    "policy-denied-before-it-was-asked": ("policy_denied", [put("policy", "action")]),
    "shed-for-an-open-breaker": ("breaker_open", [OPEN, SHED]),
    "shed-on-the-ramp": ("half_open_full", [SHED, put("breaker", "state", value="half_open")]),
    "shed-by-an-unknown-breaker": ("half_open_full", [SHED, put("breaker", "state")]),
    "replayed-while-shed": ("nonce_replayed", [SHED]),
    "bad-signature-with-nothing-proved": ("bad_signature", NOTHING_PROVED),
    "refused-with-an-unknown-algorithm": ("alg_not_allowed", [put("proof", "alg", value="none")]),
    "refused-created-before-1970": ("created_out_of_window", [put("proof", "created", value=-1)]),
    "failed-after-the-policy": ("store_unavailable", []),
    "a-route-without-a-rule": ("no_rule", [put("policy", "action")]),
}


def cases() -> Iterator[Case]:
    """Yield every bad pack."""
    for name, (reason, changes) in IMPOSSIBLE.items():
        log = LyingLog()
        log.close([told("ok", number=0), told(reason, *changes), told("ok", number=2)])
        yield Case(f"told-{name}", "told", log.pack(), log.log_id, "bad_receipt", RECEIPTS, 2)
    log = LyingLog()
    nonce = put("proof", "nonce_sha256", value="c" * 64)
    log.close([told("ok", nonce, number=0), told("ok", number=1), told("ok", nonce, number=2)])
    yield Case(
        "told-a-nonce-allowed-twice", "told", log.pack(), log.log_id, "nonce_allowed_twice", RECEIPTS, 3
    )
    log = LyingLog()
    fallback = told("ok_classical_fallback", CLASSICAL, HYBRID, nonce, number=1)
    odd = told("ok", nonce, put("request", "path", value="/ü"), number=2)
    log.close([told("ok", number=0), fallback, odd, told("ok", nonce, number=3)])
    yield Case(
        "told-a-nonce-allowed-three-times", "told", log.pack(), log.log_id, "nonce_allowed_twice", RECEIPTS, 3
    )


def good_cases() -> Iterator[Case]:
    """Packs of odd days: each is good; its remarks are among its facts."""
    for name, (reason, changes) in POSSIBLE.items():
        yield _good(f"told-{name}", [told("ok", number=0), told(reason, *changes), told("ok", number=2)])
    nonce = put("proof", "nonce_sha256", value="c" * 64)
    replayed = [told("ok", nonce, number=0), *(told("nonce_replayed", nonce, number=n) for n in (1, 2))]
    yield _good("told-a-nonce-allowed-once-and-replayed", replayed)
    for name, decided_ms in {
        "5-minutes-late": RECORDED + 300_000,
        "more-than-5-minutes-late": RECORDED + 300_001,
        "24-hours-early": RECORDED - DAY_MS,
        "more-than-24-hours-early": RECORDED - DAY_MS - 1,
        "a-year-early": RECORDED - 365 * DAY_MS,
        "in-9999": 253_402_300_799_999,
    }.items():
        late = told("ok", put("decided_at", value=utc_millis(decided_ms)))
        yield _good(f"decided-{name}", [told("ok", number=0), late])
    first, last = [told("ok", number=0)], 253_402_300_799_999
    yield _good("head-signed-when-the-day-ends", first, signed_ms=START + DAY_MS)
    yield _good("head-signed-before-the-day-ends", first, signed_ms=START + DAY_MS - 1)
    yield _good("head-signed-5-minutes-before-a-receipt", first, signed_ms=RECORDED - 300_000)
    yield _good("head-signed-more-than-5-minutes-before-a-receipt", first, signed_ms=RECORDED - 300_001)
    yield _good("head-signed-in-1970", first, signed_ms=0)
    yield _good("head-signed-in-9999", first, signed_ms=last)
    yield _good("head-signed-when-the-day-begins", [], signed_ms=START)
    yield _good("head-signed-before-the-day-begins", [], signed_ms=START - 1)
    yield from _policies()
    yield from _emitters()
    for number, asked in enumerate(("2026-11-23", None)):
        yield replace(_good(f"asked-for-its-day-{number}", first), asked=asked)


def _policies() -> Iterator[Case]:
    other = policy_bundle_sha256(OTHER_POLICY)
    named = [told("ok", number=0), told("ok", put("policy", "bundle_sha256", value=other))]
    yield _good("policy-unannounced", named)
    to_other = Pushed.after(None, OTHER_POLICY, now_ms=START)
    back = Pushed.after(to_other, POLICY, now_ms=START + 1)
    yield _good("policy-announced", named, others=[to_other.receipt()])
    yield _good("policy-announced-as-what-was-before", named, others=[back.receipt()])
    unread = canonicalize(
        {
            "v": 1,
            "type": "policy.changed",
            "id": uuid7(START, bytes(10)),
            "decided_at": utc_millis(START),
            "change": [other],
        }
    )
    yield _good("policy-announced-in-another-form", named, others=[unread])


def _emitters() -> Iterator[Case]:
    number = put("emitter", "n", value=1)
    yield _good(
        "emitter-number-twice", [*(told("ok", number=n) for n in (0, 1)), told("ok", number, number=2)]
    )
    elsewhere = put("emitter", value={"id": "b" * 32, "n": 1})
    same = [*(told("ok", number=n) for n in (0, 1)), told("ok", elsewhere, number=2)]
    yield _good("emitter-number-of-two-emitters", same)


def _good(
    name: str,
    decisions: Sequence[Decided],
    *,
    signed_ms: int | None = None,
    others: Sequence[bytes] = (),
) -> Case:
    log = PackLog(signer=LocalSigner("example.com/log", seeded_private_set(KEYS_SEED)))
    log.close(
        decisions,
        others=[read_receipt(message, chained=False) for message in others],
        signed_ms=signed_ms,
    )
    data = log.pack()
    return Case(name, "told", data, log.log_id, facts=facts_of(data, log.log_id))
