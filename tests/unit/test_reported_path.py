"""The path a request was sent to, also where the gateway is an emulator that does not report it."""

from __future__ import annotations

import pytest

from signet.errors import Denied
from signet.handshake.request import Request, Site, reported_path

SITE = Site(frozenset({"127.0.0.1:4566"}), "/_aws/execute-api/{api_id}", "us-east-1")


def event(**context):
    return {
        "resource": "/protected/{item}",
        "path": "/protected/1",
        "httpMethod": "GET",
        "headers": {"host": "127.0.0.1:4566"},
        "multiValueHeaders": {"host": ["127.0.0.1:4566"]},
        "requestContext": {"stage": "local", "httpMethod": "GET", "apiId": "a1b2"} | context,
    }


def test_a_reported_path_is_taken_as_it_is():
    assert reported_path(event(path="/mapped/protected/1")) == "/mapped/protected/1"


def test_a_path_that_is_not_reported_is_stage_and_path():
    request = Request.from_event(event(), SITE)
    assert request.path == "/_aws/execute-api/a1b2/local/protected/1"


@pytest.mark.parametrize("path", [None, 7, ["/protected/1"]])
def test_a_path_that_is_no_text_is_malformed_and_not_guessed(path):
    assert reported_path(event(path=path)) is None
    with pytest.raises(Denied) as refused:
        Request.from_event(event(path=path), SITE)
    assert refused.value.code == "malformed"
