"""One spelling of a target on both sides; what has two readings is refused."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.errors import Denied
from signet.handshake.target import canonical_query, check_authority, check_path, parse_query

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters=";\ufffd"), max_size=8)
PARAMETERS = st.dictionaries(TEXT, st.lists(TEXT, min_size=1, max_size=3), max_size=4)


@given(PARAMETERS)
def test_canonical_query_is_a_fixed_point(parameters: dict[str, list[str]]) -> None:
    query = canonical_query(parameters.items())
    assert canonical_query(parse_query(query[1:])) == query


@given(PARAMETERS)
def test_canonical_query_means_what_was_said(parameters: dict[str, list[str]]) -> None:
    query = canonical_query(parameters.items())[1:]
    said = sorted((name, value) for name, values in parameters.items() for value in values)
    assert sorted(parse_qsl(query, keep_blank_values=True)) == said


@given(PARAMETERS, PARAMETERS)
def test_different_parameters_never_share_a_spelling(
    a: dict[str, list[str]], b: dict[str, list[str]]
) -> None:
    assert (canonical_query(a.items()) == canonical_query(b.items())) == (a == b)


@pytest.mark.parametrize("raw", ["a=1&b=2&a=3", "a=%2", "a=%zz", "a=%ff"])
def test_queries_without_canonical_form_are_refused(raw: str) -> None:
    with pytest.raises(Denied):
        parse_query(raw)


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [("", "?"), ("b&a=x+y", "?a=x%20y&b="), ("a=%2f&a=%2F", "?a=%2F&a=%2F"), ("z=~&y=é", "?y=%C3%A9&z=~")],
)
def test_a_query_is_signed_in_one_form_however_it_was_written(raw: str, canonical: str) -> None:
    assert canonical_query(parse_query(raw)) == canonical


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a/b.c~d/e:f@g", "/prod/protected/(1)"])
def test_canonical_paths_pass(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "//",
        "/a//b",
        "/a/./b",
        "/a/..",
        "/a%20b",
        "/a;b",
        "/a b",
        "/é",
        "/a\n",
        "/a?b",
        "/" + "a" * 5000,
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(Denied):
        check_path(path)


@pytest.mark.parametrize("authority", ["a.example", "A.Example:8443", "127.0.0.1:4566", "localhost"])
def test_plain_authorities_pass_in_lower_case(authority: str) -> None:
    assert check_authority(authority) == authority.lower()


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "a.example.",
        "a.example:443",
        "u@a",
        "a:0",
        "a:99999999",
        "a b",
        "a/b",
        "-a",
        "a..b",
        "[::1]",
        "é",
        "api.\N{KELVIN SIGN}elvin.example",  # in lower case it is a k
        "a\n",
    ],
)
def test_other_authorities_are_refused(authority: str) -> None:
    with pytest.raises(Denied):
        check_authority(authority)
