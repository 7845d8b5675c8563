"""One event per accepted or rejected case, each with the reason it must get (docs/protocol.md)."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Callable
from typing import Any

from signet.core.client import Client, Status
from signet.core.errors import UnavailableError
from signet.crypto import suites
from tests.support.world import (
    AUTHORITY,
    COVERED,
    EDGE_AUTHORITY,
    EXPORTER,
    World,
    digest,
    digest_of,
    drop_header,
    edit_header,
    set_header,
)

Event = dict[str, Any]
Build = Callable[[World], Event]
CASES: dict[str, tuple[str, Build]] = {}

# Two self-signed client certificates; their keys were thrown away.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIHOMIGBoAMCAQICAQEwBQYDK2VwMBExDzANBgNVBAMMBmNhbGxlcjAeFw0yNjEx
MjMwMDAwMDBaFw0zNjExMjMwMDAwMDBaMBExDzANBgNVBAMMBmNhbGxlcjAqMAUG
AytlcAMhADEchNYjBVuQXt1mylIie9CpfRWWEhjuDsu8iUfqbMCdMAUGAytlcANB
AOT3CcPddV9En9ni//rhV//xRaJGr7SIhcFkyO0A803kbcFVwEe9AvHGfQa6lieR
VL9dI7t2ZdiJipDikxPp9QI=
-----END CERTIFICATE-----
"""
OTHER_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIHcMIGPoAMCAQICAQEwBQYDK2VwMBgxFjAUBgNVBAMMDXNvbWVib2R5IGVsc2Uw
HhcNMjYxMTIzMDAwMDAwWhcNMzYxMTIzMDAwMDAwWjAYMRYwFAYDVQQDDA1zb21l
Ym9keSBlbHNlMCowBQYDK2VwAyEAX/c2NOso60tkcp9n5vb6mOpp3b2FUjtI7BDl
HJJO2E8wBQYDK2VwA0EAnyaBdTazmQwmMlQjAxzxE1KN4y1Bv3NiMpw8m0Y/8XIX
lrc/ctjZqqZhEPk8Y3tP02N9DhLwmnjhNsy8TjNQCA==
-----END CERTIFICATE-----
"""
CERTIFICATE_SHA256 = hashlib.sha256(ssl.PEM_cert_to_DER_cert(CERTIFICATE)).digest()


def case(reason: str) -> Callable[[Build], Build]:
    """Register a case under its function's name."""

    def register(build: Build) -> Build:
        CASES[build.__name__] = (reason, build)
        return build

    return register


def _accepted(alg: str) -> None:
    CASES[f"signed_{alg.replace('+', '_with_').replace('-', '_')}"] = ("ok", lambda w: w.sign(w.event(), alg))


for _alg in suites.NAMES:
    _accepted(_alg)


@case("ok")
def query_in_canonical_form(w: World) -> Event:
    return w.sign(w.event(query={"page": ["2"], "tag": ["a", "b"]}))


@case("ok")
def body_with_signed_digest(w: World) -> Event:
    headers = {"Content-Digest": digest(b"hello")}
    return w.sign(w.event("POST", headers=headers))


@case("ok")
def inline_evidence(w: World) -> Event:
    evidence = base64.b64encode(b'{"build":"42"}').decode()
    return w.sign(w.event(headers={"PCH-Evidence": f":{evidence}:"}))


@case("ok")
def one_more_field_covered(w: World) -> Event:
    return w.sign(w.event(headers={"X-Order": "a, b"}), covered=(*COVERED, "x-order"))


@case("ok")
def clock_behind_within_tolerance(w: World) -> Event:
    return w.sign(w.event(), created_ms=w.now_ms + 29_000)


@case("challenge_required")
def no_proof(w: World) -> Event:
    return w.event()


# --- coverage (section 8, items 1 and 2)


def _covering(name: str, reason: str, covered: tuple[str, ...]) -> None:
    CASES[name] = (reason, lambda w: w.sign(w.event(), covered=covered))


_covering("covers_nothing", "component_missing", ())
for _missing in COVERED:
    _covering(
        f"covers_all_but_{_missing[1:]}", "component_missing", tuple(c for c in COVERED if c != _missing)
    )
_covering("covers_target_uri_instead", "malformed", (*COVERED, "@target-uri"))
_covering("covers_host_field_with_sf", "malformed", (*COVERED, '"host";bs'))


def _parameter_dropped(name: str) -> None:
    def build(w: World) -> Event:
        def drop(value: str) -> str:
            head, *parameters = value.split(";")
            return ";".join([head, *(p for p in parameters if not p.startswith(f"{name}="))])

        return edit_header(w.sign(w.event()), "Signature-Input", drop)

    CASES[f"lacks_{name}"] = ("component_missing", build)


for _name in ("created", "expires", "nonce", "keyid", "alg", "tag"):
    _parameter_dropped(_name)


@case("component_missing")
def evidence_not_covered(w: World) -> Event:
    return w.sign(w.event(headers={"PCH-Evidence": ":e30=:"}), covered=COVERED)


@case("component_missing")
def binding_not_covered(w: World) -> Event:
    binding = f"tls-exporter=:{base64.b64encode(bytes(32)).decode()}:"
    return w.sign(w.event(headers={"PCH-Channel-Binding": binding}), covered=COVERED)


