"""Packs in which each word of the format's closed sets stands once, and proofs that must be empty.

A verifier that misspells a word refuses a good pack: there is one for each word that a receipt of version 1
may hold; ``later`` has those of version 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from signet.core.canonical import canonicalize
from signet.core.decision import Reason
from signet.core.instants import utc_millis, uuid7
from signet.core.vocabulary import BindingType, BreakerLevel, BreakerState, ProofMode
from signet.log.keys import LocalSigner
from signet.receipts import v1
from signet.receipts.reading import read_receipt
from tests.corpus.case import Case
from tests.corpus.lies import CLASSICAL, DENIED, HYBRID, OPEN, SHED, START, Change, Told, put, told
from tests.corpus.world import KEYS_SEED, facts_of
from tests.support.forgery import Files, edit, remade, unzip
from tests.support.packs import PackLog, log_with_days, seeded_private_set

GROUP, CONSISTENCY = "words", "proofs/consistency.json"
_ZERO_HASH = "A" * 43 + "="

CAUSES = ("tripped", "interval_over", "probes_failed", "recovered", "rung_up", "rung_down")

#: What a reason needs beside a decision that was allowed.
NEEDS: dict[Reason, Sequence[Change]] = {
    Reason.OK_CLASSICAL_FALLBACK: [CLASSICAL, HYBRID],
    Reason.POLICY_DENIED: [DENIED],
    Reason.BREAKER_OPEN: [OPEN, SHED],
    Reason.HALF_OPEN_FULL: [put("breaker", "state", value="half_open")],
}


def _binding(kind: BindingType) -> Change:
    value = None if kind is BindingType.NONE else "a" * 64
    return put("proof", "binding", value={"type": kind.value, "value_sha256": value})


def words() -> dict[str, Told]:
    """A decision for each word, by a name that says where the word stands."""
    found = {
        f"reason-{reason}": told(str(reason), *NEEDS.get(reason, ()))
        for reason in Reason
        if reason in v1.DECISION_OF
    }
    for level in BreakerLevel:
        reason = Reason.STORE_UNAVAILABLE if level is BreakerLevel.SHED else Reason.OK
        found[f"level-{level}"] = told(str(reason), put("breaker", "level", value=level.value))
    for state in BreakerState:
        found[f"state-{state}"] = told("ok", put("breaker", "state", value=state.value))
    for kind in BindingType:
        found[f"binding-{kind}"] = told("ok", _binding(kind))
    for mode in ProofMode:
        found[f"mode-{mode}"] = told("ok", put("proof", "mode", value=mode.value))
    for name in sorted(v1.SUITES):
        found[f"alg-{name}"] = told("ok", put("proof", "alg", value=name))
    return found


def transition(cause: str) -> bytes:
    """A receipt of a step of the breaker, as far as verifiers look at it."""
    value: dict[str, Any] = {
        "v": 1,
        "type": "breaker.transition",
        "id": uuid7(START, cause.encode().ljust(10, b".")[:10]),
        "decided_at": utc_millis(START),
        "cause": cause,
    }
    return canonicalize(value)


def good_cases() -> Iterator[Case]:
    """Yield a pack for each word."""
    for name, decision in words().items():
        yield _good(f"word-{name}", [decision])
    yield _good("word-causes", [], *map(transition, CAUSES))


def cases() -> Iterator[Case]:
    """Yield packs whose proof from nothing, or from a tree to itself, has a hash."""
    for name, counts in {
        "from-nothing": (0, 3),
        "from-nothing-to-nothing": (0, 0),
        "to-the-same-tree": (3, 0),
    }.items():
        log = log_with_days(*counts, keys_seed=KEYS_SEED)
        files = unzip(log.pack())
        data = remade(_with_a_hash(files))
        yield Case(f"proof-consistency-{name}", "proofs", data, log.log_id, "bad_proof", CONSISTENCY)


def _with_a_hash(files: Files) -> Files:
    return edit(files, CONSISTENCY, lambda value: value["proofs"][0]["proof"].append(_ZERO_HASH))


def _good(name: str, decisions: Sequence[Told], *others: bytes) -> Case:
    log = PackLog(signer=LocalSigner("example.com/log", seeded_private_set(KEYS_SEED)))
    log.close(decisions, others=[read_receipt(message, chained=False) for message in others])
    data = log.pack()
    return Case(name, GROUP, data, log.log_id, facts=facts_of(data, log.log_id))
