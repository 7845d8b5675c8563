"""The receipt of an erasure: which decisions have no transcript any more, and why."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from signet.core.canonical import canonicalize
from signet.core.instants import utc_millis, uuid7_millis
from signet.receipts.reading import read_receipt
from signet.receipts.shape import ERASED_TYPE


class Cause(StrEnum):
    """Why transcripts were erased."""

    DEMAND = "demand"
    RETENTION = "retention"


def erased(receipt_ids: Collection[str], cause: Cause, receipt_id: str) -> bytes:
    """Return a ``transcript.erased`` receipt, as its message; it says the time that its id says.

    Args:
        receipt_ids: of the decisions; at least one.
        cause: why.
        receipt_id: UUID of version 7.

    Raises:
        CanonicalError: a member cannot stand in a receipt, or it would be too long.
    """
    encoded = canonicalize(
        {
            "v": 2,
            "type": ERASED_TYPE,
            "id": receipt_id,
            "decided_at": utc_millis(uuid7_millis(receipt_id)),
            "receipts": sorted(set(receipt_ids)),
            "cause": cause.value,
            "signature": None,  # of the caller; what carries a demand is not made yet
        }
    )
    read_receipt(encoded, chained=False)
    return encoded
