"""Events of REST APIs: all that is known of their shape, and where it is known from.

Measured by others on AWS, for the events of integrations; those of REQUEST authorizers are taken to show
the same request the same way ("open" below says what was never seen of them). ``maps`` says it of header
fields and queries, ``emulators`` of what is not AWS.

- ``requestContext.path`` is the path as the client addressed it. ``path`` equals it on a custom domain, the
  base-path mapping in front, and lacks the stage on ``execute-api``. A mapping that names no stage leaves
  the stage in both. (gist.github.com/GREsau/444c7d4d0bb9e8c82dd1a585931028bd; powertools-lambda-python #576
  and its documentation of ``strip_prefixes``; localstack #12296)
- ``resource`` is the declared path, ``pathParameters`` fill it in; neither has a mapping. A slash at the
  end stays in ``path`` and is not in ``{proxy+}``. (the gist; localstack/tests/aws/services/apigateway/
  test_apigateway_lambda.snapshot.json, recorded on AWS)
- ``path``, ``requestContext.path`` and ``pathParameters`` keep percent escapes as they were sent: ``%20``,
  ``%2B`` beside ``+``, ``%2F``, ``%252F``. (hotsock/voker, vokerhttp/testdata, captured in July 2026;
  standard-server #93; the snapshot)
- There is no ``Content-Length``, nor ``Transfer-Encoding``, also if the client sent one. (voker; mangum #143;
  aws-lambda-dotnet #559; pulumi-cloud #314)
- ``version`` is in authorizer events of HTTP APIs only (``http_v1``), whose paths are decoded.
  (docs.aws.amazon.com, "Control access to HTTP APIs with AWS Lambda authorizers"; voker)
- ``methodArn`` is ``arn:…:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path``, parameters filled in.
  (docs.aws.amazon.com, "Input to an API Gateway Lambda authorizer"; serverless-offline #273)
- ``requestContext.identity.clientCert.clientCertPem`` is the caller's certificate on an API with mutual TLS.
  (docs.aws.amazon.com, "How to turn on mutual TLS authentication for your REST APIs in API Gateway")

Open: whether ``methodArn`` has a mapping in front, and whether it keeps escapes (either is taken); whether
there are authorizer events with ``Content-Length`` (one that shows up is heeded); whether an authorizer's
``path`` keeps escapes as an integration's does. If AWS decoded it, a space would show as such, and such a
path is refused: which spelling was signed cannot be told, and ``%2520`` would read like ``%20``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.target import check_path, spell_path
from signet.core.vocabulary import METHODS, PayloadKind
from signet.gateway.emulators import Dialect, dialect, shown_path
from signet.gateway.inbound import decoder, inbound_request
from signet.gateway.maps import header_bytes, merge_headers, read_query
from signet.gateway.model import (
    Event,
    InboundRequest,
    first_refusal,
    mapping,
    reading,
)
from signet.gateway.paths import Paths, check_arn, ends_with, own_path


@decoder(PayloadKind.REST_V1)
def decode(event: Event) -> InboundRequest:
    """Read an event of a REST API: of a REQUEST authorizer, or of a function that it calls.

    Refused as ``malformed`` is an event whose members disagree or are missing, one that hides values, and one
    that two requests would look like.
    """
    context = mapping(event.get("requestContext"))
    spoken = dialect(event, context)
    decoded = spoken is not Dialect.REST
    shown = shown_path(event, context, spoken)
    fields, query = reading(merge_headers, event), reading(read_query, event)
    paths = reading(lambda event: _read_paths(event, context, shown, decoded=decoded), event)
    line = reading(_check_request_line, event)
    identity = mapping(context.get("identity"))
    return inbound_request(
        PayloadKind.REST_V1,
        event,
        context,
        fields=fields,
        paths=paths,
        query=query,
        refusal=first_refusal(fields, paths, query, line),
        method=context.get("httpMethod"),
        shown=shown,
        beside=event.get("path"),
        path_decoded=decoded,
        header_bytes=header_bytes(event),
        source_ip=identity.get("sourceIp"),
        certified=identity,
        arn=event.get("methodArn"),
    )


def _check_request_line(event: Event) -> None:
    context = event["requestContext"]
    methods = {context["httpMethod"], event["httpMethod"]}
    if not isinstance(context["apiId"], str):
        raise TypeError("an API has an id")
    if len(methods) != 1 or not methods <= METHODS:
        raise Denied(Reason.MALFORMED, "the method is not one this API serves")


def _read_paths(event: Event, context: Mapping[str, Any], shown: str | None, *, decoded: bool) -> Paths:
    """Read where a request went, from all the places of an event that say so.

    Raises:
        Denied: ``malformed`` where two of them disagree, one is missing, or two requests would read alike.
    """
    path, resource = event.get("path"), event.get("resource")
    if shown is None or not isinstance(path, str) or not ends_with(shown, path, context.get("stage")):
        raise Denied(Reason.MALFORMED, "the gateway's event does not say one path")
    if not isinstance(resource, str) or not resource.startswith("/"):
        raise Denied(Reason.MALFORMED, "the gateway's event does not name a resource")
    if context.get("resourcePath", resource) != resource:
        raise Denied(Reason.MALFORMED, "the gateway's event does not name one resource")
    if decoded:
        shown, path = spell_path(shown), spell_path(path)
    check_path(shown)
    own = own_path(resource, mapping(event.get("pathParameters")), path)
    if "methodArn" in event:
        if "version" in event:
            raise Denied(
                Reason.MALFORMED,
                "this is the event of an HTTP API, whose paths are decoded; only REST APIs are answered",
            )
        named = context.get("apiId"), context.get("stage"), context.get("httpMethod")
        check_arn(event["methodArn"], named, (own, path))
    return Paths(shown, own, resource)
