"""Events of HTTP APIs' authorizers in payload 1.0: the shape of REST APIs, and another content.

What is known of it, and from where:

- Members are those of REST APIs (``rest_v1``), ``version`` is ``"1.0"``. AWS's example of an authorizer's
  event has no multi-value maps; events of integrations have them. (docs.aws.amazon.com, "Control access to
  HTTP APIs with AWS Lambda authorizers" and "Create AWS Lambda proxy integrations for HTTP APIs";
  terraform-aws-next-js #31 shows an integration's event)
- ``path`` is decoded, twice: ``%252F`` is shown as ``/``. It ends at a ``?`` that the first decoding makes.
  (hotsock/voker, vokerhttp/testdata/ingress-paths.json, captured in July 2026; standard-server #93)
- ``resource`` is the route's path, ``$default`` for the route that takes what is left.
- ``methodArn`` is ``arn:…:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path``. (AWS's example)

A single map may hide all values of a name but one: of ``X-Amount: 999`` and a signed ``X-Amount: 1`` it may
show the signed line alone, while a backend reads the other one. So an event without multi-value maps is
``malformed``, also if its single ones hold nothing. If an API sends such events, only payload 2.0 is of use
there.

Paths: the one that is signed is the decoded one, spelled anew; ``http_v2`` says what that means.

Open: whether ``path`` and ``requestContext.path`` hold a mapping; whether ``methodArn`` fills parameters in
(either is taken).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.vocabulary import METHODS, PayloadKind
from signet.gateway.inbound import decoder, inbound_request
from signet.gateway.maps import Fields, header_bytes, merge_headers, read_query
from signet.gateway.model import (
    Event,
    InboundRequest,
    first_refusal,
    mapping,
    reading,
)
from signet.gateway.paths import Paths, decoded_paths

VERSION = "1.0"


@decoder(PayloadKind.HTTP_V1)
def decode(event: Event) -> InboundRequest:
    """Read an event of an HTTP API's REQUEST authorizer, payload 1.0; refused as in ``rest_v1``."""
    context = mapping(event.get("requestContext"))
    identity = mapping(context.get("identity"))
    line = reading(_check_request_line, event)
    fields, query = reading(_read_headers, event), reading(read_query, event)
    paths = reading(_read_paths, event)
    return inbound_request(
        PayloadKind.HTTP_V1,
        event,
        context,
        fields=fields,
        paths=paths,
        query=query,
        refusal=first_refusal(line, fields, paths, query),
        method=context.get("httpMethod"),
        shown=context.get("path"),
        beside=event.get("path"),
        path_decoded=True,
        header_bytes=header_bytes(event),
        source_ip=identity.get("sourceIp"),
        certified=identity,
        arn=event.get("methodArn"),
    )


def _check_request_line(event: Event) -> None:
    context: Mapping[str, Any] = event["requestContext"]
    methods = {context["httpMethod"], event["httpMethod"]}
    if event["version"] != VERSION or not isinstance(context["apiId"], str):
        raise Denied(Reason.MALFORMED, "this is no event of an HTTP API's authorizer in payload 1.0")
    if len(methods) != 1 or not methods <= METHODS:
        raise Denied(Reason.MALFORMED, "the method is not one this API serves")


def _read_headers(event: Event) -> Fields:
    """Merge both maps; the single one alone could hide lines, also where it is empty."""
    if event.get("multiValueHeaders") is None:
        raise Denied(
            Reason.MALFORMED, "the gateway's event shows one value per header field, and may hide others"
        )
    return merge_headers(event)


def _read_paths(event: Event) -> Paths:
    context: Mapping[str, Any] = event["requestContext"]
    resource = event["resource"]
    if context.get("resourcePath", resource) != resource:
        raise Denied(Reason.MALFORMED, "the gateway's event does not name one resource")
    return decoded_paths(
        context["path"],
        event["path"],
        resource,
        context,
        method=context["httpMethod"],
        parameters=mapping(event.get("pathParameters")),
        arn=event["methodArn"],
    )
