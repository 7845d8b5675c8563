"""Reads what a stack is made of: functions, queues, tables, bucket and alarms.

Shapes: docs.aws.amazon.com/lambda/latest/api (GetFunctionConfiguration, GetPolicy, GetFunctionConcurrency,
GetLayerVersion), …/AWSSimpleQueueService (GetQueueAttributes), …/AmazonCloudWatch (DescribeAlarms,
GetMetricStatistics).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from signet_client.doctor.asking import Asking
from signet_client.doctor.facts import Alarm, Function, Grant, Layer, Queue
from signet_client.stack import Stack

#: Layers by ARN; None for one that was not told.
Layers: TypeAlias = dict[str, Layer | None]

FUNCTIONS: Final = (
    "AuthorizerFunction",
    "HandshakeFunction",
    "ReceiptSinkFunction",
    "SthCronFunction",
    "AuditFunction",
    "PackFunction",
)
QUEUES: Final = ("ReceiptQueueUrl", "ReceiptDlqUrl")
_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_ALARM: Final = "AWS::CloudWatch::Alarm"
_ALARMS_AT_ONCE: Final = 100  # DescribeAlarms, AlarmNames
_ARN_OPERATORS: Final = frozenset({"ArnLike", "ArnEquals", "StringLike", "StringEquals"})
_LATELY: Final = timedelta(minutes=15)


def read_functions(asking: Asking, stack: Stack) -> dict[str, Function]:
    """Return the stack's functions by output, those that could be read."""
    layers: Layers = {}
    found = {}
    for output in FUNCTIONS:
        name = stack.outputs.get(output)
        if name is None:
            asking.miss(output, f"the stack has no output {output}; deploy this version's template")
        elif (function := read_function(asking, output, name, layers)) is not None:
            found[output] = function
    return found


def read_function(
    asking: Asking, output: str, name: str, layers: Layers, qualifier: str = ""
) -> Function | None:
    """Read how a function is set up; None where AWS does not tell, or it is not there.

    Args:
        asking: what calls AWS.
        output: the stack's output that names it.
        name: of the function.
        layers: those that were read before, by ARN; those of this one are added.
        qualifier: version or alias; empty for what was deployed last.
    """
    what = f"the function {name}{f':{qualifier}' if qualifier else ''}"
    told = asking.ask(
        "lambda",
        "get_function_configuration",
        what=what,
        permission=f"lambda:GetFunctionConfiguration on {name}",
        FunctionName=name,
        **({"Qualifier": qualifier} if qualifier else {}),
    )
    if not told:
        if told is not None:
            asking.miss(what, "it is not there; deploy the stack again")
        return None
    arns = [layer["Arn"] for layer in told.get("Layers", [])]
    for arn in arns:
        if arn not in layers:
            layers[arn] = _layer(asking, arn)
    return Function(
        output=output,
        name=name,
        arn=":".join(told["FunctionArn"].split(":")[:7]),
        timeout_s=told.get("Timeout", 3),
        architectures=tuple(told.get("Architectures") or ("x86_64",)),
        runtime=told.get("Runtime", ""),
        environment=(told.get("Environment") or {}).get("Variables") or {},
        layers=tuple(layer for arn in arns if (layer := layers[arn]) is not None),
    )


def _layer(asking: Asking, arn: str) -> Layer | None:
    what = f"the layer {arn}"
    name, _, version = arn.rpartition(":")
    told = asking.ask(
        "lambda",
        "get_layer_version",
        what=what,
        permission=f"lambda:GetLayerVersion on {arn}",
        LayerName=name,
        VersionNumber=int(version),
    )
    if not told:
        if told is not None:
            asking.miss(what, "it was deleted: a function keeps it, and cannot be updated with it")
        return None
    return Layer(
        arn, tuple(told.get("CompatibleArchitectures") or ()), tuple(told.get("CompatibleRuntimes") or ())
    )


def read_reserved(asking: Asking, name: str) -> int | None:
    """Return the concurrency that is reserved for a function; None for none."""
    told = asking.ask(
        "lambda",
        "get_function_concurrency",
        what=f"the concurrency of {name}",
        permission=f"lambda:GetFunctionConcurrency on {name}",
        FunctionName=name,
    )
    reserved = (told or {}).get("ReservedConcurrentExecutions")
    return reserved if isinstance(reserved, int) else None


