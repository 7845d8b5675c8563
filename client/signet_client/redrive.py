"""Moving what is in the dead-letter queue back to the queue it came from.

SQS does it by itself where it knows message move tasks: nothing is lost if this process ends, and a second
run of the command watches the task that is under way. Emulators know no such tasks. There each message is
received, sent, and deleted in this order: killed in between, a message is in both queues, and the sink
appends its receipt once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from signet.core.errors import UnavailableError
from signet_client.stack import aws_errors

#: How long a message that is being moved stays hidden from others, seconds.
_HIDDEN_S: Final = 60
_BATCH: Final = 10  # SQS hands out no more at once
_POLL_S: Final = 1.0
_UNKNOWN: Final = frozenset(
    {
        "AWS.SimpleQueueService.UnsupportedOperation",
        "InternalFailure",  # how emulators answer what they do not have
        "InvalidAction",
        "NotImplemented",
        "UnknownOperationException",
        "UnsupportedOperation",
    }
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive did.

    Attributes:
        moved: messages that are in the queue again.
        left: messages that the dead-letter queue holds now, as far as SQS knows at once.
        by: ``move task`` or ``receive and send``; None where nothing was to be moved.
    """

    moved: int
    left: int
    by: str | None


def redrive(
    sqs: Any, dlq_url: str, queue_url: str, progress: Progress, *, sleep: Callable[[float], None] = time.sleep
) -> Redriven:
    """Move all messages that are in the dead-letter queue now.

    Args:
        sqs: a client of SQS.
        dlq_url: the dead-letter queue.
        queue_url: where its messages belong.
        progress: told (messages moved, messages to move) as it goes.
        sleep: waits for so many seconds between two looks at SQS's own task.

    Raises:
        UnavailableError: SQS cannot be reached, or stopped halfway; running again continues.
        UsageError: credentials are missing or lack the permission.
    """
    waiting = _count(sqs, dlq_url, "ApproximateNumberOfMessages")
    progress(0, int(waiting))
    if not int(waiting):
        return Redriven(0, 0, None)
    task = _move_task(sqs, _count(sqs, dlq_url, "QueueArn"), progress, sleep)
    if task is None:
        moved, by = _receive_and_send(sqs, dlq_url, queue_url, int(waiting), progress), "receive and send"
    else:
        moved, by = task, "move task"
    return Redriven(moved, int(_count(sqs, dlq_url, "ApproximateNumberOfMessages")), by)


def _move_task(sqs: Any, arn: str, progress: Progress, sleep: Callable[[float], None]) -> int | None:
    """Let SQS move the messages; None if it does not know how."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - AWS is loaded when the command runs

    with aws_errors("move the messages"):
        try:
            if _newest_task(sqs, arn).get("Status") != "RUNNING":
                sqs.start_message_move_task(SourceArn=arn)
            while (task := _newest_task(sqs, arn)).get("Status") == "RUNNING":
                progress(_moved(task), int(task.get("ApproximateNumberOfMessagesToMove", 0)))
                sleep(_POLL_S)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if error.response.get("Error", {}).get("Code") in _UNKNOWN or status == 501:  # noqa: PLR2004 - not implemented
                return None
            raise
    if task.get("Status") != "COMPLETED":
        reason = task.get("FailureReason", task.get("Status", "no task is known"))
        raise UnavailableError(
            f"SQS stopped after {_moved(task)} messages ({reason}); nothing is lost, run signet redrive again"
        )
    return _moved(task)


def _newest_task(sqs: Any, arn: str) -> dict[str, Any]:
    found = sqs.list_message_move_tasks(SourceArn=arn, MaxResults=1).get("Results", [])
    newest: dict[str, Any] = found[0] if found else {}
    return newest


def _moved(task: dict[str, Any]) -> int:
    return int(task.get("ApproximateNumberOfMessagesMoved", 0))


def _receive_and_send(sqs: Any, dlq_url: str, queue_url: str, waiting: int, progress: Progress) -> int:
    """Move messages one by one, up to as many as there were: what comes back meanwhile stays."""
    moved = 0
    with aws_errors("move the messages"):
        while moved < waiting:
            received = sqs.receive_message(
                QueueUrl=dlq_url,
                MaxNumberOfMessages=min(_BATCH, waiting - moved),
                VisibilityTimeout=_HIDDEN_S,
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not received:
                break
            for message in received:
                sqs.send_message(
                    QueueUrl=queue_url,
                    MessageBody=message["Body"],
                    MessageAttributes=message.get("MessageAttributes", {}),
                )
                sqs.delete_message(QueueUrl=dlq_url, ReceiptHandle=message["ReceiptHandle"])
                moved += 1
                progress(moved, waiting)
    return moved


def _count(sqs: Any, url: str, attribute: str) -> str:
    with aws_errors("look at the dead-letter queue"):
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])
    value: str = answer["Attributes"][attribute]
    return value
