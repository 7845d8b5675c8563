"""Waiting until the sink has taken every receipt from its queue."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from local.errors import StackError
from local.tools import Report

_POLL_S = 0.2
_QUIET_S = 10.0
#: What one delivery takes beside the time that its message stays hidden.
_DELIVERY_S = 30.0
_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def drain(
    sqs: Any,
    outputs: Mapping[str, str],
    report: Report,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when the queue is empty; wait as long as its own settings can make a message wait.

    A message that the sink gives back stays hidden for the queue's visibility timeout.

    Args:
        sqs: an SQS client of the stack.
        outputs: the stack's outputs.
        report: is told once what is waited for, if it takes longer than some seconds.
        clock: seconds that only go forward.
        sleep: waits for so many seconds.

    Raises:
        StackError: a receipt went to the dead-letter queue, or the queue took longer than it can.
    """
    url = outputs["ReceiptQueueUrl"]
    settings = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    hidden_s = int(settings["VisibilityTimeout"])
    deliveries = int(json.loads(settings["RedrivePolicy"])["maxReceiveCount"])
    started_s, told = clock(), False
    while left := _messages(sqs, url):
        waited_s = clock() - started_s
        if waited_s > deliveries * (hidden_s + _DELIVERY_S):
            raise StackError(
                f"after {waited_s:.0f} s {left} receipts are still in the queue, though {deliveries} "
                f"deliveries {hidden_s} s apart should be over: read the sink's log."
            )
        if not told and waited_s > _QUIET_S:
            told = True
            report(
                f"{left} receipts are still in the queue. On a busy machine one may need another delivery: "
                f"it comes after {hidden_s} s, {deliveries} times at most"
            )
        sleep(_POLL_S)
    if lost := _messages(sqs, outputs["ReceiptDlqUrl"]):
        raise StackError(f"{lost} receipts went to the dead-letter queue: read the sink's log.")


def _messages(sqs: Any, url: str) -> int:
    """Return how many messages a queue holds: those that wait, and those that are hidden."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
    return sum(int(attributes[name]) for name in _COUNTS)