def read_grants(asking: Asking, name: str, qualifiers: Iterable[str]) -> tuple[Grant, ...] | None:
    """Return what lets API Gateway call a function; None where AWS does not tell, or it cannot be read."""
    grants: list[Grant] = []
    for qualifier in sorted(set(qualifiers)):
        what = f"who may call {name}{f':{qualifier}' if qualifier else ''}"
        told = asking.ask(
            "lambda",
            "get_policy",
            what=what,
            permission=f"lambda:GetPolicy on {name}",
            FunctionName=name,
            **({"Qualifier": qualifier} if qualifier else {}),
        )
        if told is None:
            return None
        for statement in json.loads(told["Policy"])["Statement"] if told else ():
            if not _is_for_gateway(statement):
                continue
            grant = _grant(statement, qualifier)
            if grant is None:
                asking.miss(what, f"the condition of its statement {statement.get('Sid')} has another form")
                return None
            grants.append(grant)
    return tuple(grants)


def _is_for_gateway(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    service = principal.get("Service") if isinstance(principal, dict) else principal
    return (
        statement.get("Effect") == "Allow"
        and not {"*", "apigateway.amazonaws.com"}.isdisjoint(_several(service))
        and not {"*", "lambda:*", "lambda:InvokeFunction"}.isdisjoint(_several(statement.get("Action")))
    )


def _grant(statement: Mapping[str, Any], qualifier: str) -> Grant | None:
    conditions: dict[str, tuple[str, ...]] = {}
    for operator, tests in (statement.get("Condition") or {}).items():
        for key, value in tests.items():
            if operator not in _ARN_OPERATORS or key.lower() not in {"aws:sourcearn", "aws:sourceaccount"}:
                return None
            conditions[key.lower()] = _several(value)
    return Grant(qualifier, conditions.get("aws:sourcearn", ()), conditions.get("aws:sourceaccount", ()))


def _several(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def read_queues(asking: Asking, stack: Stack, now_s: float) -> dict[str, Queue]:
    """Return the stack's queues by output, those that could be read."""
    found = {}
    for output in QUEUES:
        url = stack.outputs.get(output)
        if url is None:
            asking.miss(output, f"the stack has no output {output}; deploy this version's template")
            continue
        told = asking.ask(
            "sqs",
            "get_queue_attributes",
            what=f"the queue {output}",
            permission=f"sqs:GetQueueAttributes on {url.rpartition('/')[2]}",
            QueueUrl=url,
            AttributeNames=list(_COUNTS),
        )
        if told is not None:
            waiting = sum(int(told.get("Attributes", {}).get(name, 0)) for name in _COUNTS)
            oldest = _oldest(asking, url.rpartition("/")[2], now_s) if waiting else 0.0
            found[output] = Queue(output, waiting, oldest)
    return found


def _oldest(asking: Asking, name: str, now_s: float) -> float | None:
    """Return the age of a queue's oldest message, seconds: a metric, and no attribute of the queue."""
    now = datetime.fromtimestamp(now_s, UTC)
    what = f"the age of the oldest message in {name}"
    told = asking.ask(
        "cloudwatch",
        "get_metric_statistics",
        what=what,
        permission="cloudwatch:GetMetricStatistics",
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": name}],
        StartTime=now - _LATELY,
        EndTime=now,
        Period=300,
        Statistics=["Maximum"],
    )
    if told is None:
        return None
    points = sorted(told.get("Datapoints", []), key=lambda point: point["Timestamp"])
    if not points:
        asking.miss(what, "CloudWatch has no figure yet; ask again in five minutes")
        return None
    return float(points[-1]["Maximum"])


def read_alarms(asking: Asking, resources: Iterable[Mapping[str, Any]]) -> tuple[Alarm, ...] | None:
    """Return the stack's alarms; None where AWS does not tell all of them."""
    names = [one["PhysicalResourceId"] for one in resources if one["ResourceType"] == _ALARM]
    found: list[Alarm] = []
    for start in range(0, len(names), _ALARMS_AT_ONCE):
        told = asking.ask(
            "cloudwatch",
            "describe_alarms",
            what="the stack's alarms",
            permission="cloudwatch:DescribeAlarms",
            AlarmNames=names[start : start + _ALARMS_AT_ONCE],
        )
        if told is None:
            return None
        found += [
            Alarm(
                one["AlarmName"],
                one.get("AlarmDescription", ""),
                bool(one.get("ActionsEnabled", True) and one.get("AlarmActions")),
                one.get("StateValue") == "ALARM",
            )
            for one in told.get("MetricAlarms", [])
        ]
    return tuple(found)
