"""More cases: what events look like, on AWS and through emulators, and which of them have one reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.cases import CASES, Event, bad_path, case
from tests.support.shapes import DOMAIN, localstack, mapped, ministack, sam_local
from tests.support.world import AUTHORITY, COVERED, World, digest, drop_header, set_header

ITEM = "/protected/{item}"


def _lowered(event: Event) -> Event:
    """Show header names as clients send them through HTTP/2."""
    for name in [n for n in event["headers"] if not n.startswith("X-") and n not in {"Host", "User-Agent"}]:
        value = event["headers"][name]
        drop_header(event, name)
        set_header(event, name.lower(), value)
    return event


@case("ok")
def header_names_as_http_2_sends_them(w: World) -> Event:
    return _lowered(w.sign(w.event("POST", headers={"Content-Digest": digest(b"hello")})))


@case("ok")
def header_names_in_odd_case(w: World) -> Event:
    event = w.sign(w.event(headers={"tEsT-HEADeR": "aValUE"}), covered=(*COVERED, "test-header"))
    assert "tEsT-HEADeR" in event["multiValueHeaders"]
    return event


@case("ok")
def field_that_came_twice(w: World) -> Event:
    """The single map holds the last value, the other one both."""
    event = w.sign(w.event(headers={"X-Order": "a, b"}), covered=(*COVERED, "x-order"))
    event["multiValueHeaders"]["X-Order"], event["headers"]["X-Order"] = ["a", "b"], "b"
    return event


@case("ok")
def no_query_told_as_null(w: World) -> Event:
    event = w.sign(w.event())
    event["queryStringParameters"] = event["multiValueQueryStringParameters"] = None
    return event


# --- maps that may hide what came twice


@case("malformed")
def single_header_map_only(w: World) -> Event:
    event = w.sign(w.event())
    event["multiValueHeaders"] = None
    return event


@case("malformed")
def single_query_map_only(w: World) -> Event:
    """``?amount=1&amount=2`` looks the same as ``?amount=2``."""
    event = w.sign(w.event(query={"amount": ["2"]}))
    event["multiValueQueryStringParameters"] = None
    return event


@case("bad_signature")
def query_names_not_sorted(w: World) -> Event:
    """No map says in which order names came: only the canonical order is one both sides know."""
    event = w.event(query={"status": ["open"], "limit": ["5"]})
    return w.sign(event, url=f"https://{AUTHORITY}/prod/protected?status=open&limit=5")


@case("ok")
def query_names_told_in_another_order_than_sent(w: World) -> Event:
    event = w.sign(w.event(query={"limit": ["5"], "status": ["open"]}))
    for name in ("queryStringParameters", "multiValueQueryStringParameters"):
        event[name] = dict(reversed(event[name].items()))
    return event


# --- content: REST events never tell of it


def _without_digest(method: str, reason: str) -> None:
    CASES[f"{method.lower()}_without_digest"] = (reason, lambda w: w.sign(w.event(method)))


_without_digest("POST", "digest_missing")
_without_digest("PUT", "digest_missing")
_without_digest("DELETE", "ok")


def _with_digest(method: str, body: bytes) -> None:
    name = f"{method.lower()}_with_the_digest_of_{'a_body' if body else 'nothing'}"
    CASES[name] = ("ok", lambda w: w.sign(w.event(method, headers={"Content-Digest": digest(body)})))


_with_digest("POST", b"")
_with_digest("PUT", b"")
_with_digest("PUT", b"hello")
_with_digest("DELETE", b"hello")


@case("digest_missing")
def get_with_a_digest_that_nobody_signed(w: World) -> Event:
    return w.sign(w.event(headers={"Content-Digest": digest(b"hello")}), covered=COVERED)


# --- custom domains and base-path mappings


def _mapped(name: str, mapping: str, reason: str = "ok", **signing: Any) -> None:
    CASES[name] = (reason, lambda w: w.sign(mapped(w.event(), mapping), **signing))


_mapped("domain_without_mapping", "")
_mapped("domain_with_mapping", "/public")
_mapped("domain_with_mapping_of_two_segments", "/public/v1")
_mapped("domain_with_mapping_that_names_no_stage", "/prod")
_mapped("domain_with_mapping_of_a_segment_that_names_no_stage", "/public/prod")
_mapped(
    "mapping_signed_as_if_it_were_not_there", "/public", "bad_signature", url=f"https://{DOMAIN}/protected"
)


@case("key_not_allowed")
def mapping_does_not_stretch_a_key(w: World) -> Event:
    w.register("reader", routes=("GET /public/*",))
    return w.sign(mapped(w.event(), "/public"), keyid="reader")


@case("ok")
def key_on_its_route_through_a_mapping(w: World) -> Event:
    w.register("reader", routes=("GET /protected/*",))
    return w.sign(mapped(w.event(path="/protected/7", resource=ITEM), "/public"), keyid="reader")


@case("ok")
def mapping_and_a_slash_at_the_end(w: World) -> Event:
    return w.sign(mapped(w.event(path="/protected/", resource="/protected"), "/public"))


def _disagreeing(name: str, change: Callable[[Event], object]) -> None:
    def build(w: World) -> Event:
        event = w.sign(w.event(path="/protected/7", resource=ITEM))
        change(event)
        return event

    CASES[name] = ("malformed", build)


_disagreeing("resource_of_another_path", lambda e: _name(e, "/admin/{item}"))
_disagreeing("resource_with_more_segments", lambda e: _name(e, "/prod/protected/{item}"))
_disagreeing("resource_told_twice_differently", lambda e: e["requestContext"].update(resourcePath="/admin"))
_disagreeing("parameter_of_another_path", lambda e: e.update(pathParameters={"item": "8"}))
_disagreeing("parameter_missing", lambda e: e.update(pathParameters=None))
_disagreeing("event_of_an_http_api", lambda e: e.update(version="1.0"))


def _name(event: Event, resource: str) -> None:
    event["resource"] = event["requestContext"]["resourcePath"] = resource


def _other_method(name: str, old: str, new: str) -> None:
    _disagreeing(name, lambda e: e.update(methodArn=e["methodArn"].replace(old, new)))


_other_method("method_arn_of_another_path", "/protected/7", "/admin/users")
_other_method("method_arn_of_another_method", "/GET/", "/DELETE/")
_other_method("method_arn_of_another_stage", "/prod/", "/dev/")
_other_method("method_arn_of_another_api", "a1b2c3d4e5", "f6g7h8i9j0")
_disagreeing("method_arn_that_is_none", lambda e: e.update(methodArn="*"))


@case("ok")
def method_arn_with_the_mapping(w: World) -> Event:
    event = w.sign(mapped(w.event(), "/public"))
    event["methodArn"] = event["methodArn"].replace("/GET/protected", "/GET/public/protected")
    return event


# --- percent escapes in paths, which REST APIs keep


def _item(name: str, item: str, reason: str = "ok") -> None:
    CASES[name] = (reason, lambda w: w.sign(w.event(path=f"/protected/{item}", resource=ITEM)))


_item("path_with_canonical_escape", "a%20b")
_item("path_with_escaped_utf8", "%E4%B8%96%E7%95%8C")
_item("path_with_escaped_reserved_character", "bob%40example.com")
_item("path_with_plain_reserved_character", "bob@example.com")
_item("path_with_escaped_plus_and_plain_plus", "test%2Balias+x")
_item("path_with_escape_in_lower_case", "%c3%a9", "malformed")
_item("path_with_needless_escape", "%61", "malformed")
_item("path_with_escaped_escape", "a%2520b", "malformed")
_item("path_with_escaped_semicolon", "a%3Bv=1", "malformed")
_item("path_with_escaped_nul", "a%00", "malformed")
_item("path_with_escaped_line_feed", "a%0Ab", "malformed")
_item("path_with_escaped_backslash", "a%5Cb", "malformed")
_item("path_with_escaped_question_mark", "a%3Fb", "malformed")
_item("path_with_escaped_hash", "a%23b", "malformed")
_item("path_with_escaped_brace", "%7Bitem%7D", "malformed")
_item("path_with_escape_that_is_no_utf8", "a%FF", "malformed")
bad_path("path_with_half_an_escape", "/protected/a%2")


@case("bad_signature")
def escape_changed_on_the_way(w: World) -> Event:
    """``%40`` and ``@`` are two paths."""
    event = w.event(path="/protected/a%40b", resource=ITEM)
    return w.sign(event, url=f"https://{AUTHORITY}/prod/protected/a@b")


@case("malformed")
def path_that_the_gateway_decoded(w: World) -> Event:
    """AWS is not known to do it; if it did, two requests could look like this one."""
    event = w.sign(w.event(path="/protected/a%20b", resource=ITEM))
    event["path"], event["requestContext"]["path"] = "/protected/a b", "/prod/protected/a b"
    event["pathParameters"] = {"item": "a b"}
    return event


@case("ok")
def decoded_parameters_beside_a_path_with_escapes(w: World) -> Event:
    event = w.sign(w.event(path="/protected/a%20b", resource=ITEM))
    event["pathParameters"] = {"item": "a b"}
    event["methodArn"] = event["methodArn"].replace("%20", " ")
    return event


# --- LocalStack


@case("ok")
def localstack_request(w: World) -> Event:
    return localstack(w.sign(w.event(path="/protected/a%20b", resource=ITEM, query={"a": ["1", "2"]})))


# --- MiniStack


@case("ok")
def ministack_request(w: World) -> Event:
    return ministack(w.sign(w.event(query={"a": ["1", "2"], "b": ["3"]})))


@case("ok")
def ministack_body_with_signed_digest(w: World) -> Event:
    return ministack(w.sign(w.event("POST", headers={"Content-Digest": digest(b"hello")})), 5)


@case("ok")
def ministack_field_that_came_twice(w: World) -> Event:
    return ministack(w.sign(w.event(headers={"X-Order": "a, b"}), covered=(*COVERED, "x-order")))


@case("ok")
def ministack_path_with_escape(w: World) -> Event:
    """Shown decoded, spelled anew."""
    event = ministack(w.sign(w.event(path="/protected/a%20b%C3%A9", resource=ITEM)))
    assert event["path"] == "/protected/a b\N{LATIN SMALL LETTER E WITH ACUTE}"
    return event


@case("malformed")
def ministack_path_with_escaped_escape(w: World) -> Event:
    """``a%2520b`` decoded: it reads like ``a%20b`` sent through a gateway that keeps escapes."""
    event = w.event(path="/protected/a%2520b", resource=ITEM)
    return ministack(w.sign(event, url=f"https://{AUTHORITY}/prod/protected/a%20b"))


@case("malformed")
def ministack_path_with_escaped_slash(w: World) -> Event:
    return ministack(w.sign(w.event(path="/protected/a%2Fb", resource=ITEM)))


@case("malformed")
def ministack_signature_twice(w: World) -> Event:
    event = w.sign(w.event())
    event["multiValueHeaders"]["Signature"] *= 2
    return ministack(event)


def _ministack_length(name: str, reason: str, method: str, field: str, value: str) -> None:
    CASES[f"ministack_{name}"] = (
        reason,
        lambda w: ministack(w.sign(w.event(method, headers={field: value}))),
    )


_ministack_length("visible_body_without_digest", "digest_missing", "DELETE", "Content-Length", "5")
_ministack_length("length_of_odd_form", "digest_missing", "DELETE", "Content-Length", "00")
_ministack_length("chunked_body_without_digest", "digest_missing", "DELETE", "Transfer-Encoding", "chunked")
_ministack_length("no_body_without_digest", "ok", "DELETE", "Content-Length", "0")


@case("malformed")
def ministack_length_twice(w: World) -> Event:
    event = w.sign(w.event("DELETE", headers={"Content-Length": "5"}))
    event["multiValueHeaders"]["Content-Length"], event["headers"]["Content-Length"] = ["5", "0"], "0"
    event["headers"] = {name.lower(): value for name, value in event["headers"].items()}
    event["multiValueHeaders"] = {name.lower(): value for name, value in event["multiValueHeaders"].items()}
    return event


# --- sam local


def _at_root(w: World, event: Event, target: str) -> Event:
    """Sign without a stage."""
    return w.sign(event, url=f"https://{AUTHORITY}{target}")


@case("ok")
def sam_local_request(w: World) -> Event:
    event = w.event(path="/protected/a%20b", resource=ITEM, query={"a": ["1", "2"]})
    return sam_local(_at_root(w, event, "/protected/a%20b?a=1&a=2"))


@case("ok")
def sam_local_body_with_signed_digest(w: World) -> Event:
    event = w.event("POST", headers={"Content-Digest": digest(b"hello")})
    return sam_local(_at_root(w, event, "/protected"), 5)


@case("bad_signature")
def sam_local_field_that_came_twice(w: World) -> Event:
    """Joined without a space: not what RFC 9421 makes of two lines."""
    event = w.event(headers={"X-Order": "a, b"})
    w.sign(event, url=f"https://{AUTHORITY}/protected", covered=(*COVERED, "x-order"))
    event["multiValueHeaders"]["X-Order"], event["headers"]["X-Order"] = ["a", "b"], "b"
    return sam_local(event)


@case("malformed")
def sam_local_path_with_escaped_escape(w: World) -> Event:
    event = w.event(path="/protected/a%2520b", resource=ITEM)
    return sam_local(_at_root(w, event, "/protected/a%20b"))
