"""``signet redrive`` over moto, where it moves messages itself, and against the calls of SQS's own tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.sqs.exceptions import SQSException
from moto.sqs.responses import SQSResponse
from typer.testing import CliRunner

from signet.core.errors import UnavailableError, UsageError
from signet_client import stack
from signet_client.cli import app
from signet_client.redrive import Redriven, redrive
from tests.support.declared import account

ARN = "arn:aws:sqs:eu-central-1:123456789012:dlq"
COUNT, NAME = "ApproximateNumberOfMessages", "QueueArn"


@dataclass
class Queues:
    sqs: Any
    dlq: str
    queue: str

    def bury(self, count: int) -> None:
        for n in range(count):
            attribute = {"evidence": {"DataType": "Binary", "BinaryValue": b"proof %d" % n}}
            self.sqs.send_message(QueueUrl=self.dlq, MessageBody=f"body {n}", MessageAttributes=attribute)

    def alive(self) -> list[tuple[str, bytes]]:
        found = []
        while received := self.sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += [(m["Body"], m["MessageAttributes"]["evidence"]["BinaryValue"]) for m in received]
        return sorted(found)

    def redrive(self) -> Redriven:
        return redrive(self.sqs, self.dlq, self.queue, lambda *_: None)


def knows_no_move_tasks(_: SQSResponse) -> None:
    raise SQSException("UnsupportedOperation", "Error code 400. Unsupported operation.")


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queues]:
    # moto raises NotImplementedError through the client, which no endpoint can.
    monkeypatch.setattr(SQSResponse, "list_message_move_tasks", knows_no_move_tasks, raising=False)
    account(monkeypatch)
    monkeypatch.delenv("SIGNET_STACK", raising=False)
    with mock_aws():
        sqs: Any = boto3.client("sqs")
        urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("dlq", "queue")]
        outputs = dict(zip(("ReceiptDlqUrl", "ReceiptQueueUrl"), urls, strict=True))
        monkeypatch.setattr(stack, "read_stack", lambda name: stack.Stack(name, outputs))
        yield Queues(sqs, *urls)


def expected(count: int) -> list[tuple[str, bytes]]:
    return sorted((f"body {n}", b"proof %d" % n) for n in range(count))


def test_messages_come_back_whole_with_their_evidence(queues: Queues) -> None:
    queues.bury(23)
    assert queues.redrive() == Redriven(moved=23, left=0, by="receive and send")
    assert queues.alive() == expected(23)


def test_an_empty_queue_is_no_error(queues: Queues) -> None:
    done = CliRunner().invoke(app, ["redrive"])
    assert (done.exit_code, done.output) == (0, "moved  0\nleft   0\nnext   nothing was there\n")
    assert queues.redrive() == Redriven(moved=0, left=0, by=None)


def test_the_command_reports_as_json(queues: Queues) -> None:
    queues.bury(3)
    done = CliRunner().invoke(app, ["redrive", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.output) == {"moved": 3, "left": 0, "by": "receive and send"}


@pytest.mark.parametrize("operation", ["SendMessage", "DeleteMessage"])
@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_killed_anywhere_it_loses_nothing(queues: Queues, operation: str, moment: str) -> None:
    queues.bury(2)
    killed: list[str] = []

    def kill(**_: Any) -> None:
        if not killed:
            killed.append(operation)
            raise KeyboardInterrupt

    queues.sqs.meta.events.register(f"{moment}.sqs.{operation}", kill)
    with pytest.raises(KeyboardInterrupt):
        queues.redrive()
    hidden = queues.sqs.get_queue_attributes(
        QueueUrl=queues.dlq, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )["Attributes"]
    left = int(hidden["ApproximateNumberOfMessagesNotVisible"])
    assert left + len(set(queues.alive())) >= 2


def test_what_comes_back_meanwhile_is_not_moved_for_ever(queues: Queues) -> None:
    queues.bury(2)
    bury_again = lambda **_: queues.sqs.send_message(QueueUrl=queues.dlq, MessageBody="poison")  # noqa: E731
    queues.sqs.meta.events.register("after-call.sqs.DeleteMessage", bury_again)
    assert queues.redrive() == Redriven(moved=2, left=2, by="receive and send")
    queues.sqs.meta.events.unregister("after-call.sqs.DeleteMessage", bury_again)
    assert CliRunner().invoke(app, ["redrive"]).exit_code == 0


@pytest.fixture
def stub(queues: Queues) -> Iterator[Stubber]:
    with Stubber(queues.sqs) as stubber:
        stubber.add_response("get_queue_attributes", {"Attributes": {COUNT: "5"}})
        stubber.add_response("get_queue_attributes", {"Attributes": {NAME: ARN}})
        yield stubber
        stubber.assert_no_pending_responses()


def tasks(stub: Stubber, *facts: dict[str, Any]) -> None:
    stub.add_response(
        "list_message_move_tasks", {"Results": list(facts)}, {"SourceArn": ARN, "MaxResults": 1}
    )


RUNNING = {
    "Status": "RUNNING",
    "ApproximateNumberOfMessagesMoved": 2,
    "ApproximateNumberOfMessagesToMove": 5,
}
COMPLETED = {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 5}


@pytest.mark.parametrize("under_way", [False, True])
def test_sqs_moves_them_itself_where_it_can(queues: Queues, stub: Stubber, under_way: bool) -> None:
    tasks(stub, *([RUNNING] if under_way else []))
    if not under_way:
        stub.add_response("start_message_move_task", {"TaskHandle": "t"}, {"SourceArn": ARN})
    tasks(stub, RUNNING)
    tasks(stub, COMPLETED)
    stub.add_response("get_queue_attributes", {"Attributes": {COUNT: "0"}})
    seen: list[tuple[int, int]] = []
    waits: list[float] = []
    done = redrive(queues.sqs, queues.dlq, queues.queue, lambda *at: seen.append(at), sleep=waits.append)
    assert done == Redriven(moved=5, left=0, by="move task")
    assert (seen, waits) == ([(0, 5), (2, 5)], [1.0])


def test_a_task_that_fails_says_how_far_it_came(queues: Queues, stub: Stubber) -> None:
    tasks(stub, RUNNING)
    tasks(stub, {"Status": "FAILED", "FailureReason": "AccessDenied", "ApproximateNumberOfMessagesMoved": 2})
    with pytest.raises(UnavailableError, match=r"after 2 messages \(AccessDenied\).*again"):
        queues.redrive()


def test_a_missing_permission_is_no_missing_feature(queues: Queues, stub: Stubber) -> None:
    stub.add_client_error("list_message_move_tasks", "AccessDenied", http_status_code=403)
    with pytest.raises(UsageError, match="permission"):
        queues.redrive()


@pytest.mark.parametrize(("code", "status"), [("InvalidAction", 400), ("", 501)])
def test_without_such_tasks_it_moves_them_itself(
    queues: Queues, stub: Stubber, code: str, status: int
) -> None:
    stub.add_client_error("list_message_move_tasks", code, http_status_code=status)
    received = {"MessageId": "m", "Body": "body", "ReceiptHandle": "r"}
    stub.add_response("receive_message", {"Messages": [received]})
    stub.add_response("send_message", {"MessageId": "n"})
    stub.add_response("delete_message", {})
    stub.add_response("receive_message", {})
    stub.add_response("get_queue_attributes", {"Attributes": {COUNT: "0"}})
    assert queues.redrive() == Redriven(moved=1, left=0, by="receive and send")
