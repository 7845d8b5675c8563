"""More cases: attacks on what docs/protocol.md says that ``cases`` does not build already."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from signet.core.client import Client
from signet.crypto import suites
from tests.support.cases import CASES, Event, bad_path, case
from tests.support.world import AUTHORITY, COVERED, World, digest, edit_header, set_header

ML_DSA_BYTES = 3309
ED_HYBRID, EC_HYBRID = "ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65"


@dataclass
class Forger:
    """Stands in for a private key of a suite and signs in the way that it was given."""

    alg: str
    sign: Callable[[bytes], bytes]


def _signed_by(
    name: str, alg: str, sign: Callable[[World, bytes], bytes], reason: str = "bad_signature"
) -> None:
    def build(w: World) -> Event:
        return w.sign(w.event(), alg, key=Forger(alg, lambda base: sign(w, base)))  # type: ignore[arg-type]

    CASES[name] = (reason, build)


def _edited(name: str, field: str, edit: Callable[[str], str], reason: str = "malformed") -> None:
    CASES[name] = (reason, lambda w: edit_header(w.sign(w.event()), field, edit))


def _covered_field(name: str, value: str, reason: str = "malformed") -> None:
    """Sign a field, then let another value arrive under its name."""

    def build(w: World) -> Event:
        event = w.sign(w.event(headers={"X-Order": "a, b"}), covered=(*COVERED, "x-order"))
        return edit_header(event, "X-Order", lambda _v: value)

    CASES[name] = (reason, build)


# --- coverage and components


@case("malformed")
def real_field_that_has_the_name_of_a_derived_component(w: World) -> Event:
    return w.sign(w.event("DELETE", headers={"@method": "GET"}))


@case("component_missing")
def covers_the_host_field_in_place_of_the_authority(w: World) -> Event:
    return w.sign(w.event(), covered=("@method", "host", "@path", "@query"))


def _component_with(parameter: str) -> None:
    name = "".join(c if c.isalnum() else "_" for c in parameter).strip("_")
    _edited(
        f"component_with_{name}",
        "Signature-Input",
        lambda v: v.replace('"@query"', f'"@query";{parameter}'),
    )


for _parameter in ("sf", "bs", "req", "tr", 'key="a"', 'name="a"', 'sf;key="a"', 'key="a";sf'):
    _component_with(_parameter)


@case("malformed")
def covers_a_hundred_fields(w: World) -> Event:
    fields = {f"X-{n}": "a" for n in range(100)}
    return w.sign(w.event(headers=fields), covered=(*COVERED, *(name.lower() for name in fields)))


@case("ok")
def covers_thirty_two_components(w: World) -> Event:
    fields = {f"X-{n}": "a" for n in range(28)}
    return w.sign(w.event(headers=fields), covered=(*COVERED, *(name.lower() for name in fields)))


# --- fields that come twice, as lists and joined


def _twice(name: str, field: str, join: str | None, value: str | None = None) -> None:
    def build(w: World) -> Event:
        headers = {"Content-Digest": digest(b"hello")}
        event = w.sign(w.event("POST", headers=headers))
        both = [event["headers"][field], value or event["headers"][field]]
        if join is not None:
            return edit_header(event, field, lambda _v: join.join(both))
        event["multiValueHeaders"][field], event["headers"][field] = both, both[-1]
        return event

    CASES[name] = ("malformed", build)


_twice("input_over_two_lines", "Signature-Input", None)
_twice("input_joined_by_the_gateway", "Signature-Input", ", ")
_twice("signature_joined_by_the_gateway", "Signature", ", ")
_twice("signature_joined_without_a_space", "Signature", ",")
_twice("digest_over_two_lines", "Content-Digest", None, digest(b"jello"))
_twice("digest_joined_by_the_gateway", "Content-Digest", ", ", digest(b"jello"))
_twice("host_over_two_lines", "Host", None, "evil.example.com")
_twice("host_joined_by_the_gateway", "Host", ", ")

_covered_field("covered_field_reordered", "b, a", "bad_signature")
_covered_field("covered_field_joined_without_a_space", "a,b", "bad_signature")
_covered_field("covered_field_folded", "a,\r\n b")
_covered_field("covered_field_with_line_feed_at_its_end", "a, b\n")
_covered_field("covered_field_with_second_line", 'a, b\n"@method": DELETE')
_covered_field("covered_field_with_nul", "a, b\x00")
_covered_field("covered_field_with_tab_in_front", "\ta, b")
_covered_field("covered_field_not_ascii", "a, b\N{NO-BREAK SPACE}")

_edited("input_with_tab", "Signature-Input", lambda v: v.replace('" "', '"\t"', 1))
_edited("input_folded", "Signature-Input", lambda v: v.replace('" "', '"\r\n "', 1))
_edited("signature_with_second_line", "Signature", lambda v: v + "\r\nX-Injected: 1")


@case("malformed")
def second_label_with_a_good_signature_of_its_own(w: World) -> Event:
    other = w.sign(w.event(), label="other", keyid="caller-1")
    event = w.sign(w.event())
    for name in ("Signature-Input", "Signature"):
        set_header(event, name, f"{event['headers'][name]}, {other['headers'][name]}")
    return event


# --- algorithms


@case("alg_not_allowed")
def alg_ml_dsa_87(w: World) -> Event:
    return w.sign(w.event(), "ml-dsa-65", named="ml-dsa-87")


@case("alg_not_allowed")
def alg_empty(w: World) -> Event:
    return edit_header(w.sign(w.event()), "Signature-Input", lambda v: v.replace('alg="ed25519"', 'alg=""'))


_signed_by(
    "hmac_keyed_with_the_public_key",
    "ed25519",
    lambda w, base: hmac.digest(w.keys["ed25519"].public_key_bytes, base, "sha512"),
)
_signed_by(
    "ml_dsa_44_signature_as_65", "ml-dsa-65", lambda _w, base: mldsa.MLDSA44PrivateKey.generate().sign(base)
)
_signed_by(
    "ml_dsa_87_signature_as_65", "ml-dsa-65", lambda _w, base: mldsa.MLDSA87PrivateKey.generate().sign(base)
)


# --- digests: what the authorizer can see of them


def _digest_field(name: str, field: str) -> None:
    def build(w: World) -> Event:
        headers = {"Content-Digest": digest(b"hello")}
        return edit_header(w.sign(w.event("POST", headers=headers)), "Content-Digest", lambda _v: field)

    CASES[name] = ("malformed", build)


_digest_field("digest_with_sha_1", "sha=:qvTGHdzF6KLavt4PO0gs2a6pQ00=:")
_digest_field("digest_strong_and_weak", f"{digest(b'hello')}, md5=:XUFAKrxLKna5cZ2REBfFkg==:")
_digest_field("digest_too_short", "sha-256=:qvTGHdzF6KLavt4PO0gs2a6pQ00=:")
_digest_field("digest_named_twice", f"{digest(b'hello')}, {digest(b'jello')}")
_digest_field("digest_empty", "")


# --- replays and edges of time


def _replayed(name: str, again: Callable[[World, str], Event]) -> None:
    def build(w: World) -> Event:
        nonce = w.nonce()
        assert w.reason(w.sign(w.event(), nonce=nonce)) == "ok"
        return again(w, nonce)

    CASES[name] = ("nonce_replayed", build)


_replayed("nonce_spent_on_another_method", lambda w, n: w.sign(w.event("DELETE"), nonce=n))
_replayed("nonce_spent_on_another_query", lambda w, n: w.sign(w.event(query={"a": ["1"]}), nonce=n))
_replayed("nonce_spent_by_another_key", lambda w, n: w.sign(w.event(), EC_HYBRID, nonce=n))
_replayed(
    "nonce_spent_on_another_stage",
    lambda w, n: w.sign(_on_stage(w.event(), "dev"), nonce=n),
)
_replayed("same_event_again", lambda w, n: w.sign(w.event(), nonce=n))


def _on_stage(event: Event, stage: str) -> Event:
    event["requestContext"]["stage"] = stage
    event["requestContext"]["path"] = f"/{stage}{event['path']}"
    event["methodArn"] = event["methodArn"].replace("/prod/", f"/{stage}/")
    return event


def _timed(name: str, reason: str, *, nonce_ms: int = 0, **signing: Any) -> None:
    def build(w: World) -> Event:
        signing_now = {
            "created_ms": w.now_ms + signing.get("created", 0),
            "lives_s": signing.get("lives_s", 60),
        }
        return w.sign(w.event(), nonce=w.nonce(issued_ms=w.now_ms + nonce_ms), **signing_now)

    CASES[name] = (reason, build)


_timed("created_at_the_edge_of_tolerance", "ok", created=30_000)
_timed("expired_at_the_edge_of_tolerance", "ok", created=-90_000, lives_s=60)
_timed("expired_a_second_beyond_tolerance", "created_out_of_window", created=-91_000, lives_s=60)
_timed("created_as_long_ago_as_it_may", "ok", created=-330_000, lives_s=300)
_timed("lives_as_long_as_it_may", "ok", lives_s=300)
_timed("lives_not_at_all", "created_out_of_window", lives_s=0)
_timed("expires_before_it_was_created", "created_out_of_window", lives_s=-1)
_timed("nonce_in_its_last_millisecond", "ok", nonce_ms=-300_000)
_timed("nonce_from_the_edge_of_tolerance", "ok", nonce_ms=30_000)
_timed("nonce_a_millisecond_beyond_tolerance", "nonce_invalid", nonce_ms=30_001)


@case("nonce_invalid")
def nonce_with_one_bit_changed(w: World) -> Event:
    raw = bytearray(base64.urlsafe_b64decode(w.nonce() + "="))
    raw[-1] ^= 1
    return w.sign(w.event(), nonce=base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="))


# --- composites and ML-DSA, from event to decision


def _halves(w: World, alg: str, base: bytes) -> tuple[bytes, bytes]:
    signature = w.keys[alg].sign(base)
    return signature[:ML_DSA_BYTES], signature[ML_DSA_BYTES:]


def _composite(w: World, alg: str, base: bytes, context: bytes) -> bytes:
    suite = suites.get(alg)
    assert isinstance(suite, suites.CompositeSuite)
    return suite.sign_with_context(w.keys[alg], base, context)


def _pairing(w: World, alg: str) -> bytes:
    return suites.pairing_context(w.keys[alg].public_key_bytes)


def _post_quantum(w: World, alg: str, base: bytes, label: bytes) -> bytes:
    """The ML-DSA half over M' under a context of choice, the other half as it should be."""
    suite: Any = suites.get(alg)
    private: Any = w.keys[alg].halves[0]
    first = private.sign(suite._representative(base, _pairing(w, alg)), label)
    return bytes(first) + _halves(w, alg, base)[1]


