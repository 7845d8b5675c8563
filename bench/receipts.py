"""Receipts by the million: real ones, told apart by number, made at the cost of joining bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from signet.core.instants import utc_millis, uuid7
from tests.fakes.records import DAY_MS, message

__all__ = ["DAY_MS", "batches"]

_SAMPLE = 987_654_321
_ID_CHARS = 36


def batches(count: int, size: int) -> Iterator[list[bytes]]:
    """Yield messages 0 to ``count`` - 1 in lists of at most ``size``: one a millisecond, as their ids say."""
    before, between, after = _parts()
    for start in range(0, count, size):
        numbers = range(start, min(start + size, count))
        yield [b"%b%d%b%b%b" % (before, n, between, _id(n), after) for n in numbers]


def _id(n: int) -> bytes:
    return uuid7(DAY_MS + n, n.to_bytes(10)).encode()


def _parts() -> tuple[bytes, bytes, bytes]:
    """Return a message cut at the emitter's number and at its id, which follows."""
    before, number, rest = message(_SAMPLE).partition(b'"n":%d' % _SAMPLE)
    # Decided when the day began, not when the sample was: days late is no usual receipt.
    before = re.sub(rb'(?<="decided_at":")[^"]+', utc_millis(DAY_MS).encode(), before)
    begin = rest.index(b',"id":"') + len(b',"id":"')
    return before + number[:4], rest[:begin], rest[begin + _ID_CHARS :]
