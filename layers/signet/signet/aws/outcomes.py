"""Which requests' outcomes were counted, in the breakers' table: one conditional put each, forgotten by TTL.

outcome#<receipt id>            expires
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from signet.aws.permanent import BREAKERS_TABLE
from signet.aws.session import error_code, translate_errors
from signet.core.errors import MisconfiguredError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: As many as botocore keeps connections, less two (``max_pool_connections``, 10). The most marks of a batch,
#: 100, then take 13 turns; with ``dynamodb_once`` a turn takes 1 s at worst. The first failure is the last.
_THREADS: Final = 8


class DynamoOutcomeMarks:
    """Implements ``signet.core.ports.OutcomeMarks``."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Take DynamoDB and the breakers' table.

        Args:
            client: one that tries once (``dynamodb_once``): a put that is repeated after a lost answer meets
                its own first try.
            table: its name.
        """
        self.client = client
        self.table = table

    def mark(self, receipts: Mapping[str, int]) -> Mapping[str, bool | None]:
        """Mark requests as counted; after one failure nothing more is tried.

        Raises:
            MisconfiguredError: a person has to change something first.
        """
        failed = Event()
        with ThreadPoolExecutor(_THREADS) as pool:
            tried = {
                receipt: pool.submit(self._put, receipt, end, failed) for receipt, end in receipts.items()
            }
        return {receipt: one.result() for receipt, one in tried.items()}

    def _put(self, receipt: str, expires_at: int, failed: Event) -> bool | None:
        if failed.is_set():
            return None
        try:
            with translate_errors("mark an outcome as counted", BREAKERS_TABLE):
                try:
                    self.client.put_item(
                        TableName=self.table,
                        Item={"pk": {"S": f"outcome#{receipt}"}, "expires_at": {"N": str(expires_at)}},
                        ConditionExpression="attribute_not_exists(pk)",
                    )
                except ClientError as error:
                    if error_code(error) == "ConditionalCheckFailedException":
                        return False
                    raise
        except MisconfiguredError:
            failed.set()
            raise
        except UnavailableError:
            failed.set()
            return None
        return True