@case("digest_missing")
def body_with_unsigned_digest(w: World) -> Event:
    headers = {"Content-Digest": digest(b"hello")}
    return w.sign(w.event("POST", headers=headers), covered=COVERED)


@case("malformed")
def digest_with_md5(w: World) -> Event:
    headers = {"Content-Digest": digest(b"hello")}
    event = w.sign(w.event("POST", headers=headers))
    return edit_header(event, "Content-Digest", lambda _v: "md5=:XUFAKrxLKna5cZ2REBfFkg==:")


@case("malformed")
def derived_component_with_parameter(w: World) -> Event:
    event = w.sign(w.event())
    return edit_header(event, "Signature-Input", lambda v: v.replace('"@path"', '"@path";sf'))


# --- encodings (section 8, items 3, 4, 7, 8)


def _edited(name: str, field: str, edit: Callable[[str], str], reason: str = "malformed") -> None:
    CASES[name] = (reason, lambda w: edit_header(w.sign(w.event()), field, edit))


_edited("input_with_extra_space", "Signature-Input", lambda v: v.replace(";expires", "; expires"))
_edited("input_with_two_spaces", "Signature-Input", lambda v: v.replace('" "', '"  "', 1))
_edited("created_as_decimal", "Signature-Input", lambda v: v.replace(";expires", ".0;expires"))
_edited("created_twice", "Signature-Input", lambda v: v + ";created=1")
_edited("unknown_parameter", "Signature-Input", lambda v: v + ";extra=1")
_edited("keyid_as_token", "Signature-Input", lambda v: v.replace('"caller-1"', "caller-1"))
_edited("component_as_token", "Signature-Input", lambda v: v.replace('"@method"', "method"))
_edited("component_twice", "Signature-Input", lambda v: v.replace('"@path"', '"@path" "@path"'))
_edited("upper_case_component", "Signature-Input", lambda v: v.replace('"@path"', '"@Path"'))
_edited("two_labels", "Signature-Input", lambda v: f"{v}, other={v[4:]}")
_edited("duplicate_label", "Signature-Input", lambda v: f"{v}, {v}")
_edited("other_label", "Signature-Input", lambda v: v.replace("pch=", "sig1=", 1))
_edited("signature_without_padding", "Signature", lambda v: v.replace("==:", ":"))
_edited("signature_base64url", "Signature", lambda v: v[:10] + "-_" + v[12:])
_edited("signature_with_trailing_label", "Signature", lambda v: f"{v}, x=:AA==:")
_edited("signature_of_other_label", "Signature", lambda v: v.replace("pch=", "sig1=", 1))
_edited("signature_with_parameter", "Signature", lambda v: f"{v};a=1")
_edited("newline_in_input", "Signature-Input", lambda v: v + "\n")
_edited("nul_in_signature", "Signature", lambda v: v + "\x00")
_edited("non_ascii_in_input", "Signature-Input", lambda v: v.replace("caller-1", "callér-1"))
_edited("hundred_labels", "Signature-Input", lambda v: ", ".join(f"l{i}={v[4:]}" for i in range(30)))
_edited("created_too_long", "Signature-Input", lambda v: v.replace("created=", "created=1000000"))
_edited("signature_empty", "Signature", lambda _v: "pch=::", "bad_signature")


@case("malformed")
def pad_bits_not_zero(w: World) -> Event:
    def dirty(value: str) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        last = value[-4]
        return value[:-4] + letters[letters.index(last) + 1] + value[-3:]

    return edit_header(w.sign(w.event()), "Signature", dirty)


@case("malformed")
def signature_without_input(w: World) -> Event:
    event = w.sign(w.event())
    del event["headers"]["Signature-Input"], event["multiValueHeaders"]["Signature-Input"]
    return event


@case("malformed")
def wrong_tag(w: World) -> Event:
    return w.sign(w.event(), tag="web-bot-auth")


@case("malformed")
def signature_field_twice(w: World) -> Event:
    event = w.sign(w.event())
    event["multiValueHeaders"]["Signature"] *= 2
    return event


@case("malformed")
def field_in_two_cases(w: World) -> Event:
    event = w.sign(w.event())
    event["headers"]["signature"] = event["headers"]["Signature"]
    event["multiValueHeaders"]["signature"] = event["multiValueHeaders"]["Signature"]
    return event


@case("malformed")
def header_maps_disagree(w: World) -> Event:
    event = w.sign(w.event())
    event["headers"]["Signature"] = "pch=:AAAA:"
    return event


@case("malformed")
def header_only_in_one_map(w: World) -> Event:
    event = w.sign(w.event())
    event["headers"]["X-Extra"] = "1"
    return event


@case("malformed")
def control_character_in_covered_field(w: World) -> Event:
    event = w.sign(w.event(headers={"X-Order": "ab"}), covered=(*COVERED, "x-order"))
    return edit_header(event, "X-Order", lambda _v: "a\r\nb")


# --- algorithms and keys (section 8, items 5 and 6)


@case("alg_not_allowed")
def alg_unknown(w: World) -> Event:
    return w.sign(w.event(), named="rsa-pss-sha512")


@case("alg_not_allowed")
def alg_case_variant(w: World) -> Event:
    return w.sign(w.event(), named="Ed25519")


@case("alg_not_allowed")
def alg_hmac(w: World) -> Event:
    return w.sign(w.event(), named="hmac-sha256")


