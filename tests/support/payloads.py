"""A REST API's event, transcribed: what an HTTP API's authorizer would be sent of the same request.

``signet.gateway.http_v1`` and ``http_v2`` say which facts these follow, and from where they are. The stage
keeps its name, so the path that is addressed stays the same. ``PAYLOADS`` has all of them, and which cases
each shows as others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from signet.core.vocabulary import PayloadKind
from signet.gateway.http_v1 import decode as decode_v1
from signet.gateway.http_v2 import decode as decode_v2
from signet.gateway.model import Decoder

Event = dict[str, Any]

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


def http_v2(event: Event) -> Event:
    """Return the event in payload 2.0."""
    told, identity = event["requestContext"], event["requestContext"]["identity"] or {}
    headers = _joined_headers(event)
    cookies = headers.pop("cookie", None)
    query = event["multiValueQueryStringParameters"] or {}
    key = f"{event['httpMethod']} {event['resource']}"
    context = {
        "accountId": told["accountId"],
        "apiId": told["apiId"],
        "authentication": {"clientCert": identity["clientCert"]} if "clientCert" in identity else None,
        "domainName": told["domainName"],
        "domainPrefix": told["domainPrefix"],
        "http": {
            "method": event["httpMethod"],
            "path": decoded(told["path"]),
            "protocol": told["protocol"],
            "sourceIp": identity.get("sourceIp"),
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": told["requestId"],
        "routeKey": key,
        "stage": told["stage"],
        "time": told["requestTime"],
        "timeEpoch": told["requestTimeEpoch"],
    }
    return {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": decoded(event["methodArn"]),
        "identitySource": None,
        "routeKey": key,
        "rawPath": decoded(told["path"]),
        "rawQueryString": raw_query(query),
        **({} if cookies is None else {"cookies": cookies.split("; ")}),
        "headers": headers,
        "queryStringParameters": {name: ",".join(values) for name, values in query.items()},
        "pathParameters": _decoded_parameters(event),
        "stageVariables": {},
        "requestContext": context,
    }


def http_v1(event: Event, *, multi: bool = True) -> Event:
    """Return the event in payload 1.0; perhaps without multi-value maps, as AWS's example: refused."""
    told = event["requestContext"]
    shown = {
        "version": "1.0",
        "identitySource": "",
        "authorizationToken": "",
        "methodArn": decoded(event["methodArn"]),
        "path": decoded(told["path"]),
        "pathParameters": _decoded_parameters(event),
        "requestContext": {**told, "path": decoded(told["path"])},
    }
    transcribed = {**event, **shown}
    if not multi:
        del transcribed["multiValueHeaders"], transcribed["multiValueQueryStringParameters"]
    return transcribed


def decoded(path: str) -> str:
    """Show a path as HTTP APIs do: decoded twice, and cut at a ``?`` that the first decoding makes."""
    return unquote(unquote(path).partition("?")[0]) if "%" in path else path


def raw_query(parameters: dict[str, list[str]]) -> str:
    """Write a query down as a client sends it that escapes all it can, names in the order given."""
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, values in parameters.items()
        for value in values
    )


def _joined_headers(event: Event) -> dict[str, str]:
    """Join the lines of a field as HTTP APIs do; the case of its name does not count."""
    lines: dict[str, list[str]] = {}
    for name, values in event["multiValueHeaders"].items():
        lines.setdefault(name.lower(), []).extend(values)
    return {name: ",".join(values) for name, values in lines.items()}


def _decoded_parameters(event: Event) -> dict[str, str]:
    return {name: decoded(value) for name, value in (event["pathParameters"] or {}).items()}


@dataclass(frozen=True)
class Payload:
    """A kind of payload: how it is written, how it is read, and what it cannot show."""

    transcribe: Callable[[Event], Event]
    decode: Decoder
    different: Mapping[str, str]


#: Each kind but that of REST APIs, in which the cases are written.
PAYLOADS = {
    PayloadKind.HTTP_V2: Payload(http_v2, decode_v2, DECODED | JOINED),
    PayloadKind.HTTP_V1: Payload(http_v1, decode_v1, DECODED),
}
