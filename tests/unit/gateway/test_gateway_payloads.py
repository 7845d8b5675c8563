"""One table of attacks, in every payload: each request that REST APIs' events show, as HTTP APIs show it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from signet.core.apis import Api
from signet.core.errors import Denied
from signet.core.vocabulary import PayloadKind
from signet.gateway import http_v1, http_v2, registered, rest_v1
from signet.gateway.model import Decoder
from tests.support import payloads
from tests.support.cases import CASES
from tests.support.payloads import PAYLOADS
from tests.support.world import COVERED, World

Event = dict[str, Any]

# Not about a request, but about an event of a REST API that contradicts itself; the tests of each decoder
# contradict its own events.
REST_ONLY = {
    "event_of_an_http_api",
    "event_without_context",
    "header_maps_disagree",
    "header_only_in_one_map",
    "method_in_one_place_only",
    "paths_that_disagree",
    "query_maps_disagree",
    "resource_told_twice_differently",
    "single_header_map_only",
    "single_query_map_only",
}
EMULATORS = ("ministack_", "sam_local_")

SHOWN = [name for name in CASES if name not in REST_ONLY and not name.startswith(EMULATORS)]


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize("name", SHOWN)
def test_an_attack_gets_its_reason_in_every_payload(kind: PayloadKind, name: str) -> None:
    payload, world = PAYLOADS[kind], World()
    reason, build = CASES[name]
    event = build(world)
    world.decode = payload.decode
    assert world.reason(payload.transcribe(event)) == payload.different.get(name, reason)


@pytest.mark.parametrize("name", SHOWN)
def test_payload_1_without_maps_of_several_values_is_refused_whatever_it_shows(name: str) -> None:
    """Its maps show one line of a field and one value of a query's name: others may be hidden."""
    world = World()
    reason, build = CASES[name]
    event = payloads.http_v1(build(world), multi=False)
    refusal = http_v1.decode(event).refusal
    assert isinstance(refusal, Denied)
    assert refusal.code == "malformed"
    world.decode = http_v1.decode
    # An attestation that is none at all is found before.
    assert world.reason(event) in {"malformed", "edge_attestation_invalid"} & {"malformed", reason}


@pytest.mark.parametrize("lines", [["999", "1"], ["1", "999"], ["1", "1"]])
@pytest.mark.parametrize(
    ("transcribe", "decode", "reason"),
    [
        (dict, rest_v1.decode, "bad_signature"),
        (payloads.http_v1, http_v1.decode, "bad_signature"),
        (partial(payloads.http_v1, multi=False), http_v1.decode, "malformed"),
        (payloads.http_v2, http_v2.decode, "bad_signature"),
    ],
    ids=["rest-1.0", "http-1.0", "http-1.0-single", "http-2.0"],
)
def test_a_signed_line_vouches_for_no_unsigned_line_of_its_name(
    transcribe: Callable[[Event], Event], decode: Decoder, reason: str, lines: list[str]
) -> None:
    """A backend may read the unsigned line, and a map of one value per name shows the signed one alone."""
    world = World()
    world.decode = decode
    event = world.sign(world.event(headers={"X-Amount": "1"}), covered=(*COVERED, "x-amount"))
    if reason != "malformed":
        assert world.reason(transcribe(event)) == "ok"
        world.nonces.spent.clear()
    event["multiValueHeaders"]["X-Amount"], event["headers"]["X-Amount"] = lines, lines[-1]
    assert world.reason(transcribe(event)) == reason


def test_each_kind_of_payload_has_a_decoder_and_stands_in_this_table() -> None:
    assert {PayloadKind.REST_V1, *PAYLOADS} == {*PayloadKind}
    for kind in PayloadKind:
        api = Api("orders", "a1b2c3d4e5", "prod", kind, "123456789012")
        inbound = registered.decode({}, api)
        assert (inbound.kind, inbound.api) == (kind, api)
    for kind, payload in PAYLOADS.items():
        assert payload.decode({}).kind is kind


def test_the_table_names_cases_that_there_are() -> None:
    assert CASES.keys() >= REST_ONLY
    for payload in PAYLOADS.values():
        assert payload.different.keys() <= set(SHOWN)
        assert all(CASES[name][0] != reason for name, reason in payload.different.items())


@pytest.mark.parametrize("name", ["no_proof", "signed_ed25519"])
@pytest.mark.parametrize("kind", PAYLOADS)
def test_what_goes_on_record_is_the_same_in_every_payload(name: str, kind: PayloadKind) -> None:
    world = World()
    event = CASES[name][1](world)
    judge = world.verifier.judge
    rest = judge(world.decoded(event), now_ms=world.now_ms)
    world.nonces.spent.clear()
    world.decode = PAYLOADS[kind].decode
    other = judge(world.decoded(PAYLOADS[kind].transcribe(event)), now_ms=world.now_ms)
    for fact in ("method", "authority", "path", "request_id", "stage", "source_ip_hash", "query_sha256"):
        assert getattr(other.context.request, fact) == getattr(rest.context.request, fact)
    assert other.context.inbound.header_bytes == rest.context.inbound.header_bytes
    assert other.context.inbound.own_path == rest.context.inbound.own_path
