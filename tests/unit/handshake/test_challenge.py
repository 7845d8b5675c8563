"""Nonces are good here, for this, now, and in one spelling; challenges survive the wire."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import Denied
from signet.handshake.challenge import Challenge, NonceKeys, NonceScope, check_nonce, issue_nonce

KEYS = NonceKeys.from_secrets([b"new", b"old"])
SCOPE = NonceScope("api.example", "tls-exporter", "epoch", "orders")
NOW = 1_795_392_000_000
NONCE = issue_nonce(KEYS, SCOPE, now_ms=NOW, random=b"r" * 16)


def check(nonce: str = NONCE, keys: NonceKeys = KEYS, scope: NonceScope = SCOPE, now_ms: int = NOW) -> None:
    check_nonce(keys, [scope], nonce, now_ms=now_ms, lifetime_ms=300_000, skew_ms=30_000)


def test_fresh_nonce_is_good() -> None:
    check()
    check(now_ms=NOW + 300_000)
    check(now_ms=NOW - 30_000)


@pytest.mark.parametrize(
    ("now_ms", "code"), [(NOW + 300_001, "nonce_expired"), (NOW - 30_001, "nonce_invalid")]
)
def test_nonce_outside_its_time_is_refused(now_ms: int, code: str) -> None:
    with pytest.raises(Denied) as refused:
        check(now_ms=now_ms)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "scope",
    [
        NonceScope("other.example", "tls-exporter", "epoch", "orders"),
        NonceScope("api.example", "none", "epoch", "orders"),
        NonceScope("api.example", "tls-exporter", "epoch2", "orders"),
        NonceScope("api.exampletls", "-exporter", "epoch", "orders"),
        NonceScope("api.example", "tls-exporter", "epoch", "billing"),
        NonceScope("api.example", "tls-exporter", "epochorders", ""),
    ],
)
def test_nonce_is_good_in_its_scope_only(scope: NonceScope) -> None:
    with pytest.raises(Denied):
        check(scope=scope)


def test_nonce_of_the_previous_secret_is_good_and_of_a_stranger_not() -> None:
    old = issue_nonce(NonceKeys.from_secrets([b"old"]), SCOPE, now_ms=NOW, random=b"r" * 16)
    check(old)
    with pytest.raises(Denied):
        check(keys=NonceKeys.from_secrets([b"stranger"]))


@given(st.integers(0, 54), st.sampled_from("ABCXYZabcxyz0189-_"))
def test_any_changed_character_is_refused(position: int, character: str) -> None:
    changed = NONCE[:position] + character + NONCE[position + 1 :]
    if changed != NONCE:
        with pytest.raises(Denied):
            check(changed)


@given(st.text(max_size=60))
def test_any_text_is_refused_without_another_error(text: str) -> None:
    with pytest.raises(Denied):
        check(text)


PLAIN = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, blacklist_characters='"\\'), min_size=1, max_size=12
)


@given(PLAIN, PLAIN, st.lists(PLAIN, min_size=1, max_size=3), st.integers(0, 10_000), PLAIN)
def test_challenge_survives_the_wire(realm: str, nonce: str, algs: list[str], budget: int, uri: str) -> None:
    challenge = Challenge(realm, nonce, tuple(algs), "none", budget, uri, uri, "challenge_required")
    assert Challenge.from_header(challenge.to_header()) == challenge


@given(st.text(max_size=80) | st.text('PCH realm=,"nonce-budget8192 ', max_size=120))
def test_any_other_field_is_refused_without_another_error(text: str) -> None:
    with pytest.raises(Denied):
        Challenge.from_header(text)


HEADER = Challenge(
    "signet", "n", ("ed25519",), "none", 8192, "/c", "/e", "challenge_required", ("if-match",), 300
)


@pytest.mark.parametrize(
    "tail",
    [",", ", ", " ", ", x", ", x=", "x", ';a="b"', ', realm="signet"', ', REALM="other"', ", =1", '"', "\n"],
)
def test_a_tail_or_a_parameter_twice_is_no_challenge(tail: str) -> None:
    assert Challenge.from_header(HEADER.to_header()) == HEADER
    with pytest.raises(Denied):
        Challenge.from_header(HEADER.to_header() + tail)


@pytest.mark.parametrize(
    "name", ["realm", "nonce", "algs", "binding", "header-budget", "challenge-uri", "error"]
)
def test_no_parameter_may_come_twice_or_be_missing(name: str) -> None:
    first, *parameters = HEADER.to_header().removeprefix("PCH ").split(", ")
    named = {parameter.partition("=")[0]: parameter for parameter in (first, *parameters)}
    with pytest.raises(Denied):
        Challenge.from_header("PCH " + ", ".join([*named.values(), named[name]]))
    del named[name]
    with pytest.raises(Denied):
        Challenge.from_header("PCH " + ", ".join(named.values()))


@pytest.mark.parametrize("more", [', later="x y"', ", later=1", ', stale=true, x=""'])
def test_parameters_of_servers_to_come_are_ignored(more: str) -> None:
    assert Challenge.from_header(HEADER.to_header() + more) == HEADER


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "010", '""', '"x"', "9999999999"])
def test_a_lifetime_that_is_none_is_no_challenge(text: str) -> None:
    with pytest.raises(Denied):
        Challenge.from_header(HEADER.to_header().replace("max-age=300", f"max-age={text}"))


def test_what_a_challenge_does_not_say_is_unknown_or_nothing() -> None:
    silent = HEADER.to_header().replace("max-age=300, ", "").replace('components="if-match", ', "")
    found = Challenge.from_header(silent)
    assert (found.components, found.max_age) == ((), None)


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_nonce_takes_exactly_sixteen_random_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="exactly 16"):
        issue_nonce(KEYS, SCOPE, now_ms=NOW, random=bytes(size))


def test_the_random_bytes_are_in_the_nonce_as_they_were_drawn() -> None:
    raw = base64.urlsafe_b64decode(issue_nonce(KEYS, SCOPE, now_ms=NOW, random=bytes(range(16))) + "=")
    assert (len(raw), raw[9:25]) == (41, bytes(range(16)))
