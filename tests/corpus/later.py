"""Receipts of version 2, a draft: good packs with all of its words, and bad ones for each of its rules.

Version 1 has the same rules; ``lies`` and ``words`` hold verifiers to them. Here is what version 2 adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.core.instants import utc_millis, uuid7
from signet.core.vocabulary import Admission, PayloadKind
from signet.log.keys import LocalSigner
from signet.receipts.facts import ApiFacts, ClientFacts, TranscriptFacts
from signet.receipts.reading import read_receipt
from signet.receipts.v2 import DECISION_OF, HYBRIDS, SUITES
from signet.receipts.v2_encode import encode_decision
from signet.receipts.v2_events import ALWAYS_ALONE, API_KINDS
from tests.corpus.case import Case
from tests.corpus.lies import (
    CLASSICAL,
    DENIED,
    HYBRID,
    OPEN,
    RECEIPTS,
    SHED,
    START,
    Change,
    LyingLog,
    Told,
    allowed,
    put,
    told,
)
from tests.corpus.world import KEYS_SEED, facts_of
from tests.support.packs import Decided, PackLog, seeded_private_set

GROUP = "later"
CREATED = START // 1000
EXPIRES = CREATED + 300
HEX = "a" * 64
ID = uuid7(START, bytes(10))
KEY = "A" * 43 + "="
HALF_OPEN = put("breaker", "state", value="half_open")
NO_TRANSCRIPT = (put("transcript_sha256"), put("request", "query_sha256"))
NOTHING = (
    *NO_TRANSCRIPT,
    *(put("proof", name) for name in ("keyid", "alg", "mode", "nonce_sha256", "created", "expires")),
    *(put(name) for name in ("covered", "route", "client")),
    put("api", "name"),
    put("policy", "action"),
)
CUT = put("request", "path_sha256", value=HEX)


def path(size: int, end: str = "") -> Change:
    """A path of so many bytes."""
    return put("request", "path", value="/" + "p" * (size - 1 - len(end.encode())) + end)


#: What a reason needs beside a decision that was allowed.
NEEDS: dict[str, Sequence[Change]] = {
    "ok": (),
    "ok_classical_fallback": (CLASSICAL, HYBRID),
    "policy_denied": (DENIED,),
    "breaker_open": (OPEN, SHED),
    "half_open_full": (HALF_OPEN,),
    "rate_limited": (),
    "caller_shed": (),
    "concurrency_limited": (),
    "nonce_replayed": NO_TRANSCRIPT,
}


def later(reason: str, *changes: Change, number: int = 1) -> Told:
    """A decision of version 2 as an authorizer writes it after verification, then changed."""
    made = allowed(number)
    made = replace(
        made,
        proof=replace(made.proof, created=CREATED, expires=EXPIRES),
        api=ApiFacts("orders", "a1b2c3d4e5", PayloadKind.REST_V1),
        route="GET /orders/{id}",
        covered=('"@method"', '"@authority"', '"@path"', '"@query"'),
        client=ClientFacts(),
        transcript=TranscriptFacts(b"t" * 32, b"q" * 32),
    )
    members = parse(encode_decision(made))
    members["reason"], members["decision"] = reason, DECISION_OF[reason]
    for change in changes:
        change(members)
    return Told(members)


def _decided(second: int) -> Change:
    return put("decided_at", value=utc_millis(second * 1000))


EMITTER = {"id": "e" * 32, "n": 3}
VALID = {"from": None, "until": CREATED}
API = {
    "name": "orders",
    "api": {"id": "a1b2c3d4e5", "stage": "prod", "kind": "rest"},
    "authorities": ["api.example.com"],
    "base_paths": ["v1", ""],
    "resources": ["GET /orders/{id}"],
    "time_limit_ms": 29_000,
}
PLACE = {"state": "closed", "level": "full"}
TRANSITION: dict[str, Any] = {
    "breaker": {"name": "orders", "version": 1},
    "from": PLACE,
    "to": {"state": "open", "level": "shed"},
    "cause": "tripped",
    "policy": {"bundle_sha256": None},
    "figures": {"bad_share_ppm": 640_000, "open_ms": 0},
}
#: Members of each type's receipts, beside the common ones.
EVENTS: dict[str, dict[str, Any]] = {
    "client.registered": {
        "keyid": "caller-1",
        "alg": "ed25519",
        "public_key": KEY,
        "roles": ["caller", "auditor"],
        "labels": {"team": "Ärzte"},
        "routes": ["GET /orders*"],
        "valid": VALID,
        "signature": "QQ==",
    },
    "client.revoked": {"keyid": "caller-1", "registration": ID, "cause": "lost", "signature": None},
    "api.added": API,
    "api.removed": API,
    "policy.deployed": {
        "bundle_sha256": HEX,
        "input": 1,
        "interpreter": {"name": "regopy", "version": "1.0"},
    },
    "promise.key": {"alg": "ed25519", "keyid": "p1", "public_key": KEY, "valid": VALID},
    "head.signed": {"date": "2026-11-22", "final": True, "tree_size": 0, "sth_sha256": HEX},
    "transcript.erased": {"receipts": [ID], "cause": "demand", "signature": "QUI="},
    "emitter.ended": {"emitter": EMITTER, "folded": 0},
    "format.changed": {"format": "receipt", "from": 1, "to": 2},
    "refusals.summary": {
        "emitter": EMITTER,
        "counts": {
            reason: 1
            for reason, decision in DECISION_OF.items()
            if decision != "allow" and reason not in ALWAYS_ALONE
        },
        "first": utc_millis(START),
        "last": utc_millis(START),
    },
    "breaker.transition": TRANSITION,
    "policy.changed": {"change": {"n": 1, "from": None, "to": HEX, "pushed_at": utc_millis(START)}},
}


def event(kind: str, number: int = 0, **changes: Any) -> bytes:
    """A receipt of another type than a decision, as its message."""
    common = {
        "v": 2,
        "type": kind,
        "id": uuid7(START + 1000 + number, kind.encode().ljust(10, b".")[:10]),
        "decided_at": utc_millis(START),
    }
    return canonicalize(common | EVENTS[kind] | changes)


def _variants() -> Iterator[bytes]:
    """One event for each word that the first of its type does not have."""
    variants: list[tuple[str, dict[str, Any]]] = [
        *(("breaker.transition", {"cause": cause}) for cause in CAUSES),
        ("transcript.erased", {"cause": "retention", "signature": None}),
        *(("api.added", {"api": API["api"] | {"kind": word}}) for word in API_KINDS[1:]),
        *(("client.registered", {"alg": alg, "signature": None}) for alg in sorted(SUITES)),
        ("head.signed", {"final": False}),
        ("client.registered", {"labels": {}, "routes": [], "valid": {"from": 0, "until": None}}),
    ]
    for number, (kind, changes) in enumerate(variants, 1):
        yield event(kind, number, **changes)


CAUSES = (
    *("interval_over", "probes_failed", "recovered", "rung_up", "rung_down"),
    *("silent", "futile"),
)


def decisions() -> list[Told]:
    """A decision for each reason, and for each word and number that is new in a decision."""
    changes: list[tuple[str, Sequence[Change]]] = [
        *((reason, NEEDS.get(reason, NOTHING)) for reason in DECISION_OF),
        *(("ok", [put("api", "kind", value=kind)]) for kind in API_KINDS),
        *(("ok", [put("proof", "alg", value=alg)]) for alg in sorted(SUITES)),
        *(("ok_classical_fallback", [CLASSICAL, put("proof", "alg", value=alg)]) for alg in sorted(HYBRIDS)),
        *(("ok", [put("breaker", "admission", value=word.value), HALF_OPEN]) for word in Admission),
        ("ok", [put("api", "registration", value=ID), put("client", "registration", value=ID)]),
        ("ok", [put("policy", "version", value=0), put("policy", "input", value=1)]),
        ("ok", [put("breaker", "name", value="orders"), put("breaker", "limit", value=0)]),
        ("ok", [put("emitter", "folded", value=7)]),
    ]
    return [later(reason, *found, number=number) for number, (reason, found) in enumerate(changes)]


#: What can be, close to what cannot.
POSSIBLE: dict[str, tuple[str, Sequence[Change]]] = {
    "decided-as-early-as-may-be": ("ok", [_decided(CREATED - 300)]),
    "decided-as-late-as-may-be": ("ok", [_decided(EXPIRES + 300)]),
    "decided-in-the-last-second": ("ok", [put("decided_at", value=utc_millis((EXPIRES + 300) * 1000 + 999))]),
    "shed-late": ("caller_shed", [_decided(EXPIRES + 301)]),
    "valid-for-a-second": ("ok", [put("proof", "expires", value=CREATED + 1)]),
    "refused-though-never-valid": ("malformed", [*NO_TRANSCRIPT, put("proof", "expires", value=CREATED)]),
    "unknown-key-of-a-whole-proof": ("unknown_key", [*NO_TRANSCRIPT, put("client")]),
    "policy-denied-without-a-transcript": ("policy_denied", [DENIED, *NO_TRANSCRIPT]),
    "allow-with-a-long-path": ("ok", [path(300)]),
    "allow-with-a-path-beyond-ascii": ("ok", [path(300, "ü")]),
    "allow-with-odd-components": ("ok", [put("covered", value=['"é";sf', "\\", ""])]),
    "replayed-with-a-long-path": ("nonce_replayed", [*NO_TRANSCRIPT, path(257)]),
    "refused-with-a-path-of-256": ("malformed", [*NOTHING, path(256)]),
    "refused-with-a-path-cut-at-256": ("malformed", [*NOTHING, path(256), CUT]),
    "refused-with-a-path-cut-at-253": ("malformed", [*NOTHING, path(253, "ü"), CUT]),
    "transcripts-named": ("ok", []),
}

#: What cannot be: each rule that version 2 adds, and those of version 1 for its new reasons.
IMPOSSIBLE: dict[str, tuple[str, Sequence[Change]]] = {
    **{f"allow-without-{name}": ("ok", [put(name)]) for name in ("covered", "route", "client")},
    "allow-without-expires": ("ok", [put("proof", "expires")]),
    "allow-without-a-name-of-the-api": ("ok", [put("api", "name")]),
    "allow-without-a-keyid": ("ok", [put("proof", "keyid")]),
    "allow-that-expires-when-created": ("ok", [put("proof", "expires", value=CREATED)]),
    "allow-without-a-transcript": ("ok", NO_TRANSCRIPT),
    "allow-decided-too-early": ("ok", [put("decided_at", value=utc_millis((CREATED - 301) * 1000 + 999))]),
    "allow-decided-too-late": ("ok", [_decided(EXPIRES + 301)]),
    "fallback-decided-too-late": ("ok_classical_fallback", [CLASSICAL, HYBRID, _decided(EXPIRES + 301)]),
    "fallback-without-a-transcript": ("ok_classical_fallback", [CLASSICAL, HYBRID, *NO_TRANSCRIPT]),
    **{
        f"{reason.replace('_', '-')}-against-the-policy": (reason, [DENIED])
        for reason in ("caller_shed", "rate_limited", "concurrency_limited")
    },
    **{
        f"{reason.replace('_', '-')}-without-a-client": (reason, [put("client")])
        for reason in ("caller_shed", "rate_limited", "concurrency_limited")
    },
    "breaker-open-without-a-route": ("breaker_open", [OPEN, SHED, put("route")]),
    "breaker-open-that-expires-before-created": (
        "breaker_open",
        [OPEN, SHED, put("proof", "expires", value=CREATED - 1)],
    ),
    "unknown-api-with-a-name": ("unknown_api", [*NOTHING, put("api", "name", value="orders")]),
    "transcript-without-its-query": ("ok", [put("request", "query_sha256")]),
    "a-query-without-its-transcript": ("malformed", [*NOTHING, put("request", "query_sha256", value=HEX)]),
    "replayed-with-a-transcript": ("nonce_replayed", []),
    "challenged-with-a-transcript": ("challenge_required", []),
    "bad-signature-with-a-transcript": ("bad_signature", []),
    "a-probe-while-closed": ("ok", [put("breaker", "admission", value="probe")]),
    "a-probe-while-unknown": ("ok", [put("breaker", "admission", value="probe"), put("breaker", "state")]),
    "allow-with-a-cut-path": ("ok", [path(256), CUT]),
    "replayed-with-a-cut-path": ("nonce_replayed", [*NO_TRANSCRIPT, path(256), CUT]),
    "policy-denied-with-a-transcript-and-a-cut-path": ("policy_denied", [DENIED, path(256), CUT]),
    "refused-with-a-path-cut-too-short": ("malformed", [*NOTHING, path(252), CUT]),
    "refused-with-a-path-cut-too-long": ("malformed", [*NOTHING, path(257), CUT]),
    "refused-with-a-cut-path-that-is-absent": ("malformed", [*NOTHING, put("request", "path"), CUT]),
    "refused-with-a-long-path": ("malformed", [*NOTHING, path(257)]),
    "refused-with-a-long-path-beyond-ascii": ("malformed", [*NOTHING, path(257, "ü")]),
}


def _without(*names: str) -> Change:
    def change(members: Any) -> None:
        for name in names[:-1]:
            members = members[name]
        del members[names[-1]]

    return change


#: Members and values that version 2 does not have; by the closed set or the member they are about.
MISFITS: dict[str, Sequence[Change]] = {
    "of-version-3": [put("v", value=3)],
    "with-a-stage-of-version-1": [put("request", "stage", value="dev")],
    "without-its-api": [_without("api")],
    "without-its-transcript": [_without("transcript_sha256")],
    "with-a-word-for-reason": [put("reason", value="tired")],
    "with-a-reason-of-another-decision": [put("decision", value="deny")],
    "with-a-word-for-kind": [put("api", "kind", value="REST")],
    "with-a-word-for-admission": [put("breaker", "admission", value="forced")],
    "with-a-registration-that-is-no-id": [put("api", "registration", value="orders")],
    "with-a-component-that-is-no-text": [put("covered", value=[1])],
    "with-components-in-a-text": [put("covered", value='"@method"')],
    "with-a-client-of-another-form": [put("client", value={})],
    "with-a-negative-number-folded": [put("emitter", "folded", value=-1)],
    "with-a-limit-in-a-text": [put("breaker", "limit", value="7")],
}

#: Of other types: members that their receipts cannot have.
EVENT_MISFITS: dict[str, dict[str, Any]] = {
    "client.registered": {"roles": [7]},
    "client.revoked": {"registration": "caller-1"},
    "api.added": {"api": API["api"] | {"kind": "websocket"}},
    "api.removed": {"authorities": [None]},
    "policy.deployed": {"input": 0},
    "promise.key": {"public_key": "QQ"},
    "head.signed": {"date": "2026-02-30"},
    "transcript.erased": {"cause": "regret"},
    "emitter.ended": {"emitter": {"id": "e" * 32}},
    "format.changed": {"format": "pack"},
    "refusals.summary": {"counts": {"ok": 1}},
    "breaker.transition": {"cause": "tired"},
    "policy.changed": {"change": {}},
}
MORE_EVENT_MISFITS: dict[str, tuple[str, dict[str, Any]]] = {
    "refusals.summary-of-a-verified-refusal": ("refusals.summary", {"counts": {"policy_denied": 1}}),
    "refusals.summary-of-none": ("refusals.summary", {"counts": {"malformed": 0}}),
    "client.registered-with-another-suite": ("client.registered", {"alg": "rsa"}),
    "client.registered-without-roles": ("client.registered", {"roles": []}),
    "client.registered-with-a-label-in-capitals": ("client.registered", {"labels": {"Team": ""}}),
    "client.registered-with-base64-of-two-forms": ("client.registered", {"public_key": "QR=="}),
    "head.signed-with-a-number-for-truth": ("head.signed", {"final": 1}),
    "transcript.erased-of-nothing": ("transcript.erased", {"receipts": []}),
    "format.changed-to-3": ("format.changed", {"to": 3}),
    "format.changed-from-true": ("format.changed", {"from": True}),
    "breaker.transition-with-a-figure-without-a-unit": ("breaker.transition", {"figures": {"share": 1}}),
    "breaker.transition-to-another-state": ("breaker.transition", {"to": PLACE | {"state": "ajar"}}),
    "breaker.transition-to-another-level": ("breaker.transition", {"to": PLACE | {"level": None}}),
    "with-a-member-more": ("emitter.ended", {"why": ""}),
}


#: The API of ``event("api.added")``, as a decision under it says it.
REGISTERED: dict[str, str] = {"name": API["name"], **API["api"]}
#: What a decision under that registration cannot say.
ELSEWHERE = {"name": "billing", "id": "b1", "stage": "beta", "kind": "http-2.0"}


def under(*changes: Change, registration: str | None = None, number: int = 1) -> Told:
    """A decision under the registration that ``event("api.added")`` is, or another one."""
    named = registration or parse(event("api.added"))["id"]
    own = (put("api", member, value=value) for member, value in REGISTERED.items())
    return later("ok", *own, put("api", "registration", value=named), *changes, number=number)


def _registrations() -> Iterator[Case]:
    """Yield packs in which a decision names a registration of the day that is not its API's."""
    added = event("api.added")
    wrong = {f"of-another-{member}": put("api", member, value=value) for member, value in ELSEWHERE.items()}
    for name, change in wrong.items():
        yield _misnamed(name, under(change), added)
    yield _misnamed("beyond-ascii", under(put("api", "name", value="ördérs")), added)
    decision = later("ok", number=0)
    yield _misnamed("that-is-a-decision", under(registration=decision.members["id"]), added)
    removed = parse(event("api.removed"))["id"]
    yield _misnamed("that-is-a-removal", under(registration=removed), event("api.removed"))


