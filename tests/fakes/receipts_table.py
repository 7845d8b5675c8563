"""The receipts table in moto, as the template declares it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws

NAME = "receipts"
REGION = "eu-central-1"


@contextmanager
def receipts_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a DynamoDB client of an account that holds the empty table ``NAME``."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        create(client)
        yield client


def create(client: Any) -> None:
    """Create the empty table ``NAME``."""
    client.create_table(
        TableName=NAME,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
