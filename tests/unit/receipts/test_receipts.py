from __future__ import annotations

import copy
import dataclasses
import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.canonical import MAX_INTEGER, canonicalize, parse
from signet.core.decision import Decision, Reason
from signet.core.errors import CanonicalError
from signet.core.instants import parse_utc_millis, utc_millis, uuid7
from signet.core.vocabulary import BindingType, BreakerLevel, BreakerState, PolicyAction, ProofMode
from signet.receipts import v1
from signet.receipts.chain import empty_head, extend
from signet.receipts.model import (
    MAX_MESSAGE_BYTES,
    MAX_RECEIPT_BYTES,
    BindingFacts,
    BreakerFacts,
    DecisionRecord,
    Emitter,
    PolicyFacts,
    ProofFacts,
    RequestFacts,
    check_receipt,
    read_receipt,
)
from signet.receipts.table import decision_pattern
from signet.receipts.v1 import V1
from tests.fakes.records import DAY_MS, message, receipt, record

_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

_digests = st.none() | st.binary(min_size=32, max_size=32)
_texts = st.none() | st.text(max_size=20)
_counts = st.none() | st.integers(0, MAX_INTEGER)
_drawn = st.builds(
    DecisionRecord,
    id=st.builds(uuid7, st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10)),
    decided_at_ms=st.integers(0, _LAST_MS),
    reason=st.sampled_from([reason for reason in Reason if reason in v1.DECISION_OF]),
    emitter=st.builds(
        Emitter, st.binary(min_size=16, max_size=16).map(bytes.hex), st.integers(0, MAX_INTEGER)
    ),
    authorizer_us=st.integers(0, MAX_INTEGER),
    request=st.builds(RequestFacts, _texts, _texts, _texts, _digests, _texts, _texts, _texts, _digests),
    proof=st.builds(
        ProofFacts,
        _texts,
        _texts,
        st.none() | st.sampled_from(ProofMode),
        _digests,
        st.none() | st.integers(-MAX_INTEGER, MAX_INTEGER),
        _counts,
        _digests,
        st.builds(BindingFacts, st.sampled_from(BindingType), _digests),
    ),
    policy=st.builds(PolicyFacts, _digests, st.none() | st.sampled_from(PolicyAction)),
    breaker=st.builds(
        BreakerFacts,
        st.none() | st.sampled_from(BreakerState),
        st.none() | st.sampled_from(BreakerLevel),
        _counts,
        _counts,
        _counts,
        _counts,
        _counts,
    ),
)


def possible(made: DecisionRecord) -> DecisionRecord:
    """The record with what cannot stand together put right, and the rest as it was drawn."""
    bound = made.proof.binding.value_sha256
    kind = BindingType.NONE if bound is None else made.proof.binding.type
    if bound is not None and kind is BindingType.NONE:
        kind = BindingType.TLS_EXPORTER
    made = dataclasses.replace(
        made, proof=dataclasses.replace(made.proof, binding=BindingFacts(kind, bound)), breaker=made.breaker
    )
    if made.reason.value in v1.VERIFIED:
        made = dataclasses.replace(made, **whole_of(made))
    elif made.reason is Reason.POLICY_DENIED and made.policy.action is PolicyAction.ALLOW:
        made = dataclasses.replace(made, policy=PolicyFacts(made.policy.bundle_sha256, PolicyAction.DENY))
    return made


def whole_of(made: DecisionRecord) -> dict[str, Any]:
    fallback = made.reason is Reason.OK_CLASSICAL_FALLBACK
    level, state = made.breaker.level, made.breaker.state
    if fallback:
        level = BreakerLevel.CLASSICAL
    elif level is BreakerLevel.SHED and made.reason is Reason.OK:
        level = None
    if made.reason is Reason.BREAKER_OPEN:
        state = BreakerState.OPEN
    elif made.reason is Reason.HALF_OPEN_FULL and state is BreakerState.OPEN:
        state = BreakerState.HALF_OPEN
    request, proof = made.request, made.proof
    return {
        "request": dataclasses.replace(
            request,
            method=request.method or "GET",
            authority=request.authority or "",
            path=request.path or "/",
            query_sha256=request.query_sha256 or bytes(32),
        ),
        "proof": dataclasses.replace(
            proof,
            keyid=proof.keyid or "null",
            alg="ed25519+ml-dsa-65" if fallback else "ml-dsa-65",
            mode=proof.mode or ProofMode.DETACHED,
            nonce_sha256=proof.nonce_sha256 or bytes(32),
            created=abs(proof.created or 0),
            header_bytes=proof.header_bytes or 0,
        ),
        "policy": PolicyFacts(made.policy.bundle_sha256 or bytes(32), PolicyAction.ALLOW),
        "breaker": dataclasses.replace(made.breaker, level=level, state=state),
    }


