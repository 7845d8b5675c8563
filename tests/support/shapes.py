"""Other shapes of one request's event: custom domains, and the dialects of emulators.

Each takes an event as ``World.event`` makes it, signed or not, and changes it in place. events/README.md says
which facts they follow, and from where these are.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from tests.support.world import EDGE_AUTHORITY, set_header

Event = dict[str, Any]
#: A custom domain of the API; the world's verifier answers to it.
DOMAIN = EDGE_AUTHORITY


def mapped(event: Event, mapping: str = "") -> Event:
    """Address the API on its custom domain, under a base-path mapping such as ``/public``, or at the root."""
    event["path"] = event["requestContext"]["path"] = mapping + event["path"]
    event["requestContext"] |= {"domainName": DOMAIN, "domainPrefix": DOMAIN.partition(".")[0]}
    set_header(event, "Host", DOMAIN)
    return event


def localstack(event: Event) -> Event:
    """Tell of it as LocalStack does: in AWS's shape."""
    context = event["requestContext"]
    context["accountId"] = "000000000000"
    context["domainName"] = f"{context['apiId']}.execute-api.localhost.localstack.cloud"
    event["methodArn"] = event["methodArn"].replace("123456789012", "000000000000")
    event["pathParameters"] = event["pathParameters"] or None
    event["stageVariables"] = None
    return event


def ministack(event: Event, length: int | None = None) -> Event:
    """Tell of it as MiniStack tells authorizers; with the length of a body, if there is one."""
    _decode(event)
    if length is not None:
        set_header(event, "Content-Length", str(length))
    joined = {name.lower(): ", ".join(values) for name, values in event["multiValueHeaders"].items()}
    event["headers"], event["multiValueHeaders"] = joined, {name: [value] for name, value in joined.items()}
    query = event["multiValueQueryStringParameters"] or None
    event["multiValueQueryStringParameters"] = query
    event["queryStringParameters"] = query and {name: values[0] for name, values in query.items()}
    kept = {"resourceId", "stage", "resourcePath", "httpMethod", "apiId", "accountId"}
    context = {name: value for name, value in event["requestContext"].items() if name in kept}
    identity = {"sourceIp": "203.0.113.7", "userAgent": "test"}
    event["requestContext"] = {**context, "identity": identity}
    event["stageVariables"] = None
    return event


def sam_local(event: Event, length: int | None = None) -> Event:
    """Tell of it as ``sam local start-api`` does; its API has no stage in front, so it is signed without."""
    _decode(event)
    if length is not None:
        set_header(event, "Content-Length", str(length))
    joined = {name.title(): ",".join(values) for name, values in event["multiValueHeaders"].items()}
    event["headers"], event["multiValueHeaders"] = joined, {name: [value] for name, value in joined.items()}
    for name in ("queryStringParameters", "multiValueQueryStringParameters"):
        event[name] = event[name] or None
    context = event["requestContext"]
    context["path"] = event["resource"]
    context["requestId"] = "d9a7735c-4c28-4d6c-832a-33008f9752d0"
    event |= {"stageVariables": None, "body": None, "isBase64Encoded": False}
    return event


def _decode(event: Event) -> None:
    event["path"] = unquote(event["path"])
    event["methodArn"] = unquote(event["methodArn"])
    parameters = {name: unquote(value) for name, value in event["pathParameters"].items()}
    event["pathParameters"] = parameters or None
