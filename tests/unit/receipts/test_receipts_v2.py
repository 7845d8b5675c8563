"""Version 2 of the receipt, a draft: its encoder, its pattern and its rules say the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from signet.core.canonical import MAX_INTEGER, canonicalize, parse
from signet.core.decision import Reason
from signet.core.errors import CanonicalError
from signet.core.ports import ChainHead
from signet.core.vocabulary import Admission, BreakerState, PayloadKind
from signet.crypto import suites
from signet.receipts import v2
from signet.receipts.chain import empty_head, extend
from signet.receipts.facts import ApiFacts, ClientFacts, TranscriptFacts
from signet.receipts.model import DecisionRecord
from signet.receipts.reading import check_message, read_receipt
from signet.receipts.shape import NUMBERED
from signet.receipts.table import decision_pattern
from signet.receipts.v2 import V2
from signet.receipts.v2_encode import encode_decision
from signet.receipts.v2_events import API_KINDS
from signet.receipts.versions import check_receipt
from tests.corpus.later import EMITTER, EVENTS, IMPOSSIBLE, POSSIBLE, decisions, event, later
from tests.corpus.lies import Told
from tests.fakes.records import DAY_MS, record

POSSIBLE_DECISIONS = [
    *decisions(),
    *(later(reason, *changes) for reason, changes in POSSIBLE.values()),
]


def full() -> DecisionRecord:
    """A decision of which everything is known."""
    made = record(1)
    return replace(
        made,
        proof=replace(made.proof, expires=DAY_MS // 1000 + 300),
        policy=replace(made.policy, version=3, input=2),
        breaker=replace(
            made.breaker, state=BreakerState.HALF_OPEN, name="orders", admission=Admission.PROBE, limit=8
        ),
        emitter=replace(made.emitter, folded=9),
        api=ApiFacts("orders", "a1", PayloadKind.HTTP_V2, made.id),
        route="GET /orders/{id}",
        covered=('"@method"', '"content-digest";req'),
        client=ClientFacts(made.id),
        transcript=TranscriptFacts(b"t" * 32, b"q" * 32),
    )


def test_the_encoder_writes_each_fact_where_the_format_has_it() -> None:
    made = full()
    data = encode_decision(made)
    check_message(data, V2)
    assert canonicalize(parse(data)) == data
    assert decision_pattern(V2, chained=False).fullmatch(data)
    members = parse(data)
    assert members["api"] == {
        "name": "orders",
        "id": "a1",
        "stage": "dev",
        "kind": "http-2.0",
        "registration": made.id,
    }
    assert members["client"] == {"registration": made.id}
    assert members["covered"] == ['"@method"', '"content-digest";req']
    assert members["proof"]["expires"] == DAY_MS // 1000 + 300
    assert (members["policy"]["version"], members["policy"]["input"]) == (3, 2)
    assert members["emitter"] == {"id": made.emitter.id, "n": 1, "folded": 9}
    assert [members["breaker"][name] for name in ("name", "admission", "limit")] == ["orders", "probe", 8]
    assert members["transcript_sha256"] == (b"t" * 32).hex()
    assert members["request"]["query_sha256"] == (b"q" * 32).hex()


def test_what_nothing_produces_yet_is_null() -> None:
    data = encode_decision(record(1, reason=Reason.MALFORMED))
    check_message(data, V2)
    members = parse(data)
    assert set(members["api"]) == {"name", "id", "stage", "kind", "registration"}
    assert [members[name] for name in ("route", "covered", "client", "transcript_sha256")] == [None] * 4
    # The hash of version 1 has no salt: without a transcript to hold one it does not go on record.
    assert members["request"]["query_sha256"] is None


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/" + "p" * 255, None),
        ("/" + "p" * 256, "/" + "p" * 255),
        ("/" + "p" * 254 + "ü", "/" + "p" * 254),
        ("/" + "p" * 252 + "\U0001f600", "/" + "p" * 252),
        ("/\ud800" + "p" * 256, "/\ufffd" + "p" * 252),
    ],
)
def test_a_path_that_no_signature_vouches_for_is_cut_at_a_character(path: str, kept: str | None) -> None:
    data = encode_decision(record(1, path=path, reason=Reason.MALFORMED))
    check_message(data, V2)
    request = parse(data)["request"]
    whole = path.replace("\ud800", "\ufffd")
    assert request["path"] == (whole if kept is None else kept)
    assert request["path_sha256"] == (None if kept is None else hashlib.sha256(whole.encode()).hexdigest())


def test_a_path_that_a_signature_vouches_for_stays_whole() -> None:
    made = full()
    long = "/" + "p" * 999
    replayed = replace(made, reason=Reason.NONCE_REPLAYED, transcript=None)
    for one in (made, replayed):
        data = encode_decision(replace(one, request=replace(one.request, path=long)))
        check_message(data, V2)
        assert parse(data)["request"]["path"] == long


def test_the_writer_is_told_what_cannot_stand_together() -> None:
    with pytest.raises(CanonicalError, match="no transcript"):
        encode_decision(replace(full(), transcript=None))
    with pytest.raises(CanonicalError, match="not whole"):
        encode_decision(replace(full(), client=None))
    with pytest.raises(CanonicalError, match="valid"):
        encode_decision(replace(full(), decided_at_ms=DAY_MS + 700_000))


@pytest.mark.parametrize("decision", POSSIBLE_DECISIONS, ids=lambda made: made.members["reason"])
def test_short_and_long_way_read_the_same(decision: Told) -> None:
    data = decision.encode()
    check_receipt(parse(data), chained=False)
    read = read_receipt(data, chained=False)
    path = parse(data)["request"]["path"]
    plain = path is None or path.isascii()
    found = decision_pattern(V2, chained=False).fullmatch(data)
    assert found is not None or not plain or '\\\\"' in data.decode() or "é" in data.decode()
    linked = extend(empty_head(0), [read], DAY_MS)[1][0][1]
    assert linked == canonicalize(parse(linked))
    assert parse(linked)["chain"]["transcripts"] is None
    assert read_receipt(linked, chained=True).nonce == read.nonce


@pytest.mark.parametrize(("reason", "changes"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_both_ways_refuse_what_cannot_stand_together(reason: str, changes: list[object]) -> None:
    data = later(reason, *changes).encode()  # type: ignore[arg-type]
    said = []
    for refusing in (
        lambda: read_receipt(data, chained=False),
        lambda: check_receipt(parse(data), chained=False),
    ):
        with pytest.raises(CanonicalError) as caught:
            refusing()
        said.append((caught.value.code, str(caught.value)))
    assert said[0] == said[1]
    assert said[0][0] == "bad_receipt"


def test_all_types_but_decisions_are_read() -> None:
    for kind in EVENTS:
        read = read_receipt(event(kind), chained=False)
        emitter = (EMITTER["id"], EMITTER["n"]) if kind in NUMBERED else None
        assert (read.type, read.emitter, read.reason, read.table) == (kind, emitter, None, V2)
    assert {*EVENTS, "pch.decision", "key.rotated"} == {*V2.closed} == {*v2.TYPES}


def test_the_chain_adds_at_most_what_the_table_says() -> None:
    read = read_receipt(encode_decision(full()), chained=False)
    head = ChainHead(MAX_INTEGER, next_seq=MAX_INTEGER, head=bytes(32), recorded_at_ms=0, not_before_ms=0)
    linked = extend(head, [read], DAY_MS)[1][0][1]
    named = linked.replace(b'"transcripts":null', b'"transcripts":"%s"' % (b"a" * 32))
    assert len(named) - len(read.encoded) <= V2.chain_bytes
    assert V2.message_bytes == 65_335


def test_a_message_has_room_for_its_chain() -> None:
    made = full()
    room = V2.message_bytes - len(encode_decision(replace(made, route="")))
    read_receipt(encode_decision(replace(made, route="r" * room)), chained=False)
    for odd in ("r", "ü"):
        with pytest.raises(CanonicalError) as caught:
            read_receipt(encode_decision(replace(made, route=odd + "r" * room)), chained=False)
        assert caught.value.code == "receipt_too_long"


def test_the_words_of_the_draft_are_those_that_the_product_knows() -> None:
    assert {*Admission} == {*v2.ADMISSIONS}
    assert {*PayloadKind} == {*API_KINDS}
    assert {*suites.NAMES} == v2.SUITES
    assert {name for name in suites.NAMES if "+" in name} == v2.HYBRIDS
    assert {reason.value for reason in Reason} <= v2.DECISION_OF.keys()
    assert all(v2.DECISION_OF[reason] == reason.decision for reason in Reason)
