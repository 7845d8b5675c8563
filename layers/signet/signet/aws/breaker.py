"""Breakers in DynamoDB: one item of state each, and items of sums that are only ever added to.

    state#<name>                    version, state, unsent; never expires
    sums#<item>                     one number per sum; expires

Backends may write under ``sums#`` only, by their permissions: what they say counts, and moves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from signet.aws.permanent import BREAKERS_TABLE
from signet.aws.session import error_code, translate_errors
from signet.breaker.fleetclock import FleetClock
from signet.core.errors import UnavailableError
from signet.core.ports import StoredBreaker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Keys of states begin so.
STATE: Final = "state#"
_NO_SUMS = frozenset({"pk", "expires_at"})


class DynamoBreakerStore:
    """Implements ``signet.core.ports.BreakerStore``."""

    def __init__(self, client: DynamoDBClient, table: str, clock: FleetClock | None = None) -> None:
        """Take DynamoDB and the breakers' table.

        Args:
            client: one that tries once (``dynamodb_once``), since a repeated ADD adds twice.
            table: its name.
            clock: hears the time of each answer.
        """
        self.client = client
        self.table = table
        self.clock = clock

    def read(
        self, name: str, items: Sequence[str] = ()
    ) -> tuple[StoredBreaker | None, Sequence[Mapping[str, str]]]:
        """Return state and sums with one call; of a sum that is no number nothing.

        Raises:
            UnavailableError: the table cannot be read, or the state's item is damaged.
        """
        keys = [_state(name), *map(_sums, items)]
        if not items:  # a function that only asks for the state needs no permission for batches
            with translate_errors("read the breaker", BREAKERS_TABLE):
                got = self._timed(
                    self.client.get_item,
                    TableName=self.table,
                    Key={"pk": {"S": keys[0]}},
                    ConsistentRead=True,
                )
            return _record(name, got.get("Item")), []
        with translate_errors("read the breaker", BREAKERS_TABLE):
            answer = self._timed(
                self.client.batch_get_item,
                RequestItems={
                    self.table: {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}
                },
            )
        if answer.get("UnprocessedKeys"):
            raise UnavailableError("could not read the breaker: DynamoDB returned a part of it")
        found = {item["pk"]["S"]: item for item in answer["Responses"].get(self.table, [])}
        sums = [_numbers(found.get(key, {})) for key in keys[1:]]
        return _record(name, found.get(keys[0])), sums

    def names(self) -> list[str]:
        """Return the names of all breakers that have a state, in order; reads the whole table."""
        with translate_errors("list the breakers", BREAKERS_TABLE):
            pages = self.client.get_paginator("scan").paginate(
                TableName=self.table,
                FilterExpression="begins_with(pk, :state)",
                ExpressionAttributeValues={":state": {"S": STATE}},
                ProjectionExpression="pk",
            )
            return sorted(item["pk"]["S"].removeprefix(STATE) for page in pages for item in page["Items"])

    def add(self, item: str, amounts: Mapping[str, str], *, expires_at: int) -> Mapping[str, str]:
        """Add to the sums of an item; tried once.

        The answer with the new sums costs no read
        (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html, "ReturnValues").
        """
        names = {f"#{n}": name for n, name in enumerate(amounts)}
        values = {f":{n}": {"N": amount} for n, amount in enumerate(amounts.values())}
        added = ", ".join(f"#{n} :{n}" for n in range(len(amounts)))
        with translate_errors("add to the breaker's sums", BREAKERS_TABLE):
            answer = self._timed(
                self.client.update_item,
                TableName=self.table,
                Key={"pk": {"S": _sums(item)}},
                UpdateExpression=f"ADD {added} SET expires_at = :expires",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={**values, ":expires": {"N": str(expires_at)}},
                ReturnValues="UPDATED_NEW",
            )
        return _numbers(answer.get("Attributes", {}))

    def move(self, record: StoredBreaker) -> bool:
        """Write the new state on condition that the version before is the one stored."""
        condition = "#version = :before" if record.version > 1 else "attribute_not_exists(pk)"
        values: dict[str, Any] = {
            ":version": {"N": str(record.version)},
            ":state": {"B": record.state},
            ":unsent": {"L": [{"B": receipt} for receipt in record.unsent]},
        }
        if record.version > 1:
            values[":before"] = {"N": str(record.version - 1)}
        return self._conditionally(
            "move the breaker",
            Key={"pk": {"S": _state(record.name)}},
            UpdateExpression="SET #version = :version, #state = :state, #unsent = :unsent",
            ConditionExpression=condition,
            ExpressionAttributeNames={"#version": "version", "#state": "state", "#unsent": "unsent"},
            ExpressionAttributeValues=values,
        )

    def clear_unsent(self, name: str, *, version: int) -> None:
        """Empty the list of unsent receipts, if the version is still this one."""
        self._conditionally(
            "clear the breaker's receipts",
            Key={"pk": {"S": _state(name)}},
            UpdateExpression="SET #unsent = :none",
            ConditionExpression="#version = :version",
            ExpressionAttributeNames={"#version": "version", "#unsent": "unsent"},
            ExpressionAttributeValues={":version": {"N": str(version)}, ":none": {"L": []}},
        )

    def _conditionally(self, what: str, **update: Any) -> bool:
        with translate_errors(what, BREAKERS_TABLE):
            try:
                self._timed(self.client.update_item, TableName=self.table, **update)
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    return False
                raise
        return True

    def _timed(self, call: Callable[..., Any], /, **arguments: Any) -> Any:
        """Call, and let the clock hear when the answer was written and between which times it was."""
        sent_s = time.time()
        answer = call(**arguments)
        if self.clock is not None:
            date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
            self.clock.heard(date, sent_ms=1000 * sent_s, received_ms=1000 * time.time())
        return answer


def _state(name: str) -> str:
    return f"{STATE}{name}"


def _sums(item: str) -> str:
    return f"sums#{item}"


def _numbers(item: Mapping[str, Any]) -> dict[str, str]:
    return {name: value["N"] for name, value in item.items() if name not in _NO_SUMS and "N" in value}


def _record(name: str, item: Mapping[str, Any] | None) -> StoredBreaker | None:
    if item is None:
        return None
    try:
        return StoredBreaker(
            name=name,
            version=int(item["version"]["N"]),
            state=bytes(item["state"]["B"]),
            unsent=tuple(bytes(receipt["B"]) for receipt in item["unsent"]["L"]),
        )
    except (KeyError, ValueError) as error:  # readers go on as if the store were down
        raise UnavailableError(
            f"the item {_state(name)} of the breakers table is damaged: delete it, the breaker begins anew"
        ) from error
