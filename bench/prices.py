"""From calls to money: list prices, request units, and the cost of a million decisions. Pure."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any, Final

REGION: Final = "us-east-1 (N. Virginia)"
AS_OF: Final = "list prices of November 2025, without free tiers"
#: What API Gateway takes for a million REST calls: the whole of enforcement should cost less.
API_GATEWAY_PER_MILLION: Final = 3.50

#: Dollars per unit.
PRICES: Final[dict[str, float]] = {
    "lambda.request": 0.20e-6,
    "lambda.gb_second": 0.0000166667,  # x86-64; arm64 takes a fifth less
    "dynamodb.write_unit": 0.625e-6,  # on demand; a transaction takes two per KB
    "dynamodb.read_unit": 0.125e-6,  # on demand; strongly consistent, 4 KB
    "sqs.request": 0.40e-6,  # standard queue; 64 KB each
    "s3.put": 5.0e-6,  # PUT, LIST
    "s3.get": 0.4e-6,
    "secretsmanager.request": 5.0e-6,
    "logs.gb": 0.50,  # CloudWatch Logs, ingestion
    "xray.trace": 5.0e-6,  # recorded
}

_KB: Final = 1024
_READ_UNIT_BYTES: Final = 4 * _KB
_SQS_REQUEST_BYTES: Final = 64 * _KB
_S3_FREE: Final = frozenset({"DeleteObject"})
_S3_GETS: Final = frozenset({"GetObject", "HeadObject"})


def value_bytes(value: Mapping[str, Any]) -> int:
    """Return the size DynamoDB counts for a value in wire form, such as {"S": "x"} or {"B": base64}."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return math.ceil(len(content.lstrip("-").replace(".", "")) / 2) + 1
    if kind == "B":
        return len(base64.b64decode(content))
    if kind == "L":
        return 3 + sum(1 + value_bytes(entry) for entry in content)
    raise ValueError(f"no size is known for a DynamoDB value of type {kind}")


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the size DynamoDB counts for an item: names and values."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def write_units(size: int) -> int:
    """Return the write units of an item of ``size`` bytes."""
    return max(1, math.ceil(size / _KB))


def units_of(
    service: str, operation: str, body: Mapping[str, Any], answer: Mapping[str, Any], size: int
) -> dict[str, float]:
    """Return what one call is charged, by name of the price.

    Args:
        service: botocore's name of the service.
        operation: the API operation.
        body: the request as sent, decoded (DynamoDB only).
        answer: the response's members, bytes in base64 (DynamoDB only).
        size: bytes of the request's body.

    Raises:
        ValueError: a call whose price is unknown: no call goes uncounted.
    """
    if service == "sqs":
        return {"sqs.request": max(1, math.ceil(size / _SQS_REQUEST_BYTES))}
    if service == "s3":
        return {} if operation in _S3_FREE else {"s3.get" if operation in _S3_GETS else "s3.put": 1}
    if service == "secretsmanager":
        return {"secretsmanager.request": 1}
    if service == "dynamodb":
        return _dynamodb_units(operation, body, answer)
    raise ValueError(f"no price is known for {service}.{operation}")


def _dynamodb_units(operation: str, body: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, float]:
    if operation == "PutItem":
        return {"dynamodb.write_unit": write_units(item_bytes(body["Item"]))}
    if operation == "UpdateItem":
        return {"dynamodb.write_unit": write_units(_update_bytes(body))}
    if operation == "TransactWriteItems":
        return {"dynamodb.write_unit": 2 * sum(map(_transacted, body["TransactItems"]))}
    if operation in {"GetItem", "Query"}:
        items = answer.get("Items", [answer["Item"]] if "Item" in answer else [])
        return {"dynamodb.read_unit": max(1, math.ceil(sum(map(item_bytes, items)) / _READ_UNIT_BYTES))}
    raise ValueError(f"no price is known for dynamodb.{operation}")


def _transacted(entry: Mapping[str, Any]) -> int:
    if "Put" in entry:
        return write_units(item_bytes(entry["Put"]["Item"]))
    if "Update" in entry:
        return write_units(_update_bytes(entry["Update"]))
    raise ValueError(f"no price is known for {sorted(entry)} in a transaction")


def _update_bytes(update: Mapping[str, Any]) -> int:
    """Return at least the size of an updated item: its key and every value the update names."""
    return item_bytes(update["Key"]) + item_bytes(update["ExpressionAttributeValues"])


def cost(units: Mapping[str, float]) -> float:
    """Return the dollars for some units.

    Raises:
        KeyError: a unit has no price.
    """
    return sum(PRICES[name] * count for name, count in units.items())


def total(*parts: Mapping[str, float]) -> dict[str, float]:
    """Add units up."""
    summed: dict[str, float] = {}
    for part in parts:
        for name, count in part.items():
            summed[name] = summed.get(name, 0) + count
    return summed


def scaled(units: Mapping[str, float], by: float) -> dict[str, float]:
    """Multiply units."""
    return {name: count * by for name, count in units.items()}
