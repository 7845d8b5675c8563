"""The log as C2SP tlog-tiles: paths, tile and bundle contents, growing and reading (c2sp.org/tlog-tiles).

``tile/<L>/<N>[.p/<W>]`` holds up to 256 hashes of level 8·L; ``tile/entries/<N>[.p/<W>]`` up to 256
entries, each u16 big-endian length ‖ bytes. N is written in groups of three digits, all but the last
prefixed by ``x``. Tiles are written once: a partial tile is never changed, a wider one takes its place.
"""

from __future__ import annotations

import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from signet.core.errors import LogError
from signet.log.merkle import (
    HASH_BYTES,
    CompactRange,
    leaf_hashes,
    perfect_root,
    perfect_subtrees,
    tree_root,
)

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES: Final = 0xFFFF

#: 256^6 leaves are beyond any log; C2SP bounds the level by the same number.
_MAX_LEVEL: Final = 5
_GROUP: Final = 1000
#: Tiles a reader keeps: 512 KiB, enough for any proof and for reading a range in order.
_CACHED_TILES: Final = 64

_PATH = re.compile(
    r"tile/(?P<level>entries|[0-5])/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


def tile_path(level: int | None, index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile of hashes, or with ``level`` None of an entry bundle.

    Args:
        level: tile level L (its hashes have tree level 8·L), or None for entries.
        index: tile number N within the level.
        width: hashes or entries in it, 1 to 256; below 256 it is a partial tile.
    """
    index, last = divmod(index, _GROUP)
    groups = f"{last:03d}"
    while index:
        index, group = divmod(index, _GROUP)
        groups = f"x{group:03d}/{groups}"
    kind = "entries" if level is None else str(level)
    return f"tile/{kind}/{groups}" + (f".p/{width}" if width < TILE_WIDTH else "")


def parse_tile_path(path: str) -> tuple[int | None, int, int]:
    """Return (level or None for entries, index, width) of a tile path; one path per tile.

    Raises:
        LogError: not a tile path, or not its only spelling.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise LogError(f"{path!r} is not the path of a tile", code="bad_tile")
    level = None if match["level"] == "entries" else int(match["level"])
    index = int(match["index"].replace("x", "").replace("/", ""))
    width = int(match["width"] or TILE_WIDTH)
    if tile_path(level, index, width) != path:
        raise LogError(f"{path!r} is not the path of a tile", code="bad_tile")
    return level, index, width


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of entries: each u16 big-endian length ‖ bytes.

    Raises:
        LogError: an entry is longer than 65,535 bytes.
    """
    if max(map(len, entries), default=0) > MAX_ENTRY_BYTES:
        raise LogError(f"an entry is longer than {MAX_ENTRY_BYTES} bytes", code="entry_too_long")
    return b"".join([part for entry in entries for part in (len(entry).to_bytes(2, "big"), entry)])


def parse_entries(bundle: bytes, width: int) -> list[bytes]:
    """Return the ``width`` entries of a bundle.

    Raises:
        LogError: the bundle does not hold exactly that many entries.
    """
    entries: list[bytes] = []
    position = 0
    while position < len(bundle):
        start = position + 2
        position = start + int.from_bytes(bundle[position:start], "big")
        entries.append(bundle[start:position])
    if position != len(bundle) or len(entries) != width:
        raise LogError(f"an entry bundle does not hold exactly {width} entries", code="bad_tile")
    return entries


def parse_hashes(tile: bytes, width: int) -> list[bytes]:
    """Return the ``width`` hashes of a tile.

    Raises:
        LogError: the tile has another length.
    """
    if len(tile) != width * HASH_BYTES:
        raise LogError(f"a tile does not hold exactly {width} hashes", code="bad_tile")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


class TileBuilder:
    """The right edge of the log: takes entries, gives the tiles they fill, in bounded memory.

    ``append`` yields each tile as it fills up; ``partial_tiles`` gives the rest at any size, and
    building goes on afterwards. Both give only tiles that are new since the builder was made.

    Attributes:
        size: leaves so far.
    """

    __slots__ = ("_counts_at_start", "_edge", "_entries", "size")

    def __init__(
        self, size: int = 0, edge: Sequence[Sequence[bytes]] = (), entries: Sequence[bytes] = ()
    ) -> None:
        """Continue a tree of ``size`` leaves.

        Args:
            size: its leaves.
            edge: the hashes of the partial tile of each level from 0 up (empty where there is none).
            entries: the entries of the partial bundle.

        Raises:
            LogError: the parts do not fit the size or each other.
        """
        widths = _partial_widths(size)
        if [len(tile) for tile in edge] != widths or len(entries) != (widths[0] if widths else 0):
            raise LogError(f"the right edge does not fit a tree of {size} leaves", code="bad_tile")
        if widths and leaf_hashes(entries) != list(edge[0]):
            raise LogError("the last entries are not those that were hashed", code="bad_tile")
        self.size = size
        self._edge = [list(tile) for tile in edge] or [[]]
        self._entries = list(entries)
        self._counts_at_start = _level_counts(size)

    def append(self, entries: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Append entries; yield (path, bytes) of every tile and bundle that becomes full.

        The entries are in the tree only once the iterator is exhausted.

        Raises:
            LogError: an entry is longer than 65,535 bytes.
        """
        position = 0
        while position < len(entries):
            taken = entries[position : position + TILE_WIDTH - len(self._entries)]
            self._edge[0].extend(leaf_hashes(taken))
            self._entries.extend(taken)
            self.size += len(taken)
            position += len(taken)
            if len(self._entries) == TILE_WIDTH:
                yield tile_path(None, self.size // TILE_WIDTH - 1), encode_entries(self._entries)
                self._entries.clear()
                yield from self._carry()

    def partial_tiles(self) -> Iterator[tuple[str, bytes]]:
        """Yield (path, bytes) of the partial tiles and bundle of the present size, if new."""
        if self._entries and self.size != self._count_at_start(0):
            index = self.size // TILE_WIDTH
            yield tile_path(None, index, len(self._entries)), encode_entries(self._entries)
        for level, hashes in enumerate(self._edge):
            count = self.size >> (TILE_HEIGHT * level)
            if hashes and count != self._count_at_start(level):
                yield tile_path(level, count // TILE_WIDTH, len(hashes)), b"".join(hashes)

    def compact_range(self) -> CompactRange:
        """Return the perfect-subtree roots of all leaves so far."""
        grown = CompactRange()
        for level in reversed(range(len(self._edge))):
            hashes = self._edge[level]
            for height, index in perfect_subtrees(0, len(hashes)):
                first = index << height
                root = perfect_root(hashes[first : first + (1 << height)])
                grown.append_subtree(TILE_HEIGHT * level + height, root)
        return grown

    def root(self) -> bytes:
        """Return the root of the tree over all leaves so far."""
        return self.compact_range().root()

    def _carry(self) -> Iterator[tuple[str, bytes]]:
        """Yield the tiles that are full now; each becomes one hash of the level above."""
        level = 0
        while len(self._edge[level]) == TILE_WIDTH:
            hashes = self._edge[level]
            count = self.size >> (TILE_HEIGHT * level)
            yield tile_path(level, count // TILE_WIDTH - 1), b"".join(hashes)
            if level + 1 == len(self._edge):
                self._edge.append([])
            self._edge[level + 1].append(perfect_root(hashes))
            self._edge[level] = []
            level += 1

    def _count_at_start(self, level: int) -> int:
        return self._counts_at_start[level] if level < len(self._counts_at_start) else 0


class TileReader:
    """Reads a tree of a given size from tiles in any store.

    With ``root`` everything is checked up to it before use: the right edge against the root, each full
    tile against its hash one level up, each entry against its leaf hash. Without, entries are only held
    to their leaf hashes.
    """

    def __init__(self, get: Callable[[str], bytes | None], size: int, *, root: bytes | None = None) -> None:
        """Read tiles by ``get`` (an object's bytes by key, None if there is none) of a tree of ``size``.

        Raises:
            LogError: the tiles of the right edge do not lead to ``root``.
        """
        self.size = size
        self._get = get
        self._authenticate = root is not None
        self._tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()
        # Every perfect subtree that the root is folded from lies in a partial tile, or in a full
        # one that is itself checked against a partial tile further up.
        if root is not None and not hmac.compare_digest(tree_root(size, self.subtree_hash), root):
            raise LogError("the stored tiles do not lead to the root", code="wrong_root")

    def subtree_hash(self, level: int, index: int) -> bytes:
        """Return the hash of perfect subtree (level, index): a ``merkle.HashReader``.

        Raises:
            LogError: outside the tree, or a tile is missing or wrong.
        """
        if not 0 <= index < self.size >> level:
            raise LogError(f"subtree {level}/{index} is not in a tree of {self.size} leaves", code="bad_tile")
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        hashes = self._tile(tile_level, first // TILE_WIDTH)
        at = first % TILE_WIDTH
        return perfect_root(hashes[at : at + (1 << height)])

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Yield entries [start, end) in order, each checked against its leaf hash.

        Raises:
            LogError: outside the tree, or a bundle is missing or wrong.
        """
        if not 0 <= start <= end <= self.size:
            raise LogError(f"[{start}, {end}) is not in a tree of {self.size} leaves", code="bad_tile")
        for index in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
            first = index * TILE_WIDTH
            bundle = self._bundle(index)
            yield from bundle[max(start - first, 0) : end - first]

    def builder(self) -> TileBuilder:
        """Return a builder that continues this tree."""
        edge = [
            self._tile(level, (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH) if width else []
            for level, width in enumerate(_partial_widths(self.size))
        ]
        first = self.size - self.size % TILE_WIDTH
        return TileBuilder(self.size, edge, list(self.entries(first, self.size)))

    def _bundle(self, index: int) -> list[bytes]:
        path, stored, width = self._fetch(None, index)
        entries = parse_entries(stored, parse_tile_path(path)[2])[:width]
        if leaf_hashes(entries) != self._tile(0, index):
            raise LogError(f"an entry of {path} does not have its leaf hash", code="bad_tile")
        return entries

    def _tile(self, level: int, index: int) -> list[bytes]:
        found = self._tiles.get((level, index))
        if found is not None:
            self._tiles.move_to_end((level, index))
            return found
        path, stored, width = self._fetch(level, index)
        hashes = parse_hashes(stored, parse_tile_path(path)[2])[:width]
        if self._authenticate and width == TILE_WIDTH:
            expected = self.subtree_hash(TILE_HEIGHT * (level + 1), index)
            if not hmac.compare_digest(perfect_root(hashes), expected):
                raise LogError(f"{path} does not have its hash in the level above", code="bad_tile")
        self._tiles[level, index] = hashes
        if len(self._tiles) > _CACHED_TILES:
            self._tiles.popitem(last=False)
        return hashes

    def _fetch(self, level: int | None, index: int) -> tuple[str, bytes, int]:
        """Return (path, bytes, width wanted); where a partial tile is gone the full one serves."""
        count = self.size >> (TILE_HEIGHT * (level or 0))
        width = min(TILE_WIDTH, count - index * TILE_WIDTH)
        for path in dict.fromkeys((tile_path(level, index, width), tile_path(level, index))):
            stored = self._get(path)
            if stored is not None:
                return path, stored, width
        raise LogError(f"{tile_path(level, index, width)} is missing", code="missing_tile")


def _level_counts(size: int) -> list[int]:
    """Return how many hashes each tile level holds, from level 0 up to the last that holds any."""
    counts: list[int] = []
    while size:
        counts.append(size)
        size >>= TILE_HEIGHT
    return counts


def _partial_widths(size: int) -> list[int]:
    """Return the width of the partial tile of each level (0 where there is none)."""
    return [count % TILE_WIDTH for count in _level_counts(size)]
