"""A register in DynamoDB: one item, replaced on condition."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from signet.aws.permanent import LOG_TABLE
from signet.aws.session import error_code, translate_errors
from signet.core.errors import LogError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutItemInputTypeDef


class DynamoLockStore:
    """Implements ``signet.core.ports.LockStore``; an item with ``value`` and ``sha256``.

    The condition is on the digest of the old value: it says as much as the value, in 32 bytes.

    A value fits an item (400 KB) by far: a head grows with the chains only, 64 at most,
    and with them the ``lock`` register has 20 KB; the ``policy`` register has 20 versions and 64 file names.

    A put that botocore retries after a lost answer meets its own first try and reads as False; the caller
    then reads anew and finds its own value.
    """

    def __init__(self, client: DynamoDBClient, table: str, name: str = "lock") -> None:
        """Take DynamoDB and the log table.

        Args:
            client: DynamoDB.
            table: the log table's name.
            name: of the register: ``lock`` for the latest tree head, ``policy`` for the pushed policy.
        """
        self.client = client
        self.table = table
        self.name = name

    def read(self) -> bytes | None:
        """Return the register's value, or None before the first write.

        Raises:
            LogError: the item is not what this class writes.
        """
        with translate_errors(f"read the register {self.name}", LOG_TABLE):
            answer = self.client.get_item(TableName=self.table, Key=self._key, ConsistentRead=True)
        item = answer.get("Item")
        if item is None:
            return None
        try:
            value = bytes(item["value"]["B"])
            digest = bytes(item["sha256"]["B"])
        except KeyError as error:
            raise LogError(f"the register {self.name} holds no value", code="bad_register") from error
        if not hmac.compare_digest(hashlib.sha256(value).digest(), digest):
            raise LogError(f"the register {self.name} does not have its digest", code="bad_register")
        return value

    def compare_and_swap(self, old: bytes | None, new: bytes) -> bool:
        """Replace ``old`` by ``new``; False if the register holds anything else."""
        request: PutItemInputTypeDef = {
            "TableName": self.table,
            "Item": {
                **self._key,
                "value": {"B": new},
                "sha256": {"B": hashlib.sha256(new).digest()},
            },
        }
        if old is None:
            request["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            request["ConditionExpression"] = "sha256 = :old"
            request["ExpressionAttributeValues"] = {":old": {"B": hashlib.sha256(old).digest()}}
        with translate_errors(f"move the register {self.name}", LOG_TABLE):
            try:
                self.client.put_item(**request)
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    return False
                raise
        return True

    @property
    def _key(self) -> Mapping[str, Any]:
        return {"pk": {"S": self.name}}
