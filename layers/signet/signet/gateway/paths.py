"""Which part of an addressed path is the API's own, told by its resource and what fills that in.

How long it is, the resource and the number of a ``{proxy+}``'s segments say; so neither a mapping nor a
caller can make one path of an API look like another. Every path here is spelled as a client spells it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.target import check_path, spell_path

#: Route of an HTTP API that takes what no other route takes.
DEFAULT_ROUTE = "$default"


class Paths(NamedTuple):
    """Where a request went; see ``InboundRequest``."""

    path: str
    own_path: str
    resource: str


def ends_with(addressed: str, path: str, stage: Any) -> bool:
    """Compare the two paths; a stage that is addressed without a slash has the path ``/`` all the same."""
    return path.startswith("/") and (addressed.endswith(path) or (path == "/" and addressed == f"/{stage}"))


def shown_prefix(addressed: Any, path: Any) -> str:
    """Return what a path that has no reading has in front of the one that is told beside it.

    It goes into a challenge, which names places under it. So it is empty unless it is a canonical path, as a
    stage or a mapping is: no quote, no line break, and no other host in front (``//``).
    """
    if not isinstance(addressed, str) or not isinstance(path, str):
        return ""
    if not path.startswith("/") or not addressed.endswith(path):
        return ""
    prefix = addressed.removesuffix(path)
    try:
        return "" if prefix.endswith("/") else check_path(prefix)
    except Denied:
        return ""


def own_path(resource: str, parameters: Mapping[str, Any], path: str) -> str:
    """Return the end of ``path`` that is the resource, its parameters filled in.

    Raises:
        Denied: ``malformed``: the path does not end so, or a parameter is missing.
    """
    if path == resource and "{" not in resource:
        return path
    wanted: list[str] = []
    for segment in resource.split("/")[1:] if resource != "/" else []:
        wanted += _filled(segment, parameters)
    given = path.removesuffix("/").split("/")[1:]
    found = given[len(given) - len(wanted) :] if wanted else []
    if len(found) != len(wanted) or not all(map(_is_segment, found, wanted)):
        raise Denied(Reason.MALFORMED, "the gateway's event names a resource that is not the one of its path")
    return "/" + "/".join(found)


def _filled(segment: str, parameters: Mapping[str, Any]) -> list[str]:
    if not (segment.startswith("{") and segment.endswith("}")):
        return [segment]
    value = parameters.get(segment[1:-1].removesuffix("+"))
    if not isinstance(value, str):
        raise Denied(Reason.MALFORMED, "the gateway's event lacks a path parameter")
    return value.removesuffix("/").split("/") if segment.endswith("+}") else [value]


def _is_segment(found: str, wanted: str) -> bool:
    """Compare as spelled, and decoded: no path that is accepted has an escaped ``/`` or ``%``."""
    return found == wanted or unquote(found) == wanted


def check_arn(arn: Any, stands_for: tuple[Any, Any, Any], paths: tuple[str, ...]) -> None:
    """Hold the method that an authorizer's answer is about against the request that is decided on.

    Args:
        arn: ``arn:…:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path``.
        stands_for: id of the API, stage and method, as they are told beside it.
        paths: what its path may be; the first is the usual one.

    Raises:
        Denied: ``malformed``: it names another method, or none.
    """
    if not isinstance(arn, str):
        raise Denied(Reason.MALFORMED, "the gateway's event does not name a method")
    named = arn.split(":", 5)[-1]
    api_id, stage, method = stands_for
    if named == f"{api_id}/{stage}/{method}{paths[0]}":  # at a fraction of the cost
        return
    parts = named.split("/", 3)
    ends = {unquote(known).strip("/") for known in paths}
    if tuple(parts[:3]) != stands_for or unquote("/".join(parts[3:])).strip("/") not in ends:
        raise Denied(Reason.MALFORMED, "the gateway's event names another method than the one of its request")


def decoded_paths(
    shown: Any,
    path: Any,
    resource: Any,
    context: Mapping[str, Any],
    *,
    method: Any,
    parameters: Mapping[str, Any],
    arn: Any,
) -> Paths:
    """Read where a request to an HTTP API went, whose paths are told decoded.

    Args:
        shown: path as addressed.
        path: the path told beside it.
        resource: path of the route, or ``$default``.
        context: ``requestContext``, which names API, stage and domain.
        method: as routed.
        parameters: what fills the resource in.
        arn: the method or route that an answer will be about.

    Raises:
        Denied: ``malformed`` where two of them disagree, one is missing, or two requests would read alike.
    """
    stage = context.get("stage")
    if not isinstance(shown, str) or not isinstance(path, str) or not ends_with(shown, path, stage):
        raise Denied(Reason.MALFORMED, "the gateway's event does not say one path")
    if not isinstance(resource, str) or not (resource.startswith("/") or resource == DEFAULT_ROUTE):
        raise Denied(Reason.MALFORMED, "the gateway's event does not name a resource")
    shown = check_path(spell_path(shown))
    if resource == DEFAULT_ROUTE:
        own = _behind_the_stage(shown, context)
        _check_stage(arn, (context.get("apiId"), stage))
        return Paths(shown, own, resource)
    own = own_path(resource, parameters, shown)
    check_arn(arn, (context.get("apiId"), stage, method), (own, shown, spell_path(path), resource))
    return Paths(shown, own, resource)


def _behind_the_stage(path: str, context: Mapping[str, Any]) -> str:
    """Return the own path of a route that declares none."""
    stage, domain = context.get("stage"), context.get("domainName")
    if not isinstance(domain, str) or not domain.startswith(f"{context.get('apiId')}.execute-api."):
        raise Denied(
            Reason.MALFORMED,
            "behind a custom domain nothing says where the own path of the $default route begins",
        )
    prefix = "" if stage == DEFAULT_ROUTE else f"/{stage}"
    own = path.removeprefix(prefix)
    if not path.startswith(prefix) or not (own.startswith("/") or not own):
        raise Denied(Reason.MALFORMED, "the gateway's event does not say one path")
    return own.removesuffix("/") or "/"


def _check_stage(arn: Any, stands_for: tuple[Any, Any]) -> None:
    named = arn.split(":", 5)[-1].split("/") if isinstance(arn, str) else []
    if tuple(named[:2]) != stands_for:
        raise Denied(Reason.MALFORMED, "the gateway's event names another method than the one of its request")
