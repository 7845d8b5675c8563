"""The client registry in DynamoDB: partition key ``keyid``; written only with operators' credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from signet.aws.permanent import CLIENTS_TABLE
from signet.aws.session import error_code, translate_errors
from signet.core.client import LABEL_NAME, LABEL_VALUE, ROLE, Client, Status
from signet.core.errors import NotFoundError, SignetError, UsageError
from signet.crypto import suites

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoClientRegistry:
    """Implements ``signet.core.ports.ClientRegistry``, and what the operator's command needs beside it."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Take DynamoDB and the table of registered callers."""
        self.client = client
        self.table = table

    def get(self, keyid: str) -> Client | None:
        """Return the entry, or None (strongly consistent; the caller caches).

        Raises:
            SignetError: ``bad_entry``; it is not what ``put`` stores, so it lets no caller in.
        """
        with translate_errors("read the client registry", CLIENTS_TABLE):
            found = self.client.get_item(
                TableName=self.table, Key={"keyid": {"S": keyid}}, ConsistentRead=True
            )
        item = found.get("Item")
        return _decode(item) if item else None

    def put(self, entry: Client) -> None:
        """Store a new entry.

        Raises:
            SignatureError: its public key is malformed or weak; no authorizer checks that again.
            UsageError: the key id is taken, by a revoked key perhaps.
        """
        suites.get(entry.alg).check_public_key(entry.public_key)
        with translate_errors("write the client registry", CLIENTS_TABLE):
            try:
                self.client.put_item(
                    TableName=self.table,
                    Item=_encode(entry),
                    ConditionExpression="attribute_not_exists(keyid)",
                )
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    raise UsageError(
                        f"key id {entry.keyid!r} is registered already, and a revoked one stays on record; "
                        "choose another"
                    ) from error
                raise

    def revoke(self, keyid: str) -> None:
        """Mark an entry as revoked; it stays on record.

        Raises:
            NotFoundError: there is no such key id.
        """
        with translate_errors("write the client registry", CLIENTS_TABLE):
            try:
                self.client.update_item(
                    TableName=self.table,
                    Key={"keyid": {"S": keyid}},
                    UpdateExpression="SET #s = :revoked",
                    ConditionExpression="attribute_exists(keyid)",
                    ExpressionAttributeNames={"#s": "status"},
                    ExpressionAttributeValues={":revoked": {"S": Status.REVOKED.value}},
                )
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    raise NotFoundError(f"no client is registered under key id {keyid!r}") from error
                raise

    def list(self) -> Iterator[Client]:
        """Yield every entry, in no particular order.

        Raises:
            SignetError: ``bad_entry``; one is not what ``put`` stores.
        """
        with translate_errors("list the client registry", CLIENTS_TABLE):
            for page in self.client.get_paginator("scan").paginate(TableName=self.table):
                for item in page["Items"]:
                    yield _decode(item)


def _encode(entry: Client) -> dict[str, Any]:
    item: dict[str, Any] = {
        "keyid": {"S": entry.keyid},
        "alg": {"S": entry.alg},
        "public_key": {"B": entry.public_key},
        "status": {"S": entry.status.value},
        "roles": {"L": [{"S": str(role)} for role in sorted(entry.roles)]},
        "routes": {"L": [{"S": route} for route in entry.routes]},
    }
    for name, value in (("not_before", entry.not_before), ("not_after", entry.not_after)):
        if value is not None:
            item[name] = {"N": str(value)}
    if entry.labels:
        item["labels"] = {"M": {name: {"S": value} for name, value in entry.labels}}
    return item


def _decode(item: dict[str, Any]) -> Client:
    def seconds(name: str) -> int | None:
        return int(item[name]["N"]) if name in item else None

    try:
        return Client(
            keyid=item["keyid"]["S"],
            alg=item["alg"]["S"],
            public_key=bytes(item["public_key"]["B"]),
            status=Status(item["status"]["S"]),
            roles=frozenset(_matched(ROLE, role["S"]) for role in item["roles"]["L"]),
            routes=tuple(route["S"] for route in item["routes"]["L"]),
            not_before=seconds("not_before"),
            not_after=seconds("not_after"),
            labels=_labels(item.get("labels", {"M": {}})["M"]),
        )
    except (KeyError, ValueError) as error:
        raise SignetError(
            f"the entry {item['keyid']['S']!r} of the client registry is damaged: delete that item of the "
            "clients table, and register the key again",
            code="bad_entry",
        ) from error


def _labels(stored: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted(
            (_matched(LABEL_NAME, name), _matched(LABEL_VALUE, value["S"])) for name, value in stored.items()
        )
    )


def _matched(form: re.Pattern[str], text: str) -> str:
    if not form.fullmatch(text):
        raise ValueError(text)
    return text
