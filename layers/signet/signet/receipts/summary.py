"""The receipt of refusals that were counted together, in place of a receipt each."""

from __future__ import annotations

from collections.abc import Mapping

from signet.core.canonical import canonicalize
from signet.core.instants import utc_millis
from signet.receipts.facts import Emitter
from signet.receipts.reading import read_receipt
from signet.receipts.shape import SUMMARY_TYPE


def summary(
    receipt_id: str, emitter: Emitter, counts: Mapping[str, int], first_ms: int, last_ms: int
) -> bytes:
    """Return a ``refusals.summary`` receipt, as its message; it says the time of the last refusal.

    Args:
        receipt_id: UUID of version 7.
        emitter: who refused; the number was drawn for the first of the refusals.
        counts: refusals by reason, each from 1.
        first_ms: the first one, Unix milliseconds.
        last_ms: the last one, Unix milliseconds.

    Raises:
        CanonicalError: a member cannot stand in such a receipt.
    """
    encoded = canonicalize(
        {
            "v": 2,
            "type": SUMMARY_TYPE,
            "id": receipt_id,
            "decided_at": utc_millis(last_ms),
            "emitter": {"id": emitter.id, "n": emitter.n},
            "counts": dict(counts),
            "first": utc_millis(first_ms),
            "last": utc_millis(last_ms),
        }
    )
    read_receipt(encoded, chained=False)
    return encoded
