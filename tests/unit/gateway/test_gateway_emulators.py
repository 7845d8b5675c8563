"""The path a request was sent to, also where the gateway is an emulator that does not report it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signet.core.errors import Denied
from signet.handshake.request import Request, Site
from tests.support.world import own as decode

SAM_LOCAL = Path(__file__).resolve().parents[3] / "events" / "sam_local"
AT_ROOT = Site("", "us-east-1")
SITE = Site("/_aws/execute-api/{api_id}", "us-east-1")


def event(**context):
    return {
        "resource": "/protected/{item}",
        "path": "/protected/1",
        "pathParameters": {"item": "1"},
        "httpMethod": "GET",
        "headers": {"host": "127.0.0.1:4566"},
        "multiValueHeaders": {"host": ["127.0.0.1:4566"]},
        "requestContext": {"stage": "local", "httpMethod": "GET", "apiId": "a1b2"} | context,
    }


def read(event: dict[str, Any], site: Site) -> Request:
    return Request.read(decode(event, "127.0.0.1:3000", "127.0.0.1:4566"), site)


def test_a_reported_path_is_taken_as_it_is():
    reported = event(path="/prod/protected/1")
    assert decode(reported).shown_path == "/prod/protected/1"


def test_a_path_that_is_not_reported_is_stage_and_path():
    request = read(event(), SITE)
    assert request.path == "/_aws/execute-api/a1b2/local/protected/1"


@pytest.mark.parametrize("path", [None, 7, ["/protected/1"]])
def test_a_path_that_is_no_text_is_malformed_and_not_guessed(path):
    assert decode(event(path=path)).shown_path == ""
    with pytest.raises(Denied) as refused:
        read(event(path=path), SITE)
    assert refused.value.code == "malformed"


def test_sam_local_names_the_resource_where_the_path_belongs():
    recorded = json.loads((SAM_LOCAL / "path_parameter.json").read_text())
    assert recorded["requestContext"]["path"] == "/protected/{item}"
    request = read(recorded, AT_ROOT)
    assert (request.path, request.route, request.api_path) == (
        "/protected/7",
        "GET /protected/{item}",
        "/protected/7",
    )


def test_a_request_through_sam_local_reads_as_the_client_signed_it():
    recorded = json.loads((SAM_LOCAL / "body_and_query.json").read_text())
    request = read(recorded, AT_ROOT)
    assert (request.method, request.authority, request.path, request.query) == (
        "POST",
        "127.0.0.1:3000",
        "/protected",
        "?a=x%20y&a=z&b=2",
    )
    assert request.needs_digest


def test_a_field_sent_twice_is_not_mistaken_for_one_of_both():
    recorded = json.loads((SAM_LOCAL / "fields_sent_twice.json").read_text())
    assert read(recorded, AT_ROOT).headers["pch-evidence"] == ":AA==:,:BB==:"  # no such value


@pytest.mark.parametrize("path", ["/protected/{item}", "/protected/%7Bitem%7D"])
def test_a_caller_who_spells_the_resource_gains_nothing(path):
    mapped = {**event(path="/protected/{item}"), "path": path, "pathParameters": {"item": path[11:]}}
    with pytest.raises(Denied) as refused:
        read(mapped, SITE)
    assert refused.value.code == "malformed"
