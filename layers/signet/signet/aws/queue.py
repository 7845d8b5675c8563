"""The queue that carries decisions to the sink (SQS standard)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from signet.aws.permanent import RECEIPT_QUEUE
from signet.aws.session import translate_errors
from signet.core.encoding import decode_base64

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: Message attributes (binary) in which evidence and transcript ride beside their receipt.
EVIDENCE_ATTRIBUTE: Final = "evidence"
TRANSCRIPT_ATTRIBUTE: Final = "transcript"


class SqsReceiptQueue:
    """Implements ``signet.core.ports.ReceiptQueue``.

    The body is the receipt, byte for byte; evidence and transcript are message attributes, so that a receipt
    reads the same with and without. All together stay below 197 kB; SQS has always taken 262.
    """

    def __init__(self, client: SQSClient, url: str) -> None:
        """Take SQS and the queue's URL."""
        self.client = client
        self.url = url

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        """Return only when SQS has acknowledged the message."""
        request: dict[str, Any] = {"QueueUrl": self.url, "MessageBody": message.decode()}
        beside = {EVIDENCE_ATTRIBUTE: evidence, TRANSCRIPT_ATTRIBUTE: transcript}
        attributes = {
            name: {"DataType": "Binary", "BinaryValue": value}
            for name, value in beside.items()
            if value is not None
        }
        if attributes:
            request["MessageAttributes"] = attributes
        with translate_errors("enqueue the receipt", RECEIPT_QUEUE):
            self.client.send_message(**request)


def evidence_of(record: Mapping[str, Any]) -> bytes | None:
    """Return the evidence in a record of a Lambda event, or None; bytes that are no base64 come as empty.

    Empty bytes are evidence of no receipt: their digest never matches, and the message is poison.
    """
    return _beside(record, EVIDENCE_ATTRIBUTE)


def transcript_of(record: Mapping[str, Any]) -> bytes | None:
    """Return the transcript in a record of a Lambda event, or None; see ``evidence_of``."""
    return _beside(record, TRANSCRIPT_ATTRIBUTE)


def _beside(record: Mapping[str, Any], name: str) -> bytes | None:
    attribute = record.get("messageAttributes", {}).get(name)
    if attribute is None:
        return None
    try:
        return decode_base64(attribute.get("binaryValue") or "")
    except ValueError:
        return b""
