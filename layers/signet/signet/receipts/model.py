"""The receipt of a decision, and everything else about receipts under one name.

The authorizer fills a ``DecisionRecord`` and sends ``encode()``; the sink and verifiers call
``read_receipt``. Everything here is pure: times, identifiers and randomness are arguments.
"""

from __future__ import annotations

from typing import Final

from signet.core.records import record
from signet.receipts.facts import (
    BindingFacts,
    BreakerFacts,
    DecisionFacts,
    Emitter,
    PolicyFacts,
    ProofFacts,
    RequestFacts,
)
from signet.receipts.reading import ChainLink, Receipt, check_message, read_receipt
from signet.receipts.shape import MAX_RECEIPT_BYTES
from signet.receipts.v1 import V1, encode_decision
from signet.receipts.versions import check_receipt

#: Most bytes of a receipt on its way to the sink, in the version that is written.
MAX_MESSAGE_BYTES: Final = V1.message_bytes

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_RECEIPT_BYTES",
    "BindingFacts",
    "BreakerFacts",
    "ChainLink",
    "DecisionRecord",
    "Emitter",
    "PolicyFacts",
    "ProofFacts",
    "Receipt",
    "RequestFacts",
    "check_receipt",
    "read_receipt",
]


@record
class DecisionRecord(DecisionFacts):
    """One decision, ready to be recorded; the version that is written is chosen here."""

    def encode(self) -> bytes:
        """Return the canonical bytes for the queue; all members present, null where unknown, no ``chain``.

        They are written as they stand, members sorted, and then held against the format as the sink will
        hold them: an object that is built to be encoded would take three times as long.

        Raises:
            CanonicalError: a member cannot stand in a receipt, or not beside others; the receipt is too long.
            ValueError: a digest has not 32 bytes.
        """
        message = encode_decision(self)
        check_message(message, V1)
        return message
