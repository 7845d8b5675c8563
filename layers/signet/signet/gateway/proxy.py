"""Events of the functions behind an authorizer (REST APIs' proxy integration): what a backend takes from one.

These functions are written to have the event: each of the questions here is answered from it alone, and
none of them fails but where it says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from signet.core.decision import Reason
from signet.core.encoding import decode_base64
from signet.core.errors import Denied
from signet.gateway import rest_v1
from signet.gateway.model import Event, InboundRequest, mapping

_SPREAD_S: Final = 3


def retry_after(least_s: int, draw: float) -> dict[str, str]:
    """Return the field Retry-After, so that those who are turned away together do not come back together.

    Args:
        least_s: shortest time, seconds; the longest is two more.
        draw: uniform from [0, 1).
    """
    return {"Retry-After": str(least_s + int(draw * _SPREAD_S))}


def is_proxy_event(event: Event) -> bool:
    """Tell an event of an API from a direct invocation."""
    return "requestContext" in event


def granted(event: Event) -> Mapping[str, Any]:
    """Return what the authorizer said when it let the request through; empty if none did.

    Payload 2.0 of HTTP APIs has it one step deeper, under ``lambda``; 1.0 and REST APIs have not.
    (docs.aws.amazon.com, "Control access to HTTP APIs with AWS Lambda authorizers")
    """
    said = mapping(mapping(event.get("requestContext")).get("authorizer"))
    return mapping(said.get("lambda")) if event.get("version") == "2.0" else said


def own_path(event: Event, inbound: InboundRequest | None = None) -> str:
    """Return the API's own path, for functions that route by it; ``path`` where it cannot be told.

    A slash at its end stays: an event that has this for its ``path`` still says one path.

    Args:
        event: as the gateway sent it.
        inbound: what it was decoded to, by a function that needs that as well.
    """
    path, own = event.get("path"), (inbound or rest_v1.decode(event)).own_path
    if not own:
        return path if isinstance(path, str) else ""
    return f"{own.removesuffix('/')}/" if str(path).endswith("/") else own


def received_body(event: Event) -> bytes:
    """Return the content of a proxy event as the gateway received it, base64 of the event undone.

    Any transfer coding (chunks) is gone by then; a content coding (``Content-Encoding``) is not.

    Raises:
        Denied: ``malformed``: the event's base64 or text is broken.
    """
    body = event.get("body")
    if body is None:
        return b""
    try:
        return decode_base64(body) if event.get("isBase64Encoded") else bytes(body.encode())
    except (ValueError, TypeError, AttributeError) as error:
        raise Denied(Reason.MALFORMED, "the body is neither text nor base64") from error


def field_value(event: Event, name: str) -> str:
    """Return a header field, the values of all its lines joined by ``", "``; empty without it.

    Args:
        event: as the gateway sent it.
        name: in lower case.
    """
    single = {field: [value] for field, value in (event.get("headers") or {}).items()}
    given = event.get("multiValueHeaders") or single
    return ", ".join(value for field, values in given.items() if field.lower() == name for value in values)


def without_field(event: Event, name: re.Pattern[str]) -> dict[str, Any]:
    """Return the event without the header fields whose names match; what was given stays as it is."""
    kept = {
        maps: {key: value for key, value in event[maps].items() if not name.fullmatch(str(key))}
        for maps in ("headers", "multiValueHeaders")
        if isinstance(event.get(maps), dict)
    }
    return {**event, **kept}


def answer_lines(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the header lines of a function's answer: name and value, of both maps that it may have."""
    one, many = answer.get("headers") or {}, answer.get("multiValueHeaders") or {}
    lines = [(name, str(value)) for name, value in one.items()]
    return lines + [(name, str(value)) for name, values in many.items() for value in values]


def with_answer_fields(answer: Mapping[str, Any], added: Mapping[str, str]) -> dict[str, Any]:
    """Return a function's answer with some header fields set, each in the place of those of its name."""
    replaced = {name.lower() for name in added}
    kept = {
        maps: {
            name: value for name, value in (answer.get(maps) or {}).items() if name.lower() not in replaced
        }
        for maps in ("headers", "multiValueHeaders")
        if answer.get(maps) or maps == "headers"
    }
    return {**answer, **kept, "headers": {**kept["headers"], **added}} if added else dict(answer)
