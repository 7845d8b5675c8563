"""Events of HTTP APIs' authorizers, payload 1.0 and 2.0: what is read of them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import Denied
from signet.core.target import canonical_path
from signet.core.vocabulary import PayloadKind
from signet.gateway import http_v1, http_v2, rest_v1
from signet.gateway.model import InboundRequest
from signet.policy.engine import PolicyEngine
from tests.support.payloads import decoded
from tests.support.payloads import http_v1 as as_v1
from tests.support.payloads import http_v2 as as_v2
from tests.support.policies import config
from tests.support.shapes import DOMAIN, mapped
from tests.support.world import AUTHORITY, OWN, World, policy_files, set_header

Event = dict[str, Any]
WORLD = World()
ITEM = "/protected/{item}"
# In the shape of the event recorded on AWS that ``http_v2`` names; the values are invented.
RECORDED: Event = {
    "version": "2.0",
    "type": "REQUEST",
    "routeArn": "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/GET/applications",
    "identitySource": ["abc"],
    "routeKey": "GET /applications",
    "rawPath": "/dev/applications",
    "rawQueryString": "",
    "headers": {
        "accept": "*/*",
        "authorization": "abc",
        "content-length": "0",
        "host": AUTHORITY,
        "x-forwarded-proto": "https",
    },
    "requestContext": {
        "accountId": "123456789012",
        "apiId": "a1b2c3d4e5",
        "domainName": AUTHORITY,
        "domainPrefix": "a1b2c3d4e5",
        "http": {
            "method": "GET",
            "path": "/dev/applications",
            "protocol": "HTTP/1.1",
            "sourceIp": "203.0.113.7",
            "userAgent": "curl/8.1.2",
        },
        "requestId": "XYZabc=",
        "routeKey": "GET /applications",
        "stage": "dev",
        "time": "23/Nov/2026:00:00:00 +0000",
        "timeEpoch": 1795392000000,
    },
}


def refused(inbound: InboundRequest) -> str:
    """Return why; it has to be refused as malformed."""
    assert isinstance(inbound.refusal, Denied)
    assert inbound.refusal.code == "malformed"
    return str(inbound.refusal)


def test_an_event_of_the_recorded_shape_is_read_whole() -> None:
    inbound = http_v2.decode(RECORDED)
    assert inbound.refusal is None
    assert inbound.kind is PayloadKind.HTTP_V2
    assert (inbound.method, inbound.authority) == ("GET", AUTHORITY)
    assert (inbound.path, inbound.own_path, inbound.resource) == (
        "/dev/applications",
        "/applications",
        "/applications",
    )
    assert (inbound.api_id, inbound.stage, inbound.request_id) == ("a1b2c3d4e5", "dev", "XYZabc=")
    assert (inbound.source_ip, inbound.client_cert_pem, inbound.query) == ("203.0.113.7", None, [])
    assert inbound.headers == RECORDED["headers"]
    assert inbound.header_bytes == sum(map(len, RECORDED["headers"].values()))
    assert inbound.arn == RECORDED["routeArn"]


# Sent and shown, as measured on AWS (hotsock/voker, ingress-paths.json).
MEASURED = {
    "/protected/plain": "/protected/plain",
    "/protected/space%20value": "/protected/space value",
    "/protected/question%3Fvalue": "/protected/question",
    "/protected/hash%23value": "/protected/hash#value",
    "/protected/slash%2Fvalue": "/protected/slash/value",
    "/protected/unicode-%CE%BB": "/protected/unicode-\N{GREEK SMALL LETTER LAMDA}",
    "/protected/literal%252Fvalue": "/protected/literal/value",
    "/protected/literal%253Fvalue": "/protected/literal?value",
    "/protected/literal%2525value": "/protected/literal%value",
}


@pytest.mark.parametrize("sent", MEASURED)
def test_paths_are_transcribed_as_they_were_measured(sent: str) -> None:
    assert decoded(sent) == MEASURED[sent]


@pytest.mark.parametrize("to", [as_v1, as_v2])
@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("/protected/plain", "/prod/protected/plain"),
        ("/protected/space%20value", "/prod/protected/space%20value"),
        ("/protected/unicode-%CE%BB", "/prod/protected/unicode-%CE%BB"),
        ("/protected/question%3Fvalue", "/prod/protected/question"),  # cut: all members say so
        ("/protected/hash%23value", None),
        ("/protected/slash%2Fvalue", None),
        ("/protected/literal%252Fvalue", None),
        ("/protected/literal%253Fvalue", None),
        ("/protected/literal%2525value", None),
    ],
)
def test_a_decoded_path_is_spelled_anew_or_refused(
    to: Callable[[Event], Event], sent: str, read: str | None
) -> None:
    decode = http_v1.decode if to is as_v1 else http_v2.decode
    event = WORLD.event(path=sent, resource=ITEM)
    inbound = decode(to(event))
    if read is None:
        refused(inbound)
        assert inbound.path == ""
    else:
        assert inbound.refusal is None
        assert (inbound.path, inbound.path_decoded) == (read, True)


SEGMENT = st.text(
    st.sampled_from("abz019-._~ \N{GREEK SMALL LETTER LAMDA}@+"), min_size=1, max_size=6
).filter(lambda text: text not in {".", ".."})


@given(SEGMENT, st.dictionaries(SEGMENT, st.lists(SEGMENT, min_size=1, max_size=3), max_size=3))
def test_every_payload_tells_the_same_request(item: str, query: dict[str, list[str]]) -> None:
    path = canonical_path(f"/protected/{item}")
    event = WORLD.event(path=path, resource=ITEM, query=query)
    rest, one, two = rest_v1.decode(event), http_v1.decode(as_v1(event)), http_v2.decode(as_v2(event))
    for other in (one, two):
        assert other.refusal is None
        assert (other.path, other.own_path, other.resource) == (rest.path, rest.own_path, rest.resource)
        assert sorted(other.query) == sorted(rest.query)
        assert (other.method, other.authority, other.headers) == (rest.method, rest.authority, rest.headers)
        assert (other.api_id, other.stage, other.source_ip) == (rest.api_id, rest.stage, rest.source_ip)


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2))
)
def test_no_value_in_an_event_s_place_breaks_a_decoder(value: Any) -> None:
    event = WORLD.event(path="/protected/7", resource=ITEM, query={"a": ["1"]})
    for decode, whole in (
        (rest_v1.decode, event),
        (http_v1.decode, as_v1(event)),
        (http_v2.decode, as_v2(event)),
    ):
        for name in whole:
            assert isinstance(decode(whole | {name: value}), InboundRequest)
        for name in whole["requestContext"]:
            assert isinstance(
                decode(whole | {"requestContext": whole["requestContext"] | {name: value}}), InboundRequest
            )
        assert isinstance(decode(value), InboundRequest)


def test_a_decoder_that_fails_says_so_and_nothing_else() -> None:
    for decode in (rest_v1.decode, http_v1.decode, http_v2.decode):
        inbound = decode(7)  # type: ignore[arg-type]
        assert isinstance(inbound.refusal, AttributeError)
        decision = WORLD.verifier.judge(replace(inbound, api=OWN), now_ms=WORLD.now_ms)
        assert (decision.reason.value, decision.error) == ("internal_error", inbound.refusal)


# --- events that contradict themselves


def _http(event: Event, **told: Any) -> None:
    event["requestContext"]["http"].update(told)


CONTRADICTIONS: dict[str, tuple[Callable[[Event], object], str]] = {
    "another_version": (lambda e: e.update(version="1.0"), "payload 2.0"),
    "no_version": (lambda e: e.pop("version"), "lacks"),
    "no_context": (lambda e: e.pop("requestContext"), "lacks"),
    "no_route": (lambda e: e.pop("routeKey"), "lacks"),
    "no_arn": (lambda e: e.pop("routeArn"), "lacks"),
    "no_query": (lambda e: e.pop("rawQueryString"), "lacks"),
    "api_without_id": (lambda e: e["requestContext"].update(apiId=7), "payload 2.0"),
    "method_unknown": (lambda e: _http(e, method="get"), "method"),
    "two_routes": (lambda e: e["requestContext"].update(routeKey="GET /x"), "one route"),
    "route_of_another_method": (
        lambda e: (e.update(routeKey="POST " + ITEM), e["requestContext"].pop("routeKey")),
        "another method",
    ),
    "two_paths": (lambda e: e.update(rawPath="/prod/protected/8"), "one path"),
    "path_without_its_stage": (lambda e: e.update(rawPath="/protected/7"), "one path"),
    "path_with_another_in_front": (lambda e: _http(e, path="/a/prod/protected/7"), "one path"),
    "path_of_another_route": (lambda e: e.update(pathParameters={"item": "8"}), "not the one of its path"),
    "parameter_missing": (lambda e: e.update(pathParameters=None), "lacks a path parameter"),
    "arn_of_another_path": (lambda e: e.update(routeArn=e["routeArn"].replace("/7", "/8")), "another method"),
    "arn_of_another_api": (
        lambda e: e.update(routeArn=e["routeArn"].replace("a1b2", "b1b2")),
        "another method",
    ),
    "arn_that_is_none": (lambda e: e.update(routeArn=7), "does not name a method"),
    "two_queries": (lambda e: e.update(queryStringParameters={"a": "1,3"}), "two queries"),
    "query_that_is_not_told": (lambda e: e.update(queryStringParameters={}), "two queries"),
    "query_told_as_null": (lambda e: e.update(queryStringParameters=None), "two queries"),
    "query_without_its_map": (lambda e: e.pop("queryStringParameters"), "two queries"),
    "query_in_its_map_alone": (lambda e: e.update(rawQueryString=""), "two queries"),
    "query_names_apart": (lambda e: e.update(rawQueryString="a=1&b=2&a=2"), "repeats"),
    "query_too_long": (lambda e: e.update(rawQueryString="%zz" + "a" * 4094), "4,096 bytes"),
    "query_too_long_in_bytes": (lambda e: e.update(rawQueryString="%zz" + "\xe9" * 2047), "4,096 bytes"),
    "field_in_two_spellings": (lambda e: e["headers"].update(Host="x"), "two spellings"),
    "field_named_as_a_component": (lambda e: e["headers"].update({"@method": "GET"}), "no field's name"),
    "field_that_is_no_text": (lambda e: e["headers"].update(accept=["a"]), "lacks"),
    "cookies_twice": (lambda e: (e["headers"].update(cookie="a=1"), e.update(cookies=["a=1"])), "cookies"),
    "cookies_no_list": (lambda e: e.update(cookies="a=1"), "cookies"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_an_event_of_payload_2_that_contradicts_itself_is_refused(name: str) -> None:
    event = as_v2(WORLD.event(path="/protected/7", resource=ITEM, query={"a": ["1", "2"]}))
    assert http_v2.decode(event).refusal is None
    change, sentence = CONTRADICTIONS[name]
    change(event)
    assert sentence in refused(http_v2.decode(event))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda e: e.update(version="2.0"), "payload 1.0"),
        (lambda e: e.pop("version"), "lacks"),
        (lambda e: e.update(httpMethod="PUT"), "method"),
        (lambda e: e.update(path="/prod/protected/8"), "one path"),
        (
            lambda e: (
                e.update(resource="/admin/{item}"),
                e["requestContext"].update(resourcePath="/admin/{item}"),
            ),
            "not the one of its path",
        ),
        (lambda e: e["requestContext"].update(resourcePath="/admin/{item}"), "one resource"),
        (lambda e: e.pop("methodArn"), "lacks"),
        (lambda e: e.update(queryStringParameters={"a": "9"}), "query maps disagree"),
        (lambda e: e["headers"].update(Accept="x"), "header maps disagree"),
    ],
)
def test_an_event_of_payload_1_that_contradicts_itself_is_refused(
    change: Callable[[Event], object], sentence: str
) -> None:
    event = as_v1(WORLD.event(path="/protected/7", resource=ITEM, query={"a": ["1", "2"]}))
    assert http_v1.decode(event).refusal is None
    change(event)
    assert sentence in refused(http_v1.decode(event))


def test_rest_events_and_those_of_http_apis_are_never_taken_for_each_other() -> None:
    event = WORLD.event()
    for decode, other in (
        (rest_v1.decode, as_v1(event)),
        (rest_v1.decode, as_v2(event)),
        (http_v1.decode, event),
        (http_v1.decode, as_v2(event)),
        (http_v2.decode, event),
        (http_v2.decode, as_v1(event)),
    ):
        refused(decode(other))


# --- what single maps hide


@pytest.mark.parametrize("change", [{}, {"multiValueHeaders": None}, {"headers": {}}, {"headers": None}])
def test_payload_1_without_multi_value_headers_is_refused(change: Event) -> None:
    event = as_v1(WORLD.event(), multi=False) | change
    inbound = http_v1.decode(event)
    assert "one value per header field, and may hide others" in refused(inbound)
    assert inbound.headers == {}


def test_payload_1_without_a_multi_value_query_is_refused() -> None:
    event = as_v1(WORLD.event(query={"a": ["1"]})) | {"multiValueQueryStringParameters": None}
    assert "one value per query name, and may hide others" in refused(http_v1.decode(event))


# --- header fields of payload 2.0


@pytest.mark.parametrize(
    ("value", "joined"),
    [("a", False), ("Mon, 23 Nov 2026", False), ("a,b", True), ("a, b,c", True), ("a,", True), ("", False)],
)
def test_a_value_that_may_be_two_lines_counts_as_repeated(value: str, joined: bool) -> None:
    event = as_v2(WORLD.event(headers={"X-Order": value}))
    assert ("x-order" in http_v2.decode(event).repeated) == joined


def test_cookies_are_one_field_and_count_for_the_budget() -> None:
    event = as_v2(WORLD.event(headers={"Cookie": "session=abc; theme=dark"}))
    assert (event["cookies"], "cookie" in event["headers"]) == (["session=abc", "theme=dark"], False)
    inbound = http_v2.decode(event)
    assert inbound.headers["cookie"] == "session=abc; theme=dark"
    without = sum(len(value) for value in event["headers"].values())
    assert inbound.header_bytes == without + len("session=abc") + len("theme=dark")
    assert "cookie" not in http_v2.decode(event | {"cookies": []}).headers


def test_a_signed_cookie_is_verified() -> None:
    world = World()
    covered = ("@method", "@authority", "@path", "@query", "cookie")
    event = as_v2(world.sign(world.event(headers={"Cookie": "a=1; b=2"}), covered=covered))
    world.decode = http_v2.decode
    assert world.reason(event) == "ok"
    world.nonces.spent.clear()
    assert world.reason(event | {"cookies": ["a=1", "b=3"]}) == "bad_signature"


@pytest.mark.parametrize(
    ("cookies", "repeated"),
    [(["a=1"], False), (["a=1; b=2"], False), (["a=1", "b=2"], True), (["a=1", ""], True), (["a=1,b"], True)],
)
def test_several_cookies_may_have_come_in_several_lines(cookies: list[str], *, repeated: bool) -> None:
    event = as_v2(WORLD.event()) | {"cookies": cookies}
    assert ("cookie" in http_v2.decode(event).repeated) == repeated


def test_a_route_that_demands_the_cookies_takes_one_alone() -> None:
    files = policy_files()
    config(lambda c: c["routes"]["GET /protected"].update(required_components=["cookie"]))(files)
    world = World()
    world.__dict__["policy"] = PolicyEngine(files)
    world.decode = http_v2.decode
    covered = ("@method", "@authority", "@path", "@query", "cookie")
    for sent, reason in (("a=1", "ok"), ("a=1; b=2", "malformed")):
        event = world.sign(world.event(headers={"Cookie": sent}), covered=covered)
        assert world.reason(as_v2(event)) == reason


def test_facts_of_refused_fields_stay_on_record() -> None:
    event = as_v2(WORLD.event())
    event["headers"] = {"Host": AUTHORITY, "accept": "a", "Accept": "b", "signature-input": "c"}
    inbound = http_v2.decode(event)
    assert "two spellings" in refused(inbound)
    assert (inbound.authority, inbound.headers) == (AUTHORITY, {})
    assert inbound.values_of("accept") == {"a", "b"}
    assert inbound.values_of("signature-input") == {"c"}


# --- routes


def default_route(event: Event) -> Event:
    event["routeKey"] = event["requestContext"]["routeKey"] = "$default"
    event["pathParameters"] = None
    return event


def test_the_default_route_has_the_path_behind_its_stage() -> None:
    event = default_route(as_v2(WORLD.event(path="/a/b/")))
    inbound = http_v2.decode(event)
    assert inbound.refusal is None
    assert (inbound.path, inbound.own_path, inbound.resource) == ("/prod/a/b/", "/a/b", "$default")
    event["requestContext"]["stage"] = "$default"
    event["routeArn"] = event["routeArn"].replace("/prod/GET/a/b/", "/$default/$default")
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/prod/a/b/"
    inbound = http_v2.decode(event)
    assert (inbound.path, inbound.own_path) == ("/prod/a/b/", "/prod/a/b")
    assert (
        WORLD.verifier.judge(replace(inbound, api=OWN), now_ms=WORLD.now_ms).reason.value
        == "challenge_required"
    )


def test_no_rule_is_there_for_the_default_route() -> None:
    world = World()
    world.decode = http_v2.decode
    assert world.reason(default_route(as_v2(world.sign(world.event())))) == "no_rule"


@pytest.mark.parametrize("stage", ["dev", "pro", "protected"])
def test_a_default_route_whose_path_lacks_the_stage_has_no_reading(stage: str) -> None:
    event = default_route(as_v2(WORLD.event(path="/a")))
    event["requestContext"]["stage"] = stage
    event["routeArn"] = event["routeArn"].replace("/prod/", f"/{stage}/")
    assert "one path" in refused(http_v2.decode(event))


def test_behind_a_mapping_the_own_path_of_the_default_route_cannot_be_told() -> None:
    event = default_route(as_v2(mapped(WORLD.event(path="/admin"), "/public")))
    assert event["requestContext"]["domainName"] == DOMAIN
    assert "custom domain" in refused(http_v2.decode(event))


@pytest.mark.parametrize("behind", [".example.com", ".execute-api", "", "x.execute-api.amazonaws.com"])
def test_a_custom_domain_may_begin_with_the_id_of_the_api(behind: str) -> None:
    event = default_route(as_v2(WORLD.event(path="/public/admin")))
    event["requestContext"]["domainName"] = event["requestContext"]["apiId"] + behind
    assert "custom domain" in refused(http_v2.decode(event))


@pytest.mark.parametrize("to", [as_v1, as_v2])
def test_a_mapping_gives_no_right_that_the_own_path_has_not(to: Callable[[Event], Event]) -> None:
    event = to(mapped(WORLD.event(path="/admin/7", resource="/admin/{item}"), "/public"))
    inbound = (http_v1.decode if to is as_v1 else http_v2.decode)(event)
    assert (inbound.path, inbound.own_path) == ("/public/admin/7", "/admin/7")
    assert inbound.prefix_of(inbound.path) == "/public"


def test_a_route_for_any_method_is_the_one_of_the_method() -> None:
    event = as_v2(WORLD.event("PUT", path="/protected/7", resource=ITEM))
    event["routeKey"] = event["requestContext"]["routeKey"] = f"ANY {ITEM}"
    inbound = http_v2.decode(event)
    assert inbound.refusal is None
    assert (inbound.method, inbound.resource) == ("PUT", ITEM)


def test_an_arn_may_name_the_declared_path() -> None:
    event = as_v2(WORLD.event(path="/protected/7", resource=ITEM))
    event["routeArn"] = event["routeArn"].replace("/protected/7", ITEM)
    assert http_v2.decode(event).refusal is None


def test_a_challenge_names_places_under_the_stage_also_for_a_refused_path() -> None:
    world = World()
    for sent in ("/protected", "/protected/a%2525b"):
        inbound = http_v2.decode(as_v2(world.event(path=sent, resource="/protected")))
        challenge = world.verifier.judge(replace(inbound, api=OWN), now_ms=world.now_ms).challenge
        assert 'challenge-uri="/prod/pch/challenge"' in challenge


INJECTED = '/a", realm="x\r\nSet-Cookie: a'


@pytest.mark.parametrize(
    ("shown", "path"),
    [
        (INJECTED, ""),
        (f"{INJECTED}/x", "/x"),
        ("/a\\/x", "/x"),
        ("//x", "/x"),  # "//pch/challenge" would be on another host
        ("//evil.example.com/x", "/x"),
        ("/prod/./x", "/x"),
        ("/\N{GREEK SMALL LETTER LAMDA}/x", "/x"),
        ("prod/x", "/x"),
    ],
)
@pytest.mark.parametrize("to", [dict, as_v1])
def test_no_prefix_that_is_no_path_gets_into_a_challenge(
    to: Callable[[Event], Event], shown: str, path: str
) -> None:
    event = to(WORLD.event())
    event["requestContext"] |= {"path": shown, "resourcePath": "/other"}
    event |= {"path": path, "resource": "/other"}
    inbound = (http_v1.decode if to is as_v1 else rest_v1.decode)(event)
    refused(inbound)
    assert (inbound.path, inbound.shown_path, inbound.shown_prefix) == ("", shown, "")
    challenge = WORLD.verifier.judge(replace(inbound, api=OWN), now_ms=WORLD.now_ms).challenge
    assert 'challenge-uri="/pch/challenge"' in challenge
    assert challenge.isprintable()


@pytest.mark.parametrize("stage", ["", 'a"b', "a\r\nb", "a\\b", "/evil.example.com"])
def test_no_stage_that_is_no_path_gets_into_a_challenge(stage: str) -> None:
    event = as_v2(WORLD.event())
    event["rawPath"] = event["requestContext"]["http"]["path"] = f"/{stage}/protected"
    event["requestContext"]["stage"] = stage
    inbound = http_v2.decode(event)
    refused(inbound)
    assert (inbound.shown_path, inbound.shown_prefix) == (f"/{stage}/protected", "")


def test_a_stage_or_mapping_of_a_refused_path_is_named() -> None:
    for prefix in ("/prod", "/public/v1"):
        event = WORLD.event(path="/protected//x", resource="/protected")
        event["requestContext"]["path"] = f"{prefix}/protected//x"
        assert rest_v1.decode(event).shown_prefix == prefix
        assert http_v1.decode(event | {"version": "1.0"}).shown_prefix == prefix


def test_a_refusal_of_a_query_quotes_nothing_of_it() -> None:
    event = as_v2(WORLD.event()) | {"rawQueryString": "token-of-mine=1&b=1&token-of-mine=2"}
    assert "token" not in refused(http_v2.decode(event))


def test_a_certificate_is_found_in_its_place() -> None:
    event = WORLD.event()
    event["requestContext"]["identity"]["clientCert"] = {"clientCertPem": "PEM"}
    assert http_v2.decode(as_v2(event)).client_cert_pem == "PEM"
    assert http_v1.decode(as_v1(event)).client_cert_pem == "PEM"
    set_header(event, "X-Amzn-Mtls-Clientcert", "PEM")
    del event["requestContext"]["identity"]["clientCert"]
    assert http_v2.decode(as_v2(event)).client_cert_pem is None
