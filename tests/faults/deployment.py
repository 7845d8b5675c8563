"""A deployment on moto, its clock, and the part that Lambda plays: event source, schedule, processes."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import boto3
import pytest
import receipt_sink_handler
import sth_cron_handler
from moto import mock_aws

from signet.aws import evidence as evidence_module
from signet.aws import session
from signet.core.errors import LogError, SignetError
from signet.core.instants import uuid7
from signet.log import publish as publish_module
from tests.fakes.records import DAY_MS, digest, record
from tests.faults.injector import Injector, Killed
from tests.support.declared import NAMES, REGION, become, create_tables
from tests.support.deployment import context, deploy_policy

LOG_TABLE, BUCKET = NAMES["LogTable"], NAMES["LogBucket"]
HOUR_MS, DAY_OF_MS = 3_600_000, 86_400_000
MAX_RECEIVES = 5  # the template's maxReceiveCount


@dataclass
class LogDeployment:
    """One deployment.

    Attributes:
        injector: sees the calls of the functions, and of the event source.
        sqs: a client that it does not see.
        chains: number of chains.
        queue_url, dlq_url: the queues.
        now_ms: every function's clock.
        wanted_set: number of the key set that an operator asked for.
        sent: ids of all receipts that were sent.
        evidence: what was sent along, by digest.
        poison: messages sent that are no receipts.
        failures: what invocations raised, in order.
    """

    injector: Injector
    sqs: Any
    chains: int
    queue_url: str
    dlq_url: str
    now_ms: int = DAY_MS + 8 * HOUR_MS
    wanted_set: int = 0
    sent: set[str] = field(default_factory=set)
    evidence: dict[str, bytes] = field(default_factory=dict)
    poison: int = 0
    failures: list[BaseException] = field(default_factory=list)

    @property
    def contradictions(self) -> list[str]:
        """What the functions called a contradiction."""
        return [str(error) for error in self.failures if isinstance(error, LogError)]

    def send(self, *ns: int, evidence: bytes | None = None, decided_ms: int | None = None) -> None:
        """Put numbered receipts into the queue; each has an id of its own millisecond."""
        for n in ns:
            made = record(n)
            made = replace(made, id=uuid7((decided_ms or self.now_ms) + n, digest(f"id {n}")[:10]))
            attributes = {}
            if evidence is not None:
                sha256 = hashlib.sha256(evidence)
                assert made.proof is not None
                made = replace(made, proof=replace(made.proof, evidence_sha256=sha256.digest()))
                attributes = {"evidence": {"DataType": "Binary", "BinaryValue": evidence}}
                self.evidence[sha256.hexdigest()] = evidence
            self.sent.add(made.id)
            self.sqs.send_message(
                QueueUrl=self.queue_url, MessageBody=made.encode().decode(), MessageAttributes=attributes
            )

    def send_poison(self) -> None:
        """Put something into the queue that is no receipt."""
        self.poison += 1
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody="{}")

    def deliver(self) -> None:
        """Do what the event source does once: receive up to ten, invoke the sink, delete what it settled."""
        with self._process(receipt_sink_handler._sink):
            sqs: Any = session.sqs()
            received = sqs.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=0,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            ).get("Messages", [])
            if not received:
                return
            event = {"Records": [_as_record(message) for message in received]}
            response = receipt_sink_handler.handler(event, context("receipt_sink"))
            kept = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
            for message in received:
                if message["MessageId"] not in kept:
                    sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def integrate(self) -> None:
        """Run the log's writer once, as its schedule does."""
        self._write({})

    def rotate(self) -> None:
        """Run the log's writer once, as ``signet keys rotate`` does on a log with one key set."""
        self.wanted_set = 1
        self._write({"rotate": self.wanted_set})

    def at(self, day: int, hour: float = 8) -> None:
        """Set the clock to an hour of a day; day 0 is the first."""
        self.now_ms = DAY_MS + day * DAY_OF_MS + int(hour * HOUR_MS)

    def waiting(self) -> int:
        """Return how many messages the queue holds."""
        return self._count(self.queue_url)

    def dead(self) -> int:
        """Return how many messages the dead-letter queue holds."""
        return self._count(self.dlq_url)

    def settle(self) -> None:
        """Let happen what happens by itself: redeliveries, the next run, and the one that closes the day.

        An operator whose command failed repeats it.
        """
        for _ in range(MAX_RECEIVES + 2):
            if not self.waiting():
                break
            self.deliver()
        if self.wanted_set:
            self.rotate()
        self.integrate()
        self.at((self.now_ms - DAY_MS) // DAY_OF_MS + 1, 0.1)
        self.integrate()

    def _write(self, event: dict[str, Any]) -> None:
        with self._process(sth_cron_handler._sequencer):
            sth_cron_handler.handler(event, context("sth_cron"))

    @contextmanager
    def _process(self, builder: Any) -> Iterator[None]:
        """Run as a new process, whose end, good or bad, is noted."""
        builder.cache_clear()
        try:
            with warnings.catch_warnings():
                # Another instance inside this one empties Powertools' metrics, which are the process's own.
                warnings.filterwarnings("ignore", message="No application metrics")
                yield
        except (SignetError, Killed) as error:
            self.failures.append(error)
        except Exception as error:  # the event source's own calls
            if not type(error).__module__.startswith("botocore"):
                raise
            self.failures.append(error)

    def _count(self, url: str) -> int:
        name = "ApproximateNumberOfMessages"
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return int(answer["Attributes"][name])


def _as_record(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {"binaryValue": base64.b64encode(attribute["BinaryValue"]).decode(), "dataType": "Binary"}
            for name, attribute in message.get("MessageAttributes", {}).items()
        },
        "eventSource": "aws:sqs",
    }