def _mixed(w: World, alg: str, base: bytes) -> bytes:
    other = suites.get(alg).generate().sign(base)
    return _halves(w, alg, base)[0] + other[ML_DSA_BYTES:]


def _raw_numbers(w: World, base: bytes) -> bytes:
    first, second = _halves(w, EC_HYBRID, base)
    return first + b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(second))


def _long_der(w: World, base: bytes) -> bytes:
    """The outer length in two bytes where one does."""
    first, second = _halves(w, EC_HYBRID, base)
    return first + second[:1] + b"\x81" + second[1:]


def _hashed(w: World, base: bytes) -> bytes:
    """HashML-DSA with SHA-512: FIPS 204 algorithm 4."""
    key = w.keys["ml-dsa-65"]
    private: Any = key.halves[0]
    oid = bytes.fromhex("0609608648016503040203")
    message = b"\x01\x00" + oid + hashlib.sha512(base).digest()
    tr = hashlib.shake_256(key.public_key_bytes).digest(64)
    return bytes(private.sign_mu(hashlib.shake_256(tr + message).digest(64)))


def _under_a_context(w: World, base: bytes) -> bytes:
    private: Any = w.keys["ml-dsa-65"].halves[0]
    return bytes(private.sign(base, b"x"))


def _with_hint(w: World, base: bytes) -> bytes:
    """One unused place of the hint filled: another encoding of the same signature (FIPS 204 algorithm 21)."""
    while True:
        signature = w.keys["ml-dsa-65"].sign(base)
        if (used := signature[-1]) < 55:
            place = len(signature) - 61 + used
            return signature[:place] + b"\x01" + signature[place + 1 :]


