"""What the events of REST APIs look like: all that is known of their shape, and where it is known from.

Measured by others on AWS, for the events of integrations; those of REQUEST authorizers are taken to show
the same request the same way ("open" below says what was never seen of them):

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
- Query maps are decoded, ``+`` is a space. The multi-value map holds all values of a name in their order,
  the single one the last. No map tells in which order different names came. Without a query both are null,
  or empty for authorizers. (voker; the snapshot; serverless-offline #515)
- Header names keep the client's case, in lower case through HTTP/2; gateway and CDN write theirs as
  ``X-Forwarded-For``. The multi-value map holds a list per field, the single one the last value. (voker;
  the snapshot; aws-lambda-go #117)
- There is no ``Content-Length``, nor ``Transfer-Encoding``, whatever was sent. (voker; mangum #143;
  aws-lambda-dotnet #559; pulumi-cloud #314)
- ``version`` is in authorizer events of HTTP APIs only (payload 1.0 looks the same otherwise, but its path
  is decoded, twice, and cut at a ``?``). (docs.aws.amazon.com, "Control access to HTTP APIs with AWS Lambda
  authorizers"; voker)
- ``methodArn`` is ``arn:…:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path``, parameters filled in.
  (docs.aws.amazon.com, "Input to an API Gateway Lambda authorizer"; serverless-offline #273)

Dialects of emulators, told apart by what AWS's events always have:

- LocalStack is held to AWS by recorded snapshots: the same shape (localstack #7728 for paths). Its
  authorizers are not among its free parts; their events were not seen.
- MiniStack 1.5 (its ``apigateway_v1.py``) tells authorizers no ``requestContext.path`` and no
  ``requestId``. The API answers under its stage. ``path`` is decoded, header names are in lower case,
  fields that came twice are joined by ``", "`` in both maps, ``Content-Length`` is there, the single query
  map holds the first value. Integrations get the path as AWS's do, and ``version`` beside it.
- ``sam local`` (recorded in ``events/sam_local``) answers at the root and gives the *resource* as
  ``requestContext.path``. ``path`` is decoded, repeated fields are joined by ``","`` in both maps,
  ``Content-Length`` is there, ``requestId`` is that of the process.

Open: whether ``methodArn`` has a mapping in front, and whether it keeps escapes (either is taken); whether
there are authorizer events with ``Content-Length`` (one that shows up is heeded); whether an authorizer's
``path`` keeps escapes as an integration's does. If AWS decoded it, a space would show as such, and such a
path is refused: which spelling was signed cannot be told, and ``%2520`` would read like ``%20``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any
from urllib.parse import unquote

from signet.core.errors import Denied
from signet.core.records import record
from signet.core.target import check_path, spell_path
from signet.core.vocabulary import CONTENT_METHODS

# Fields whose meaning decides: they come once, or not at all.
SINGLE_FIELDS = frozenset(
    {
        "host",
        "signature",
        "signature-input",
        "content-digest",
        "content-length",
        "pch-channel-binding",
        "pch-evidence",
        "pch-evidence-digest",
        "pch-nonce",
        "pch-proof",
        "signet-edge",
    }
)


class Dialect(StrEnum):
    """Whose events these are; see the top of this module."""

    REST = "rest"
    MINISTACK = "ministack"
    SAM_LOCAL = "sam-local"


@record
class Paths:
    """Where a request went, spelled as the client spelled it.

    Attributes:
        reported: as addressed, stage or base-path mapping in front.
        own: the API's own path: its declared resource, filled in; no stage, no mapping, no slash at its end.
        decoded: the gateway shows decoded paths, and these were spelled anew.
    """

    reported: str
    own: str
    decoded: bool

    def prefix_of(self, addressed: str) -> str:
        """Return what stands before the API's own path in what a client addressed: stage or mapping."""
        path, own = addressed.removesuffix("/"), self.own.removesuffix("/")
        return path.removesuffix(own) if path.endswith(own) else ""


def dialect(event: Mapping[str, Any]) -> Dialect:
    """Tell whose event this is."""
    context = mapping(event.get("requestContext"))
    if "path" not in context:
        return Dialect.MINISTACK
    reported = context["path"]
    if isinstance(reported, str) and "{" in reported and reported == event.get("resource"):
        return Dialect.SAM_LOCAL
    return Dialect.REST


