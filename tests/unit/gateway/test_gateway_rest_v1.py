"""What an event says is read from all the places that say it; where two of them disagree, it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import Denied
from signet.core.target import canonical_query
from signet.core.vocabulary import CONTENT_METHODS, METHODS
from signet.gateway.emulators import Dialect, dialect
from signet.gateway.maps import read_query
from signet.gateway.model import SINGLE_FIELDS
from signet.gateway.proxy import own_path, received_body
from signet.handshake.challenge import Challenge
from signet.handshake.request import Request, Site
from tests.support.cases import CASES
from tests.support.shapes import DOMAIN, localstack, mapped, ministack, sam_local
from tests.support.world import AUTHORITY, World, authorizer_of, set_header
from tests.support.world import own as decode

WORLD = World()

# What the refusal of a case says: each is refused for what its name says, not for something beside it.
SENTENCES = {
    "single_header_map_only": "one value per header field",
    "single_query_map_only": "one value per query name",
    "resource_of_another_path": "not the one of its path",
    "resource_with_more_segments": "not the one of its path",
    "resource_told_twice_differently": "one resource",
    "parameter_of_another_path": "not the one of its path",
    "parameter_missing": "lacks a path parameter",
    "event_of_an_http_api": "HTTP API",
    "method_arn_of_another_path": "another method",
    "method_arn_of_another_method": "another method",
    "method_arn_of_another_stage": "another method",
    "method_arn_of_another_api": "another method",
    "method_arn_that_is_none": "another method",
    "paths_that_disagree": "does not say one path",
    "path_that_the_gateway_decoded": "no canonical spelling",
    "path_with_escaped_slash": "escapes '/'",
    "path_with_escaped_escape": "escapes '%'",
    "path_with_escaped_semicolon": "escapes ';'",
    "path_with_escaped_nul": r"escapes '\x00'",
    "path_with_needless_escape": "escapes 'a'",
    "path_with_escape_that_is_no_utf8": "not UTF-8",
    "ministack_path_with_escaped_escape": "two paths read like this",
    "ministack_path_with_escaped_slash": "not the one of its path",
    "sam_local_path_with_escaped_escape": "two paths read like this",
    "ministack_length_twice": "content-length field comes more than once",
    "post_without_digest": "this POST needs a Content-Digest",
    "put_without_digest": "this PUT needs a Content-Digest",
    "ministack_visible_body_without_digest": "this DELETE needs a Content-Digest",
    "query_names_not_sorted": "names sorted",
    "mapping_does_not_stretch_a_key": "no right to this route",
}


def read(event: dict[str, Any]) -> Request:
    return Request.read(decode(event), WORLD.verifier.issuer.site)


@pytest.mark.parametrize("name", SENTENCES)
def test_a_case_is_refused_for_what_its_name_says(name: str) -> None:
    world = World()
    event = CASES[name][1](world)
    assert SENTENCES[name] in world.verifier.judge(decode(event), now_ms=world.now_ms).message


# --- the API's own path


@pytest.mark.parametrize(
    ("resource", "parameters", "path", "own"),
    [
        ("/", {}, "/", "/"),
        ("/", {}, "/mapped", "/"),
        ("/", {}, "/mapped/", "/"),
        ("/a", {}, "/a", "/a"),
        ("/a", {}, "/a/", "/a"),
        ("/a", {}, "/a/a", "/a"),
        ("/a/{b}", {"b": "1"}, "/v1/a/1", "/a/1"),
        ("/a/{b}/c", {"b": "x%20y"}, "/a/x%20y/c", "/a/x%20y/c"),
        ("/a/{b}", {"b": "x y"}, "/a/x%20y", "/a/x%20y"),
        ("/{proxy+}", {"proxy": "foo/bar"}, "/foo/bar/", "/foo/bar"),
        ("/{proxy+}", {"proxy": "foo/bar"}, "/echo/foo/bar/", "/foo/bar"),
        ("/{proxy+}", {"proxy": "admin/users"}, "/public/admin/users", "/admin/users"),
        ("/a/{proxy+}", {"proxy": "b/c"}, "/m/n/a/b/c", "/a/b/c"),
    ],
)
def test_the_own_path_is_the_resource_filled_in(
    resource: str, parameters: dict[str, str], path: str, own: str
) -> None:
    event = mapped(WORLD.event())
    event |= {"resource": resource, "pathParameters": parameters, "path": path}
    event["requestContext"] |= {"path": path, "resourcePath": resource}
    event["methodArn"] = event["methodArn"].replace("/protected", own)
    inbound = decode(event)
    assert (inbound.path, inbound.own_path) == (path, own)
    routed = own_path(event)
    assert routed in (own, f"{own}/")
    assert path.endswith(routed) or routed == "/"
    if own != "/":  # no function here serves the root
        assert decode(event | {"path": routed}).own_path == own
    prefix = inbound.prefix_of(path)
    assert prefix + own.removesuffix("/") == path.removesuffix("/")


@pytest.mark.parametrize(
    ("resource", "parameters", "path"),
    [
        ("/a/{b}", {"b": "1"}, "/1"),
        ("/a/{b}", {"b": 1}, "/a/1"),
        ("/a/{b}", {}, "/a/1"),
        ("/a/{b}", None, "/a/1"),
        ("/a/{b}", [], "/a/1"),
        ("/a", {}, "/b/c"),
        ("/a/b", {}, "/b"),
        ("/{proxy+}", {"proxy": "a/b/c"}, "/b/c"),
        ("/{proxy+}", {"proxy": "public/users"}, "/public/admin/users"),
        ("/{proxy+}", {}, "/a"),
        ("a", {}, "/a/b"),
        (7, {}, "/a"),
        (None, {}, "/a"),
        ("/a", {}, "a"),
        ("/a", {}, "x/a"),
        ("/a", {}, ""),
        ("/a", {}, None),
    ],
)
def test_a_path_that_is_not_the_resource_s_has_no_reading(resource: Any, parameters: Any, path: Any) -> None:
    event = WORLD.event() | {"resource": resource, "pathParameters": parameters, "path": path}
    event["requestContext"] |= {"path": f"/prod{path}", "resourcePath": resource}
    del event["methodArn"]
    refusal = decode(event).refusal
    assert isinstance(refusal, Denied)
    assert refusal.code == "malformed"
    assert own_path(event) == (path if isinstance(path, str) else "")


SEGMENTS = st.lists(
    st.sampled_from(["public", "admin", "users", "v1", "x%20y", "a@b"]), min_size=1, max_size=3
)


@given(mapping=SEGMENTS | st.just([]), own=SEGMENTS, slash=st.sampled_from(["", "/"]))
def test_no_mapping_makes_one_path_of_an_api_look_like_another(
    mapping: list[str], own: list[str], slash: str
) -> None:
    path, prefix = "".join(f"/{s}" for s in own), "".join(f"/{s}" for s in mapping)
    for resource in ("/{proxy+}", path):
        request = read(mapped(WORLD.event(path=path + slash, resource=resource), prefix))
        assert request.api_path == path
        assert request.path == prefix + path + slash
        assert request.route == f"GET {resource}"


def test_a_stage_that_is_addressed_without_a_slash_is_the_root() -> None:
    event = WORLD.event(path="/", resource="/")
    event["requestContext"]["path"] = "/prod"
    assert (read(event).path, read(event).api_path) == ("/prod", "/")
    event["requestContext"]["path"] = "/other"
    with pytest.raises(Denied, match="one path"):
        read(event)


@pytest.mark.parametrize("mapping", ["", "/public", "/public/v1", "/prod"])
@pytest.mark.parametrize("path", ["/protected", "/protected/", "/protected//x", "/protected/%2F"])
def test_a_challenge_names_places_under_the_mapping(mapping: str, path: str) -> None:
    event = mapped(WORLD.event(path=path, resource="/protected"), mapping)
    decision = WORLD.verifier.judge(decode(event), now_ms=WORLD.now_ms)
    challenge = Challenge.from_header(decision.challenge)
    known = mapping if decision.reason.value == "challenge_required" else ""  # a refused path tells of none
    assert challenge.challenge_uri == f"{known}/pch/challenge"
    assert challenge.evidence_uri == f"{known}/pch/evidence"
    answer = WORLD.sign(mapped(WORLD.event(), mapping), nonce=challenge.nonce)
    assert WORLD.reason(answer) == "ok"


@pytest.mark.parametrize("path", ["/protected//x", "/protected/%2F", "/protected;a"])
def test_a_challenge_for_a_path_that_is_refused_names_the_stage_all_the_same(path: str) -> None:
    decision = WORLD.verifier.judge(
        decode(WORLD.event(path=path, resource="/protected")), now_ms=WORLD.now_ms
    )
    assert decision.reason.value == "malformed"
    assert Challenge.from_header(decision.challenge).challenge_uri == "/prod/pch/challenge"


@pytest.mark.parametrize("item", ["7", "a%40b%20c", "%C3%A9"])
def test_what_an_edge_attests_is_held_to_what_a_gateway_decoded(item: str) -> None:
    target = f"/protected/{item}?b=1&a=2"
    event = WORLD.edge_event(target=target, resource="/protected/{item}")
    assert WORLD.reason(ministack(WORLD.sign(event, url=f"https://{DOMAIN}{target}"))) == "ok"
    other = WORLD.edge_event(target=target, resource="/protected/{item}")
    set_header(other, "Signet-Edge", WORLD.attestation(target="/protected/other?b=1&a=2"))
    assert WORLD.reason(ministack(other)) == "edge_attestation_invalid"


# --- dialects


def spoken(event: dict[str, Any]) -> Dialect:
    return dialect(event, event.get("requestContext", {}))


def test_dialects_are_told_apart_by_what_aws_always_says() -> None:
    item = {"path": "/protected/7", "resource": "/protected/{item}"}
    assert spoken(WORLD.event(**item)) is Dialect.REST
    assert spoken(mapped(WORLD.event(**item), "/public")) is Dialect.REST
    assert spoken(localstack(WORLD.event(**item))) is Dialect.REST
    assert spoken(ministack(WORLD.event(**item))) is Dialect.MINISTACK
    assert spoken(sam_local(WORLD.event(**item))) is Dialect.SAM_LOCAL
    assert spoken({}) is Dialect.MINISTACK


@pytest.mark.parametrize("make", [lambda event: event, localstack, ministack, sam_local])
@pytest.mark.parametrize("item", ["7", "a%20b", "%C3%A9", "a@b:c", "test+x"])
def test_every_dialect_reads_as_the_client_spelled_it(make: Any, item: str) -> None:
    path = f"/protected/{item}"
    request = read(make(WORLD.event(path=path, resource="/protected/{item}", query={"a": ["1", "2"]})))
    assert request.path == ("" if make is sam_local else "/prod") + path
    assert (request.api_path, request.query) == (path, "?a=1&a=2")


@pytest.mark.parametrize("make", [ministack, sam_local])
def test_a_decoded_path_is_never_taken_for_one_that_was_sent(make: Any) -> None:
    """``a%2520b`` there looks like ``a%20b`` where escapes are kept."""
    event = make(WORLD.event(path="/protected/a%2520b", resource="/protected/{item}"))
    assert event["path"] == "/protected/a%20b"
    with pytest.raises(Denied, match="two paths"):
        read(event)


# --- maps


@given(st.permutations(["status", "limit", "z", "a", "é"]))
def test_the_order_of_an_event_s_maps_means_nothing(names: list[str]) -> None:
    event = WORLD.event(query={name: ["2", "1"] for name in names})
    fields = list(event["headers"].items())
    event["headers"] = dict(reversed(fields))
    assert read(event).query == "?%C3%A9=2&%C3%A9=1&a=2&a=1&limit=2&limit=1&status=2&status=1&z=2&z=1"
    assert read(event).headers == read(WORLD.event()).headers


@pytest.mark.parametrize(
    ("single", "multi", "query"),
    [
        (None, None, "?"),
        ({}, {}, "?"),
        ({}, None, "?"),
        (None, {}, "?"),
        ({"a": "2"}, {"a": ["1", "2"]}, "?a=1&a=2"),  # AWS, sam local: the last one
        ({"a": "1"}, {"a": ["1", "2"]}, "?a=1&a=2"),  # MiniStack: the first
        (None, {"a": ["1", "2"]}, "?a=1&a=2"),
        ({"a": ""}, {"a": [""]}, "?a="),
    ],
)
def test_both_query_maps_are_read(single: Any, multi: Any, query: str) -> None:
    event = {"queryStringParameters": single, "multiValueQueryStringParameters": multi}
    assert canonical_query(read_query(event)) == query


@pytest.mark.parametrize(
    ("single", "multi"),
    [
        ({"a": "2"}, None),  # ?a=1&a=2 looks like this too
        ({"a": "2"}, {}),
        ({"a": "2"}, {"a": ["1"]}),
        ({"a": "2"}, {"a": ["1", "2"], "b": ["3"]}),
        ({"a": "2", "b": "3"}, {"a": ["2"]}),
        ({"a": "1"}, {"a": "1"}),
        ({"a": "2"}, {"a": "12"}),
        (None, {"a": []}),
        (None, {"a": None}),
        ([], {"a": ["1"]}),
    ],
)
def test_query_maps_that_hide_something_are_malformed(single: Any, multi: Any) -> None:
    event = WORLD.event() | {"queryStringParameters": single, "multiValueQueryStringParameters": multi}
    with pytest.raises(Denied) as refused:
        read(event)
    assert refused.value.code == "malformed"


@pytest.mark.parametrize("name", sorted(SINGLE_FIELDS))
def test_a_field_that_decides_comes_once(name: str) -> None:
    event = WORLD.event(headers={name: "x"}) if name != "host" else WORLD.event()
    event["multiValueHeaders"] = {n.lower(): v for n, v in event["multiValueHeaders"].items()}
    event["headers"] = {n.lower(): v for n, v in event["headers"].items()}
    assert decode(event).refusal is None
    event["multiValueHeaders"][name] *= 2
    refusal = decode(event).refusal
    assert refusal is not None
    assert f"the {name} field comes more than once" in str(refusal)


@pytest.mark.parametrize("multi", [{"Host": AUTHORITY}, {"Host": []}, {"Host": None}, [], "x", 7])
def test_header_maps_of_no_known_shape_are_malformed(multi: Any) -> None:
    event = WORLD.event() | {"headers": {"Host": AUTHORITY}, "multiValueHeaders": multi}
    inbound = decode(event)
    assert inbound.refusal is not None
    assert inbound.headers == {}


# --- methods and bodies


def test_methods_are_those_that_api_gateway_declares() -> None:
    """The seven of ``AWS::ApiGateway::Method`` beside ANY."""
    assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} == METHODS
    assert {"POST", "PUT", "PATCH"} == CONTENT_METHODS


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_served_in_upper_case_only(method: str) -> None:
    request = read(WORLD.event(method))
    assert (request.method, request.needs_digest) == (method, method in {"POST", "PUT", "PATCH"})
    for other in (method.lower(), method.title(), f"{method} ", "CONNECT", "TRACE", "ANY", ""):
        with pytest.raises(Denied) as refused:
            read(WORLD.event(other))
        assert refused.value.code == "malformed"


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({}, False),
        ({"Content-Length": "0"}, False),
        ({"Content-Length": "5"}, True),
        ({"Content-Length": "00"}, True),
        ({"Content-Length": ""}, True),
        ({"Transfer-Encoding": "chunked"}, True),
    ],
)
def test_a_body_that_can_be_seen_needs_a_digest_whatever_the_method(
    fields: dict[str, str], due: bool
) -> None:
    assert read(WORLD.event("DELETE", headers=fields)).needs_digest == due


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ({}, b""),
        ({"body": None, "isBase64Encoded": True}, b""),
        ({"body": "é"}, "é".encode()),
        ({"body": "aGVsbG8=", "isBase64Encoded": True}, b"hello"),
        ({"body": "aGVsbG8=", "isBase64Encoded": False}, b"aGVsbG8="),
    ],
)
def test_a_body_is_what_the_gateway_received(event: dict[str, Any], body: bytes) -> None:
    assert received_body(event) == body


# --- what goes on record of an event that is refused


def test_a_receipt_says_what_it_can_after_a_refused_header_map() -> None:
    world = World()
    event = world.sign(world.event("DELETE", path="/protected/7", resource="/protected/{item}"))
    event["headers"]["Signature"] = "pch=:AAAA:"
    sent: list[bytes] = []

    authorizer = authorizer_of(world, sent)
    recorded = authorizer.authorize(event, now_ms=world.now_ms)
    receipt = json.loads(sent[0])
    assert receipt["reason"] == "malformed"
    said = receipt["request"]
    assert (said["method"], said["authority"]) == ("DELETE", AUTHORITY)
    assert (said["path"], receipt["api"]["stage"]) == ("/prod/protected/7", "prod")
    assert said["request_id"] == event["requestContext"]["requestId"]
    assert (said["query_sha256"], said["content_digest"]) == (None, None)
    assert receipt["proof"]["header_bytes"] == sum(len(v[0]) for v in event["multiValueHeaders"].values())
    assert receipt["proof"]["keyid"] is None
    # And the challenge that goes with the refusal is one for this host.
    nonce = Challenge.from_header(recorded.decision.challenge).nonce
    assert world.reason(world.sign(world.event(), nonce=nonce)) == "ok"


@pytest.mark.parametrize("refused", ["host", "Host"])
def test_the_authority_on_record_is_found_whatever_the_case_of_its_name(refused: str) -> None:
    event = WORLD.event()
    value = event["headers"].pop("Host")
    event["headers"][refused] = value
    event["multiValueHeaders"] = None
    context = WORLD.verifier.judge(decode(event), now_ms=WORLD.now_ms).context
    assert context.request.authority == AUTHORITY


def test_a_site_under_a_path_of_an_emulator_answers_there() -> None:
    event = WORLD.event()
    set_header(event, "Host", "localhost:4566")
    site = Site("/_aws/execute-api/{api_id}", "eu-central-1")
    request = Request.read(decode(localstack(event), "localhost:4566"), site)
    assert request.path == "/_aws/execute-api/a1b2c3d4e5/prod/protected"


@pytest.mark.parametrize("body", ["aGVsbG9=", "aGVsbG8", "aGVsbG8=\n", "aGVs bG8=", "é", 7])
def test_a_body_in_another_spelling_of_its_base64_is_refused(body: Any) -> None:
    with pytest.raises(Denied, match="neither text nor base64"):
        received_body({"body": body, "isBase64Encoded": True})
