"""Spent nonces in DynamoDB: one conditional put each, forgotten by TTL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from signet.aws.permanent import NONCES_TABLE
from signet.aws.session import error_code, translate_errors
from signet.core.errors import UnavailableError
from signet.core.ports import THROTTLED

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


_THROTTLING: Final = frozenset(
    {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
)


class DynamoNonceStore:
    """Implements ``signet.core.ports.NonceStore``.

    A put that botocore retries after a lost answer meets its own first try and reads as "spent":
    the request is refused although it was the first. That is the safe side; the caller signs anew.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Take DynamoDB and the table of spent nonces."""
        self.client = client
        self.table = table

    def spend(self, nonce_sha256: bytes, *, expires_at: int) -> bool:
        """Record the nonce; True for exactly one caller, ever."""
        with translate_errors("record the nonce", NONCES_TABLE):
            try:
                self.client.put_item(
                    TableName=self.table,
                    Item={"nonce": {"S": nonce_sha256.hex()}, "expires_at": {"N": str(expires_at)}},
                    ConditionExpression="attribute_not_exists(nonce)",
                )
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    return False
                if error_code(error) in _THROTTLING:
                    raise UnavailableError(
                        "could not record the nonce: DynamoDB throttles it", code=THROTTLED
                    ) from error
                raise
        return True
