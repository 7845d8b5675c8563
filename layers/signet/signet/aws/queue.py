"""The queue that carries decisions to the sink (SQS standard)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from signet.aws.session import translate_errors

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class SqsReceiptQueue:
    """Implements ``signet.ports.ReceiptQueue``."""

    client: SQSClient
    url: str

    def send(self, message: bytes) -> None:
        """Return only when SQS has acknowledged the message."""
        with translate_errors("enqueue the receipt"):
            self.client.send_message(QueueUrl=self.url, MessageBody=message.decode())
