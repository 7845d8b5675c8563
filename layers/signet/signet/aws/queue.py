"""The queue that carries decisions to the sink (SQS standard)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from signet.aws.permanent import RECEIPT_QUEUE
from signet.aws.session import translate_errors
from signet.core.encoding import decode_base64

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: Message attribute (binary) in which evidence rides beside its receipt.
EVIDENCE_ATTRIBUTE: Final = "evidence"


class SqsReceiptQueue:
    """Implements ``signet.core.ports.ReceiptQueue``.

    The body is the receipt, byte for byte; evidence is a message attribute, so that a receipt reads the
    same with and without. Both together stay below 131 kB, half of what SQS has always taken.
    """

    def __init__(self, client: SQSClient, url: str) -> None:
        """Take SQS and the queue's URL."""
        self.client = client
        self.url = url

    def send(self, message: bytes, *, evidence: bytes | None = None) -> None:
        """Return only when SQS has acknowledged the message."""
        request: dict[str, Any] = {"QueueUrl": self.url, "MessageBody": message.decode()}
        if evidence is not None:
            attribute = {"DataType": "Binary", "BinaryValue": evidence}
            request["MessageAttributes"] = {EVIDENCE_ATTRIBUTE: attribute}
        with translate_errors("enqueue the receipt", RECEIPT_QUEUE):
            self.client.send_message(**request)


def evidence_of(record: Mapping[str, Any]) -> bytes | None:
    """Return the evidence in a record of a Lambda event, or None; bytes that are no base64 come as empty.

    Empty bytes are evidence of no receipt: their digest never matches, and the message is poison.
    """
    attribute = record.get("messageAttributes", {}).get(EVIDENCE_ATTRIBUTE)
    if attribute is None:
        return None
    try:
        return decode_base64(attribute.get("binaryValue") or "")
    except ValueError:
        return b""
