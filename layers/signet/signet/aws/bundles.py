"""Bundles of detached proofs in DynamoDB: partition key ``sha256``, forgotten by TTL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signet.aws.permanent import BUNDLES_TABLE
from signet.aws.session import translate_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoBundleStore:
    """Implements ``signet.core.ports.BundleStore``; a bundle of 64 KiB fits into an item (at most 400 KB)."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Take DynamoDB and the table of bundles."""
        self.client = client
        self.table = table

    def put(self, sha256: bytes, bundle: bytes, *, expires_at: int) -> None:
        """Store a bundle; storing it again only makes it live longer."""
        with translate_errors("store the bundle", BUNDLES_TABLE):
            self.client.put_item(
                TableName=self.table,
                Item={
                    "sha256": {"S": sha256.hex()},
                    "bundle": {"B": bundle},
                    "expires_at": {"N": str(expires_at)},
                },
            )

    def get(self, sha256: bytes, *, now: int) -> bytes | None:
        """Return the bundle, or None if there is none or its time is over (TTL deletes days later).

        A damaged item is none either: its caller is told to post the bundle again, over this one.
        """
        with translate_errors("read the bundle", BUNDLES_TABLE):
            found = self.client.get_item(
                TableName=self.table, Key={"sha256": {"S": sha256.hex()}}, ConsistentRead=True
            )
        item = found.get("Item")
        if item is None:
            return None
        try:
            alive, bundle = int(item["expires_at"]["N"]) > now, bytes(item["bundle"]["B"])
        except (KeyError, ValueError):
            return None
        return bundle if alive else None
