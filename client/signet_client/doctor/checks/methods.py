"""Methods that let a request through without a proof, and preflight requests that cannot bring one."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from signet_client.doctor.checks.guarding import signets
from signet_client.doctor.facts import OPEN_ROUTES, PREFLIGHT, Api, Deployment, Finding, Method


def check(deployment: Deployment) -> Iterator[Finding]:
    """Find methods without the authorizer, and preflight requests that are sent to it."""
    for api in deployment.apis:
        ours = signets(api, deployment)
        for method in (api.methods or ()) if ours is not None else ():
            if method.authorizer_id in (ours or {}):
                if method.verb == PREFLIGHT:
                    yield _preflight(api, method)
            elif method.verb != PREFLIGHT and method.route not in _meant(api, deployment):
                yield _open(api, method)


def _meant(api: Api, deployment: Deployment) -> frozenset[str]:
    """Return the routes that are open on purpose."""
    return deployment.open_routes | OPEN_ROUTES if api.own else deployment.open_routes


def _open(api: Api, method: Method) -> Finding:
    other = "" if method.authorization == "NONE" else f"; {method.authorization} guards it instead"
    # One authorizer for each method: docs.aws.amazon.com/apigateway/latest/api/API_Method.html, authorizerId.
    return Finding(
        "method_without_authorizer",
        f"{api}, {method.route}",
        f"Signet's authorizer is not asked{other}: requests need no proof and leave no receipt",
        f"Auth: {{Authorizer: Signet}} on this event (OpenAPI: security: [{{Signet: []}}]); or, if it is "
        f"open on purpose, signet doctor --open {quote(method.route)}",
    )


def _preflight(api: Api, method: Method) -> Finding:
    # Browsers send preflight requests without credentials (fetch.spec.whatwg.org, CORS-preflight fetch), and
    # SAM puts its default authorizer on the OPTIONS methods it makes unless told otherwise
    # (docs.aws.amazon.com/serverless-application-model, sam-property-api-apiauth).
    return Finding(
        "preflight_to_authorizer",
        f"{api}, {method.route}",
        "the authorizer is asked about preflight requests; a browser signs none, so it never gets further",
        "AddDefaultAuthorizerToCorsPreflight: false under Auth of the API (OpenAPI: security: [] on options)",
    )
