"""Instants, days and ids: one value, one spelling, at both ends of what has one."""

from __future__ import annotations

from datetime import date

import pytest

from signet.core.client import KEYID, Client
from signet.core.decision import Decision, Reason
from signet.core.errors import AuditError, CanonicalError, PackError
from signet.core.instants import (
    day_start_ms,
    is_uuid7,
    next_day,
    parse_date,
    parse_utc_millis,
    raw_id,
    utc_day,
    utc_millis,
    uuid7,
)
from signet.core.vocabulary import (
    ALWAYS_COVERED,
    BINDING_TYPES,
    CONTENT_METHODS,
    FIELD_NAME,
    METHOD_NAMES,
    METHODS,
    bindings_at_least,
)

LAST_MS = 253_402_300_799_999


@pytest.mark.parametrize(
    ("unix_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (86_399_999, "1970-01-01T23:59:59.999Z"),
        (86_400_000, "1970-01-02T00:00:00.000Z"),
        (1_709_210_096_007, "2024-02-29T12:34:56.007Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_has_one_spelling(unix_ms: int, text: str) -> None:
    assert utc_millis(unix_ms) == text
    assert parse_utc_millis(text) == unix_ms
    assert utc_day(unix_ms) == date.fromisoformat(text[:10])
    assert 0 <= unix_ms - day_start_ms(utc_day(unix_ms)) < 86_400_000


@pytest.mark.parametrize("unix_ms", [-1, LAST_MS + 1])
def test_other_instants_have_none(unix_ms: int) -> None:
    with pytest.raises(ValueError, match="no form here"):
        utc_millis(unix_ms)


@pytest.mark.parametrize(
    "text",
    ["1969-12-31T23:59:59.999Z", "2026-02-30T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01"],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(CanonicalError):
        parse_utc_millis(text)


def test_days_begin_in_1970() -> None:
    assert parse_date("1970-01-01") == date(1970, 1, 1)
    assert day_start_ms(date(1970, 1, 2)) == 86_400_000
    assert next_day(date(2024, 2, 29)) == date(2024, 3, 1)
    for text in ("1969-12-31", "2026-02-30", "20260101", "2026-01-01 "):
        with pytest.raises(ValueError, match=r"day|month|1970"):
            parse_date(text)


@pytest.mark.parametrize("byte", [0x00, 0x3F, 0x40, 0x7F, 0x80, 0xBF, 0xC0, 0xFF])
def test_a_uuid_of_version_7_keeps_its_time_and_74_random_bits(byte: int) -> None:
    random = bytes([byte]) * 10
    text = uuid7(0x0123456789AB, random)
    assert is_uuid7(text)
    raw = raw_id(text)
    assert raw[:6].hex() == "0123456789ab"
    assert (raw[6] >> 4, raw[8] >> 6) == (7, 2)
    assert raw[6] & 0x0F == byte & 0x0F
    assert raw[8] & 0x3F == byte & 0x3F
    assert (raw[7], raw[9:]) == (byte, random[3:])


def test_a_uuid_takes_a_time_of_48_bits_and_ten_bytes() -> None:
    assert uuid7(0, bytes(10)) == "00000000-0000-7000-8000-000000000000"
    assert uuid7((1 << 48) - 1, bytes(10)).startswith("ffffffff-ffff-7")
    for unix_ms, count in ((-1, 10), (1 << 48, 10), (0, 9), (0, 11)):
        with pytest.raises(ValueError, match="48 bits"):
            uuid7(unix_ms, bytes(count))


# --- Words --------------------------------------------------------------------------------------


def test_methods_are_those_of_a_rest_api() -> None:
    assert METHOD_NAMES == ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    assert set(METHOD_NAMES) == METHODS
    assert {"POST", "PUT", "PATCH"} == CONTENT_METHODS
    assert ALWAYS_COVERED == ("@method", "@authority", "@path", "@query")


def test_every_binding_is_at_least_none_and_the_two_others_are_alike() -> None:
    assert BINDING_TYPES == ("none", "tls-exporter", "tls-client-cert")
    assert bindings_at_least("none") == BINDING_TYPES
    for required in BINDING_TYPES[1:]:
        assert bindings_at_least(required) == BINDING_TYPES[1:]


def test_a_field_name_and_a_key_id_have_bounds() -> None:
    assert FIELD_NAME.fullmatch("a" * 64)
    assert KEYID.fullmatch("k" * 128)
    for wrong in ("", "a" * 65, "A", "a b", "a:b"):
        assert FIELD_NAME.fullmatch(wrong) is None
    for wrong in ("", "k" * 129, "a b", "ü"):
        assert KEYID.fullmatch(wrong) is None


@pytest.mark.parametrize(
    ("reason", "decision"),
    [
        (Reason.OK, Decision.ALLOW),
        (Reason.OK_CLASSICAL_FALLBACK, Decision.ALLOW),
        (Reason.CHALLENGE_REQUIRED, Decision.CHALLENGE),
        (Reason.BAD_SIGNATURE, Decision.DENY),
        (Reason.BREAKER_OPEN, Decision.SHED),
        (Reason.HALF_OPEN_FULL, Decision.SHED),
        (Reason.RECEIPT_QUEUE_UNAVAILABLE, Decision.SHED),
        (Reason.STORE_UNAVAILABLE, Decision.SHED),
        (Reason.INTERNAL_ERROR, Decision.SHED),
    ],
)
def test_a_reason_stands_for_its_decision(reason: Reason, decision: Decision) -> None:
    assert reason.decision is decision


@pytest.mark.parametrize(
    ("pattern", "route", "matches"),
    [
        ("GET /a", "GET /a", True),
        ("GET /a", "GET /ab", False),
        ("GET /a*", "GET /a", True),
        ("GET /a*", "GET /ab", True),
        ("GET /a*", "GET /", False),
        ("GET /*/b", "GET /a/b", True),
        ("GET /*/b", "GET //b", True),
        ("GET /*/b", "GET /b", False),
        ("GET /a*a", "GET /a", False),
        ("GET /a*a", "GET /aa", True),
        ("GET /*b*c", "GET /bc", True),
        ("GET /*b*c", "GET /abxc", True),
        ("GET /*b*c", "GET /cb", False),
        ("GET /*b*b", "GET /b", False),
        ("GET /*b*c", "GET /xc", False),
        ("*G*", "GET /a", True),
    ],
)
def test_a_client_may_use_what_its_patterns_match(pattern: str, route: str, matches: bool) -> None:
    client = Client("k", "ed25519", b"", routes=("POST /none", pattern))
    assert client.may_use(*route.split(" ")) is matches
    assert Client("k", "ed25519", b"").may_use(*route.split(" "))


def test_an_error_of_a_pack_names_its_line_where_there_is_one() -> None:
    assert str(PackError("is wrong", file="sth.json")) == "sth.json: is wrong"
    assert str(PackError("is wrong", file="receipts.jsonl", line=7)) == "receipts.jsonl:7: is wrong"
    assert PackError("is wrong", file="sth.json").code == "bad_pack"
    error = AuditError("is missing", where="keys.json", code="missing_object")
    assert (str(error), error.code) == ("keys.json: is missing", "missing_object")
