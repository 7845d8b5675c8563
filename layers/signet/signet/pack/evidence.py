"""Which evidence a receipt names."""

from __future__ import annotations

from typing import Final

from signet.receipts.reading import Receipt

# In canonical bytes a quotation mark within a string has a backslash before it, and of all objects of a
# decision only ``proof`` has this member: the first occurrence is the member.
_NAMED: Final = b'"evidence_sha256":"'
_HEX_DIGITS: Final = 64


def named_evidence(receipt: Receipt) -> str | None:
    """Return the hex SHA-256 of the evidence that a decision's receipt names, or None."""
    if receipt.emitter is None:  # only decisions have one
        return None
    at = receipt.encoded.find(_NAMED)
    if at < 0:
        return None
    start = at + len(_NAMED)
    return receipt.encoded[start : start + _HEX_DIGITS].decode()
