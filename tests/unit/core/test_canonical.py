from __future__ import annotations

import enum
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from signet.core.canonical import MAX_DEPTH, MAX_INTEGER, canonicalize, parse
from signet.core.errors import CanonicalError

_scalars = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text()
_keys = st.text(st.characters(max_codepoint=127))
_values = st.recursive(_scalars, lambda inner: st.lists(inner) | st.dictionaries(_keys, inner), max_leaves=20)


class Small(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    ONE = "one"


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@given(_values)
def test_writes_what_an_independent_implementation_writes(value: Any) -> None:
    assert canonicalize(value) == rfc8785.dumps(value)


@given(_values)
def test_parse_returns_what_was_written(value: Any) -> None:
    assert parse(canonicalize(value)) == value


@given(_values, st.booleans(), st.booleans(), st.sampled_from([None, 1]))
def test_any_other_json_text_of_a_value_is_refused(
    value: Any, ascii_only: bool, sort: bool, indent: int | None
) -> None:
    other = json.dumps(value, ensure_ascii=ascii_only, sort_keys=sort, indent=indent).encode()
    if other == canonicalize(value):
        assert parse(other) == value
    else:
        with pytest.raises(CanonicalError):
            parse(other)


@given(st.binary(max_size=40) | st.text(' "\\[]{}:,0123456789-.aeu').map(str.encode))
def test_what_parses_is_its_own_canonical_form(data: bytes) -> None:
    try:
        value = parse(data)
    except CanonicalError:
        return
    assert rfc8785.dumps(value) == data


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        Small.ONE,
        Word.ONE,
        b"bytes",
        {1, 2},
        {1: "integer key"},
        {True: "boolean key"},
        {None: "null key"},
        {"ключ": 1},
        {"a": [{"b": 0.5}]},
        pytest.param(object(), id="object()"),  # its repr is another in each process
    ],
    ids=repr,
)
def test_values_outside_the_subset_have_no_form(value: object) -> None:
    with pytest.raises(CanonicalError):
        canonicalize(value)


@pytest.mark.parametrize("value", ["\ud800", {"a": ["\udfff"]}], ids=["high", "low"])
def test_half_a_surrogate_pair_has_no_form(value: object) -> None:
    with pytest.raises(CanonicalError, match="surrogate"):
        canonicalize(value)


def test_a_boolean_is_not_written_as_an_integer() -> None:
    assert canonicalize([True, 1, False, 0]) == b"[true,1,false,0]"


def test_a_tuple_is_an_array() -> None:
    assert canonicalize((1, ("a",))) == b'[1,["a"]]'


def test_the_largest_integers_pass_both_ways() -> None:
    assert parse(canonicalize([MAX_INTEGER, -MAX_INTEGER])) == [MAX_INTEGER, -MAX_INTEGER]


def test_depth_is_bounded_both_ways() -> None:
    assert parse(canonicalize(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(CanonicalError, match="nested"):
        canonicalize(nested(MAX_DEPTH + 1))
    with pytest.raises(CanonicalError, match="nested"):
        parse(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_a_cycle_ends_as_an_error() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(CanonicalError, match="nested"):
        canonicalize(value)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["arrays", "objects"])
def test_nesting_as_deep_as_a_message_allows_is_refused_calmly(opening: bytes) -> None:
    with pytest.raises(CanonicalError):
        parse(opening * 60_000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b"1\n",
        b"1 2",
        b"-0",
        b"01",
        b"1.0",
        b"1e3",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b"9" * 5000,
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b"[1,]",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000a"',
        b'"\\u001F"',
        b'"\\ud800"',
        b'"\\ud83d\\ude00"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        b'{"\xc3\xa9":1}',
        b"'a'",
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        parse(data)
