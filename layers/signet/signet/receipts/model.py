"""The receipt of a decision, and everything else about receipts under one name.

The authorizer fills a ``DecisionRecord`` and sends ``encode()``; the sink and verifiers call
``read_receipt``. Everything here is pure: times, identifiers and randomness are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from signet.core.records import record
from signet.receipts import v1, v2_encode
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
from signet.receipts.v1 import V1
from signet.receipts.v2 import V2
from signet.receipts.versions import VERSIONS, check_receipt

#: Most bytes of a receipt of version 1 on its way to the sink.
MAX_MESSAGE_BYTES: Final = V1.message_bytes
_ENCODERS: Final[Mapping[int, Callable[[DecisionFacts], bytes]]] = {
    V1.version: v1.encode_decision,
    V2.version: v2_encode.encode_decision,
}

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
    """One decision, ready to be recorded."""

    def encode(self, version: int = V1.version) -> bytes:
        """Return the canonical bytes for the queue; all members present, null where unknown, no ``chain``.

        They are written as they stand, members sorted, and then held against the format as the sink will
        hold them: an object that is built to be encoded would take three times as long.

        Args:
            version: the one to write: 1, or 2 (a draft).

        Raises:
            CanonicalError: a member cannot stand in a receipt, or not beside others; the receipt is too long.
            ValueError: a digest has not 32 bytes.
        """
        message = _ENCODERS[version](self)
        check_message(message, VERSIONS[version])
        return message
