"""The wait for the sink: as long as the queue itself can take, and it says for what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.drain import drain
from local.errors import StackError

OUTPUTS = {"ReceiptQueueUrl": "queue", "ReceiptDlqUrl": "dlq"}


class Queues:
    """SQS with a clock of its own: one message is hidden until a moment, then gone or dead."""

    def __init__(self, *, settled_s: float, dead: int = 0) -> None:
        self.now_s = 0.0
        self.settled_s = settled_s
        self.dead = dead

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> Any:  # noqa: N803 - boto3's
        hidden = int(self.now_s < self.settled_s)
        counts = {"queue": (0, hidden), "dlq": (0 if hidden else self.dead, 0)}[QueueUrl]
        settings = {"VisibilityTimeout": "190", "RedrivePolicy": json.dumps({"maxReceiveCount": 5})}
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = settings | {name: str(count) for name, count in zip(names, counts, strict=True)}
        return {
            "Attributes": {n: v for n, v in found.items() if n in AttributeNames or "All" in AttributeNames}
        }

    def wait(self) -> list[str]:
        """Drain, on this clock; return what was said."""
        said: list[str] = []

        def sleep(seconds: float) -> None:
            self.now_s += seconds

        drain(self, OUTPUTS, said.append, clock=lambda: self.now_s, sleep=sleep)
        return said


def test_a_quick_sink_is_no_news() -> None:
    assert Queues(settled_s=3).wait() == []


def test_a_receipt_that_has_to_be_delivered_again_is_waited_for_and_said() -> None:
    queues = Queues(settled_s=200)
    [said] = queues.wait()
    assert queues.now_s >= 200
    assert said.startswith("1 receipts are still in the queue")
    assert "190 s" in said


def test_every_delivery_that_the_queue_makes_is_waited_for() -> None:
    Queues(settled_s=5 * 190).wait()


def test_a_queue_that_never_empties_is_given_up_with_its_settings_in_words() -> None:
    with pytest.raises(StackError, match=r"5 deliveries 190 s apart"):
        Queues(settled_s=1e9).wait()


def test_a_receipt_in_the_dead_letter_queue_is_no_empty_queue() -> None:
    with pytest.raises(StackError, match=r"^1 receipts went to the dead-letter queue"):
        Queues(settled_s=3, dead=1).wait()
