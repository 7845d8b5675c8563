"""One deployment on in-process moto: tables, queue, secret, bucket, and the environment of the functions."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_lambda_powertools import Logger
from moto import mock_aws

from signet.aws import session
from tests.support.declared import NAMES, REGION, account, become, create_tables
from tests.support.world import SECRET, World, policy_files

__all__ = [
    "REGION",
    "Deployment",
    "context",
    "deploy_policy",
    "deployed",
    "forget_deployed_policy",
    "printed",
]


@dataclass(frozen=True)
class Deployment:
    """Names of what is deployed."""

    queue_url: str
    world: World

    def receipts(self) -> list[dict[str, Any]]:
        """Take all receipts that wait in the queue."""
        sqs = boto3.client("sqs")
        found = []
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            found += [json.loads(message["Body"]) for message in messages]
            taken: list[Any] = [
                {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=taken)
        return found


def context(name: str) -> Any:
    """Return what Lambda passes as context, as far as Powertools reads it."""
    return SimpleNamespace(
        function_name=name,
        memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:{REGION}:123456789012:function:{name}",
        aws_request_id="5c8f4f9e-3f34-4c6e-9f2b-2f8c1c0e7a11",
        get_remaining_time_in_millis=lambda: 30_000,
    )


@contextmanager
def printed(logger: Logger) -> Iterator[io.StringIO]:
    """Give what a handler's logger writes, which took hold of stdout when it was imported."""
    stream = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before, handler.stream = handler.stream, stream  # not setStream: what it flushes may be closed long since
    try:
        yield stream
    finally:
        handler.stream = before


def forget_deployed_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next import find what is deployed then; what was loaded before comes back afterwards."""
    # Deleting alone would note nothing if it is not loaded yet, and leave behind what the test loads.
    monkeypatch.setitem(sys.modules, "signet_policy", ModuleType("signet_policy"))
    del sys.modules["signet_policy"]


def deploy_policy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the world's policy importable, as its layer does."""
    forget_deployed_policy(monkeypatch)
    package = folder / "policy-layer" / "signet_policy"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, content in policy_files().items():
        (package / name).write_bytes(content)
    monkeypatch.syspath_prepend(str(package.parent))


@cache
def _client(service: str) -> Any:
    """Return a client for all tests: to make one takes longer than to use it, and moto minds no other."""
    make: Any = boto3.client
    return make(service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")


@contextmanager
def deployed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """Deploy to a fresh moto, with every caller of the world registered."""
    from signet.aws.registry import DynamoClientRegistry  # noqa: PLC0415 - after moto has patched botocore

    deploy_policy(folder, monkeypatch)
    account(monkeypatch)
    with mock_aws():
        session.client.cache_clear()
        session.dynamodb_once.cache_clear()
        world = World()
        queue_url = _client("sqs").create_queue(QueueName="receipts")["QueueUrl"]
        secret = _client("secretsmanager").create_secret(Name="handshake", SecretString=SECRET.decode())
        create_tables(_client("dynamodb"), *(name for name in NAMES if name.endswith("Table")))
        for bucket in ("LogBucket", "TranscriptsBucket"):
            _client("s3").create_bucket(
                Bucket=NAMES[bucket], CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        _client("ssm").put_parameter(Name="/signet/test/api-id", Value=world.api.api_id, Type="String")
        for entry in world.clients.entries.values():
            DynamoClientRegistry(session.dynamodb(), NAMES["ClientsTable"]).put(entry)
        become(
            monkeypatch,
            *("AuthorizerFunction", "HandshakeFunction", "OutcomesFunction"),
            *("ProtectedFunction", "ReceiptSinkFunction"),
            refs={"ReceiptQueue": queue_url, "HandshakeSecret": secret["ARN"]},
        )
        yield Deployment(queue_url, world)
    session.client.cache_clear()
    session.dynamodb_once.cache_clear()
