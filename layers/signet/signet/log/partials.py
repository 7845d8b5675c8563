"""Removing partial tiles and bundles that a full one has replaced.

With a head a minute a log leaves a partial bundle and up to six partial tiles at each. A log "MAY delete any
partial tile once the corresponding full tile is available" (c2sp.org/tlog-tiles, Partial Tiles), and its
readers take the full one then. They are removed only

- where the full one is seen in the same listing, and
- where a final head that is ``GRACE_MS`` old covers the full one: a reader who took a checkpoint before finds
  the partial tiles of its tree for that long.

Nothing else is removed, ever. In a versioned bucket a removal is a delete marker: the version stays as long
as Object Lock and lifecycle keep it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from signet.core.errors import LogError
from signet.core.ports import ObjectStore
from signet.log.sth import TreeHead
from signet.log.tiles import TILE_HEIGHT, TILE_WIDTH, parse_tile_path, tile_path

#: How long a partial tile stays after a final head covers its full one, in milliseconds.
GRACE_MS: Final = 12 * 3_600_000
#: Days that are looked at again, so that a removal that was cut short is completed by a later one.
LOOK_BACK_DAYS: Final = 7

_GROUP: Final = 1000
_MAX_LEVEL: Final = 5


def remove_partials(
    objects: ObjectStore,
    final_head: Callable[[str], TreeHead | None],
    *,
    newest: dt.date,
    now_ms: int,
    threads: int = 1,
) -> int:
    """Remove the partial tiles that full ones replaced in the last days; return how many there were.

    Idempotent; safe beside a run of the writer and beside itself.

    Args:
        objects: the log's objects.
        final_head: returns the final head of a day (``YYYY-MM-DD``), None if there is none.
        newest: the day that was closed last.
        now_ms: the present, Unix milliseconds.
        threads: objects removed at a time.

    Raises:
        LogError: a final head is not what it should be.
        UnavailableError: the store cannot be reached; the next removal looks at the same days again.
    """
    days = [newest - dt.timedelta(days=n) for n in range(LOOK_BACK_DAYS + 1)]
    heads = [head for day in days if (head := final_head(day.isoformat())) is not None]
    settled = [head for head in heads if head.timestamp <= now_ms - GRACE_MS]
    if not settled:
        return 0
    first, size = heads[-1].first_leaf, settled[0].tree_size
    replaced = list(_replaced(objects, first, size))  # listed whole before the first is removed
    with ThreadPoolExecutor(threads) as pool:
        for _done in pool.map(objects.delete, replaced):
            pass
    return len(replaced)


def _replaced(objects: ObjectStore, first: int, size: int) -> Iterator[str]:
    """Yield partial tiles of those that became full between ``first`` and ``size`` leaves."""
    for level in (None, *range(_MAX_LEVEL + 1)):
        shift = TILE_HEIGHT * ((level or 0) + 1)
        start, end = first >> shift, size >> shift
        for group in range(start // _GROUP, -(-end // _GROUP)):
            yield from _in_group(objects, level, range(max(start, group * _GROUP), end), group)


def _in_group(objects: ObjectStore, level: int | None, wanted: range, group: int) -> Iterator[str]:
    """Yield the replaced partial tiles of one folder; a full tile is listed right before its partial ones."""
    folder = tile_path(level, group * _GROUP).removesuffix("000")
    full: int | None = None
    for path in objects.list(folder):
        try:
            _level, index, width = parse_tile_path(path)
        except LogError:
            continue  # a foreign object: the audit's finding
        if index >= min(wanted.stop, (group + 1) * _GROUP):
            return
        if width == TILE_WIDTH:
            full = index
        elif index == full and index in wanted:
            yield path
