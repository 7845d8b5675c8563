"""Which requests' outcomes were counted, in the breakers' table: one conditional put each, forgotten by TTL.

outcome#<receipt id>            expires
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from signet.aws.permanent import BREAKERS_TABLE
from signet.aws.session import error_code, translate_errors
from signet.core.clocks import Elapsed
from signet.core.errors import MisconfiguredError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: As many as botocore keeps connections, less two (``max_pool_connections``, 10).
_THREADS: Final = 8
#: After so many seconds nothing more is begun; with ``dynamodb_once`` what was begun takes 1 s more at most.
_LONGEST_S: Final = 5.0


@dataclass(slots=True)
class _Stop:
    elapsed: Callable[[], float]
    failed: bool = False


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
        """Mark requests as counted; after one failure, and after ``_LONGEST_S``, nothing more is begun.

        Raises:
            MisconfiguredError: a person has to change something first.
        """
        stop = _Stop(Elapsed())
        with ThreadPoolExecutor(_THREADS) as pool:
            tried = {receipt: pool.submit(self._put, receipt, end, stop) for receipt, end in receipts.items()}
        return {receipt: one.result() for receipt, one in tried.items()}

    def _put(self, receipt: str, expires_at: int, stop: _Stop) -> bool | None:
        if stop.failed or stop.elapsed() >= _LONGEST_S:
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
        except UnavailableError as error:
            stop.failed = True
            if isinstance(error, MisconfiguredError):
                raise
            return None
        return True