def _misnamed(name: str, decision: Decided, *others: bytes) -> Case:
    log = LyingLog()
    log.close(
        [later("ok", number=0), decision, under(number=2)],
        others=[log.receipt(message) for message in others],
    )
    name = f"later-registration-{name}"
    return Case(name, GROUP, log.pack(), log.log_id, "wrong_registration", RECEIPTS, 2)


def cases() -> Iterator[Case]:
    """Yield every bad pack."""
    for name, (reason, changes) in IMPOSSIBLE.items():
        yield _bad(name, later(reason, *changes))
    for name, changes in MISFITS.items():
        yield _bad(f"a-decision-{name}", later("ok", *changes))
    for reason in ("unknown_api", "rate_limited", "caller_shed", "concurrency_limited"):
        change = put("reason", value=reason), put("decision", value=DECISION_OF[reason])
        yield _bad(f"version-1-with-{reason}", told("ok", *change))
    misfits = {kind: (kind, changes) for kind, changes in EVENT_MISFITS.items()} | MORE_EVENT_MISFITS
    for name, (kind, changes) in misfits.items():
        yield _bad_event(f"event-{name}", event(kind, **changes))
    for kind in sorted(EVENTS.keys() - {"breaker.transition", "policy.changed"}):
        yield _bad_event(f"version-1-of-type-{kind}", event(kind, v=1))
    yield from _registrations()
    nonce = put("proof", "nonce_sha256", value="c" * 64)
    log = LyingLog()
    log.close([told("ok", nonce, number=0), later("ok", number=1), later("ok", nonce, number=2)])
    data = log.pack()
    yield Case("later-nonce-of-version-1", GROUP, data, log.log_id, "nonce_allowed_twice", RECEIPTS, 3)


