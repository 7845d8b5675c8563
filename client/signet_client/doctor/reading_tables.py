"""Reads the stack's tables: the breakers, and the registered APIs."""

from __future__ import annotations

from signet.aws.apis import Phase, decode_entry, is_entry
from signet.aws.breaker import STATE
from signet.core.errors import SignetError
from signet_client.doctor.asking import Asking
from signet_client.doctor.facts import Breaker, Registered
from signet_client.stack import Stack


def read_breakers(asking: Asking, table: str, now_s: float) -> tuple[Breaker, ...]:
    """Return the state of each backend's breaker, and how many outcomes and requests it saw lately."""
    found = asking.pages(
        "dynamodb",
        "scan",
        "Items",
        ("LastEvaluatedKey", "ExclusiveStartKey"),
        what="the breakers",
        permission=f"dynamodb:Scan on {table}",
        TableName=table,
        FilterExpression="begins_with(pk, :state)",
        ExpressionAttributeValues={":state": {"S": STATE}},
        ProjectionExpression="pk",
    )
    names = sorted(item["pk"]["S"].removeprefix(STATE) for item in found or ())
    return tuple(seen for name in names if (seen := _read_breaker(asking, table, name, now_s)))


def _read_breaker(asking: Asking, table: str, name: str, now_s: float) -> Breaker | None:
    from signet.aws.breaker import DynamoBreakerStore  # noqa: PLC0415 - seldom needed before
    from signet.breaker.config import BreakerConfig  # noqa: PLC0415
    from signet.breaker.snapshot import read_snapshot  # noqa: PLC0415

    now_ms = int(now_s * 1000)
    store = DynamoBreakerStore(asking.client("dynamodb"), table)
    try:
        seen = read_snapshot(store, name, now_ms=now_ms, config=BreakerConfig())
    except SignetError as error:
        asking.miss(
            f"the breaker of {name}", f"{error} (dynamodb:GetItem and dynamodb:BatchGetItem on {table})"
        )
        return None
    if seen is None:
        return None
    return Breaker(
        name,
        seen.record.state.value,
        (now_ms - seen.record.state_since_ms) / 1000,
        seen.estimate.count,
        seen.estimate.load.offered_rps,
    )


def read_registered(asking: Asking, stack: Stack) -> tuple[Registered, ...] | None:
    """Return the registered APIs; None if they could not be read."""
    table = stack.outputs.get("ApisTable")
    if table is None:
        asking.miss("ApisTable", "the stack has no output ApisTable; deploy this version's template")
        return None
    found = asking.pages(
        "dynamodb",
        "scan",
        "Items",
        ("LastEvaluatedKey", "ExclusiveStartKey"),
        what="the registered APIs",
        permission=f"dynamodb:Scan on {table}",
        TableName=table,
        ConsistentRead=True,
    )
    try:
        entries = None if found is None else [decode_entry(item) for item in found if is_entry(item)]
    except SignetError as error:
        asking.miss("the registered APIs", str(error))
        return None
    if entries is None:
        return None
    counting = (entry.api for entry in entries if entry.phase is Phase.IN_FORCE)
    return tuple(Registered(api.name, api.api_id, api.stage, api.account) for api in counting)
