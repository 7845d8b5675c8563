"""How an API asks Signet's authorizer: for every request, and with the payload it reads.

Sources: docs.aws.amazon.com/apigateway/latest/api/API_Authorizer.html (the time to live is 300 s where it is
not set; a REQUEST authorizer is not called if an identity source is missing, which is a 401), …/latest/
developerguide/http-api-lambda-authorizer.html (payloads, simple responses; caching needs an identity source).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from signet_client.doctor.checks.guarding import signets
from signet_client.doctor.facts import Api, Authorizer, Deployment, Finding, Function, Grant

#: Every request has an address; Terraform cannot list nothing (``signet_client.attach.terraform``).
_NEVER_MISSING = frozenset({"context.identity.sourceIp"})


def check(deployment: Deployment) -> Iterator[Finding]:
    """Find authorizers that are not asked each time, or not as Signet answers."""
    for api in deployment.apis:
        for one in (signets(api, deployment) or {}).values():
            where = f"{api}, authorizer {one.name}"
            yield from _asked_each_time(api, one, where)
            if api.kind == "http":
                yield from _http(one, where)
            if deployment.grants is not None and deployment.authorizer is not None and not one.by_role:
                yield from _may_be_called(api, one, deployment.grants, deployment.authorizer, where)


def _asked_each_time(api: Api, one: Authorizer, where: str) -> Iterator[Finding]:
    if one.type == "TOKEN":
        yield Finding(
            "authorizer_type",
            where,
            "it is of the type TOKEN: it sees one header field and not the request, so it can verify nothing",
            "Type: REQUEST (SAM: FunctionPayloadType: REQUEST)",
        )
    # HTTP APIs do not cache without an identity source, so there a missing number says 0.
    unsaid = one.ttl_s is None and (api.kind == "rest" or bool(one.identity_sources))
    if one.ttl_s or unsaid:
        kept = f"{one.ttl_s} s" if one.ttl_s else "300 s, since it says nothing"
        yield Finding(
            "authorizer_caches",
            where,
            f"answers are cached ({kept}): a request that looks alike passes without a proof of its own",
            "AuthorizerResultTtlInSeconds: 0 (SAM: Identity: {ReauthorizeEvery: 0})",
        )
    missable = [source for source in one.identity_sources if source not in _NEVER_MISSING]
    if missable and one.type != "TOKEN":
        yield Finding(
            "identity_source",
            where,
            f"it lists identity sources ({', '.join(missable)}): a request without them "
            "gets a 401 without a challenge and without a receipt",
            "IdentitySource left out (SAM: no Headers, QueryStrings, StageVariables, Context in Identity)",
        )


def _http(one: Authorizer, where: str) -> Iterator[Finding]:
    if one.payload != "2.0":
        yield Finding(
            "payload_version",
            where,
            f"it takes the payload {one.payload or 'that it does not name'}: a request is refused "
            "as malformed if its event shows one value per name, and may hide others",
            "AuthorizerPayloadFormatVersion: '2.0'",
        )
    elif not one.simple:
        yield Finding(
            "simple_responses",
            where,
            "it does not take simple responses, which is how Signet answers the payload 2.0: every "
            "request is a 500",
            "EnableSimpleResponses: true",
        )


def _may_be_called(
    api: Api, one: Authorizer, grants: tuple[Grant, ...], function: Function, where: str
) -> Iterator[Finding]:
    """Hold the function's policy against the API.

    The caller is ``…:execute-api:REGION:ACCOUNT:API/authorizers/ID`` (docs.aws.amazon.com/apigateway/latest/
    developerguide/api-gateway-control-access-using-iam-policies-to-invoke-api.html, "Lambda authorizer").
    """
    source, account = f"{api.arn}/authorizers/{one.id}", api.arn.split(":")[4]
    qualifier = one.function.removeprefix(function.arn).lstrip(":")
    if any(_allows(grant, qualifier, source, account) for grant in grants):
        return
    named = f"{function.name}:{qualifier}" if qualifier else function.name
    yield Finding(
        "invoke_permission",
        where,
        f"API Gateway may not call {named} for it: every request is a 500, without a decision",
        f"aws lambda add-permission --function-name {named} --statement-id signet-{api.id} --principal "
        f"apigateway.amazonaws.com --action lambda:InvokeFunction --source-arn '{api.arn}/authorizers/*'",
    )


def _allows(grant: Grant, qualifier: str, source: str, account: str) -> bool:
    return (
        grant.qualifier == qualifier
        and (not grant.accounts or account in grant.accounts)
        and (not grant.sources or any(_matches(pattern, source) for pattern in grant.sources))
    )


def _matches(pattern: str, arn: str) -> bool:
    """Match as ArnLike does: ``*`` any characters, ``?`` one.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    parts = re.split(r"([*?])", pattern)
    wild = {"*": ".*", "?": "."}
    return re.fullmatch("".join(wild.get(part, re.escape(part)) for part in parts), arn) is not None
