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
``malformed``, whatever its single ones hold. If an API sends such events, only payload 2.0 is of use there.

Paths: the one that is signed is the decoded one, spelled anew; ``http_v2`` says what that means.

Open: whether ``path`` and ``requestContext.path`` hold a mapping; whether ``methodArn`` fills parameters in
(either is taken).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.vocabulary import METHODS
from signet.gateway.maps import (
    Fields,
    header_bytes,
    merge_headers,
    read_query,
    told_host,
    unmerged_values,
)
from signet.gateway.model import (
    Event,
    InboundRequest,
    PayloadKind,
    decoder,
    first_refusal,
    mapping,
    reading,
    text,
)
from signet.gateway.paths import Paths, decoded_paths, shown_prefix

VERSION = "1.0"


@decoder(PayloadKind.HTTP_V1)
def decode(event: Event) -> InboundRequest:
    """Read an event of an HTTP API's REQUEST authorizer, payload 1.0; refused as in ``rest_v1``."""
    context = mapping(event.get("requestContext"))
    shown, path = context.get("path"), event.get("path")
    fields, query = reading(_read_headers, event), reading(read_query, event)
    paths = reading(_read_paths, event)
    refusals = (reading(_check_request_line, event), fields, paths, query)
    merged = fields if isinstance(fields, Fields) else Fields({}, frozenset())
    found = paths if isinstance(paths, Paths) else Paths("", "", "")
    identity, request_id = mapping(context.get("identity")), context.get("requestId")
    certificate = mapping(identity.get("clientCert")).get("clientCertPem")
    return InboundRequest(
        kind=PayloadKind.HTTP_V1,
        method=text(context.get("httpMethod")),
        authority=text(merged.headers.get("host") if merged is fields else told_host(event)),
        shown_path=text(shown),
        shown_prefix=shown_prefix(shown, path) if found is not paths else "",
        path=found.path,
        own_path=found.own_path,
        resource=found.resource,
        path_decoded=True,
        headers=merged.headers,
        unmerged={} if merged is fields else unmerged_values(event),
        repeated=merged.repeated,
        header_bytes=header_bytes(event),
        query=() if isinstance(query, Denied) else query,
        source_ip=text(identity.get("sourceIp")),
        client_cert_pem=certificate if isinstance(certificate, str) else None,
        request_id=text(request_id) if request_id else None,
        api_id=text(context.get("apiId")),
        stage=text(context.get("stage")),
        arn=text(event.get("methodArn")),
        refusal=first_refusal(*refusals),
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
