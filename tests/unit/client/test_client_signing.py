"""What a signature covers, and which URLs have a spelling that can be signed."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import UsageError
from signet.core.target import canonical_query, parse_query, spell_path
from signet.crypto import suites
from signet_client.addresses import Locations, candidates, canonical_url, parents
from signet_client.signing import LIFETIME_S, Plain, Signer, canonical_evidence, evidence_field, sign
from signet_client.sources import Source

KEY = suites.get("ed25519").generate()
NOW = 1_790_000_000


def _sign(url: str = "https://api.example.com/protected", **more: object):
    request = Plain(
        str(more.get("method", "GET")), url, dict(more.get("headers", {})), bytes(more.get("body", b""))
    )
    return sign(request, Signer(KEY, "caller-1"), nonce="n" * 55, now=NOW, evidence=more.get("evidence"))


def test_signature_base_is_the_profiles_byte_for_byte():
    signed = _sign("https://api.example.com/protected?a=x%20y")
    assert signed.base.decode() == (
        '"@method": GET\n'
        '"@authority": api.example.com\n'
        '"@path": /protected\n'
        '"@query": ?a=x%20y\n'
        '"@signature-params": ("@method" "@authority" "@path" "@query")'
        f';created={NOW};keyid="caller-1";alg="ed25519";expires={NOW + LIFETIME_S}'
        f';nonce="{"n" * 55}";tag="pch-lite"'
    )
    label, _, item = signed.fields["Signature"].partition("=:")
    assert label == "pch"
    suites.get("ed25519").verify(KEY.public_key_bytes, signed.base, base64.b64decode(item.removesuffix(":")))


def test_content_and_evidence_are_covered_and_nothing_else_is_added():
    signed = _sign(method="POST", body=b"{}", evidence=evidence_field(canonical_evidence({"b": 1, "a": "x"})))
    assert '"content-digest" "pch-evidence"' in signed.fields["Signature-Input"]
    assert signed.fields["Content-Digest"].startswith("sha-256=:")
    raw = base64.b64decode(signed.fields["PCH-Evidence"].strip(":"))
    assert raw == b'{"a":"x","b":1}'
    assert set(_sign().fields) == {"Signature-Input", "Signature"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "post"])
def test_the_digest_of_nothing_is_signed_where_content_belongs(method):
    signed = _sign(method=method)
    assert signed.fields["Content-Digest"] == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    assert b'"content-digest": sha-256=:47DE' in signed.base


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_without_content_other_methods_sign_no_digest(method):
    assert "Content-Digest" not in _sign(method=method).fields
    assert "Content-Digest" in _sign(method=method, body=b"x").fields


def test_a_content_digest_that_does_not_fit_is_replaced():
    signed = _sign(method="POST", body=b"x", headers={"content-digest": "sha-256=:AAAA:"})
    assert "AAAA:" not in signed.fields["Content-Digest"]


def test_the_host_field_is_what_gets_signed():
    assert (
        b'"@authority": internal.example.com:8443\n'
        in _sign(headers={"host": "internal.example.com:8443"}).base
    )
    with pytest.raises(UsageError, match="Host"):
        _sign(headers={"host": "bad host"})


@pytest.mark.parametrize("keyid", ["a\nb", "schlüssel", "\x00"])
def test_a_key_id_that_no_field_can_hold_is_refused(keyid):
    with pytest.raises(UsageError):
        sign(Plain("GET", "https://h.example/", {}, b""), Signer(KEY, keyid), nonce="n", now=NOW)


def test_evidence_outside_the_canonical_subset_is_refused():
    with pytest.raises(UsageError, match="evidence"):
        canonical_evidence({"ratio": 0.5})


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://LocalHost:80", "http://localhost/"),
        ("https://h.example:443/a?b&a=x y+z#part", "https://h.example/a?a=x%20y%20z&b="),
        ("https://h.example:8443/a/?", "https://h.example:8443/a/"),
        ("https://h.example/a%2bb/%7euser/caf%c3%a9", "https://h.example/a%2Bb/~user/caf%C3%A9"),
        ("https://h.example/a[b]|c^d", "https://h.example/a%5Bb%5D%7Cc%5Ed"),
        (
            "http://127.0.0.1:4566/_aws/execute-api/abc/local/x?q=%7e",
            "http://127.0.0.1:4566/_aws/execute-api/abc/local/x?q=~",
        ),
    ],
)
def test_urls_are_brought_into_canonical_form(url, canonical):
    assert canonical_url(url) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/a%2fb",
        "https://h.example/a;b",
        "https://h.example/a%3bb",
        "https://h.example/a%",
        "https://h.example/a%25b",
        "https://h.example/a%00",
        "https://h.example/%2e%2e/b",
        "https://h.example/{item}",
        "https://h.example/a//b",
        "https://h.example/a/../b",
        "https://h.example/ä",
        "https://h.example/?a=1&b=2&a=3",
        "https://h.example/?a;b",
        "https://h.example/?a=%zz",
        "https://user:secret@h.example/",
        "https://h.example./",
        "https://[::1]/",
        "https://[::1/",
        "ftp://h.example/",
        "h.example/a",
        "",
    ],
)
def test_urls_without_a_canonical_form_are_refused_in_one_sentence(url):
    with pytest.raises(UsageError) as caught:
        canonical_url(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters=";\ufffd", exclude_categories=("Cc", "Cs")), max_size=8
)


@given(st.dictionaries(_TEXT, st.lists(_TEXT, min_size=1, max_size=3), max_size=4))
def test_canonical_urls_stay_as_they_are_in_both_libraries(parameters):
    url = canonical_url("https://h.example/a~(b)'c" + canonical_query(parameters.items()))
    assert str(httpx.URL(url)) == url == canonical_url(url)
    assert requests.Request("GET", url).prepare().url == url
    assert sorted(parse_query(url.partition("?")[2])) == sorted((n, v) for n, v in parameters.items())


_SEGMENT = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\%;?#{}\ufffd", exclude_categories=("Cc", "Cs")),
    min_size=1,
    max_size=8,
).filter(lambda text: text not in {".", ".."})


@given(st.lists(_SEGMENT, min_size=1, max_size=3))
def test_a_path_goes_over_the_wire_as_it_is_signed(segments):
    url = canonical_url("https://h.example" + spell_path("/" + "/".join(segments)))
    path = url.removeprefix("https://h.example")
    assert httpx.URL(url).raw_path.decode() == path
    prepared = requests.Request("GET", url).prepare()
    assert prepared.path_url == path
    signed = sign(Plain("GET", url, {}, b""), Signer(KEY, "caller-1"), nonce="n", now=NOW)
    assert f'"@path": {path}\n'.encode() in signed.base


def test_parents_are_listed_deepest_first():
    assert parents("/a/b/c") == ["/a/b", "/a", ""]
    assert parents("/a") == parents("/") == parents("/a/") == [""]


def test_candidates_stay_on_the_origin_and_are_few():
    url = "https://h.example/1/2/3/4/5/6/7/8/9/10"
    assert next(candidates(url, "https://evil.example/pch/challenge")).startswith("https://h.example/1/")
    assert next(candidates(url, "/x/pch/challenge")) == "https://h.example/x/pch/challenge"
    assert next(candidates(url, "/a%2fb")).startswith("https://h.example/1/")
    assert len(list(candidates(url, None))) == 8


def test_a_challenge_is_asked_for_the_requests_own_path():
    asked = Source("https://h.example/dev/pch/challenge").asks("https://h.example/dev/a?x=1")
    assert asked == "https://h.example/dev/pch/challenge?count=16&target=%2Fdev%2Fa"


def test_locations_are_remembered_for_a_prefix_and_dead_ones_not_suggested_again():
    known = Locations()
    known.remember("https://h.example/dev/a", "https://h.example/dev/pch/challenge")
    assert known.find("https://h.example/dev/b/c") == "https://h.example/dev/pch/challenge"
    assert known.find("https://h.example/prod/a") is None
    assert known.find("https://other.example/dev/a") is None
    known.forget("https://h.example/dev/pch/challenge")
    known.suggest("https://h.example/dev/a", "/dev/pch/challenge")
    assert known.find("https://h.example/dev/a") is None


def test_evidence_field_is_json_of_the_object():
    field = evidence_field(canonical_evidence({"sbom": ["a"]}))
    assert json.loads(base64.b64decode(field.strip(":"))) == {"sbom": ["a"]}
