"""Events of HTTP APIs' authorizers in payload 1.0: the shape of REST APIs, and another content.

What is known of it, and from where:

- Members are those of REST APIs (``rest_v1``), ``version`` is ``"1.0"``. AWS's example of an authorizer's
  event has no multi-value maps; events of integrations have them. No public event shows what the single
  ones hold of a name that came twice. (docs.aws.amazon.com, "Control access to HTTP APIs with AWS Lambda
  authorizers" and "Create AWS Lambda proxy integrations for HTTP APIs"; terraform-aws-next-js #31 shows an
  integration's event)
- ``path`` is decoded, twice: ``%252F`` is shown as ``/``. It ends at a ``?`` that the first decoding makes.
  (hotsock/voker, vokerhttp/testdata/ingress-paths.json, captured in July 2026; standard-server #93)
- ``resource`` is the route's path, ``$default`` for the route that takes what is left.
- ``methodArn`` is ``arn:…:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path``. (AWS's example)

A single map may hide all values of a name but one. So a query without its multi-value map is ``malformed``.
Header fields without theirs are taken, and each counts as repeated: where a second line would change what
is asked for (``signet.handshake.proof``), the request is refused. The fields of the proof itself are read
by the authorizer alone, so that a hidden second line of one changes nothing.

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
from signet.gateway.paths import Paths, decoded_paths

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
        shown_prefix=text(shown).removesuffix(text(path)) if text(shown).endswith(text(path)) else "",
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
    """Merge both maps; of the single one alone, no field is known to have come once."""
    if event.get("multiValueHeaders") is not None:
        return merge_headers(event)
    single: Mapping[str, str] = event.get("headers") or {}
    listed = {**event, "multiValueHeaders": {name: [value] for name, value in single.items()}}
    headers = merge_headers(listed).headers
    return Fields(headers, frozenset(headers))


def _read_paths(event: Event) -> Paths:
    context: Mapping[str, Any] = event["requestContext"]
    return decoded_paths(
        context["path"],
        event["path"],
        event["resource"],
        context,
        method=context["httpMethod"],
        parameters=mapping(event.get("pathParameters")),
        arn=event["methodArn"],
    )