@case("alg_not_allowed")
def alg_ml_dsa_44(w: World) -> Event:
    return w.sign(w.event(), "ml-dsa-65", named="ml-dsa-44")


@case("alg_mismatch")
def alg_of_another_key(w: World) -> Event:
    return w.sign(w.event(), "ed25519", keyid=w.keyids["ml-dsa-65"])


@case("alg_mismatch")
def half_of_a_hybrid_key(w: World) -> Event:
    return w.sign(w.event(), "ml-dsa-65", keyid=w.keyids["ed25519+ml-dsa-65"])


@case("unknown_key")
def unknown_key(w: World) -> Event:
    return w.sign(w.event(), keyid="nobody")


@case("malformed")
def key_id_with_odd_characters(w: World) -> Event:
    return w.sign(w.event(), keyid="caller 1")


@case("bad_signature")
def key_of_another_caller(w: World) -> Event:
    w.clients.entries["other"] = Client("other", "ed25519", suites.get("ed25519").generate().public_key_bytes)
    return w.sign(w.event(), keyid="other")


@case("key_revoked")
def key_revoked(w: World) -> Event:
    w.register("gone", status=Status.REVOKED)
    return w.sign(w.event(), keyid="gone")


@case("key_not_yet_valid")
def key_not_yet_valid(w: World) -> Event:
    w.register("early", not_before=w.now_ms // 1000 + 1)
    return w.sign(w.event(), keyid="early")


@case("key_expired")
def key_expired(w: World) -> Event:
    w.register("late", not_after=w.now_ms // 1000 - 1)
    return w.sign(w.event(), keyid="late")


@case("key_not_allowed")
def key_on_another_route(w: World) -> Event:
    w.register("reader", routes=("GET /protected/*",))
    return w.sign(w.event(), keyid="reader")


@case("ok")
def key_on_its_route(w: World) -> Event:
    w.register("reader", routes=("GET /protected/*",))
    return w.sign(w.event(path="/protected/7", resource="/protected/{item}"), keyid="reader")


@case("policy_denied")
def caller_asks_for_a_pack(w: World) -> Event:
    headers = {"Content-Digest": digest(b'{"date":"2026-11-22"}')}
    return w.sign(w.event("POST", "/compliance/pack", headers=headers))


@case("no_rule")
def route_without_policy(w: World) -> Event:
    return w.sign(w.event(path="/unlisted"), nonce=w.nonce(bound="tls-exporter"))


# --- signatures


@case("bad_signature")
def one_signature_bit_flipped(w: World) -> Event:
    def flip(value: str) -> str:
        raw = bytearray(base64.b64decode(value[5:-1]))
        raw[7] ^= 1
        return f"pch=:{base64.b64encode(raw).decode()}:"

    return edit_header(w.sign(w.event()), "Signature", flip)


@case("bad_signature")
def method_changed(w: World) -> Event:
    event = w.sign(w.event("DELETE"))
    event["httpMethod"] = event["requestContext"]["httpMethod"] = "GET"
    event["methodArn"] = event["methodArn"].replace("/DELETE/", "/GET/")
    return event


@case("bad_signature")
def path_changed(w: World) -> Event:
    event = w.sign(w.event(path="/protected/1", resource="/protected/{item}"))
    event["path"], event["requestContext"]["path"] = "/protected/2", "/prod/protected/2"
    event["pathParameters"], event["methodArn"] = {"item": "2"}, event["methodArn"][:-1] + "2"
    return event


@case("bad_signature")
def stage_changed(w: World) -> Event:
    event = w.sign(w.event())
    event["requestContext"]["path"] = "/dev/protected"
    return event


@case("bad_signature")
def query_changed(w: World) -> Event:
    event = w.sign(w.event(query={"amount": ["1"]}))
    event["queryStringParameters"], event["multiValueQueryStringParameters"] = (
        {"amount": "9"},
        {"amount": ["9"]},
    )
    return event


@case("bad_signature")
def digest_changed(w: World) -> Event:
    headers = {"Content-Digest": digest(b"hello")}
    return edit_header(
        w.sign(w.event("POST", headers=headers)), "Content-Digest", lambda _v: digest(b"jello")
    )


@case("bad_signature")
def components_reordered(w: World) -> Event:
    event = w.sign(w.event())
    return edit_header(
        event, "Signature-Input", lambda v: v.replace('"@method" "@authority"', '"@authority" "@method"')
    )


def _corrupt_half(name: str, position: int) -> None:
    def build(w: World) -> Event:
        def flip(value: str) -> str:
            raw = bytearray(base64.b64decode(value[5:-1]))
            raw[position] ^= 1
            return f"pch=:{base64.b64encode(raw).decode()}:"

        return edit_header(w.sign(w.event(), "ed25519+ml-dsa-65"), "Signature", flip)

    CASES[name] = ("bad_signature", build)


_corrupt_half("hybrid_with_ml_dsa_half_corrupt", 100)
_corrupt_half("hybrid_with_ed25519_half_corrupt", -1)


# --- time and nonces (section 8, items 10 and 11)


@case("created_out_of_window")
def created_in_the_future(w: World) -> Event:
    return w.sign(w.event(), created_ms=w.now_ms + 31_000)


@case("created_out_of_window")
def created_long_ago(w: World) -> Event:
    return w.sign(w.event(), created_ms=w.now_ms - 331_000, lives_s=300)


@case("created_out_of_window")
def signature_expired(w: World) -> Event:
    return w.sign(w.event(), created_ms=w.now_ms - 100_000, lives_s=60)


@case("created_out_of_window")
def lives_too_long(w: World) -> Event:
    return w.sign(w.event(), lives_s=301)


@case("nonce_invalid")
def nonce_forged(w: World) -> Event:
    return w.sign(w.event(), nonce="AQAAAaIF" + "A" * 47)


@case("nonce_invalid")
def nonce_of_another_spelling(w: World) -> Event:
    return w.sign(w.event(), nonce=w.nonce() + "=")


@case("nonce_invalid")
def nonce_for_another_host(w: World) -> Event:
    return w.sign(w.event(), nonce=w.nonce(authority="other.example.com"))


@case("nonce_invalid")
def nonce_from_the_future(w: World) -> Event:
    return w.sign(w.event(), nonce=w.nonce(issued_ms=w.now_ms + 31_000))


@case("ok")
def nonce_issued_for_a_stronger_binding(w: World) -> Event:
    return w.sign(w.event(), nonce=w.nonce(bound="tls-exporter"))


@case("nonce_expired")
def nonce_expired(w: World) -> Event:
    return w.sign(w.event(), nonce=w.nonce(issued_ms=w.now_ms - 300_001))


@case("nonce_replayed")
def nonce_spent_before(w: World) -> Event:
    nonce = w.nonce()
    first = w.sign(w.event(), nonce=nonce)
    assert w.reason(first) == "ok"
    return w.sign(w.event(path="/protected/1", resource="/protected/{item}"), "ml-dsa-65", nonce=nonce)


# --- target (section 8, item 15)


def bad_path(name: str, path: str) -> None:
    """Add a case whose path is none that a client may address."""

    def build(w: World) -> Event:
        event = w.sign(w.event(path="/protected/x", resource="/protected/{item}"))
        event["path"], event["requestContext"]["path"] = path, f"/prod{path}"
        event["pathParameters"] = {"item": path.removeprefix("/protected/")}
        event["methodArn"] = event["methodArn"].replace("/protected/x", path)
        return event

    CASES[name] = ("malformed", build)


bad_path("path_with_escaped_slash", "/protected/a%2Fb")
bad_path("path_with_double_slash", "/protected//x")
bad_path("path_with_dot_segments", "/protected/../x")
bad_path("path_with_semicolon", "/protected/x;v=1")
bad_path("path_with_space", "/protected/a b")


def _query(name: str, query: dict[str, list[str]]) -> None:
    def build(w: World) -> Event:
        event = w.sign(w.event())
        event["multiValueQueryStringParameters"] = query
        event["queryStringParameters"] = {n: v[-1] for n, v in query.items()}
        return event

    CASES[name] = ("malformed", build)


_query("query_with_semicolon", {"a": ["1;b=2"]})
_query("query_with_control_character", {"a": ["1\n"]})
_query("query_with_invalid_utf8", {"a": ["\ufffd"]})


def _host(name: str, host: str) -> None:
    CASES[name] = ("malformed", lambda w: edit_header(w.sign(w.event()), "Host", lambda _v: host))


_host("host_not_ours", "evil.example.com")
_host("host_with_trailing_dot", f"{AUTHORITY}.")
_host("host_with_default_port", f"{AUTHORITY}:443")
_host("host_with_user_info", f"x@{AUTHORITY}")


@case("malformed")
def no_host(w: World) -> Event:
    event = w.sign(w.event())
    del event["headers"]["Host"], event["multiValueHeaders"]["Host"]
    return event


@case("malformed")
def method_not_served(w: World) -> Event:
    return w.event("TRACE")


@case("malformed")
def method_in_one_place_only(w: World) -> Event:
    event = w.sign(w.event())
    del event["httpMethod"]
    return event


@case("malformed")
def paths_that_disagree(w: World) -> Event:
    """The key's routes are held against one path, the signature against the other."""
    w.register("reader", routes=("GET /protected/public/*",))
    event = w.sign(w.event(path="/protected/7", resource="/protected/{item}"), keyid="reader")
    event["path"] = "/protected/public/7"
    return event


@case("malformed")
def event_without_context(w: World) -> Event:
    event = w.sign(w.event())
    del event["requestContext"]["httpMethod"]
    return event


# --- size, form of bindings


@case("header_budget_exceeded")
def headers_over_budget(w: World) -> Event:
    return w.sign(w.event(headers={"X-Big": "a" * 8192}))


@case("binding_missing")
def binding_nobody_observed(w: World) -> Event:
    binding = f"tls-exporter=:{base64.b64encode(bytes(32)).decode()}:"
    return w.sign(w.event(headers={"PCH-Channel-Binding": binding}))


@case("malformed")
def binding_of_unknown_type(w: World) -> Event:
    binding = f"tls-unique=:{base64.b64encode(bytes(32)).decode()}:"
    return w.sign(w.event(headers={"PCH-Channel-Binding": binding}))


@case("malformed")
def binding_too_short(w: World) -> Event:
    return w.sign(w.event(headers={"PCH-Channel-Binding": "tls-exporter=:AAAA:"}))


# --- channel binding (section 8, item 12)


def _bound(value: bytes = EXPORTER, kind: str = "tls-exporter") -> dict[str, str]:
    return {"PCH-Channel-Binding": f"{kind}=:{base64.b64encode(value).decode()}:"}


def _edge_signed(
    w: World, target: str = "/protected", bound: bytes | None = EXPORTER, **attested: Any
) -> Event:
    headers = {} if bound is None else _bound(bound)
    event = w.edge_event(target=target, headers=headers, **attested)
    return w.sign(event, url=f"https://{EDGE_AUTHORITY}{target}")


@case("ok")
def bound_to_its_connection(w: World) -> Event:
    w.require("tls-exporter")
    return _edge_signed(w)


@case("ok")
def bound_where_nothing_requires_it(w: World) -> Event:
    return _edge_signed(w)


@case("ok")
def through_the_edge_without_binding(w: World) -> Event:
    return _edge_signed(w, bound=None)


@case("ok")
def edge_with_the_next_key(w: World) -> Event:
    return _edge_signed(w, kid="e2")


@case("ok")
def edge_attests_query_as_it_was_written(w: World) -> Event:
    return _edge_signed(w, "/protected?b=1&a=x+y&a=%7e")


@case("binding_missing")
def binding_stripped(w: World) -> Event:
    w.require("tls-exporter")
    return _edge_signed(w, bound=None)


@case("bad_signature")
def binding_field_removed_after_signing(w: World) -> Event:
    event = _edge_signed(w)
    del event["headers"]["PCH-Channel-Binding"], event["multiValueHeaders"]["PCH-Channel-Binding"]
    covered = '"@query" "pch-channel-binding"'
    return w.attest(edit_header(event, "Signature-Input", lambda v: v.replace(covered, '"@query"')))


@case("binding_missing")
def binding_claimed_around_the_edge(w: World) -> Event:
    w.require("tls-exporter")
    return w.sign(w.event(headers=_bound()))


@case("binding_missing")
def binding_of_a_certificate_where_the_exporter_is_due(w: World) -> Event:
    w.require("tls-exporter")
    event = w.sign(w.event(headers=_bound(CERTIFICATE_SHA256, "tls-client-cert")))
    event["requestContext"]["identity"]["clientCert"] = {"clientCertPem": CERTIFICATE}
    return event


@case("nonce_invalid")
def binding_downgraded_with_a_nonce_for_none(w: World) -> Event:
    w.require("tls-exporter")
    event = w.edge_event(headers=_bound())
    nonce = w.nonce(authority=EDGE_AUTHORITY, bound="none")
    return w.sign(event, url=f"https://{EDGE_AUTHORITY}/protected", nonce=nonce)


@case("binding_mismatch")
def binding_of_another_connection(w: World) -> Event:
    return _edge_signed(w, exporter=hashlib.sha256(b"another connection").digest())


@case("binding_mismatch")
def binding_differs_in_one_bit(w: World) -> Event:
    return _edge_signed(w, bound=EXPORTER[:-1] + bytes([EXPORTER[-1] ^ 1]))


def _attested(name: str, reason: str, target: str = "/protected", **attested: Any) -> None:
    CASES[name] = (reason, lambda w: _edge_signed(w, target, **attested))


_INVALID = "edge_attestation_invalid"
_attested("edge_header_forged", _INVALID, key=b"whoever makes one up has no key.")
_attested("edge_of_empty_key", _INVALID, key=b"")
_attested("edge_of_unknown_key_id", _INVALID, kid="e3", key=b"whoever makes one up has no key.")
_attested("edge_attested_no_address", _INVALID, src="nowhere")
_attested("edge_attested_short_exporter", _INVALID, exporter=EXPORTER[:31])
_attested("edge_attested_another_authority", "malformed", authority="evil.example.com")
_attested("edge_attested_default_port", "malformed", authority=f"{EDGE_AUTHORITY}:443")
_attested("edge_target_with_escaped_slash", "malformed", "/protected/a%2Fb", resource="/protected/{item}")
_attested("edge_target_with_escape", "malformed", "/protected/%61", resource="/protected/{item}")
_attested("edge_target_with_canonical_escape", "ok", "/protected/a%20b%40c", resource="/protected/{item}")
_attested("edge_target_with_double_slash", "malformed", "/protected//a", resource="/protected/{item}")
_attested("edge_target_with_dot_segment", "malformed", "/protected/./a", resource="/protected/{item}")
_attested("edge_query_interleaved", "malformed", "/protected?a=1&b=2&a=3")
_attested("edge_query_with_semicolon", "malformed", "/protected?a=1;b=2")


def _target_attested(name: str, target: str, reason: str = _INVALID) -> None:
    def build(w: World) -> Event:
        event = _edge_signed(w, "/protected/1?amount=1", resource="/protected/{item}")
        w.attest(event, target=target)
        return event

    CASES[name] = (reason, build)


@case(_INVALID)
def edge_attestation_of_another_method(w: World) -> Event:
    return w.attest(_edge_signed(w), method="DELETE")


_target_attested("edge_attestation_of_another_path", "/protected/2?amount=1")
_target_attested("edge_attestation_of_another_query", "/protected/1?amount=9")
_target_attested("edge_attestation_without_the_query", "/protected/1")
_target_attested("edge_attestation_of_longer_path", "/prod/protected/1?amount=1")
_target_attested("edge_query_with_bad_escape", "/protected/1?amount=%zz", "malformed")
_target_attested("edge_target_with_line_feed", "/protected/1?amount=1\n")
_target_attested("edge_target_not_ascii", "/protected/1?amount=\xe9")
_target_attested("edge_target_with_fragment", "/protected/1?amount=1#a")
_target_attested("edge_target_of_absolute_form", "https://api.example.com/protected/1?amount=1")


def _stale(name: str, reason: str, seconds: int) -> None:
    CASES[name] = (reason, lambda w: _edge_signed(w, ts=w.now_ms // 1000 + seconds))


_stale("edge_clock_30_s_behind", "ok", -30)
_stale("edge_clock_31_s_behind", _INVALID, -31)
_stale("edge_clock_30_s_ahead", "ok", 30)
_stale("edge_clock_31_s_ahead", _INVALID, 31)


def _edge_edited(name: str, edit: Callable[[str], str]) -> None:
    CASES[name] = (_INVALID, lambda w: edit_header(_edge_signed(w), "Signet-Edge", edit))


_edge_edited("edge_header_made_up", lambda _v: 'v=2, kid="e1"')
_edge_edited("edge_header_empty", lambda _v: "")
_edge_edited("edge_mac_cut", lambda v: v.replace("mac=:", "mac=:AAAA"))
_edge_edited("edge_mac_missing", lambda v: v.split(", mac=")[0])
_edge_edited("edge_member_added", lambda v: f"{v}, x=1")
_edge_edited("edge_member_twice", lambda v: f"{v}, v=2")
_edge_edited("edge_member_with_parameter", lambda v: v.replace("v=2", "v=2;a"))
_edge_edited("edge_version_unknown", lambda v: v.replace("v=2", "v=3"))
_edge_edited("edge_version_as_boolean", lambda v: v.replace("v=2", "v"))
_edge_edited(
    "edge_members_reordered", lambda v: ", ".join([v.split(", ")[1], v.split(", ")[0], *v.split(", ")[2:]])
)
_edge_edited("edge_header_with_odd_space", lambda v: v.replace(", kid", ",kid"))
_edge_edited("edge_header_joined_twice", lambda v: f"{v}, {v}")
_edge_edited("edge_ts_as_decimal", lambda v: v.replace(", exporter", ".0, exporter"))
_edge_edited("edge_header_not_ascii", lambda v: v.replace('"e1"', '"\u00e91"'))


@case(_INVALID)
def edge_header_twice(w: World) -> Event:
    event = _edge_signed(w)
    event["multiValueHeaders"]["Signet-Edge"] *= 2
    return event


@case(_INVALID)
def edge_header_in_two_cases(w: World) -> Event:
    event = _edge_signed(w)
    other = w.attestation(exporter=bytes(32))
    event["headers"]["signet-edge"], event["multiValueHeaders"]["signet-edge"] = other, [other]
    return event


@case(_INVALID)
def edge_header_without_a_proof(w: World) -> Event:
    return w.event(headers={"Signet-Edge": "v=2"})


@case(_INVALID)
def attestation_of_another_callers_request(w: World) -> Event:
    """A registered caller takes another's attestation around the edge, with a proof of its own."""
    theirs = _edge_signed(w)["headers"]["Signet-Edge"]
    event = w.sign(w.edge_event(headers=_bound()), "ml-dsa-65", url=f"https://{EDGE_AUTHORITY}/protected")
    return edit_header(event, "Signet-Edge", lambda _v: theirs)


@case(_INVALID)
def attestation_of_a_request_without_a_proof(w: World) -> Event:
    theirs = w.edge_event(headers=_bound())["headers"]["Signet-Edge"]
    return edit_header(_edge_signed(w), "Signet-Edge", lambda _v: theirs)


@case(_INVALID)
def attested_proof_taken_away(w: World) -> Event:
    event = _edge_signed(w)
    for name in ("Signature-Input", "Signature"):
        drop_header(event, name)
    return event


@case(_INVALID)
def attested_by_version_1(w: World) -> Event:
    return w.attest(_edge_signed(w), version=1)


@case("nonce_replayed")
def attested_request_repeated(w: World) -> Event:
    event = _edge_signed(w)
    assert w.reason(event) == "ok"
    return event


@case("nonce_invalid")
def nonce_of_the_gateways_own_name_behind_the_edge(w: World) -> Event:
    event = w.edge_event(headers=_bound())
    return w.sign(event, url=f"https://{EDGE_AUTHORITY}/protected", nonce=w.nonce(authority=AUTHORITY))


@case("bad_signature")
def signed_with_the_stage_behind_the_edge(w: World) -> Event:
    return w.sign(w.edge_event(headers=_bound()), url=f"https://{EDGE_AUTHORITY}/prod/protected")


@case("challenge_required")
def no_proof_through_the_edge(w: World) -> Event:
    return w.edge_event()


def _with_certificate(event: Event, pem: Any = CERTIFICATE) -> Event:
    event["requestContext"]["identity"]["clientCert"] = {
        "clientCertPem": pem,
        "subjectDN": "CN=caller",
        "issuerDN": "CN=caller",
        "serialNumber": "1",
        "validity": {"notBefore": "Nov 23 00:00:00 2026 GMT", "notAfter": "Nov 23 00:00:00 2036 GMT"},
    }
    return event


def _certificate(name: str, reason: str, pem: Any, claimed: bytes = CERTIFICATE_SHA256) -> None:
    def build(w: World) -> Event:
        w.require("tls-client-cert")
        return _with_certificate(w.sign(w.event(headers=_bound(claimed, "tls-client-cert"))), pem)

    CASES[name] = (reason, build)


_certificate("bound_to_its_certificate", "ok", CERTIFICATE)
_certificate("certificate_with_crlf_lines", "ok", CERTIFICATE.replace("\n", "\r\n"))
_certificate("binding_of_another_certificate", "binding_mismatch", OTHER_CERTIFICATE)
_certificate("certificate_missing", "binding_missing", None)
_certificate("certificate_not_pem", "binding_missing", "MIIB")
_certificate(
    "certificate_not_der", "binding_missing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
)
_certificate("certificate_not_base64", "binding_missing", CERTIFICATE.replace("\nMI", "\nM=", 1))
_certificate("certificate_twice", "binding_missing", CERTIFICATE * 2)


@case("binding_missing")
def certificate_binding_stripped(w: World) -> Event:
    w.require("tls-client-cert")
    return _with_certificate(w.sign(w.event()))


@case("binding_too_weak")
def exporter_where_the_certificate_is_due(w: World) -> Event:
    w.require("tls-client-cert")
    return _edge_signed(w)


@case("binding_missing")
def certificate_told_in_header_fields_only(w: World) -> Event:
    w.require("tls-client-cert")
    told = {
        "X-Amzn-Mtls-Clientcert": CERTIFICATE.replace("\n", "%0A"),
        "X-Amzn-Mtls-Clientcert-Leaf": CERTIFICATE.replace("\n", "%0A"),
        "Client-Cert": f":{''.join(CERTIFICATE.splitlines()[1:-1])}:",
    }
    return w.sign(w.event(headers=told | _bound(CERTIFICATE_SHA256, "tls-client-cert")))


@case("binding_missing")
def certificate_of_the_edge_itself(w: World) -> Event:
    headers = _bound(CERTIFICATE_SHA256, "tls-client-cert")
    event = w.sign(w.edge_event(headers=headers), url=f"https://{EDGE_AUTHORITY}/protected")
    return _with_certificate(event)


# --- evidence


@case("malformed")
def evidence_not_canonical(w: World) -> Event:
    return w.sign(w.event(headers={"PCH-Evidence": f":{base64.b64encode(b'{ }').decode()}:"}))


# --- detached proofs (section 6): what travels in a bundle

_EVIDENCE = b'{"approved_by":["a","b"],"build":42}'


def _with_evidence(w: World, alg: str = "ml-dsa-65") -> Event:
    return w.sign(w.event(headers={"PCH-Evidence-Digest": digest(_EVIDENCE)}), alg)


def _detached(alg: str) -> None:
    name = f"detached_{alg.replace('+', '_with_').replace('-', '_')}"
    CASES[name] = ("ok", lambda w: w.detach(w.sign(w.event(), alg)))


for _alg in suites.NAMES:
    _detached(_alg)


@case("ok")
def detached_with_evidence(w: World) -> Event:
    return w.detach(_with_evidence(w), _EVIDENCE)


@case("ok")
def evidence_alone_in_the_bundle(w: World) -> Event:
    return w.detach(_with_evidence(w, "ed25519"), _EVIDENCE, signature=False)


@case("ok")
def signature_in_the_bundle_and_evidence_inline(w: World) -> Event:
    inline = base64.b64encode(_EVIDENCE).decode()
    return w.detach(w.sign(w.event(headers={"PCH-Evidence": f":{inline}:"}), "ml-dsa-65"))


@case("bad_signature")
def detached_signature_of_another_request(w: World) -> Event:
    other = w.sign(w.event("DELETE"), "ml-dsa-65")
    event = w.sign(w.event(), "ml-dsa-65")
    set_header(event, "Signature", other["headers"]["Signature"])
    return w.detach(event)


@case("bad_signature")
def detached_evidence_digest_changed(w: World) -> Event:
    event = _with_evidence(w)
    set_header(event, "PCH-Evidence-Digest", digest(b'{"build":43}'))
    return w.detach(event, b'{"build":43}')


@case("component_missing")
def evidence_digest_not_covered(w: World) -> Event:
    event = w.event(headers={"PCH-Evidence-Digest": digest(_EVIDENCE)})
    return w.detach(w.sign(event, "ml-dsa-65", covered=COVERED), _EVIDENCE)


@case("evidence_missing")
def detached_proof_not_stored(w: World) -> Event:
    event = w.detach(w.sign(w.event()))
    w.bundles.stored.clear()
    return event


@case("evidence_missing")
def bundle_expired(w: World) -> Event:
    return w.detach(w.sign(w.event()), lives_s=0)


@case("evidence_missing")
def bundle_without_the_evidence_that_was_signed(w: World) -> Event:
    return w.detach(_with_evidence(w))


@case("evidence_missing")
def evidence_digest_without_a_bundle(w: World) -> Event:
    return _with_evidence(w)


@case("evidence_mismatch")
def bundle_with_other_evidence_than_signed(w: World) -> Event:
    return w.detach(_with_evidence(w), b'{"build":43}')


@case("evidence_mismatch")
def bundle_with_evidence_that_nobody_signed(w: World) -> Event:
    return w.detach(w.sign(w.event()), _EVIDENCE)


@case("evidence_mismatch")
def evidence_in_two_places(w: World) -> Event:
    inline = base64.b64encode(_EVIDENCE).decode()
    return w.detach(w.sign(w.event(headers={"PCH-Evidence": f":{inline}:"})), _EVIDENCE)


@case("malformed")
def evidence_inline_and_by_digest(w: World) -> Event:
    inline = base64.b64encode(_EVIDENCE).decode()
    headers = {"PCH-Evidence": f":{inline}:", "PCH-Evidence-Digest": digest(_EVIDENCE)}
    return w.detach(w.sign(w.event(headers=headers)), _EVIDENCE)


@case("evidence_mismatch")
def signature_in_two_places(w: World) -> Event:
    event = w.sign(w.event())
    signature = event["headers"]["Signature"]
    w.detach(event)
    set_header(event, "Signature", signature)
    return event


@case("evidence_mismatch")
def signature_in_no_place(w: World) -> Event:
    event = w.detach(_with_evidence(w), _EVIDENCE, signature=False)
    drop_header(event, "Signature")
    return event


@case("evidence_mismatch")
def store_returns_another_bundle(w: World) -> Event:
    event = w.detach(w.sign(w.event()))
    named = digest_of(event["headers"]["PCH-Proof"])
    w.bundles.stored[named] = (w.bundles.stored[named][0] + b" ", w.now_ms)
    return event


def _stored(name: str, change: Callable[[bytes], bytes]) -> None:
    CASES[name] = ("evidence_mismatch", lambda w: w.detach(w.sign(w.event()), stored=change))


_stored("bundle_not_canonical", lambda b: b.replace(b":", b": ", 1))
_stored("bundle_with_another_member", lambda b: b.replace(b"{", b'{"alg":"none",', 1))
_stored("bundle_signature_without_padding", lambda b: b.replace(b"==", b""))
_stored("bundle_signature_no_text", lambda _b: b'{"signature":7}')
_stored("bundle_empty", lambda _b: b"{}")
_stored("bundle_no_object", lambda _b: b"[]")


def _proof_field(name: str, edit: Callable[[str], str]) -> None:
    CASES[name] = ("malformed", lambda w: edit_header(w.detach(w.sign(w.event())), "PCH-Proof", edit))


_proof_field("proof_digest_without_padding", lambda v: v.replace("=:", ":", 1).replace("=:", ":"))
_proof_field("proof_digest_with_pad_bits", lambda _v: f"sha-256=:{'A' * 42}B=:")
_proof_field("proof_digest_of_another_hash", lambda v: v.replace("sha-256", "sha-512"))
_proof_field("proof_digest_with_parameter", lambda v: v + ";a=1")


@case("malformed")
def detached_without_signature_input(w: World) -> Event:
    event = w.detach(w.sign(w.event()))
    drop_header(event, "Signature-Input")
    return event


@case("unknown_key")
def detached_with_an_unknown_key(w: World) -> Event:
    return w.detach(w.sign(w.event(), keyid="nobody"))


@case("nonce_replayed")
def detached_and_inline_with_one_nonce(w: World) -> Event:
    nonce = w.nonce()
    assert w.reason(w.sign(w.event(), nonce=nonce)) == "ok"
    return w.detach(w.sign(w.event(), nonce=nonce))


# --- what the content is


@case("ok")
def content_type_and_coding_covered(w: World) -> Event:
    return w.sign(_post(w, **{"Content-Type": "application/json", "Content-Encoding": "gzip"}))


@case("component_missing")
def content_type_not_covered(w: World) -> Event:
    event = w.sign(_post(w))
    set_header(event, "Content-Type", "application/json")
    return event


@case("component_missing")
def content_coding_not_covered(w: World) -> Event:
    event = w.sign(_post(w))
    set_header(event, "Content-Encoding", "gzip")
    return event


@case("bad_signature")
def content_type_exchanged(w: World) -> Event:
    event = w.sign(_post(w, **{"Content-Type": "application/json"}))
    return edit_header(event, "Content-Type", lambda _v: "application/x-www-form-urlencoded")


@case("malformed")
def content_type_in_two_lines(w: World) -> Event:
    event = w.sign(_post(w, **{"Content-Type": "text/plain, application/json"}))
    event["multiValueHeaders"]["Content-Type"] = ["text/plain", "application/json"]
    event["headers"]["Content-Type"] = "application/json"
    return event


def _post(w: World, **headers: str) -> Event:
    return w.event("POST", headers={"Content-Length": "5", "Content-Digest": digest(b"hello"), **headers})


# --- outages


@case("store_unavailable")
def registry_unreachable(w: World) -> Event:
    def unreachable(keyid: str) -> Client | None:
        raise UnavailableError("could not read the client registry: timeout")

    w.clients.get = unreachable  # type: ignore[method-assign]
    return w.sign(w.event())


@case("store_unavailable")
def bundle_store_unreachable(w: World) -> Event:
    def unreachable(sha256: bytes, *, now: int) -> bytes | None:
        raise UnavailableError("could not read the bundle: timeout")

    event = w.detach(w.sign(w.event()))
    w.bundles.get = unreachable  # type: ignore[method-assign]
    return event


@case("store_unavailable")
def nonce_store_unreachable(w: World) -> Event:
    def unreachable(nonce_sha256: bytes, *, expires_at: int) -> bool:
        raise UnavailableError("could not record the nonce: timeout")

    w.nonces.spend = unreachable  # type: ignore[method-assign]
    return w.sign(w.event())


import tests.support.event_cases  # noqa: E402 - they register more
import tests.support.hostile_cases  # noqa: E402, F401 - as above
