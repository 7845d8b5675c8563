"""One table of attacks, in every payload: each request that REST APIs' events show, as HTTP APIs show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from signet.gateway import http_v1, http_v2
from signet.gateway.model import Decoder
from tests.support import payloads
from tests.support.cases import CASES
from tests.support.world import World

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

# HTTP APIs decode paths, so these are shown as paths whose canonical spelling is another than the one signed.
DECODED = {
    "path_not_ascii": "bad_signature",
    "path_with_escape_in_lower_case": "bad_signature",
    "path_with_escaped_escape": "bad_signature",  # decoded twice, it is the path with a space
    "path_with_escaped_question_mark": "bad_signature",  # cut there: the path that was signed is longer
    "path_with_escaped_plus_and_plain_plus": "bad_signature",  # one of the two: sign plain ones
    "path_with_escaped_reserved_character": "bad_signature",  # sign ``@``, not ``%40``
    "path_with_needless_escape": "bad_signature",
    "path_with_space": "bad_signature",
    # What is signed is the decoded path: ``@`` and ``%40`` are one, and backends are told that one.
    "escape_changed_on_the_way": "ok",
    "path_that_the_gateway_decoded": "ok",  # here that is the rule
}
# Lines are joined by "," where RFC 9421 has ", ".
JOINED = {"field_that_came_twice": "bad_signature"}
# The single maps show one line of a field, and one value of a query's name.
SINGLE_LINES = {
    "content_type_and_coding_covered": "malformed",
    "content_type_exchanged": "malformed",
    "digest_over_two_lines": "bad_signature",
    "field_that_came_twice": "bad_signature",
    # Hidden from the authorizer, the one reader of these fields: what it sees is a whole good proof.
    "edge_header_twice": "ok",
    "input_over_two_lines": "ok",
    "signature_field_twice": "ok",
}


@dataclass(frozen=True)
class Payload:
    """A kind of payload: how it is written, how it is read, and what it cannot show."""

    transcribe: Callable[[Event], Event]
    decode: Decoder
    different: Mapping[str, str]


PAYLOADS = {
    "http-2.0": Payload(payloads.http_v2, http_v2.decode, DECODED | JOINED),
    "http-1.0": Payload(payloads.http_v1, http_v1.decode, DECODED),
    "http-1.0-single": Payload(
        partial(payloads.http_v1, multi=False), http_v1.decode, DECODED | SINGLE_LINES
    ),
}
SHOWN = [name for name in CASES if name not in REST_ONLY and not name.startswith(EMULATORS)]


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize("name", SHOWN)
def test_an_attack_gets_its_reason_in_every_payload(kind: str, name: str) -> None:
    payload, world = PAYLOADS[kind], World()
    reason, build = CASES[name]
    event = build(world)
    world.decode = payload.decode
    found = world.reason(payload.transcribe(event))
    if kind == "http-1.0-single" and event["queryStringParameters"]:
        # The query may be another one; an attestation that is none at all is found before.
        assert found in {"malformed", "edge_attestation_invalid"} & {"malformed", reason}
    else:
        assert found == payload.different.get(name, reason)


def test_the_table_names_cases_that_there_are() -> None:
    assert CASES.keys() >= REST_ONLY
    for payload in PAYLOADS.values():
        assert payload.different.keys() <= set(SHOWN)
        assert all(CASES[name][0] != reason for name, reason in payload.different.items())


@pytest.mark.parametrize("name", ["no_proof", "signed_ed25519"])
@pytest.mark.parametrize("kind", PAYLOADS)
def test_what_goes_on_record_is_the_same_in_every_payload(name: str, kind: str) -> None:
    world = World()
    event = CASES[name][1](world)
    judge = world.verifier.judge
    rest = judge(world.decode(event), now_ms=world.now_ms)
    world.nonces.spent.clear()
    other = judge(PAYLOADS[kind].decode(PAYLOADS[kind].transcribe(event)), now_ms=world.now_ms)
    for fact in ("method", "authority", "path", "request_id", "stage", "source_ip_hash", "query_sha256"):
        assert getattr(other.context.request, fact) == getattr(rest.context.request, fact)
    assert other.context.inbound.header_bytes == rest.context.inbound.header_bytes
    assert other.context.inbound.own_path == rest.context.inbound.own_path
