"""Events of HTTP APIs' authorizers in payload 2.0.

What is known of it, and from where:

- Members and answers: docs.aws.amazon.com, "Control access to HTTP APIs with AWS Lambda authorizers". An
  event recorded on AWS: swift-aws-lambda-events, ``APIGateway+V2Tests.swift``, ``lambdaAuthorizerRequest``.
  The rest is from integrations' events, which show requests alike: hotsock/voker, vokerhttp/testdata/
  apigwv2-request.json and ingress-paths.json, captured in July 2026.
- ``rawPath`` and ``requestContext.http.path`` are the same: the path as addressed, a stage's name in front
  unless the stage is ``$default``. They are decoded, twice: ``%252F`` is shown as ``/``, ``%2525`` as
  ``%``. What the first decoding makes a ``?`` ends them. (the recorded event; voker; standard-server #93)
- ``rawQueryString`` is the query as sent, ``queryStringParameters`` holds it decoded, values of one name
  joined by ``,``. (voker; ministack #1035)
- Header names are in lower case, lines of one name are joined by ``,`` without a space, which RFC 9421
  would have. Cookies stand in ``cookies`` alone. ``content-length`` is there. (the recorded event; voker;
  amazon-api-gateway-developer-guide #84)
- ``routeKey`` is ``METHOD /path``, ``ANY /path`` or ``$default``; ``pathParameters`` fill it in, decoded.
- ``requestContext.authentication.clientCert.clientCertPem`` is a caller's certificate; empty without one.
- ``routeArn`` is ``arn:…:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path``. (the recorded event)

What follows:

- The path that is signed is the decoded one, spelled anew. A ``%`` that is left has two readings, and is
  refused. What else is decoded alike is one path here: ``/a%2Fb`` reads as ``/a/b``, ``/a%3Fb`` as ``/a``.
  A backend that gets another path than it is told was verified must refuse; one that reads these events
  gets the very same.
- The query that is signed is canonical, as with REST APIs, for every spelling that was sent. What can be seen
  here beyond that is refused: names whose values stand apart, more than 4,096 bytes as sent.
- A field in two lines is refused or does not verify. One whose value could be two lines joined (a comma, no
  space behind it) counts as repeated, and so do several cookies, which may have come in one line or many.
- ``$default`` has no declared path. Its own path is what follows the stage; behind a custom domain, where a
  mapping may stand in front, it cannot be told, and is refused. ``API-ID.execute-api.`` begins every other
  domain.

Open: whether both paths have a mapping in front (powertools-lambda-python #576 says it of ``rawPath``; if
one of them lacks it, the request is refused, if both do, signatures over the addressed path do not verify);
whether ``routeArn`` fills parameters in (either is
taken), and what it is for ``$default`` (its API and stage are compared, no more).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.target import MAX_TARGET_BYTES, parse_query
from signet.core.vocabulary import METHODS, PayloadKind
from signet.gateway.inbound import decoder, inbound_request
from signet.gateway.maps import Fields, Query, size_of
from signet.gateway.model import (
    Event,
    InboundRequest,
    first_refusal,
    mapping,
    reading,
    text,
)
from signet.gateway.paths import DEFAULT_ROUTE, Paths, decoded_paths

VERSION = "2.0"
# Optional space around a line is gone, so a comma that joins two of them has none behind it.
_MAY_BE_JOINED = re.compile(r",(?! )")


@decoder(PayloadKind.HTTP_V2)
def decode(event: Event) -> InboundRequest:
    """Read an event of an HTTP API's REQUEST authorizer, payload 2.0; refused as in ``rest_v1``."""
    context = mapping(event.get("requestContext"))
    http = mapping(context.get("http"))
    line = reading(_check_request_line, event)
    fields, query = reading(_read_headers, event), reading(_read_query, event)
    paths, shown = reading(_read_paths, event), text(http.get("path"))
    return inbound_request(
        PayloadKind.HTTP_V2,
        event,
        context,
        fields=fields,
        paths=paths,
        query=query,
        refusal=first_refusal(line, fields, paths, query),
        method=http.get("method"),
        shown=shown,
        beside=shown.removeprefix(f"/{text(context.get('stage'))}"),
        path_decoded=True,
        header_bytes=_header_bytes(event),
        source_ip=http.get("sourceIp"),
        certified=mapping(context.get("authentication")),
        arn=event.get("routeArn"),
    )


def _check_request_line(event: Event) -> None:
    context: Mapping[str, Any] = event["requestContext"]
    if event["version"] != VERSION or not isinstance(context["apiId"], str):
        raise Denied(Reason.MALFORMED, "this is no event of an HTTP API's authorizer in payload 2.0")
    if context["http"]["method"] not in METHODS:
        raise Denied(Reason.MALFORMED, "the method is not one this API serves")


def _read_headers(event: Event) -> Fields:
    """Return the fields as told, and the cookies as the one line that browsers send."""
    given: Mapping[str, str] = event.get("headers") or {}
    headers: dict[str, str] = {}
    for name, value in given.items():
        lowered = name.lower()
        if lowered in headers or lowered.startswith("@"):
            raise Denied(
                Reason.MALFORMED,
                "a header field comes in two spellings of its name, or under no field's name",
            )
        if not isinstance(value, str):
            raise TypeError("a field's value is text")
        headers[lowered] = value
    repeated = {name for name, value in headers.items() if _MAY_BE_JOINED.search(value)}
    cookies = event.get("cookies")
    if cookies is not None:
        if not isinstance(cookies, list) or "cookie" in headers:
            raise Denied(Reason.MALFORMED, "the gateway's event tells the cookies twice, or as no list")
        if cookies:
            headers["cookie"] = line = "; ".join(cookies)
            if len(cookies) > 1 or _MAY_BE_JOINED.search(line):
                repeated.add("cookie")
    return Fields(headers, frozenset(repeated))


def _header_bytes(event: Event) -> int:
    cookies = event.get("cookies")
    lines = [*mapping(event.get("headers")).values(), *(cookies if isinstance(cookies, list) else ())]
    return size_of("".join(line for line in lines if isinstance(line, str)))


def _read_query(event: Event) -> Query:
    """Decode the query as sent, and hold it against the map of decoded values."""
    raw, told = event.get("rawQueryString"), event.get("queryStringParameters")
    if not isinstance(raw, str):
        raise TypeError("a query is text")
    if size_of(raw) > MAX_TARGET_BYTES:
        raise Denied(Reason.MALFORMED, "the query is longer than 4,096 bytes")
    query = parse_query(raw)
    untold = told is None and not raw
    if not untold and told != {name: ",".join(values) for name, values in query}:
        raise Denied(Reason.MALFORMED, "the gateway's event tells two queries")
    return query


def _read_paths(event: Event) -> Paths:
    context: Mapping[str, Any] = event["requestContext"]
    method, key, path = context["http"]["method"], event["routeKey"], event["rawPath"]
    if context["http"]["path"] != path:
        raise Denied(Reason.MALFORMED, "the gateway's event does not say one path")
    if context.get("routeKey", key) != key:
        raise Denied(Reason.MALFORMED, "the gateway's event does not name one route")
    named, _, resource = key.partition(" ") if key != DEFAULT_ROUTE else (method, "", key)
    if named not in (method, "ANY"):
        raise Denied(Reason.MALFORMED, "the gateway's event names the route of another method")
    return decoded_paths(
        path,
        path,
        resource,
        context,
        method=method,
        parameters=mapping(event.get("pathParameters")),
        arn=event["routeArn"],
    )
