"""What may stand in a log once: ids of receipts, nonces of allowed requests; at eight bytes each.

A day's ids fit into memory whole; those of years do not. So the first pass keeps a 64-bit hash of each, and
only where two of these are equal a second one looks at the receipts themselves: equal hashes are no verdict.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from typing import Final

from signet.core.instants import raw_id
from signet.receipts.reading import Receipt, read_receipt

# Sorted one after the other: while one is, a fraction of all hashes are Python's integers of 32 bytes each.
_BUCKETS: Final = 1024
#: Values that a second pass looks for: more than an audit reports, and a bound on what it keeps.
MAX_REPEATED: Final = 1000

#: Returns the bytes of what may stand once; None for a receipt without it.
Key = Callable[[Receipt], bytes | None]


class Seen:
    """Takes values, and tells which it may have taken twice."""

    def __init__(self) -> None:
        """Begin with none."""
        self._buckets = [array("q") for _ in range(_BUCKETS)]

    def update(self, values: Iterable[bytes]) -> None:
        """Take more values."""
        buckets = self._buckets
        for raw in values:
            digest = hash(raw)  # SipHash under a key of this process (PEP 456): collisions cannot be prepared
            buckets[digest % _BUCKETS].append(digest)

    def add(self, raw: bytes) -> None:
        """Take one more value."""
        digest = hash(raw)
        self._buckets[digest % _BUCKETS].append(digest)

    def merge(self, other: Seen) -> None:
        """Take what another one has taken."""
        for mine, others in zip(self._buckets, other._buckets, strict=True):
            mine.extend(others)

    def repeated(self) -> frozenset[int]:
        """Return hashes that were taken more than once, at most ``MAX_REPEATED``."""
        return frozenset(islice(self._equal_neighbours(), MAX_REPEATED))

    def _equal_neighbours(self) -> Iterator[int]:
        for bucket in self._buckets:
            yield from {one for one, following in pairwise(sorted(bucket)) if one == following}


def id_of(receipt: Receipt) -> bytes:
    """Return a receipt's id, 16 bytes."""
    return raw_id(receipt.id)


def nonce_of(receipt: Receipt) -> bytes | None:
    """Return the SHA-256 of the nonce that an allowed request spent, 32 bytes; None for another receipt."""
    return None if receipt.nonce is None else bytes.fromhex(receipt.nonce)


def repetitions(
    entries: Iterable[bytes],
    key: Key,
    hashes: frozenset[int] | None = None,
    *,
    first: int,
) -> Iterator[tuple[int, int]]:
    """Yield (place, earlier place) for each receipt with a value that an earlier one has.

    A receipt that came again as a whole repeats its id, and for that alone.

    Args:
        entries: receipts of the log, in their order, which were read before.
        key: what may stand once.
        hashes: what ``Seen.repeated`` returned; None looks at all.
        first: place of the first of the entries.
    """
    places: dict[bytes, tuple[int, str]] = {}
    for place, entry in enumerate(entries, first):
        receipt = read_receipt(entry, chained=True)
        raw = key(receipt)
        if raw is not None and (hashes is None or hash(raw) in hashes):
            earlier, receipt_id = places.setdefault(raw, (place, receipt.id))
            if earlier != place and (key is id_of or receipt_id != receipt.id):
                yield place, earlier
