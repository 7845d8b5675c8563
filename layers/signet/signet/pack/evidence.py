"""Which evidence a receipt names."""

from __future__ import annotations

from typing import Final

from signet.receipts.reading import Receipt

_HEX_DIGITS: Final = 64


def named_evidence(receipt: Receipt) -> str | None:
    """Return the hex SHA-256 of the evidence that a decision's receipt names, or None."""
    return receipt.named(b"evidence_sha256", _HEX_DIGITS)
