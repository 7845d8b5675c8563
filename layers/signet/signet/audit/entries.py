"""A walk's entries, day by day: handed out up to the sizes of heads, and the tree to hang them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from signet.audit.source import Get
from signet.audit.tree import TreeWalk
from signet.log.merkle import CompactRange, perfect_subtrees
from signet.log.tiles import TileReader


class Entries:
    """The entries of a walk, handed out up to given sizes: days end in the middle of bundles."""

    def __init__(self, walk: TreeWalk, report: Callable[[], None]) -> None:
        """Read by ``walk``; ``report`` is called after each bundle."""
        self._batches = walk.batches()
        self._report = report
        self._at = walk.size
        self._left: list[bytes] = []

    def read_to(self, until: int) -> Iterator[list[bytes]]:
        """Yield entries up to leaf ``until``."""
        while self._at < until:
            if not self._left:
                self._left = next(self._batches)
                self._report()
            batch, self._left = self._left[: until - self._at], self._left[until - self._at :]
            self._at += len(batch)
            yield batch

    def finish(self) -> None:
        """Go to the end of the tree: beyond the newest head lies what a run that goes on has published."""
        for _batch in self._batches:
            self._report()


def compact_range(get: Get, size: int, root: bytes | None) -> CompactRange:
    """Return the perfect-subtree roots of the first ``size`` leaves, as far as ``root`` vouches for them.

    Raises:
        LogError: the stored tiles do not lead to ``root``, or one is missing.
    """
    reader = TileReader(get, size, root=root)
    return CompactRange(size, [reader.subtree_hash(level, at) for level, at in perfect_subtrees(0, size)])
