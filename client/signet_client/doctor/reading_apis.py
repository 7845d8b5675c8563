"""Reads APIs: REST APIs by ``apigateway``, HTTP APIs by ``apigatewayv2``.

Shapes: docs.aws.amazon.com/apigateway/latest/api (GetResources, GetAuthorizers, GetGatewayResponses,
GetStages) and docs.aws.amazon.com/apigatewayv2/latest/api-reference (the same of HTTP APIs, and domains).
Domain names and mappings of both kinds of API are listed by ``apigatewayv2``
(docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html).

What is read is how an API is set up. A stage of a REST API serves what was last deployed to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from signet.core.errors import NotFoundError
from signet_client.doctor.asking import Asking
from signet_client.doctor.facts import ANY, Api, Authorizer, Cors, Domain, Method

_V1: Final = ("position", "position")
_V2: Final = ("NextToken", "NextToken")
#: ``…:lambda:path/2015-03-31/functions/ARN/invocations`` (API_Authorizer.html, authorizerUri).
_FUNCTION: Final = re.compile(r"/functions/(arn:[^/\s]+)/invocations$")
_HEADER: Final = "gatewayresponse.header."
#: OpenAPI demands the name of a header field, and for a REQUEST authorizer AWS has it written ``Unused``; an
#: emulator hands that on (…/latest/developerguide/api-gateway-swagger-extensions-authorizer.html).
_NONE: Final = frozenset({"", "method.request.header.Unused"})
#: What API Gateway fills in for a stage that has settings and no rate: the account's default
#: (docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
_ACCOUNT_RATE: Final = 10_000


def read_api(asking: Asking, api_id: str, stage: str, *, own: bool = False) -> Api | None:
    """Read one API and its stage; None where it cannot be told which kind it is.

    Raises:
        NotFoundError: there is no API of that id, or no such stage.
    """
    what = f"API {api_id}"
    rest = asking.ask(
        "apigateway",
        "get_rest_api",
        what=what,
        permission=f"apigateway:GET on /restapis/{api_id}",
        restApiId=api_id,
    )
    if rest is None:
        return None
    if rest.get("id"):
        return _read_rest(asking, rest, stage, own=own)
    http = asking.ask(
        "apigatewayv2", "get_api", what=what, permission=f"apigateway:GET on /apis/{api_id}", ApiId=api_id
    )
    if http is None:
        return None
    if http.get("ProtocolType") != "HTTP":
        kind = http.get("ProtocolType")
        raise NotFoundError(
            f"there is no REST or HTTP API {api_id!r} in this account and region; list them with "
            "`aws apigateway get-rest-apis` and `aws apigatewayv2 get-apis`"
            if kind is None
            else f"the API {api_id!r} is a {kind} API; Signet guards REST and HTTP APIs"
        )
    return _read_http(asking, http, stage, own=own)


def _read_rest(asking: Asking, found: Mapping[str, Any], stage: str, *, own: bool) -> Api:
    api_id = found["id"]

    def listed(operation: str, items: str, part: str, **more: Any) -> list[Any] | None:
        return asking.pages(
            "apigateway",
            operation,
            items,
            _V1,
            what=f"the {part} of REST API {api_id}",
            permission=f"apigateway:GET on /restapis/{api_id}/{part}",
            restApiId=api_id,
            **more,
        )

    resources = listed("get_resources", "items", "resources", embed=["methods"], limit=500)
    authorizers = listed("get_authorizers", "items", "authorizers", limit=500)
    responses = listed("get_gateway_responses", "items", "gatewayresponses", limit=500)
    stages = asking.ask(
        "apigateway",
        "get_stages",
        what=f"the stages of REST API {api_id}",
        permission=f"apigateway:GET on /restapis/{api_id}/stages",
        restApiId=api_id,
    )
    by_name = None if stages is None else {one["stageName"]: one for one in stages.get("item", [])}
    _demand(by_name, stage, api_id)
    settings = ((by_name or {}).get(stage, {}).get("methodSettings") or {}).get("*/*", {})
    return Api(
        id=api_id,
        kind="rest",
        stage=stage,
        own=own,
        arn="",
        endpoint_open=not found.get("disableExecuteApiEndpoint", False),
        methods=None if resources is None else tuple(_methods(resources)),
        authorizers=None if authorizers is None else {one["id"]: _authorizer(one) for one in authorizers},
        responses=None
        if responses is None
        else {one["responseType"]: _fields(one) for one in responses if not one.get("defaultResponse")},
        stages=None if by_name is None else tuple(by_name),
        rate=_rate(settings.get("throttlingRateLimit")),
    )


def _methods(resources: Iterable[Mapping[str, Any]]) -> Iterable[Method]:
    for resource in resources:
        for verb, method in (resource.get("resourceMethods") or {}).items():
            yield Method(
                verb,
                resource["path"],
                method.get("authorizationType") or "NONE",
                method.get("authorizerId") or "",
            )


def _authorizer(one: Mapping[str, Any]) -> Authorizer:
    return Authorizer(
        id=one["id"],
        name=one.get("name", ""),
        type=one.get("type", ""),
        ttl_s=one.get("authorizerResultTtlInSeconds"),
        identity_sources=tuple(
            name
            for part in (one.get("identitySource") or "").split(",")
            if (name := part.strip()) not in _NONE
        ),
        function=_function(one.get("authorizerUri")),
        by_role=bool(one.get("authorizerCredentials")),
    )


def _fields(response: Mapping[str, Any]) -> dict[str, str]:
    parameters = response.get("responseParameters") or {}
    return {
        name[len(_HEADER) :].lower(): value
        for name, value in parameters.items()
        if name.lower().startswith(_HEADER)
    }


def _read_http(asking: Asking, found: Mapping[str, Any], stage: str, *, own: bool) -> Api:
    api_id = found["ApiId"]

    def listed(operation: str, part: str) -> list[Any] | None:
        return asking.pages(
            "apigatewayv2",
            operation,
            "Items",
            _V2,
            what=f"the {part} of HTTP API {api_id}",
            permission=f"apigateway:GET on /apis/{api_id}/{part}",
            ApiId=api_id,
        )

    routes, authorizers = listed("get_routes", "routes"), listed("get_authorizers", "authorizers")
    stages = listed("get_stages", "stages")
    by_name = None if stages is None else {one["StageName"]: one for one in stages}
    _demand(by_name, stage, api_id)
    settings = (by_name or {}).get(stage, {}).get("DefaultRouteSettings") or {}
    cors = found.get("CorsConfiguration")
    return Api(
        id=api_id,
        kind="http",
        stage=stage,
        own=own,
        arn="",
        endpoint_open=not found.get("DisableExecuteApiEndpoint", False),
        methods=None if routes is None else tuple(map(_route, routes)),
        authorizers=None
        if authorizers is None
        else {one["AuthorizerId"]: _http_authorizer(one) for one in authorizers},
        stages=None if by_name is None else tuple(by_name),
        rate=_rate(settings.get("ThrottlingRateLimit")),
        cors=Cors(frozenset(map(str.lower, cors.get("AllowHeaders") or ()))) if cors else None,
    )


def _route(one: Mapping[str, Any]) -> Method:
    verb, _, path = one["RouteKey"].partition(" ")
    authorization, authorizer = one.get("AuthorizationType") or "NONE", one.get("AuthorizerId") or ""
    return (
        Method(verb, path, authorization, authorizer)
        if path
        else Method(ANY, verb, authorization, authorizer)
    )


def _http_authorizer(one: Mapping[str, Any]) -> Authorizer:
    return Authorizer(
        id=one["AuthorizerId"],
        name=one.get("Name", ""),
        type=one.get("AuthorizerType", ""),
        ttl_s=one.get("AuthorizerResultTtlInSeconds"),
        identity_sources=tuple(one.get("IdentitySource") or ()),
        function=_function(one.get("AuthorizerUri")),
        by_role=bool(one.get("AuthorizerCredentialsArn")),
        payload=one.get("AuthorizerPayloadFormatVersion") or "",
        simple=bool(one.get("EnableSimpleResponses")),
    )


def _function(uri: object) -> str:
    found = _FUNCTION.search(uri) if isinstance(uri, str) else None
    return found[1] if found else ""


def _rate(given: object) -> float | None:
    rate = float(given) if isinstance(given, int | float) else 0.0
    return rate if 0 < rate < _ACCOUNT_RATE else None


def _demand(stages: Mapping[str, Any] | None, stage: str, api_id: str) -> None:
    if stages is not None and stage not in stages:
        there = ", ".join(stages) or "none"
        raise NotFoundError(f"the API {api_id!r} has no stage {stage!r} (there are: {there})")


def read_domains(asking: Asking) -> dict[tuple[str, str], tuple[Domain, ...]] | None:
    """Return the custom domain names that lead to each API and stage; None where AWS does not tell."""
    names = asking.pages(
        "apigatewayv2",
        "get_domain_names",
        "Items",
        _V2,
        what="custom domain names",
        permission="apigateway:GET on /domainnames",
    )
    if names is None:
        return None
    found: dict[tuple[str, str], list[Domain]] = {}
    for one in names:
        name = one["DomainName"]
        mappings = asking.pages(
            "apigatewayv2",
            "get_api_mappings",
            "Items",
            _V2,
            what=f"where the domain name {name} leads",
            permission=f"apigateway:GET on /domainnames/{name}/apimappings",
            DomainName=name,
        )
        if mappings is None:
            return None
        domain = Domain(name, bool((one.get("MutualTlsAuthentication") or {}).get("TruststoreUri")))
        for mapping in mappings:
            found.setdefault((mapping["ApiId"], mapping.get("Stage", "")), []).append(domain)
    return {place: tuple(domains) for place, domains in found.items()}
