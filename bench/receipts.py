"""Receipts by the million: real ones, told apart by number, made at the cost of joining bytes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes.records import DAY_MS, message

__all__ = ["DAY_MS", "batches"]

_SAMPLE = 987_654_321
_ID_CHARS = 36
_NUMBERED_CHARS = 12


def batches(count: int, size: int) -> Iterator[list[bytes]]:
    """Yield messages 0 to ``count`` - 1 in lists of at most ``size``, ids and numbers all different."""
    before, between, after = _parts()
    for start in range(0, count, size):
        numbers = range(start, min(start + size, count))
        yield [b"%b%d%b%012x%b" % (before, n, between, n, after) for n in numbers]


def _parts() -> tuple[bytes, bytes, bytes]:
    """Return a message cut at the emitter's number and at the last twelve digits of its id, which follows."""
    before, number, rest = message(_SAMPLE).partition(b'"n":%d' % _SAMPLE)
    end = rest.index(b',"id":"') + len(b',"id":"') + _ID_CHARS
    return before + number[:4], rest[: end - _NUMBERED_CHARS], rest[end:]