_records = _drawn.map(possible)


def chained(n: int) -> bytes:
    return extend(empty_head(0), [receipt(n)], DAY_MS)[1][0][1]


def long_way(data: bytes, *, in_chain: bool) -> None:
    """What the authority says of the bytes, without the short way."""
    check_receipt(parse(data), chained=in_chain)


#: Facts that only later versions of the receipt write down.
FROM_VERSION_2 = (
    *("api", "route", "covered", "client", "transcript"),
    *("proof.expires", "policy.version", "policy.input", "emitter.folded"),
    *("breaker.name", "breaker.admission", "breaker.limit"),
)


def members_of(made: DecisionRecord) -> dict[str, Any]:
    """What a receipt has to say, put together member by member from the record's fields."""
    members = plain(dataclasses.asdict(made))
    assert isinstance(members, dict)
    for path in FROM_VERSION_2:
        *outer, name = path.split(".")
        del (members[outer[0]] if outer else members)[name]
    return members | {
        "v": 1,
        "type": "pch.decision",
        "decided_at": utc_millis(members.pop("decided_at_ms")),
        "decision": made.reason.decision.value,
    }


def plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff\ufffe\uffff]", "\ufffd", str(value))
    return value.hex() if isinstance(value, bytes) else value


@given(_records)
def test_every_record_becomes_a_receipt_that_the_sink_accepts(made: DecisionRecord) -> None:
    data = made.encode()
    long_way(data, in_chain=False)
    assert parse(data) == members_of(made)
    read = read_receipt(data, chained=False)
    assert (read.id, read.encoded, read.link) == (made.id, data, None)
    assert read.emitter == (made.emitter.id, made.emitter.n)
    assert read.policy_bundle == (made.policy.bundle_sha256 and made.policy.bundle_sha256.hex())


@given(_records)
def test_short_and_long_way_read_the_same(made: DecisionRecord) -> None:
    data = extend(empty_head(7), [read_receipt(made.encode(), chained=False)], DAY_MS)[1][0][1]
    members = parse(data)
    read = read_receipt(data, chained=True)
    assert read.link is not None
    assert (read.id, read.link.seq, read.link.chain_id) == (members["id"], 0, 7)
    assert read.link.recorded_at_ms == parse_utc_millis(members["chain"]["recorded_at"])
    assert read.emitter == (members["emitter"]["id"], members["emitter"]["n"])


