"""The log's writer on in-process moto: its stores, and receipts for it to integrate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import boto3
import pytest
import sth_cron_handler as cron

from signet.aws import session
from signet.aws.chains import DynamoChainStore
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.core.decision import Reason
from signet.core.instants import uuid7
from signet.receipts.chain import extend
from signet.receipts.model import DecisionRecord, Emitter
from signet.receipts.reading import read_receipt
from tests.fakes import receipts_table
from tests.fakes.records import verified
from tests.support.declared import NAMES, become, create_tables
from tests.support.deployment import deploy_policy

BUCKET: Final = NAMES["LogBucket"]
LOG_TABLE: Final = NAMES["LogTable"]


@contextmanager
def writers_stores(
    patch: pytest.MonkeyPatch, folder: Path, *functions: str, **parameters: str
) -> Iterator[DynamoChainStore]:
    """Make tables and bucket, empty, and the environment of functions; gives the chains."""
    become(patch, *functions, **{"LogOrigin": "log.example/signet", **parameters})
    deploy_policy(folder, patch)
    with receipts_table.receipts_table(patch) as client:
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        create_tables(client, "LogTable")
        session.client.cache_clear()
        cron._sequencer.cache_clear()
        yield DynamoChainStore(client, receipts_table.NAME)
    session.client.cache_clear()
    cron._sequencer.cache_clear()


def append(chains: DynamoChainStore, count: int, *, age_ms: int = 0) -> None:
    now_ms = int(datetime.now(tz=UTC).timestamp() * 1000) - age_ms
    head = chains.head(0)
    receipts = [
        read_receipt(
            DecisionRecord(
                id=uuid7(now_ms, n.to_bytes(10, "big")),
                decided_at_ms=now_ms,
                reason=Reason.OK,
                emitter=Emitter("ab" * 16, n),
                authorizer_us=1,
                **verified(n),
            ).encode(),
            chained=False,
        )
        for n in range(head.next_seq, head.next_seq + count)
    ]
    new_head, linked = extend(head, receipts, now_ms)
    assert chains.append(head, new_head, linked).appended


def objects() -> S3ObjectStore:
    return S3ObjectStore(session.s3(), BUCKET)


def lock() -> DynamoLockStore:
    return DynamoLockStore(session.dynamodb(), LOG_TABLE)


def stored(key: str) -> bytes:
    found = objects().get(key)
    assert found is not None
    return found
