"""Reads a deployment: the stack, its API, and the APIs that were named. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from signet.core.apis import OWN_API
from signet.core.errors import NotFoundError
from signet.log.object_keys import LATEST_HEAD
from signet_client.doctor.asking import Asking
from signet_client.doctor.checks.guarding import signets
from signet_client.doctor.facts import (
    AUTHORITIES,
    EDGE,
    ENDPOINT,
    SKEW,
    Api,
    Deployment,
    Function,
    Registered,
)
from signet_client.doctor.reading_apis import read_api, read_domains
from signet_client.doctor.reading_policy import read_rules
from signet_client.doctor.reading_stack import (
    Layers,
    read_alarms,
    read_function,
    read_functions,
    read_grants,
    read_queues,
    read_reserved,
)
from signet_client.doctor.reading_tables import read_breakers, read_registered
from signet_client.stack import Stack

_REST_API: Final = "AWS::ApiGateway::RestApi"


def read_deployment(
    stack: Stack,
    named: Sequence[tuple[str, str]],
    asking: Asking,
    now: Callable[[], float],
    *,
    only: Sequence[str] = (),
) -> Deployment:
    """Read a deployment.

    Args:
        stack: its outputs and parameters.
        named: id and stage of each API to look at, beside its own and those that are registered.
        asking: what calls AWS.
        now: Unix seconds.
        only: names of the registered APIs to look at; all in the stack's account if there are none.

    Raises:
        NotFoundError: there is no such API or stage, or no API is registered under such a name.
    """
    resources = asking.pages(
        "cloudformation",
        "list_stack_resources",
        "StackResourceSummaries",
        ("NextToken", "NextToken"),
        what="the stack's own API, and its alarms",
        permission=f"cloudformation:ListStackResources on {stack.name}",
        StackName=stack.name,
    )
    functions = read_functions(asking, stack)
    guard = functions.get("AuthorizerFunction")
    registered = read_registered(asking, stack)
    here = _of_this_account(asking, registered, guard, only)
    apis, gone = _apis(asking, stack, resources, named, here)
    seen = Deployment(
        stack=stack.name,
        parameters=stack.parameters,
        apis=tuple(replace(api, arn=_arn(guard.arn, api.id)) for api in apis) if guard else apis,
        registered=registered,
        gone=gone,
        functions=functions,
        reserved=read_reserved(asking, guard.name) if guard else None,
        queues=read_queues(asking, stack, now()),
        alarms=None if resources is None else read_alarms(asking, resources),
    )
    if guard is not None:
        called = [one.function for api in seen.apis for one in (signets(api, seen) or {}).values()]
        qualifiers = {arn.removeprefix(guard.arn).lstrip(":") for arn in called}
        called_otherwise = _qualified(asking, guard, qualifiers - {""})
        seen = replace(
            seen,
            functions=functions | called_otherwise,
            grants=read_grants(asking, guard.name, qualifiers),
        )
    return _with_the_log(seen, stack, asking, now)


def _with_the_log(seen: Deployment, stack: Stack, asking: Asking, now: Callable[[], float]) -> Deployment:
    missing = [name for name in ("LogBucket", "LogTable", "BreakersTable") if name not in stack.outputs]
    for name in missing:
        asking.miss(name, f"the stack has no output {name}; deploy this version's template")
    if not missing:
        seen = replace(
            seen,
            head_age_s=_head_age(asking, stack.outputs["LogBucket"], now),
            breakers=read_breakers(asking, stack.outputs["BreakersTable"], now()),
            rules=read_rules(asking, stack.outputs["LogTable"], stack.outputs["LogBucket"]),
        )
    for name in (EDGE, ENDPOINT, SKEW):
        if name not in stack.parameters:
            asking.miss(name, f"the stack has no parameter {name}; deploy this version's template")
    if seen.authorizer is not None and AUTHORITIES not in seen.authorizer.environment:
        asking.miss("Authorities", f"the authorizer has no variable {AUTHORITIES}; deploy the stack again")
    if asking.clock is None:
        asking.miss("the time by AWS", "no answer had a Date field")
    return replace(seen, clock=asking.clock, unseen=tuple(asking.unseen))


def _qualified(asking: Asking, guard: Function, qualifiers: Iterable[str]) -> dict[str, Function]:
    """Read the versions and aliases that APIs call: each is set up as it was published."""
    layers: Layers = {layer.arn: layer for layer in guard.layers}
    found = {}
    for qualifier in sorted(qualifiers):
        output = f"{guard.output}:{qualifier}"
        function = read_function(asking, output, guard.name, layers, qualifier)
        if function is not None:
            found[output] = function
    return found


def _arn(function: str, api_id: str) -> str:
    """Return an API's ARN. It is read by the credentials that read the function, so it is in its account."""
    _, partition, _, region, account, *_ = function.split(":")
    return f"arn:{partition}:execute-api:{region}:{account}:{api_id}"


def _of_this_account(
    asking: Asking, registered: Sequence[Registered] | None, guard: Function | None, only: Sequence[str]
) -> list[Registered]:
    """Return the registered APIs to look at: these credentials see no other account's.

    Raises:
        NotFoundError: none has such a name.
    """
    known = {one.name: one for one in registered or ()}
    if registered is not None and (unknown := sorted(set(only) - known.keys())):
        raise NotFoundError(
            f"no API is registered under the name {unknown[0]!r}; signet apis list shows them"
        )
    asked = [known[name] for name in (only or known) if name in known]
    account = None if guard is None else guard.arn.split(":")[4]
    for one in asked:
        if account is not None and one.account != account:
            asking.miss(
                f"the API {one.name}",
                f"it is in the account {one.account}, which these credentials are not of",
            )
    return [one for one in asked if account is None or one.account == account]


def _apis(
    asking: Asking,
    stack: Stack,
    resources: Iterable[Mapping[str, Any]] | None,
    named: Sequence[tuple[str, str]],
    registered: Sequence[Registered],
) -> tuple[tuple[Api, ...], tuple[Registered, ...]]:
    """Return the APIs that could be read, and the registered ones that are not deployed."""
    own = next(
        (
            one["PhysicalResourceId"]
            for one in resources or ()
            if (one["LogicalResourceId"], one["ResourceType"]) == ("Api", _REST_API)
        ),
        None,
    )
    if own is None and resources is not None:
        asking.miss("the stack's own API", "the stack has no resource Api; deploy this version's template")
    mine = [] if own is None else [(own, stack.parameter("Environment"))]
    known = {(one.id, one.stage): one for one in registered}
    apis, gone = [], []
    for place in dict.fromkeys((*mine, *known, *named)):
        try:
            api = read_api(asking, *place, own=place in mine)
        except NotFoundError:
            if place not in known or place in named:
                raise
            gone.append(known[place])
            continue
        if api is not None:
            name = OWN_API if api.own else known[place].name if place in known else ""
            apis.append(replace(api, name=name))
    domains = read_domains(asking)
    if domains is not None:
        apis = [replace(api, domains=domains.get((api.id, api.stage), ())) for api in apis]
    return tuple(apis), tuple(gone)


def _head_age(asking: Asking, bucket: str, now: Callable[[], float]) -> float | None:
    told = asking.ask(
        "s3",
        "head_object",
        what="the age of the newest tree head",
        permission=f"s3:GetObject and s3:ListBucket on {bucket}",
        Bucket=bucket,
        Key=LATEST_HEAD,
    )
    if told is None:
        return None
    return max(0.0, now() - told["LastModified"].timestamp()) if told else -1.0
