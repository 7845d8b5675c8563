"""What is asked of a Rego program arrives there as it was, with any content; what is no data is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import PolicyError
from signet.policy.rego import RegoProgram, SourceError, merged_data

ECHO, SAME = "data.signet.echo", "data.signet.same"
KNOWN = ['x"y\\z\n\u2603', "plain"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def echo() -> RegoProgram:
    return RegoProgram({"echo.rego": b"package signet\n\nimport rego.v1\n\necho := input\n"}, [ECHO])


@pytest.fixture(scope="module")
def same() -> RegoProgram:
    rules = b"package signet\n\nimport rego.v1\n\nsame if input.a in data.known\n"
    return RegoProgram({"same.rego": rules, "data.json": json.dumps({"known": KNOWN}).encode()}, [SAME])


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_an_input_document_arrives_as_it_was(echo: RegoProgram, document: dict[str, Any]) -> None:
    assert echo.evaluate(ECHO, document) == document


@given(st.text() | st.sampled_from(KNOWN))
def test_a_text_equals_its_like_in_the_data_and_nothing_else(same: RegoProgram, text: str) -> None:
    assert (same.evaluate(SAME, {"a": text}) is True) == (text in KNOWN)


def test_a_number_that_would_change_on_the_way_is_refused(echo: RegoProgram) -> None:
    with pytest.raises(PolicyError, match="too large"):
        echo.evaluate(ECHO, {"n": 2**53 + 1})


def test_an_error_tells_file_and_line() -> None:
    with pytest.raises(SourceError) as refused:
        RegoProgram(
            {"a.rego": b"package signet\n\nimport rego.v1\n\nx := 1 if {\n  foo bar\n}\n"}, ["data.signet"]
        )
    assert (refused.value.file, refused.value.line) == ("a.rego", 6)
    assert str(refused.value).startswith("a.rego:6: this does not compile: ")


def test_two_programs_side_by_side_do_not_touch_each_other() -> None:
    programs = [
        RegoProgram(
            {"a.rego": b"package signet\n\nimport rego.v1\n\nx := data.n\n", "n.json": b'{"n": %d}' % n},
            ["data.signet.x"],
        )
        for n in range(5)
    ]
    assert [p.evaluate("data.signet.x", {}) for p in programs * 2] == [0, 1, 2, 3, 4] * 2
    del programs[::2]  # as a swap drops the one before
    assert [p.evaluate("data.signet.x", {}) for p in programs * 2] == [1, 3] * 2


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"[]", 1),
        (b'{\n"a": }', 2),
        (b'{"a": 1,\n"a": 2}', 1),
        (b'{"a": NaN}', None),
        (b"\xff", None),
        (b'{"a": "\x00"}', None),
    ],
)
def test_data_that_is_no_object_is_refused_before_it_reaches_the_interpreter(
    body: bytes, line: int | None
) -> None:
    with pytest.raises(SourceError) as refused:
        merged_data({"a.json": body})
    assert (refused.value.file, refused.value.line) == ("a.json", line)