def good_cases() -> Iterator[Case]:
    """Yield packs with every word, of days on which both versions were written, and odd ones."""
    log = _log()
    log.close(decisions())
    yield _good("every-word-of-a-decision", log)
    log = _log()
    log.close(
        [later("ok", number=0)],
        others=[
            read_receipt(message, chained=False) for message in (*map(event, sorted(EVENTS)), *_variants())
        ],
    )
    yield _good("every-word-of-other-types", log)
    log = _log()
    log.close(
        [under(number=0), under(registration=ID, number=1), later("unknown_api", *NOTHING, number=2)],
        others=[read_receipt(event("api.added"), chained=False)],
    )
    yield _good("registration-of-the-day-or-not", log)
    yield _good("after-a-change-of-format", changed_log())
    yield from _summarised()
    for name, (reason, changes) in POSSIBLE.items():
        log = _log()
        log.close([told("ok", number=0), later(reason, *changes), later("ok", number=2)])
        yield _good(name, log)


#: Of one emitter: what its decisions say that it folded, by number; and its summaries: number and counts.
SUMMARISED: dict[str, tuple[dict[int, int], list[tuple[int, dict[str, int]]]]] = {
    "refusals-in-summaries": (
        {0: 0, 2: 4, 4: 7},
        [(1, {"malformed": 4}), (3, {"unknown_key": 2, "malformed": 2})],
    ),
    "refusals-in-a-summary-that-is-not-there": ({0: 0, 2: 4, 3: 9}, [(1, {"nonce_replayed": 4})]),
    "refusals-in-no-summary-at-all": ({5: 3, 7: 10}, []),
    "refusals-in-a-summary-of-the-day-before": ({4: 7, 6: 8}, [(3, {"challenge_required": 5})]),
    "summaries-alone": ({}, [(1, {"malformed": 1}), (2, {"bad_signature": 2**53 - 1})]),
    "fewer-refusals-later": ({0: 9, 1: 3}, []),
}