def _forged(name: str, alg: str) -> None:
    """Register what can be done to a composite from the halves up."""
    forgeries: dict[str, Callable[[World, bytes], bytes]] = {
        "halves_swapped": lambda w, b: b"".join(reversed(_halves(w, alg, b))),
        "without_its_second_half": lambda w, b: _halves(w, alg, b)[0],
        "without_its_first_half": lambda w, b: _halves(w, alg, b)[1],
        "a_byte_short": lambda w, b: w.keys[alg].sign(b)[:-1],
        "a_byte_long": lambda w, b: w.keys[alg].sign(b) + b"\0",
        "halves_of_two_keys": lambda w, b: _mixed(w, alg, b),
        "without_context": lambda w, b: _composite(w, alg, b, b""),
        "context_of_another_pair": lambda w, b: _composite(w, alg, b, suites.pairing_context(b"other")),
        "ml_dsa_half_without_context": lambda w, b: _post_quantum(w, alg, b, b""),
        "ml_dsa_half_under_another_label": lambda w, b: _post_quantum(w, alg, b, b"COMPSIG-MLDSA65-RSA"),
    }
    for what, forge in forgeries.items():
        _signed_by(f"{name}_{what}", alg, forge)


_forged("ed25519_hybrid", ED_HYBRID)
_forged("ecdsa_hybrid", EC_HYBRID)
_signed_by("ecdsa_hybrid_raw_numbers", EC_HYBRID, _raw_numbers)
_signed_by("ecdsa_hybrid_der_not_minimal", EC_HYBRID, _long_der)
_signed_by("ml_dsa_hashed_first", "ml-dsa-65", _hashed)
_signed_by("ml_dsa_under_a_context", "ml-dsa-65", _under_a_context)
_signed_by("ml_dsa_hint_in_another_encoding", "ml-dsa-65", _with_hint)
_signed_by("ml_dsa_a_byte_short", "ml-dsa-65", lambda w, b: w.keys["ml-dsa-65"].sign(b)[:-1])
_signed_by("ml_dsa_a_byte_long", "ml-dsa-65", lambda w, b: w.keys["ml-dsa-65"].sign(b) + b"\0")


