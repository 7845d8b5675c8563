"""Reads a deployment: the stack, its API, and the APIs that were named. It changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from signet.core.errors import PolicyError
from signet.log.object_keys import LATEST_HEAD
from signet.policy.bundle import FILE_NAME, policy_bundle_sha256
from signet.policy.listing import listed_routes
from signet.policy.loading import MAX_BYTES, MAX_FILES
from signet.policy.register import REGISTER, Pushed, object_key
from signet.policy.rego import merged_data
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
    Rule,
)
from signet_client.doctor.reading_apis import read_api, read_domains
from signet_client.doctor.reading_stack import (
    Layers,
    read_alarms,
    read_breaker,
    read_function,
    read_functions,
    read_grants,
    read_queues,
    read_reserved,
)
from signet_client.stack import Stack

_REST_API: Final = "AWS::ApiGateway::RestApi"
_MAX_HEAD_BYTES: Final = 1_048_576


def read_deployment(
    stack: Stack, named: Sequence[tuple[str, str]], asking: Asking, now: Callable[[], float]
) -> Deployment:
    """Read a deployment.

    Args:
        stack: its outputs and parameters.
        named: id and stage of each API that it guards, beside its own.
        asking: what calls AWS.
        now: Unix seconds.

    Raises:
        NotFoundError: there is no such API or stage.
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
    apis, every_api = _apis(asking, stack, resources, named)
    seen = Deployment(
        stack=stack.name,
        parameters=stack.parameters,
        apis=tuple(replace(api, arn=_arn(guard.arn, api.id)) for api in apis) if guard else apis,
        every_api=every_api,
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
            breaker=read_breaker(asking, stack.outputs["BreakersTable"], now()),
            rules=_rules(asking, stack.outputs["LogTable"], stack.outputs["LogBucket"]),
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


def _apis(
    asking: Asking,
    stack: Stack,
    resources: Iterable[Mapping[str, Any]] | None,
    named: Sequence[tuple[str, str]],
) -> tuple[tuple[Api, ...], bool]:
    """Return the APIs that could be read, and whether these are all."""
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
    places = list(dict.fromkeys((*mine, *named)))
    found = [read_api(asking, *place, own=place in mine) for place in places]
    apis = [api for api in found if api is not None]
    domains = read_domains(asking)
    if domains is not None:
        apis = [replace(api, domains=domains.get((api.id, api.stage), ())) for api in apis]
    return tuple(apis), own is not None and len(apis) == len(places)


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


def _rules(asking: Asking, table: str, bucket: str) -> tuple[Rule, ...] | None:
    """Return the rules of the policy in force: what was pushed, or else what the newest head names."""
    what = "the policy in force"
    told = asking.ask(
        "dynamodb",
        "get_item",
        what=what,
        permission=f"dynamodb:GetItem on {table}",
        TableName=table,
        Key={"pk": {"S": REGISTER}},
        ConsistentRead=True,
    )
    if told is None:
        return None
    try:
        named = _pushed(told["Item"]) if told.get("Item") else _deployed(asking, bucket)
        if named is None:
            return None
        files = _files(asking, bucket, *named)
        return None if files is None else _listed(asking, files)
    except (PolicyError, KeyError, TypeError, ValueError) as error:
        asking.miss(what, f"it is not what Signet writes ({type(error).__name__}); signet policy push again")
        return None


def _pushed(item: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    value = bytes(item["value"]["B"])
    if hashlib.sha256(value).digest() != bytes(item["sha256"]["B"]):
        raise PolicyError("the register does not have its digest", code="bad_register")
    pushed = Pushed.decode(value)
    return pushed.version.bundle_sha256, pushed.files


def _deployed(asking: Asking, bucket: str) -> tuple[str, tuple[str, ...]] | None:
    body = _object(asking, bucket, LATEST_HEAD, _MAX_HEAD_BYTES)
    if body is None:
        return None
    if not body:
        asking.miss(
            "the policy in force", "none was pushed, and no tree head names one; signet close, then again"
        )
        return None
    sha256 = str(json.loads(body)["policy_bundle_sha256"])
    prefix = f"policy/{sha256}/"
    told = asking.ask(
        "s3",
        "list_objects_v2",
        what="the policy in force",
        permission=f"s3:ListBucket on {bucket}",
        Bucket=bucket,
        Prefix=prefix,
        MaxKeys=MAX_FILES + 1,
    )
    if told is None:
        return None
    return sha256, tuple(one["Key"].removeprefix(prefix) for one in told.get("Contents", []))


def _files(asking: Asking, bucket: str, sha256: str, names: tuple[str, ...]) -> dict[str, bytes] | None:
    if len(names) > MAX_FILES or not all(map(FILE_NAME.fullmatch, names)):
        raise PolicyError("no bundle has such files", code="bad_register")
    files: dict[str, bytes] = {}
    for name in names:
        body = _object(asking, bucket, object_key(sha256, name), MAX_BYTES)
        if body is None:
            return None
        files[name] = body
    if policy_bundle_sha256(files) != sha256:
        raise PolicyError("the stored files are not those of the bundle", code="bad_register")
    return files


def _object(asking: Asking, bucket: str, key: str, most: int) -> bytes | None:
    """Return an object's bytes; empty where there is none, None where it could not be read."""
    told = asking.ask(
        "s3",
        "get_object",
        what="the policy in force",
        permission=f"s3:GetObject on {bucket}/{key}",
        Bucket=bucket,
        Key=key,
        Range=f"bytes=0-{most}",
    )
    if not told:
        return None if told is None else b""
    body: bytes = told["Body"].read()
    if len(body) > most:
        raise PolicyError(f"{key} is too large", code="bad_register")
    return body


def _listed(asking: Asking, files: Mapping[str, bytes]) -> tuple[Rule, ...]:
    rules = []
    for route, entry in listed_routes(merged_data(files)).items():
        binding = entry.get("minimum_binding") if isinstance(entry, dict) else None
        if not isinstance(binding, str):
            asking.miss(
                f"the binding that the policy demands of {route}", "its entry in config.json names none"
            )
            binding = None
        rules.append(Rule(route, binding))
    return tuple(rules)
