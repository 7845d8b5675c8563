"""The receipts table in moto, as the template declares it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.declared import NAMES, account, create_tables

NAME = NAMES["ReceiptsTable"]


@contextmanager
def receipts_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a DynamoDB client of an account that holds the empty table ``NAME``."""
    account(monkeypatch)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client, "ReceiptsTable")
        yield client
