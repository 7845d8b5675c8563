"""Version 2 of the receipt: a draft that verifiers read, and in which decisions on attached APIs are written.

``V2`` is its table, ``v2_encode`` writes a decision (docs/formats.md, "Receipt, version 2"). It may
change until a release freezes it (docs/adr/0015-formats-grow-by-version.md). Like those of ``v1`` the words
are literals; what version 1 has is taken over from its table, which never changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from signet.core.instants import parse_utc_millis
from signet.receipts import v1
from signet.receipts.combinations import Facts, Words, check_combination
from signet.receipts.rules import (
    ANY_TEXT,
    COUNT,
    INTEGER,
    QUOTED_TEXT,
    SHA256,
    TIME,
    UUID7,
    Rule,
    array_of,
    nullable,
    object_of,
    one_of,
    refused,
    text_of,
    the_number,
)
from signet.receipts.shape import DECISION_TYPE
from signet.receipts.table import Table
from signet.receipts.v2_events import API_KINDS, event_members
from signet.receipts.written import NULL

#: The decision that each reason leads to.
DECISION_OF: Final[Mapping[str, str]] = {
    **v1.DECISION_OF,
    "unknown_api": "deny",
    "rate_limited": "shed",
    "caller_shed": "shed",
    "concurrency_limited": "shed",
}
ADMISSIONS: Final = ("normal", "probe", "fail_open")
#: Reasons that come after the whole proof was verified and the policy allowed the request.
VERIFIED: Final = v1.VERIFIED | {"rate_limited", "caller_shed", "concurrency_limited"}
#: Reasons of which none has a transcript: nothing was verified, or the nonce had been spent before.
UNTRANSCRIBED: Final = frozenset({"challenge_required", "bad_signature", "nonce_replayed"})
#: Suites of two signatures, one of them classical.
HYBRIDS: Final = v1.HYBRIDS
#: What a caller's key may be for, and the signature of a request that was verified.
SUITES: Final = v1.SUITES
WORDS: Final = Words(verified=VERIFIED, allowing=v1.ALLOWING, suites=SUITES, hybrids=HYBRIDS)
#: By how many seconds ``decided_at`` may lie outside ``created`` … ``expires``: the most that a deployment
#: can allow (``ClockSkewSeconds``).
MOST_SKEW_SECONDS: Final = 300
#: Bytes of a path that is on record without a verified signature; a cut one ends with a whole character.
MOST_PATH_BYTES: Final = 256
_LEAST_CUT_BYTES: Final = MOST_PATH_BYTES - 3

#: Members of which none is null in a whole proof.
WHOLE: Final = (
    *(path for path in v1.WHOLE if path != "request.query_sha256"),
    *("proof.expires", "covered", "api.name", "route", "client"),
)
_MORE: Final = (
    "api.name",
    "transcript_sha256",
    "request.query_sha256",
    "request.path_sha256",
    "request.path",
    "breaker.admission",
    "proof.created",
    "proof.expires",
)

_EVENTS: Final = event_members(
    tuple(sorted(SUITES)), tuple(reason for reason, made in DECISION_OF.items() if made != "allow")
)
TYPES: Final = (DECISION_TYPE, *_EVENTS)
_COMMON: Mapping[str, Rule] = {"v": the_number(2), "type": one_of(*TYPES), "id": UUID7, "decided_at": TIME}


def _members_of_v1(name: str) -> dict[str, Rule]:
    return dict(v1.V1.closed[DECISION_TYPE][name].members or {})


_REQUEST: Final = _members_of_v1("request") | {"path_sha256": nullable(SHA256)}
del _REQUEST["stage"]

_DECISION: Mapping[str, Rule] = {
    **_COMMON,
    "type": one_of(DECISION_TYPE),
    "decision": one_of(*dict.fromkeys(DECISION_OF.values())),
    "reason": one_of(*DECISION_OF),
    "api": object_of(
        {
            "name": nullable(ANY_TEXT),
            "id": nullable(ANY_TEXT),
            "stage": nullable(ANY_TEXT),
            "kind": nullable(one_of(*API_KINDS)),
            "registration": nullable(UUID7),
        }
    ),
    "route": nullable(ANY_TEXT),
    "request": object_of(_REQUEST),
    "covered": nullable(array_of(QUOTED_TEXT)),
    "proof": object_of(_members_of_v1("proof") | {"expires": nullable(INTEGER)}),
    "client": nullable(object_of({"registration": nullable(UUID7)})),
    "transcript_sha256": nullable(SHA256),
    "policy": object_of(_members_of_v1("policy") | {"version": nullable(COUNT), "input": nullable(COUNT)}),
    "breaker": object_of(
        _members_of_v1("breaker")
        | {
            "name": nullable(ANY_TEXT),
            "admission": nullable(one_of(*ADMISSIONS)),
            "limit": nullable(COUNT),
        }
    ),
    "emitter": object_of(_members_of_v1("emitter") | {"folded": COUNT}),
    "authorizer_us": COUNT,
}

_CHAIN: Mapping[str, Rule] = {
    "chain": object_of(
        {**(v1.V1.chain["chain"].members or {}), "transcripts": nullable(text_of("[0-9a-f]{32}"))}
    )
}


class More(NamedTuple):
    """What of a decision only the rules of this version are about.

    Attributes:
        named: whether ``api.name`` is not null.
        transcribed: whether ``transcript_sha256`` is not null.
        queried: whether ``request.query_sha256`` is not null.
        cut: whether ``request.path_sha256`` is not null.
        path: 0 for a path that no cut can have left, 1 for one that a cut can, 2 for one that is too long.
        admission: ``breaker.admission``.
        ordered: whether ``proof.created`` < ``proof.expires``, where both are known.
        timely: whether the decision lies between the two, give or take ``MOST_SKEW_SECONDS``.
    """

    named: bool
    transcribed: bool
    queried: bool
    cut: bool
    path: int
    admission: str | None
    ordered: bool
    timely: bool


def path_class(size: int) -> int:
    """Return ``More.path`` of a path of so many bytes."""
    return (size >= _LEAST_CUT_BYTES) + (size > MOST_PATH_BYTES)


def times_of(created: int | None, expires: int | None, decided_at_ms: int) -> tuple[bool, bool]:
    """Return ``More.ordered`` and ``More.timely``."""
    if created is None or expires is None:
        return True, True  # of a whole proof, neither is
    decided = decided_at_ms // 1000
    return created < expires, created - MOST_SKEW_SECONDS <= decided <= expires + MOST_SKEW_SECONDS


def _more_of(found: Sequence[bytes], decided_at_ms: int) -> More:
    """Return the same of canonical bytes that the pattern matched: plain ASCII, one byte a character."""
    null = NULL.encode()
    name, transcript, query, cut, path, admission, *window = found
    created, expires = (None if value == null else int(value) for value in window)
    return More(
        name != null,
        transcript != null,
        query != null,
        cut != null,
        0 if path == null else path_class(len(path) - 2),
        None if admission == null else admission[1:-1].decode(),
        *times_of(created, expires, decided_at_ms),
    )


def _facts_of(receipt: Mapping[str, Any]) -> Facts:
    """Return what other members exclude, of a decision whose members were checked one by one."""
    proof, request, breaker = (receipt[name] for name in ("proof", "request", "breaker"))
    binding, created, path = proof["binding"], proof["created"], request["path"]
    parts = [_at(receipt, name) for name in WHOLE]
    more = More(
        receipt["api"]["name"] is not None,
        receipt["transcript_sha256"] is not None,
        request["query_sha256"] is not None,
        request["path_sha256"] is not None,
        0 if path is None else path_class(len(path.encode())),
        breaker["admission"],
        *times_of(created, proof["expires"], parse_utc_millis(receipt["decided_at"])),
    )
    return Facts(
        reason=receipt["reason"],
        action=receipt["policy"]["action"],
        level=breaker["level"],
        state=breaker["state"],
        alg=proof["alg"],
        binding=binding["type"],
        bound=binding["value_sha256"] is not None,
        whole=None not in parts and created >= 0,
        more=more,
    )


def _at(receipt: Mapping[str, Any], path: str) -> Any:
    value: Any = receipt
    for name in path.split("."):
        value = value[name]
    return value


def check_facts(facts: Facts) -> None:
    """Check that the members can stand together.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the rule.
    """
    check_combination(facts, WORDS)
    more = facts.more
    if not isinstance(more, More):
        raise TypeError("facts of another version")
    if facts.reason in VERIFIED and not more.ordered:
        raise refused(f"receipt.reason is {facts.reason}, but its proof expires before it was created")
    if facts.reason in v1.ALLOWING and not more.transcribed:
        raise refused("receipt.decision is allow, but there is no transcript")
    if facts.reason in v1.ALLOWING and not more.timely:
        raise refused("receipt.decision is allow, but it was not made while the proof was valid")
    if facts.reason == "unknown_api" and more.named:
        raise refused("receipt.reason is unknown_api, but api.name is known")
    if facts.reason in UNTRANSCRIBED and more.transcribed:
        raise refused(f"receipt.reason is {facts.reason}, which has no transcript")
    if more.transcribed != more.queried:
        raise refused("receipt.transcript_sha256 and request.query_sha256 are not null together")
    if more.admission == "probe" and facts.state != "half_open":
        raise refused("breaker.admission is probe, but breaker.state is not half_open")
    _check_path(more, whole_path=more.transcribed or facts.reason in VERIFIED)


def _check_path(more: More, *, whole_path: bool) -> None:
    if more.cut and (whole_path or more.path != 1):
        raise refused("request.path_sha256 is there, but request.path was not cut")
    if not whole_path and more.path > 1:
        raise refused("request.path is not cut, but no signature was verified")


#: The table of this version.
V2: Final = Table(
    version=2,
    common=_COMMON,
    closed={
        DECISION_TYPE: _DECISION,
        **{kind: {**_COMMON, "type": one_of(kind), **members} for kind, members in _EVENTS.items()},
    },
    chain=_CHAIN,
    chain_bytes=200,
    decision_of=DECISION_OF,
    words=WORDS,
    whole=WHOLE,
    facts_of=_facts_of,
    check_facts=check_facts,
    more=_MORE,
    more_of=_more_of,
)