class Inline:
    """A thread pool without threads: calls come in one order, and a process without threads can be forked."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, run: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        return map(run, *arguments)

    def submit(self, run: Callable[..., Any], *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(run(*arguments))
        return done


@contextmanager
def deployed(folder: Path, chains: int, rotation_days: int) -> Iterator[LogDeployment]:
    """Deploy sink and log writer to a fresh moto."""
    with pytest.MonkeyPatch.context() as patch:
        deploy_policy(folder, patch)
        sys.modules.pop("signet_policy", None)  # an earlier deployment's
        become(
            patch,
            *("ReceiptSinkFunction", "SthCronFunction"),
            Chains=str(chains),
            LogOrigin="log.example/signet",
            RotationDays=str(rotation_days),
        )
        patch.setattr(evidence_module, "ThreadPoolExecutor", Inline)
        patch.setattr(publish_module, "ThreadPoolExecutor", Inline)
        with mock_aws():
            session._session.cache_clear()
            session.client.cache_clear()
            queue_url, dlq_url = _create()
            world = LogDeployment(
                Injector(session._session()), boto3.client("sqs"), chains, queue_url, dlq_url
            )
            clock = types.SimpleNamespace(
                time_ns=lambda: world.now_ms * 1_000_000,
                monotonic=lambda: world.now_ms / 1000,
                sleep=lambda _seconds: None,
            )
            for handler in (receipt_sink_handler, sth_cron_handler):
                patch.setattr(handler, "time", clock)
            yield world
        session._session.cache_clear()
        session.client.cache_clear()
        receipt_sink_handler._sink.cache_clear()
        sth_cron_handler._sequencer.cache_clear()


def _create() -> tuple[str, str]:
    """Create what the template declares; return the URLs of queue and dead-letter queue."""
    create_tables(boto3.client("dynamodb"), "ReceiptsTable", "LogTable")
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    sqs: Any = boto3.client("sqs")
    dlq_url = sqs.create_queue(QueueName="receipts-dlq")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=dlq_url, AttributeNames=["QueueArn"])["Attributes"]
    redrive = {"deadLetterTargetArn": attributes["QueueArn"], "maxReceiveCount": MAX_RECEIVES}
    queue_url = sqs.create_queue(QueueName="receipts", Attributes={"RedrivePolicy": json.dumps(redrive)})
    return queue_url["QueueUrl"], dlq_url
