"""Walking a tlog-tiles log from its entries: every tile computed anew and compared with the stored one.

Nothing here knows Signet: it reads any log of c2sp.org/tlog-tiles whose leaves are RFC 9162 hashes of
its entries.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from typing import Final

from signet.audit.source import Get
from signet.core.errors import AuditError, LogError
from signet.core.verification import Failure
from signet.log.tiles import (
    TILE_WIDTH,
    TileBuilder,
    TileReader,
    encode_entries,
    parse_entries,
    parse_hashes,
    parse_tile_path,
    tile_path,
)

PREFIX: Final = "tile/"


class TreeWalk:
    """Reads entries in order and holds every tile they give to the stored one.

    Attributes:
        size: leaves walked so far.
        compared: objects compared byte for byte.
    """

    def __init__(
        self,
        get: Get,
        size: int,
        *,
        base: int = 0,
        base_root: bytes | None = None,
        fail: Callable[[Failure], None],
    ) -> None:
        """Walk leaves [base, size).

        Args:
            get: reads objects.
            size: leaves of the tree.
            base: where to start; what lies before is believed as far as ``base_root`` vouches for it.
            base_root: root of the first ``base`` leaves; needed if ``base`` is not 0.
            fail: takes each tile that is missing or differs; the walk goes on.

        Raises:
            LogError: the stored tiles do not lead to ``base_root``.
        """
        self._get = get
        self._end = size
        self._fail = fail
        self._builder = TileReader(get, base, root=base_root).builder() if base else TileBuilder()
        self.compared = 0

    @property
    def size(self) -> int:
        """Leaves walked so far."""
        return self._builder.size

    def batches(self) -> Iterator[list[bytes]]:
        """Yield the entries of each bundle, in order; the tiles that they complete are compared first.

        Raises:
            AuditError: a bundle is missing or malformed: what comes after it cannot be recomputed.
        """
        while self.size < self._end:
            index, done = divmod(self.size, TILE_WIDTH)
            width = min(TILE_WIDTH, self._end - index * TILE_WIDTH)
            path, stored = self._bundle(index, width)
            try:
                entries = parse_entries(stored, parse_tile_path(path)[2])[done:width]
            except LogError as error:
                raise AuditError(str(error), where=path, code=error.code) from error
            for tile, body in self._builder.append(entries):
                self._compare(tile, body)
            yield entries
        for tile, body in self._builder.partial_tiles():
            self._compare(tile, body)

    def root(self) -> bytes:
        """Return the root of the leaves walked so far."""
        return self._builder.root()

    def _bundle(self, index: int, width: int) -> tuple[str, bytes]:
        for path in dict.fromkeys((tile_path(None, index, width), tile_path(None, index))):
            stored = self._get(path)
            if stored is not None:
                return path, stored
        raise AuditError("is missing", where=tile_path(None, index, width), code="missing_tile")

    def _compare(self, path: str, expected: bytes) -> None:
        """Hold a stored tile to what it must be; where a partial one is gone the full one serves."""
        stored = self._get(path)
        if stored is None:
            level, index, width = parse_tile_path(path)
            wider = self._get(tile_path(level, index)) if width < TILE_WIDTH else None
            stored = None if wider is None else wider[: len(expected)]
        self.compared += 1
        if stored is None:
            self._fail(Failure("missing_tile", path, "is missing"))
        elif not hmac.compare_digest(stored, expected):
            self._fail(Failure("wrong_tile", path, "is not what the entries give"))


def check_listed(get: Get, paths: Iterator[str], size: int, fail: Callable[[Failure], None]) -> Iterator[str]:
    """Check what a listing of ``tile/`` shows beyond the tiles of the newest size.

    A partial tile of an earlier size must be how a wider one begins: two that differ begin a fork.

    Args:
        get: reads objects.
        paths: every key under ``tile/``.
        size: leaves of the audited tree.
        fail: takes each failure.

    Yields:
        The tiles that reach beyond the audited tree: of an integration under way, of one that was killed, or
        of a writer that has no right there.
    """
    for path in paths:
        try:
            level, index, width = parse_tile_path(path)
        except LogError:
            fail(Failure("foreign_object", path, "is no tile"))
            continue
        count = (size >> (8 * (level or 0))) - index * TILE_WIDTH
        if width > count:
            yield path
        elif width < min(count, TILE_WIDTH) and not _is_beginning(get, path, min(count, TILE_WIDTH)):
            fail(Failure("wrong_tile", path, "is not how the tile that replaced it begins"))


def _is_beginning(get: Get, path: str, wider: int) -> bool:
    level, index, width = parse_tile_path(path)
    narrow, wide = get(path), get(tile_path(level, index, wider))
    if narrow is None or wide is None:
        return True  # superseded, so it may go; and the wider one is found missing by the walk
    try:
        if level is None:
            expected = encode_entries(parse_entries(wide, wider)[:width])
        else:
            expected = b"".join(parse_hashes(wide, wider)[:width])
    except LogError:
        return True  # the walk finds the wider one malformed
    return hmac.compare_digest(narrow, expected)
