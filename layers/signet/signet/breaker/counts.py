"""Counts in the store, as environments and reporters write them."""

from __future__ import annotations

from typing import Final

_MAX_DIGITS: Final = 9


def count_of(text: str, *, digits: int = _MAX_DIGITS) -> int | None:
    """Return the count that a text is; None for what no environment and no reporter writes.

    Args:
        text: as the store holds it.
        digits: the most that it can have.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None
