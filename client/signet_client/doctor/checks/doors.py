"""Ways into an API beside the one that is guarded, and how much may come in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from shlex import quote
from typing import Final

from signet.core.vocabulary import BindingType
from signet_client.doctor.checks.guarding import guarded, signets
from signet_client.doctor.facts import ANY, AUTHORITIES, Api, Deployment, Finding

_CERTIFICATE: Final = BindingType.TLS_CLIENT_CERT
_SIGNED: Final = ("signature", "signature-input", "content-digest")
#: Requests that one unit of concurrency takes in a second, at most
#: (docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html, "requests per second").
_PER_ENVIRONMENT: Final = 10


def check(deployment: Deployment) -> Iterator[Finding]:
    """Find open endpoints, other stages, names that are not listed, and missing limits."""
    attached = [api for api in deployment.apis if signets(api, deployment)]
    for api in attached:
        yield from _endpoint(api, deployment)
        yield from _stages(api, deployment)
        yield from _names(api, deployment)
        yield from _preflight(api)
        if api.rate is None and api.stages is not None:
            yield _unlimited(api)
    yield from _sum(attached, deployment)


def _endpoint(api: Api, deployment: Deployment) -> Iterator[Finding]:
    names = [domain.name for domain in api.domains or () if domain.mutual_tls]
    if not names or not api.endpoint_open or _demands_certificates(api, deployment):
        return
    # docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-disable-default-endpoint.html
    yield Finding(
        "endpoint_beside_mutual_tls",
        str(api),
        f"{', '.join(names)} demands client certificates, and the execute-api name beside it does not",
        "DisableExecuteApiEndpoint: true, or minimum_binding tls-client-cert for each of its routes",
    )


def _demands_certificates(api: Api, deployment: Deployment) -> bool:
    methods, rules = guarded(api, deployment), deployment.rules
    if not methods or rules is None:
        return False
    bindings = {rule.route: rule.minimum_binding for rule in rules}
    return all(method.verb != ANY and bindings.get(method.route) == _CERTIFICATE for method in methods)


def _stages(api: Api, deployment: Deployment) -> Iterator[Finding]:
    looked_at = {other.stage for other in deployment.apis if other.id == api.id}
    others = [name for name in api.stages or () if name not in looked_at]
    if others:
        yield Finding(
            "other_stage",
            str(api),
            f"it has other stages ({', '.join(others)}), which serve what was deployed to them, "
            "perhaps without the authorizer",
            f"signet doctor --api-id {api.id} --stage {quote(others[0])} looks at one as well; if none "
            f"needs it: aws {_command(api)} delete-stage {_named(api)} --stage-name {quote(others[0])}",
        )


def _names(api: Api, deployment: Deployment) -> Iterator[Finding]:
    function = deployment.authorizer
    if function is None or AUTHORITIES not in function.environment:
        return
    listed = {name.strip().lower() for name in function.environment[AUTHORITIES].split(",")}
    for domain in api.domains or ():
        if domain.name.lower() not in listed:
            yield Finding(
                "authority_not_listed",
                f"{api}, domain name {domain.name}",
                "Authorities does not list it: every request that is signed for it is refused as malformed",
                f"Authorities={','.join((*sorted(listed - {''}), domain.name))} for the stack "
                f"{deployment.stack}",
            )


def _preflight(api: Api) -> Iterator[Finding]:
    if api.cors is None or "*" in api.cors.allow_headers:
        return
    missing = [name for name in _SIGNED if name not in api.cors.allow_headers]
    if missing:
        yield Finding(
            "cors_allow_headers",
            f"{api}, CorsConfiguration",
            f"its answers to preflight requests do not allow {', '.join(missing)}: no browser sends a proof",
            f"AllowHeaders: [{', '.join((*sorted(api.cors.allow_headers), *missing))}]",
        )


def _unlimited(api: Api) -> Finding:
    line = (
        'MethodSettings: [{ResourcePath: "/*", HttpMethod: "*", ThrottlingRateLimit: 100, '
        "ThrottlingBurstLimit: 200}]"
        if api.kind == "rest"
        else "DefaultRouteSettings: {ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200}"
    )
    # Without one the account's limit holds, for all APIs together
    # (docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html).
    return Finding(
        "no_throttle",
        f"{api}, stage {api.stage}",
        "it has no rate of its own: a flood of it takes the authorizer from all other APIs",
        line,
    )


def _sum(apis: list[Api], deployment: Deployment) -> Iterator[Finding]:
    rates = [api.rate for api in apis]
    reserved = deployment.reserved
    if reserved is None or any(rate is None for rate in rates):
        return
    total, most = sum(rate or 0 for rate in rates), reserved * _PER_ENVIRONMENT
    if total > most:
        yield Finding(
            "throttle_over_concurrency",
            "AuthorizerFunction",
            f"the stages let {total:g} requests pass in a second, and a reserved concurrency of {reserved} "
            f"takes {most} at most: beyond it requests are 500 without a receipt",
            f"ReservedConcurrentExecutions: {math.ceil(total / _PER_ENVIRONMENT)}, or lower rates",
        )


def _command(api: Api) -> str:
    return "apigateway" if api.kind == "rest" else "apigatewayv2"


def _named(api: Api) -> str:
    return f"--{'rest-api' if api.kind == 'rest' else 'api'}-id {api.id}"