def reported_path(event: Mapping[str, Any]) -> str | None:
    """Return the path as it was addressed, stage or mapping in front, as shown; None without one."""
    context, path = mapping(event.get("requestContext")), event.get("path")
    spoken = dialect(event)
    if spoken is Dialect.MINISTACK:
        stage = context.get("stage")
        return f"/{stage}{path}" if isinstance(stage, str) and isinstance(path, str) else None
    reported = path if spoken is Dialect.SAM_LOCAL else context["path"]
    return reported if isinstance(reported, str) else None


def read_paths(event: Mapping[str, Any]) -> Paths:
    """Read where a request went, from all the places of an event that say so.

    Raises:
        Denied: ``malformed`` where two of them disagree, one is missing, or two requests would read alike.
    """
    reported, path, resource = reported_path(event), event.get("path"), event.get("resource")
    context = mapping(event.get("requestContext"))
    if reported is None or not isinstance(path, str) or not _ends_with(reported, path, context.get("stage")):
        raise Denied("the gateway's event does not say one path")
    if not isinstance(resource, str) or not resource.startswith("/"):
        raise Denied("the gateway's event does not name a resource")
    if context.get("resourcePath", resource) != resource:
        raise Denied("the gateway's event does not name one resource")
    decoded = dialect(event) is not Dialect.REST
    if decoded:
        reported, path = spell_path(reported), spell_path(path)
    check_path(reported)
    own = _own_path(resource, mapping(event.get("pathParameters")), path)
    if "methodArn" in event:
        _check_arn(event, own, path)
    return Paths(reported, own, decoded)


def stage_prefix(event: Mapping[str, Any]) -> str:
    """Return what the addressed path has in front of ``path``, mostly the stage; canonical or not."""
    reported, path = reported_path(event), event.get("path")
    if reported is None or not isinstance(path, str) or not reported.endswith(path):
        return ""
    return reported.removesuffix(path)


def own_path(event: Mapping[str, Any]) -> str:
    """Return the API's own path, for functions that route by it; ``path`` where it cannot be told.

    A slash at its end stays: an event that has this for its ``path`` still says one path.
    """
    path = event.get("path")
    try:
        own = read_paths(event).own
    except Denied:
        return path if isinstance(path, str) else ""
    return f"{own.removesuffix('/')}/" if str(path).endswith("/") else own


def _ends_with(reported: str, path: str, stage: Any) -> bool:
    """Compare the two paths; a stage that is addressed without a slash has the path ``/`` all the same."""
    return path.startswith("/") and (reported.endswith(path) or (path == "/" and reported == f"/{stage}"))


def _own_path(resource: str, parameters: Mapping[str, Any], path: str) -> str:
    """Return the end of ``path`` that is the resource, its parameters filled in.

    How long it is, the resource and the number of a ``{proxy+}``'s segments say; so neither a mapping nor a
    caller can make one path of an API look like another.
    """
    if path == resource and "{" not in resource:
        return path
    wanted: list[str] = []
    for segment in resource.split("/")[1:] if resource != "/" else []:
        wanted += _filled(segment, parameters)
    given = path.removesuffix("/").split("/")[1:]
    found = given[len(given) - len(wanted) :] if wanted else []
    if len(found) != len(wanted) or not all(map(_is_segment, found, wanted)):
        raise Denied("the gateway's event names a resource that is not the one of its path")
    return "/" + "/".join(found)


def _filled(segment: str, parameters: Mapping[str, Any]) -> list[str]:
    if not (segment.startswith("{") and segment.endswith("}")):
        return [segment]
    value = parameters.get(segment[1:-1].removesuffix("+"))
    if not isinstance(value, str):
        raise Denied("the gateway's event lacks a path parameter")
    return value.removesuffix("/").split("/") if segment.endswith("+}") else [value]


def _is_segment(found: str, wanted: str) -> bool:
    """Compare as spelled, and decoded: no path that is accepted has an escaped ``/`` or ``%``."""
    return found == wanted or unquote(found) == wanted