@case("bad_signature")
def registered_point_is_compressed(w: World) -> Event:
    key = w.keys["ecdsa-p256-sha256"].public_key_bytes
    compressed = bytes([2 + key[-1] % 2]) + key[1:33]
    w.clients.entries["compressed"] = Client("compressed", "ecdsa-p256-sha256", compressed)
    return w.sign(w.event(), "ecdsa-p256-sha256", keyid="compressed")


# --- target


bad_path("path_with_lower_case_escape", "/protected/a%2fb")
bad_path("path_with_escaped_dots", "/protected/%2e%2e/x")
bad_path("path_with_backslash", "/protected\\x")
bad_path("path_with_query_in_it", "/protected/x?a=1")
bad_path("path_with_fragment", "/protected/x#a")
bad_path("path_with_nul", "/protected/x\x00")
bad_path("path_not_ascii", "/protected/\N{LATIN SMALL LETTER E WITH ACUTE}")
bad_path("path_too_long", "/protected/" + "x" * 4096)


@case("bad_signature")
def signed_without_the_stage(w: World) -> Event:
    return w.sign(w.event(), url=f"https://{AUTHORITY}/protected")


@case("bad_signature")
def query_added_after_signing(w: World) -> Event:
    event = w.sign(w.event())
    event["queryStringParameters"], event["multiValueQueryStringParameters"] = {"a": "1"}, {"a": ["1"]}
    return event


@case("bad_signature")
def query_values_reordered(w: World) -> Event:
    event = w.sign(w.event(query={"a": ["1", "2"]}))
    event["queryStringParameters"], event["multiValueQueryStringParameters"] = {"a": "1"}, {"a": ["2", "1"]}
    return event


@case("malformed")
def query_maps_disagree(w: World) -> Event:
    event = w.sign(w.event(query={"a": ["1"]}))
    event["queryStringParameters"] = {"a": "2"}
    return event


