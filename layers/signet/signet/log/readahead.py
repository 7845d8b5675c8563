"""Fetch the entry bundles that a reader will ask for next, while it works on those it has."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from signet.core.errors import LogError
from signet.log.tiles import TILE_WIDTH, parse_tile_path, tile_path

#: Bundles ahead: at 65,535 bytes an entry this is 64 MiB at most, at the usual kilobyte about one.
_AHEAD: Final = 4


class ReadAhead:
    """A ``get`` for ``TileReader``: a reader of a full bundle of entries soon asks for the next."""

    def __init__(self, get: Callable[[str], bytes | None], pool: ThreadPoolExecutor) -> None:
        """Fetch by ``get``, which several threads of ``pool`` may call at once."""
        self._get = get
        self._pool = pool
        self._coming: dict[str, Future[bytes | None]] = {}

    def __call__(self, path: str) -> bytes | None:
        """Return an object's bytes, or None; raises what ``get`` raises."""
        found = self._coming.pop(path, None)
        body = self._get(path) if found is None else found.result()
        try:
            level, index, width = parse_tile_path(path)
        except LogError:
            return body
        if level is None and width == TILE_WIDTH and body is not None:
            for number in range(index + 1, index + 1 + _AHEAD):
                ahead = tile_path(None, number)
                if ahead not in self._coming:
                    self._coming[ahead] = self._pool.submit(self._get, ahead)
        return body