@given(st.data())
def test_the_pattern_matches_nothing_that_the_rules_refuse(data: st.DataObject) -> None:
    original = bytearray(data.draw(st.sampled_from([message(1), chained(1)])))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(original) - 1))
        original[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    mutated = bytes(original)
    for in_chain in (False, True):
        if decision_pattern(V1, chained=in_chain).fullmatch(mutated) is None:
            continue
        try:
            read_receipt(mutated, chained=in_chain)
        except CanonicalError:
            with pytest.raises(CanonicalError):
                long_way(mutated, in_chain=in_chain)
        else:
            long_way(mutated, in_chain=in_chain)


@given(_drawn | _records)
def test_writer_pattern_and_rules_agree_on_what_cannot_stand_together(made: DecisionRecord) -> None:
    """Three readings of one table: values to be written, the groups of the pattern, parsed members."""
    members = canonicalize(members_of(made))
    try:
        check_receipt(parse(members), chained=False)
    except CanonicalError as error:
        reason = re.escape(str(error))
        for refusing in (made.encode, lambda: read_receipt(members, chained=False)):
            with pytest.raises(CanonicalError, match=reason):
                refusing()
    else:
        assert made.encode() == members == read_receipt(members, chained=False).encoded


def test_the_words_of_version_1_are_those_that_the_product_knows() -> None:
    """Its table is a literal: a word that is new in an enum must not become one of a version that is out."""
    living: dict[str, Any] = {
        "modes": [*map(str, ProofMode)],
        "bindings": [*map(str, BindingType)],
        "actions": [*map(str, PolicyAction)],
        "states": [*map(str, BreakerState)],
        "levels": [*map(str, BreakerLevel)],
    }
    assert living == {
        "modes": [*v1.MODES],
        "bindings": [*v1.BINDINGS],
        "actions": [*v1.ACTIONS],
        "states": [*v1.STATES],
        "levels": [*v1.LEVELS],
    }, "a new word is a new version of the receipt (ADR 15): leave v1.py as it is, and make v2.py first"
    reasons = {reason.value: reason.decision.value for reason in Reason}
    assert v1.DECISION_OF.items() <= reasons.items()
    allowing = {reason for reason, decision in v1.DECISION_OF.items() if decision == Decision.ALLOW}
    assert allowing == v1.ALLOWING
    assert v1.DECISION_OF.keys() >= v1.VERIFIED


def without(*places: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    return [(place, None) for place in places]


def changed(reason: str, changes: list[tuple[tuple[str, ...], Any]]) -> bytes:
    members = parse(chained(1))
    members["reason"], members["decision"] = reason, Reason(reason).decision.value
    for place, value in changes:
        holder(members, place)[place[-1]] = value
    return canonicalize(members)


_CLASSICAL = [(("breaker", "level"), "classical"), (("proof", "alg"), "ed25519+ml-dsa-65")]
_OPEN = [(("breaker", "state"), "open"), (("breaker", "level"), "shed")]
_PARTS = [
    ("proof", "keyid"),
    ("proof", "alg"),
    ("proof", "mode"),
    ("proof", "nonce_sha256"),
    ("proof", "created"),
    ("proof", "header_bytes"),
    ("request", "method"),
    ("request", "authority"),
    ("request", "path"),
    ("request", "query_sha256"),
    ("policy", "bundle_sha256"),
]
POSSIBLE: list[tuple[str, list[tuple[tuple[str, ...], Any]]]] = [
    ("ok", []),
    ("ok", [(("breaker", "state"), "open"), (("breaker", "level"), "relax")]),
    ("ok", [(("breaker", "state"), "open")]),
    ("ok", without(("breaker", "state"), ("breaker", "level"))),
    ("ok", [(("breaker", "level"), "classical")]),
    ("ok", [(("proof", "created"), 0)]),
    ("ok", without(("request", "content_digest"), ("request", "request_id"), ("request", "stage"))),
    ("ok", [(("proof", "binding"), {"type": "tls-client-cert", "value_sha256": "a" * 64})]),
    ("ok_classical_fallback", _CLASSICAL),
    ("nonce_replayed", []),
    ("nonce_replayed", [(("breaker", "level"), "shed")]),
    ("breaker_open", _OPEN),
    ("half_open_full", [(("breaker", "state"), "half_open"), (("breaker", "level"), "shed")]),
    ("half_open_full", [(("breaker", "state"), None)]),
    ("policy_denied", [(("policy", "action"), "deny")]),
    ("policy_denied", without(("policy", "action"), ("policy", "bundle_sha256"))),
    ("internal_error", []),
    ("store_unavailable", []),
    ("bad_signature", without(("policy", "action"))),
    ("unknown_key", [(("proof", "alg"), "none"), (("policy", "action"), None)]),
    ("created_out_of_window", [(("proof", "created"), -1), (("policy", "action"), None)]),
]
IMPOSSIBLE = [
    *((reason, without(part)) for reason in ("ok", "nonce_replayed") for part in _PARTS),
    *((reason, [*_OPEN, *without(part)]) for reason in ("breaker_open",) for part in _PARTS),
    ("ok", [(("proof", "created"), -1)]),
    ("ok", [(("proof", "alg"), "hmac-sha256")]),
    ("ok", [(("breaker", "level"), "shed")]),
    ("ok", [(("breaker", "state"), "open"), (("breaker", "level"), "shed")]),
    *(
        (r, [*_OPEN, (("policy", "action"), a)])
        for r in ("nonce_replayed", "breaker_open")
        for a in ("deny", None)
    ),
    *(("ok", [(("policy", "action"), action)]) for action in ("deny", None)),
    ("ok_classical_fallback", [*_CLASSICAL, (("policy", "action"), "deny")]),
    ("ok_classical_fallback", [_CLASSICAL[0]]),
    ("ok_classical_fallback", [_CLASSICAL[1]]),
    ("ok_classical_fallback", [_CLASSICAL[1], (("breaker", "level"), None)]),
    ("half_open_full", without(("policy", "action"))),
    ("half_open_full", [(("breaker", "state"), "open")]),
    ("breaker_open", [(("breaker", "state"), "closed")]),
    ("breaker_open", [(("breaker", "state"), None)]),
    ("policy_denied", []),
    *((r, [(("proof", "binding"), {"type": "none", "value_sha256": "a" * 64})]) for r in ("ok", "malformed")),
    *((r, [(("proof", "binding", "type"), "tls-exporter")]) for r in ("ok", "malformed")),
]


@pytest.mark.parametrize(("reason", "changes"), POSSIBLE)
def test_what_an_authorizer_decides_can_stand_together(reason: str, changes: list[Any]) -> None:
    read_receipt(changed(reason, changes), chained=True)
    long_way(changed(reason, changes), in_chain=True)


@pytest.mark.parametrize(("reason", "changes"), IMPOSSIBLE)
def test_what_cannot_stand_together_is_refused(reason: str, changes: list[Any]) -> None:
    data = changed(reason, changes)
    assert decision_pattern(V1, chained=True).fullmatch(data)
    for refusing in (lambda: read_receipt(data, chained=True), lambda: long_way(data, in_chain=True)):
        with pytest.raises(CanonicalError) as caught:
            refusing()
        assert caught.value.code == "bad_receipt"


@pytest.mark.parametrize(
    "spelling", [b"-0", b"00", b"07", b"7.0", b"7e0", b"+7", b" 7", b"7 ", b'"7"', b"-7"]
)
@pytest.mark.parametrize(
    "member",
    [b"created", b"header_bytes", b"header_budget", b"n", b"authorizer_us", b"seq", b"v"],
    ids=bytes.decode,
)
def test_a_number_has_one_spelling(member: bytes, spelling: bytes) -> None:
    before, name, after = chained(1).partition(b'"' + member + b'":')
    respelled = before + name + re.sub(rb"^-?[0-9]+", spelling, after)
    if (member, spelling) == (b"created", b"-7"):  # a number, if not one that an allowed request may have
        with pytest.raises(CanonicalError, match="not whole"):
            read_receipt(respelled, chained=True)
        return
    with pytest.raises(CanonicalError):
        read_receipt(respelled, chained=True)


def test_an_ordinary_receipt_takes_the_short_way() -> None:
    assert decision_pattern(V1, chained=False).fullmatch(message(1))
    assert decision_pattern(V1, chained=True).fullmatch(chained(1))


@pytest.mark.parametrize("path", ["/a\\b", '/a"b', "/grüße", "/a\x7f", "/a\x00"], ids=repr)
def test_a_path_out_of_the_ordinary_takes_the_long_way_and_is_recorded(path: str) -> None:
    data = message(1, path=path)
    assert decision_pattern(V1, chained=False).fullmatch(data) is None
    assert read_receipt(data, chained=False).members["request"]["path"] == path


@pytest.mark.parametrize("path", ["/\ud800", "/\ufffe", "/\uffff"], ids=ascii)
def test_what_no_queue_takes_is_replaced_so_that_the_request_is_recorded(path: str) -> None:
    assert parse(message(1, path=path))["request"]["path"] == "/\ufffd"


def test_a_receipt_has_all_members_and_null_for_the_unknown() -> None:
    bare = DecisionRecord(record(1).id, DAY_MS, Reason.MALFORMED, Emitter("0" * 32, 0), 1)
    assert parse(bare.encode()) == {
        "v": 1,
        "type": "pch.decision",
        "id": record(1).id,
        "decided_at": "2026-11-23T00:00:00.000Z",
        "decision": "deny",
        "reason": "malformed",
        "request": dict.fromkeys(
            [
                "method",
                "authority",
                "path",
                "query_sha256",
                "content_digest",
                "request_id",
                "stage",
                "source_ip_hash",
            ]
        ),
        "proof": {
            "keyid": None,
            "alg": None,
            "mode": None,
            "nonce_sha256": None,
            "created": None,
            "header_bytes": None,
            "evidence_sha256": None,
            "binding": {"type": "none", "value_sha256": None},
        },
        "policy": {"bundle_sha256": None, "action": None},
        "breaker": dict.fromkeys(
            [
                "state",
                "level",
                "latency_ewma_us",
                "error_ewma_ppm",
                "rho_ppm",
                "kingman_wq_us",
                "header_budget",
            ]
        ),
        "emitter": {"id": "0" * 32, "n": 0},
        "authorizer_us": 1,
    }


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every member of an object, at every depth."""
    found = []
    for name, member in value.items():
        found.append((*path, name))
        if isinstance(member, dict):
            found += places(member, (*path, name))
    return found


_PLACES = places(parse(chained(1)))


def holder(members: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    for name in place[:-1]:
        members = members[name]
    return members


@pytest.mark.parametrize("place", _PLACES, ids=".".join)
def test_a_receipt_without_one_member_is_refused(place: tuple[str, ...]) -> None:
    members = parse(chained(1))
    del holder(members, place)[place[-1]]
    with pytest.raises(CanonicalError) as caught:
        read_receipt(canonicalize(members), chained=True)
    assert caught.value.code == "bad_receipt"


@pytest.mark.parametrize("place", _PLACES, ids=".".join)
@pytest.mark.parametrize("value", [[], True, -1.5, {"more": 1}], ids=repr)
def test_a_receipt_with_a_value_of_another_type_is_refused(place: tuple[str, ...], value: Any) -> None:
    members = parse(chained(1))
    holder(members, place)[place[-1]] = value
    with pytest.raises(CanonicalError):
        check_receipt(members, chained=True)


@pytest.mark.parametrize("place", [(), *_PLACES], ids=lambda place: ".".join(place) or "receipt")
def test_an_unknown_member_is_refused_wherever_it_stands(place: tuple[str, ...]) -> None:
    members = parse(chained(1))
    inner = holder(members, (*place, "x"))
    if isinstance(inner, dict):
        inner["extra"] = None
        with pytest.raises(CanonicalError, match="exactly the members"):
            read_receipt(canonicalize(members), chained=True)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("v",), 2),
        (("type",), "pch.other"),
        (("id",), "019aae02-a47b-4031-b233-343536373839"),
        (("id",), "019AAE02-A47B-7031-B233-343536373839"),
        (("decided_at",), "2026-02-30T00:00:00.000Z"),
        (("decided_at",), "2026-11-23T24:00:00.000Z"),
        (("decided_at",), "2026-11-23T00:00:00Z"),
        (("decision",), "deny"),
        (("reason",), "policy_denied"),
        (("reason",), "because"),
        (("request", "query_sha256"), "A" * 64),
        (("request", "query_sha256"), "a" * 63),
        (("proof", "header_bytes"), -1),
        (("proof", "header_bytes"), MAX_INTEGER + 1),
        (("proof", "mode"), "other"),
        (("proof", "binding", "type"), None),
        (("policy", "action"), "maybe"),
        (("breaker", "state"), "half-open"),
        (("breaker", "level"), ""),
        (("emitter", "id"), "a" * 31),
        (("emitter", "n"), None),
        (("chain", "prev"), "A" * 43),
        (("chain", "prev"), "A" * 42 + "B="),
        (("chain", "recorded_at"), "2026-13-01T00:00:00.000Z"),
        (("chain", "seq"), -1),
    ],
)
def test_a_value_that_cannot_stand_there_is_refused(place: tuple[str, ...], value: Any) -> None:
    members = parse(chained(1))
    holder(members, place)[place[-1]] = value
    with pytest.raises(CanonicalError):
        check_receipt(members, chained=True)
    if value != MAX_INTEGER + 1:
        with pytest.raises(CanonicalError):
            read_receipt(canonicalize(members), chained=True)


def test_the_chain_member_is_for_the_sink_to_add() -> None:
    with pytest.raises(CanonicalError):
        read_receipt(chained(1), chained=False)
    with pytest.raises(CanonicalError):
        read_receipt(message(1), chained=True)


def event(**members: Any) -> bytes:
    common = {"v": 1, "type": "breaker.transition", "id": record(1).id, "decided_at": utc_millis(DAY_MS)}
    return canonicalize(common | members)


def test_receipts_of_other_types_bring_members_of_their_own() -> None:
    data = event(a_before_chain={"x": [1]}, set=2)
    read = read_receipt(data, chained=False)
    assert (read.type, read.emitter, read.policy_bundle) == ("breaker.transition", None, None)
    linked = extend(empty_head(0), [read], DAY_MS)[1][0][1]
    assert read_receipt(linked, chained=True).members.keys() == {*parse(data), "chain"}


@pytest.mark.parametrize("members", [{"type": "key.lost"}, {"v": 2}, {"id": "1"}, {"chain": None}], ids=repr)
def test_receipts_of_other_types_keep_to_the_common_members(members: dict[str, Any]) -> None:
    with pytest.raises(CanonicalError) as caught:
        read_receipt(event(**members), chained=False)
    assert caught.value.code == "bad_receipt"


def test_a_rotation_has_a_set_and_nothing_else_of_its_own() -> None:
    data = event(type="key.rotated", set={"n": 1})
    assert read_receipt(data, chained=False).members["set"] == {"n": 1}
    for members in ({}, {"set": 1}, {"set": {}, "more": 1}, {"set": {}, "chain": None}):
        with pytest.raises(CanonicalError) as caught:
            read_receipt(event(type="key.rotated", **members), chained=False)
        assert caught.value.code == "bad_receipt"


@pytest.mark.parametrize("value", [None, 1, "receipt", [], {}], ids=repr)
def test_what_is_no_receipt_at_all_is_refused(value: object) -> None:
    with pytest.raises(CanonicalError):
        read_receipt(canonicalize(value), chained=False)


def test_the_longest_message_still_fits_the_log_when_linked() -> None:
    room = MAX_MESSAGE_BYTES - len(message(1, path=""))
    data = message(1, path="p" * room)
    assert len(data) == MAX_MESSAGE_BYTES
    largest = dataclasses.replace(empty_head(MAX_INTEGER), next_seq=MAX_INTEGER)
    linked = extend(largest, [read_receipt(data, chained=False)], DAY_MS)[1][0][1]
    assert len(linked) == MAX_RECEIPT_BYTES
    with pytest.raises(CanonicalError) as caught:
        message(1, path="p" * (room + 1))
    assert caught.value.code == "receipt_too_long"


def test_a_digest_of_another_length_is_the_callers_error() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        dataclasses.replace(record(1), policy=PolicyFacts(b"short", PolicyAction.ALLOW)).encode()


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_uuid7_carries_time_version_and_variant(unix_ms: int, random: bytes) -> None:
    made = uuid.UUID(uuid7(unix_ms, random))
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, unix_ms)
    assert made.int & ((1 << 62) - 1) == int.from_bytes(random) & ((1 << 62) - 1)


@pytest.mark.parametrize(("unix_ms", "random"), [(-1, bytes(10)), (1 << 48, bytes(10)), (0, bytes(9))])
def test_uuid7_takes_nothing_else(unix_ms: int, random: bytes) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        uuid7(unix_ms, random)


@given(st.integers(0, _LAST_MS))
def test_times_come_back_as_they_were(unix_ms: int) -> None:
    text = utc_millis(unix_ms)
    assert len(text) == 24
    assert parse_utc_millis(text) == unix_ms


@pytest.mark.parametrize("unix_ms", [-1, _LAST_MS + 1, 2**70])
def test_times_without_a_form_are_refused(unix_ms: int) -> None:
    with pytest.raises(ValueError, match="no form"):
        utc_millis(unix_ms)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T00:00:00.000+00:00",
        "2026-11-23 00:00:00.000Z",
        "2026-11-23T00:00:00.000z",
        "2026-11-23T00:00:60.000Z",
        "2026-11-23T24:00:00.000Z",
        "2026-02-29T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "0000-01-01T00:00:00.000Z",
        "2026-11-23T00:00:00.000Z\n",
        "٢٠٢٦-11-23T00:00:00.000Z",
        "",
    ],
)
def test_a_time_has_one_form(text: str) -> None:
    with pytest.raises(CanonicalError):
        parse_utc_millis(text)


def test_members_are_a_copy_that_nobody_shares() -> None:
    read = receipt(1)
    read.members["id"] = "changed"
    assert read.members == parse(message(1))
    assert copy.deepcopy(read).members == read.members
