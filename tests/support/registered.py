"""A registered API that is in force, without the receipts of its registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signet.aws.apis_change import ApiChanges

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from signet.core.apis import Api

#: Id that an addition was recorded under.
REGISTRATION = "01990000-0000-7000-8000-00000000000a"


def put_in_force(client: DynamoDBClient, table: str, api: Api) -> None:
    """Write what ``signet apis add`` leaves."""
    changes = ApiChanges(client, table)
    changes.reserve(api)
    changes.put_in_force(api)


def take_away(client: DynamoDBClient, table: str, name: str) -> None:
    """Delete what ``signet apis remove`` deletes."""
    changes = ApiChanges(client, table)
    entry = changes.entry(name)
    assert entry is not None
    changes.erase(entry)
