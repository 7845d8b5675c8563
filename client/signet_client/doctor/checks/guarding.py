"""Which authorizers of an API are Signet's, and which of its methods they guard."""

from __future__ import annotations

from signet_client.doctor.facts import Api, Authorizer, Deployment, Method


def unqualified(arn: str) -> str:
    """Return a Lambda function's ARN without its version or alias.

    ``arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]``
    (docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, FunctionName).
    """
    return ":".join(arn.split(":")[:7])


def signets(api: Api, deployment: Deployment) -> dict[str, Authorizer] | None:
    """Return the API's authorizers that call Signet's function, by id; None if that was not seen."""
    function = deployment.authorizer
    if api.authorizers is None or function is None:
        return None
    return {name: one for name, one in api.authorizers.items() if unqualified(one.function) == function.arn}


def guarded(api: Api, deployment: Deployment) -> list[Method] | None:
    """Return the methods that Signet guards; None if that was not seen."""
    ours = signets(api, deployment)
    if ours is None or api.methods is None:
        return None
    return [method for method in api.methods if method.authorizer_id in ours]