def _check_arn(event: Mapping[str, Any], own: str, path: str) -> None:
    """Hold the method that an authorizer's answer will name against the request that is judged."""
    if "version" in event:
        raise Denied("this is the event of an HTTP API, whose paths are decoded; only REST APIs are answered")
    context, arn = mapping(event.get("requestContext")), event["methodArn"]
    said = [context.get("apiId"), context.get("stage"), context.get("httpMethod")]
    if not isinstance(arn, str):
        raise Denied("the gateway's event does not name a method")
    named = arn.split(":", 5)[-1]
    if named == f"{said[0]}/{said[1]}/{said[2]}{own}":  # the usual form, at a fraction of the cost
        return
    parts = named.split("/", 3)
    ends = {unquote(known).strip("/") for known in (own, path)}
    if parts[:3] != said or unquote("/".join(parts[3:])).strip("/") not in ends:
        raise Denied("the gateway's event names another method than the one of its request")


def query_of(event: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    """Return each name of the query once, decoded, with its values in their order; names in no order.

    Raises:
        Denied: ``malformed``: only the map with one value per name is there, which hides the others; or the
            two maps disagree.
        AttributeError, LookupError, TypeError: they are no maps.
    """
    single, multi = event.get("queryStringParameters"), event.get("multiValueQueryStringParameters")
    if multi is None:
        if single:
            raise Denied("the gateway's event shows one value per query name, and may hide others")
        return []
    if not all(isinstance(values, list) for values in multi.values()):
        raise TypeError("a map of lists is expected")
    # AWS and sam local report the last value in the single map, MiniStack the first.
    ends = [{name: values[place] for name, values in multi.items()} for place in (-1, 0)]
    if single is not None and single not in ends:
        raise Denied("the gateway's two query maps disagree")
    return list(multi.items())


def merge_headers(event: Mapping[str, Any]) -> dict[str, str]:
    """Return header fields by name in lower case; values of one name are joined by ``", "``.

    Raises:
        Denied: ``malformed``: only the map with one value per field is there, which hides the others; or the
            two maps disagree, or a field that decides comes twice.
        AttributeError, LookupError, TypeError: they are no maps.
    """
    single: Mapping[str, str] = event.get("headers") or {}
    multi: Mapping[str, Sequence[str]] | None = event.get("multiValueHeaders")
    if multi is None:
        if single:
            raise Denied("the gateway's event shows one value per header field, and may hide others")
        return {}
    merged: dict[str, str] = {}
    for name, values in multi.items():
        lowered = name.lower()
        if lowered in merged or lowered.startswith("@"):
            raise Denied("a header field comes in two spellings of its name, or under no field's name")
        if not isinstance(values, list) or not values:
            raise TypeError("a list of values is expected")
        if len(values) > 1 and lowered in SINGLE_FIELDS:
            raise Denied(f"the {lowered} field comes more than once")
        merged[lowered] = joined = ", ".join(values)
        # AWS reports the last value in the single map; emulators report all of them, joined.
        reported = single.get(name)
        if reported != joined and reported not in (values[-1], ",".join(values)):
            raise Denied("the gateway's two header maps disagree")
    if len(single) != len(multi):
        raise Denied("the gateway's two header maps disagree")
    return merged


def header_bytes(event: Mapping[str, Any]) -> int:
    """Return the total size of all header values in bytes (UTF-8), which is what API Gateway limits.

    Counted are the values of every field line, those that the gateway added included; names, separators
    and the request line are not.
    """
    multi = event.get("multiValueHeaders")
    found = mapping(multi).values() if multi else [[*mapping(event.get("headers")).values()]]
    lists = [values for values in found if isinstance(values, list)]
    try:
        joined = "".join(chain.from_iterable(lists))
    except TypeError:  # no event of API Gateway's; what there is of text counts
        joined = "".join(text for text in chain.from_iterable(lists) if isinstance(text, str))
    return len(joined) if joined.isascii() else len(joined.encode(errors="surrogatepass"))


def needs_digest(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request has to sign a Content-Digest: by its method, or because a body can be seen.

    Args:
        method: upper case.
        headers: names in lower case; emulators leave ``Content-Length`` in, AWS takes it away.
    """
    seen = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return seen or method in CONTENT_METHODS


def received_body(event: Mapping[str, Any]) -> bytes:
    """Return the content of a proxy event as the gateway received it, base64 of the event undone.

    Any transfer coding (chunks) is gone by then; a content coding (``Content-Encoding``) is not.

    Raises:
        Denied: ``malformed``: the event's base64 or text is broken.
    """
    body = event.get("body")
    if body is None:
        return b""
    try:
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else bytes(body.encode())
    except (ValueError, TypeError, AttributeError) as error:
        raise Denied("the body is neither text nor base64") from error


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
