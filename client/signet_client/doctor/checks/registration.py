"""Registered APIs: deployed as they are registered, and known to the policy by the same names."""

from __future__ import annotations

from collections.abc import Iterator

from signet.core.apis import OWN_API
from signet_client.doctor.checks.guarding import guarded
from signet_client.doctor.facts import Deployment, Finding


def check(deployment: Deployment) -> Iterator[Finding]:
    """Find what is registered and not deployed, and what is deployed or in the policy and not registered."""
    for one in deployment.gone:
        yield Finding(
            "api_not_deployed",
            f"registered API {one.name}",
            f"there is no API {one.id} with a stage {one.stage}: what is deployed later, under a new id, "
            "is refused as unknown_api",
            f"signet apis remove {one.name} --stack {deployment.stack}, then signet apis add with its new id",
        )
    if deployment.registered is None:
        return
    for api in deployment.apis:
        if not api.name and guarded(api, deployment):
            yield Finding(
                "api_not_registered",
                f"{api}, stage {api.stage}",
                "Signet's authorizer is asked, and no API is registered with this id and stage: each "
                "request is refused as unknown_api",
                f"signet apis add NAME --api-id {api.id} --stage '{api.stage}' --stack {deployment.stack}",
            )
    known = {OWN_API, *(one.name for one in deployment.registered)}
    for name in sorted({rule.api for rule in deployment.rules or ()} - known):
        yield Finding(
            "api_not_registered",
            f"policy, config.apis[{name!r}]",
            "no API is registered under this name, so its rules are never asked",
            f"signet apis add {name} --api-id ID --stage STAGE --stack {deployment.stack}; or {name!r} taken "
            "out of config.apis, then signet policy push",
        )
