"""One spelling of a target on both sides; what has two readings is refused."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.target import (
    canonical_path,
    canonical_query,
    check_authority,
    check_path,
    parse_query,
    spell_path,
)

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


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/",
        "/a/b.c~d/e:f@g",
        "/prod/protected/(1)",
        "/a%20b",
        "/%C3%A9",
        "/%E4%B8%96%E7%95%8C",
        "/test%2Balias+x",
        "/bob%40example.com",
        "/%22%3C%3E%5B%5D%5E%60%7C",
    ],
)
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
        "/a;b",
        "/a b",
        "/é",
        "/a\n",
        "/a?b",
        "/" + "a" * 5000,
        "/%",
        "/a%2",
        "/a%zz",
        "/%c3%a9",  # lower case
        "/%41",  # needless: unreserved
        "/%7E",
        "/%2E%2E/b",
        "/a%2Fb",
        "/a%5Cb",
        "/a%25b",
        "/a%3Bb",
        "/a%3Fb",
        "/a%23b",
        "/%7Bitem%7D",
        "/{item}",
        "/a%00",
        "/a%0D%0Ab",
        "/a%7F",
        "/a%C2%85",  # C1
        "/a%FF",
        "/a%C3",  # half a character
        "/a%C0%AF",  # overlong "/"
        "/a%ED%A0%80",  # half a surrogate pair
        "/a%EF%BF%BD",  # what decoders put in the place of what was no UTF-8
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(Denied) as refused:
        check_path(path)
    assert refused.value.code == "malformed"
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("/a%2bb/%7euser/%41", "/a%2Bb/~user/A"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ('/[x]/^/`/|/"/<>', "/%5Bx%5D/%5E/%60/%7C/%22/%3C%3E"),
        ("/a b/\N{LATIN SMALL LETTER E WITH ACUTE}", "/a%20b/%C3%A9"),
        ("/a@b:c+d/%40%3A%2B", "/a@b:c+d/%40%3A%2B"),
    ],
)
def test_a_client_spells_a_path_in_one_way(raw: str, canonical: str) -> None:
    assert canonical_path(raw) == canonical == canonical_path(canonical)


@pytest.mark.parametrize("raw", ["/a%2fb", "/a;b", "/%2e%2e/b", "/a%", "/a//b", "/%00", "/a%25b", "/{item}"])
def test_a_client_refuses_to_spell_what_no_server_takes(raw: str) -> None:
    with pytest.raises(Denied):
        canonical_path(raw)


SEGMENT = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters=";?#{}\\%/\ufffd"),
    min_size=1,
    max_size=6,
).filter(lambda text: text not in {".", ".."})


@given(st.lists(SEGMENT, min_size=1, max_size=3))
def test_a_decoded_path_is_spelled_in_its_one_canonical_way(segments: list[str]) -> None:
    decoded = "/" + "/".join(segments)
    spelled = spell_path(decoded)
    assert check_path(spelled) == spelled == canonical_path(spelled)
    assert unquote(spelled) == decoded


@pytest.mark.parametrize("decoded", ["/a%b", "/a%20b", "/%", "/a\ud800"])
def test_a_decoded_path_with_two_spellings_is_refused(decoded: str) -> None:
    with pytest.raises(Denied):
        spell_path(decoded)


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


def test_a_target_is_held_to_its_length_at_the_very_byte() -> None:
    longest = "/" + "a" * 4_095
    assert check_path(longest) == longest
    refused(check_path, longest + "a")
    assert len(canonical_query([("n", ["v" * 4_093])])) == 4_096
    refused(canonical_query, [("n", ["v" * 4_094])])
    label = "a" * 4_094 + ".b"
    assert check_authority(label) == label
    refused(check_authority, "a" + label)


def refused(call: Callable[[Any], str], given: Any) -> None:
    with pytest.raises(Denied) as caught:
        call(given)
    assert caught.value.reason is Reason.MALFORMED


def test_an_empty_query_has_no_parameters() -> None:
    assert parse_query("") == []
    assert canonical_query([]) == "?"
    assert parse_query("a=1&a=2&b") == [("a", ["1", "2"]), ("b", [""])]
