"""Receipt ids over a whole log: which of them stand there twice, at eight bytes an id.

A day's ids fit into memory whole; those of years do not. So the first pass keeps a 64-bit hash of each, and
only where two of these are equal a second one looks at the ids themselves: equal hashes are no verdict.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Final

from signet.receipts.instants import raw_id
from signet.receipts.reading import read_receipt

# Sorted one after the other: while one is, a thousandth of all hashes are Python's integers of 32 bytes each.
_BUCKETS: Final = 1024
#: Ids that a second pass looks for: more than an audit reports, and a bound on what it keeps.
MAX_REPEATED: Final = 1000


class SeenIds:
    """Takes ids, and tells which it may have taken twice."""

    def __init__(self) -> None:
        """Begin with none."""
        self._buckets = [array("q") for _ in range(_BUCKETS)]

    def update(self, ids: Iterable[bytes]) -> None:
        """Take more ids, 16 bytes each."""
        buckets = self._buckets
        for raw in ids:
            digest = hash(raw)  # SipHash under a key of this process (PEP 456): nobody can prepare collisions
            buckets[digest % _BUCKETS].append(digest)

    def repeated(self) -> frozenset[int]:
        """Return hashes that were taken more than once, at most ``MAX_REPEATED``."""
        return frozenset(islice(self._equal_neighbours(), MAX_REPEATED))

    def _equal_neighbours(self) -> Iterator[int]:
        for bucket in self._buckets:
            yield from {one for one, following in pairwise(sorted(bucket)) if one == following}


def repetitions(
    entries: Iterable[bytes], hashes: frozenset[int] | None = None, *, first_leaf: int
) -> Iterator[tuple[int, int]]:
    """Yield (leaf, earlier leaf) for each receipt whose id an earlier one has.

    Args:
        entries: receipts of the log, in leaf order, which were read before.
        hashes: what ``SeenIds.repeated`` returned; None looks at all ids.
        first_leaf: index of the first of the entries.
    """
    first: dict[bytes, int] = {}
    for leaf, entry in enumerate(entries, first_leaf):
        raw = raw_id(read_receipt(entry, chained=True).id)
        if hashes is None or hash(raw) in hashes:
            earlier = first.setdefault(raw, leaf)
            if earlier != leaf:
                yield leaf, earlier
