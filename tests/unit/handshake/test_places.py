"""One table of attacks at every place of an attached API: stage, domain, mapping; with and without an edge.

Each payload, through the authorizer; the reason is read from the receipt.
"""

from __future__ import annotations

import pytest

from signet.core.canonical import parse
from signet.core.vocabulary import PayloadKind
from tests.support.cases import CASES
from tests.support.payloads import PAYLOADS
from tests.support.placed import MAPPING, PLACES, OwnPlaceError, Place, PlacedWorld
from tests.support.world import FixedApis, authorizer_of
from tests.unit.gateway.test_gateway_payloads import SHOWN

# Cases about a place of their own, or written down with the stage: another place takes that away.
_MAPPED = ("domain_", "mapping_", "key_on_its_route_through_a_mapping", "method_arn_with_the_mapping")
_STAGED = ("path_changed", "path_with_space", "path_not_ascii", "path_that_the_gateway_decoded")
OF_A_PLACE = ("nonce_spent_on_another_stage", "stage_changed", *_STAGED, *_MAPPED)
#: What an edge refuses or never passes on (tests/edge), and certificates and names, which it hides.
OF_NO_EDGE = (
    "host_",
    "no_host",
    "binding_nobody_observed",
    "binding_claimed_around_the_edge",
    "bound_to_its_certificate",
    "binding_of_another_certificate",
    "certificate_with_crlf_lines",
    "edge_header_without_a_proof",
    "header_names_as_http_2_sends_them",
    "input_over_two_lines",
)
#: What an edge tells byte for byte has one spelling more or less than what a gateway tells.
OTHER_TARGET = ("path_", "query_too_long")


def reason_in_receipt(name: str, place: Place, kind: PayloadKind) -> tuple[str, str] | None:
    """What the case's reason has to be, and what the receipt says; None where the case cannot be had."""
    if name.startswith((*OF_A_PLACE, *((*OF_NO_EDGE, *OTHER_TARGET) if place.edge else ()))):
        return None
    world, payload = PlacedWorld(place, kind), PAYLOADS.get(kind)
    try:
        event = world.sent(name)
    except OwnPlaceError:
        return None
    expected, sent = CASES[name][0], list[bytes]()
    if payload:
        expected, event = payload.different.get(name, expected), payload.transcribe(event)
    authorizer_of(world, sent, FixedApis((world.api,))).authorize(event, now_ms=world.now_ms)
    receipt = parse(sent[-1])
    assert (receipt["v"], receipt["api"]["name"]) == (2, "shop")
    return expected, receipt["reason"]


def differing(names: list[str], place: Place, kind: PayloadKind) -> tuple[int, dict[str, tuple[str, str]]]:
    """How many cases there are, and those whose receipt says another reason."""
    found = {name: reason_in_receipt(name, place, kind) for name in names}
    had = {name: pair for name, pair in found.items() if pair is not None}
    return len(had), {name: pair for name, pair in had.items() if pair[0] != pair[1]}


#: One case for each reason: the whole table takes half a minute.
SOME = list({CASES[name][0]: name for name in reversed(SHOWN)}.values())


@pytest.mark.parametrize("kind", PayloadKind)
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_each_reason_is_the_same_at_every_place(place: Place, kind: PayloadKind) -> None:
    count, wrong = differing(SOME, place, kind)
    assert wrong == {}
    assert count > len(SOME) / 2


@pytest.mark.long
@pytest.mark.parametrize("kind", PayloadKind)
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_every_attack_gets_its_reason_at_every_place(place: Place, kind: PayloadKind) -> None:
    count, wrong = differing(SHOWN, place, kind)
    assert wrong == {}
    assert count > 260


@pytest.mark.parametrize("kind", PayloadKind)
def test_the_table_would_notice_an_edge_that_sends_elsewhere(kind: PayloadKind) -> None:
    """A base path that is not registered is none that an edge sends to."""
    world = PlacedWorld(Place(MAPPING, edge=True), kind)
    event = world.sent("signed_ed25519")
    event["requestContext"]["path"] = event["path"] = "/other/protected"
    payload = PAYLOADS.get(kind)
    event = payload.transcribe(event) if payload else event
    sent = list[bytes]()
    authorizer_of(world, sent, FixedApis((world.api,))).authorize(event, now_ms=world.now_ms)
    assert parse(sent[-1])["reason"] == "edge_attestation_invalid"