@case("malformed")
def query_too_long(w: World) -> Event:
    event = w.sign(w.event())
    event["multiValueQueryStringParameters"] = {"a": ["x" * 4096]}
    event["queryStringParameters"] = {"a": "x" * 4096}
    return event


@case("key_not_allowed")
def trailing_slash_does_not_stretch_a_route(w: World) -> Event:
    """API Gateway sends /protected/ to the resource /protected, which GET /protected/* does not name."""
    w.register("reader", routes=("GET /protected/*",))
    return w.sign(w.event(path="/protected/", resource="/protected"), keyid="reader")


@case("ok")
def trailing_slash_on_the_keys_own_route(w: World) -> Event:
    w.register("reader", routes=("GET /protected",))
    return w.sign(w.event(path="/protected/", resource="/protected"), keyid="reader")


# --- sizes


@case("header_budget_exceeded")
def ten_kilobytes_in_many_fields(w: World) -> Event:
    return w.sign(w.event(headers={f"X-{n}": "a" * 100 for n in range(100)}))


@case("challenge_required")
def ten_kilobytes_and_no_proof(w: World) -> Event:
    return w.event(headers={"X-Big": "a" * 10_240})


@case("malformed")
def keyid_too_long(w: World) -> Event:
    return w.sign(w.event(), keyid="k" * 129)


@case("malformed")
def evidence_nested_too_deep(w: World) -> Event:
    deep = b'{"a":' * 40 + b"1" + b"}" * 40
    return w.sign(w.event(headers={"PCH-Evidence": f":{base64.b64encode(deep).decode()}:"}))


# --- bundles and evidence of another caller


@case("bad_signature")
def evidence_of_another_request(w: World) -> Event:
    """Evidence is signed by its value: another's in its place is not what was signed."""
    mine, others = (base64.b64encode(e).decode() for e in (b'{"build":42}', b'{"build":43}'))
    event = w.sign(w.event(headers={"PCH-Evidence": f":{mine}:"}))
    set_header(event, "PCH-Evidence", f":{others}:")
    return event


@case("bad_signature")
def bundle_of_another_caller(w: World) -> Event:
    """Its signature is good, for the other's request."""
    other = w.detach(w.sign(w.event(), "ml-dsa-65"))
    event = w.detach(w.sign(w.event(), EC_HYBRID))
    set_header(event, "PCH-Proof", other["headers"]["PCH-Proof"])
    return event


@case("evidence_mismatch")
def bundle_swapped_after_it_was_stored(w: World) -> Event:
    """The store answers with another bundle that is well formed: the name is the digest of what is in it."""
    other = w.detach(w.sign(w.event(), "ml-dsa-65"))
    event = w.detach(w.sign(w.event(), "ml-dsa-65"))
    mine, others = (
        base64.b64decode(e["headers"]["PCH-Proof"].removeprefix("sha-256=:").removesuffix(":"))
        for e in (event, other)
    )
    w.bundles.stored[mine] = w.bundles.stored[others]
    return event


# --- what is known of the connection


def _certificate_told_as(name: str, told: Any) -> None:
    def build(w: World) -> Event:
        value = base64.b64encode(hashlib.sha256(b"").digest()).decode()
        event = w.sign(w.event(headers={"PCH-Channel-Binding": f"tls-client-cert=:{value}:"}))
        event["requestContext"]["identity"]["clientCert"] = told
        return event

    CASES[name] = ("binding_missing", build)


_certificate_told_as("certificate_told_as_text", "-----BEGIN CERTIFICATE-----")
_certificate_told_as("certificate_told_as_list", [])
_certificate_told_as("certificate_with_no_members", {})
_certificate_told_as("certificate_as_number", {"clientCertPem": 7})
_certificate_told_as("certificate_empty", {"clientCertPem": ""})
_certificate_told_as("certificate_too_long", {"clientCertPem": "-" * 20_000})


@case("binding_missing")
def identity_missing_from_the_event(w: World) -> Event:
    event: Event = CASES["certificate_with_no_members"][1](w)
    event["requestContext"]["identity"] = None
    return event