def _summarised() -> Iterator[Case]:
    for name, (folded, summaries) in SUMMARISED.items():
        log = _log()
        log.close(
            [
                later("ok", put("emitter", value={"id": "e" * 32, "n": n, "folded": said}), number=n)
                for n, said in folded.items()
            ],
            others=[
                read_receipt(
                    event("refusals.summary", n, emitter={"id": "e" * 32, "n": n}, counts=counts),
                    chained=False,
                )
                for n, counts in summaries
            ],
        )
        yield _good(name, log)
    log = _log()
    ended = event("emitter.ended", emitter={"id": "e" * 32, "n": 1}, folded=0)
    log.close([later("ok", number=0)], others=[read_receipt(ended, chained=False)])
    yield _good("an-emitter-that-ended", log)


def changed_log() -> PackLog:
    """A log of three days: version 1; both, and ``format.changed``; version 2."""
    log = _log()
    log.close([told("ok", number=0)])
    changed = [read_receipt(event("format.changed"), chained=False)]
    log.close([told("ok", number=1), later("ok", number=2)], others=changed)
    log.close([later("ok", number=3), later("rate_limited", number=4)])
    return log


def _log() -> PackLog:
    return PackLog(signer=LocalSigner("example.com/log", seeded_private_set(KEYS_SEED)))


def _good(name: str, log: PackLog) -> Case:
    data = log.pack()
    return Case(f"later-{name}", GROUP, data, log.log_id, facts=facts_of(data, log.log_id))


def _bad(name: str, decision: Decided) -> Case:
    log = LyingLog()
    log.close([later("ok", number=0), decision, later("ok", number=2)])
    return Case(f"later-{name}", GROUP, log.pack(), log.log_id, "bad_receipt", RECEIPTS, 2)


def _bad_event(name: str, message: bytes) -> Case:
    log = LyingLog()
    log.close([later("ok", number=0)], others=[log.receipt(message)])
    return Case(f"later-{name}", GROUP, log.pack(), log.log_id, "bad_receipt", RECEIPTS, 2)
