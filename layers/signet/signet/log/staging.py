"""The staged bundle: all that one integration adds to the log, as one object, checked before use.

    "signet-staging-v1" ‖ newline ‖ u64 base size ‖ u64 size ‖ (u16 length ‖ path ‖ u32 length ‖ bytes)*

It is written before the head that needs it is signed and read back before signing: what is signed is
what the store really holds. Its name says which tree it leads to, so two runs that stage the
same tree write objects of which either one completes it: the accounts follow from the tree as well, since
its last leaves say which day is theirs.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Mapping
from typing import Final

from signet.core.errors import LogError
from signet.log.emitters import EmitterTotals, read_accounts
from signet.log.tiles import TILE_WIDTH, TileReader, parse_entries, tile_path

PREFIX: Final = "staging/"
_TILES: Final = "tile/"

_MAGIC: Final = b"signet-staging-v1\n"
_SIZES: Final = struct.Struct(">QQ")
_PATH: Final = struct.Struct(">H")
_BODY: Final = struct.Struct(">I")


def staging_key(size: int, root: bytes) -> str:
    """Return the key of the bundle that leads to this tree."""
    return f"{PREFIX}{size}-{root.hex()}"


def staged_size(key: str) -> int | None:
    """Return the tree size in a staging key; None if the key is none."""
    size = key.removeprefix(PREFIX).partition("-")[0]
    return int(size) if size.isascii() and size.isdigit() else None


def encode_staged(base: int, size: int, objects: Mapping[str, bytes]) -> bytes:
    """Return the bundle with what a growth from ``base`` to ``size`` leaves adds, by key."""
    parts = [_MAGIC, _SIZES.pack(base, size)]
    for path, body in objects.items():
        name = path.encode()
        parts += (_PATH.pack(len(name)), name, _BODY.pack(len(body)), body)
    return b"".join(parts)


def check_staged(
    data: bytes, size: int, root: bytes, emitters: EmitterTotals, get: Callable[[str], bytes | None]
) -> Mapping[str, bytes]:
    """Recompute a bundle from its own entries and return its objects by key.

    The tree is grown anew from the stored tree of the base size and the entries in the bundle; each tile
    must come out byte for byte, and the root must be ``root``. A bit that changed anywhere, in the bundle
    or in the stored right edge, changes a leaf, a node, the root or the accounts' digest.

    Args:
        data: the bundle as it was read back.
        size: leaves of the tree it must lead to.
        root: that tree's root.
        emitters: what that tree's head says of them.
        get: reads stored objects (the tiles of the base size).

    Raises:
        LogError: code ``staging_damaged``, ``bad_accounts``, or a stored tile is missing or wrong.
    """
    base, objects = _parse(data, size)
    read_accounts(objects.get, emitters)
    tiles = {path: body for path, body in objects.items() if path != emitters.key}
    _recompute(base, tiles, get, size, root)
    return objects


def staged_tiles(data: bytes, key: str, get: Callable[[str], bytes | None]) -> Mapping[str, bytes]:
    """Recompute the tiles of a bundle of which only the key is known, and return them by key.

    Args:
        data: the bundle.
        key: its key, which says which tree it leads to.
        get: reads stored objects.

    Raises:
        LogError: as ``check_staged``; of the accounts in the bundle nothing is said.
    """
    size = staged_size(key)
    try:
        root = bytes.fromhex(key.partition("-")[2])
    except ValueError:
        size = None
    if size is None:
        raise _damaged("its name is none")
    base, objects = _parse(data, size)
    tiles = {path: body for path, body in objects.items() if path.startswith(_TILES)}
    _recompute(base, tiles, get, size, root)
    return tiles


def _recompute(
    base: int, tiles: Mapping[str, bytes], get: Callable[[str], bytes | None], size: int, root: bytes
) -> None:
    """Grow the stored tree of ``base`` leaves by the entries in ``tiles``; hold what comes out to them."""
    builder = TileReader(get, base).builder()
    entries: list[bytes] = []
    for index in range(base // TILE_WIDTH, -(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        bundle = tiles.get(tile_path(None, index, width))
        if bundle is None:
            raise _damaged("an entry bundle is missing")
        entries += parse_entries(bundle, width)[max(base - index * TILE_WIDTH, 0) :]
    grown = dict(builder.append(entries)) | dict(builder.partial_tiles())
    if builder.size != size or grown != tiles:
        raise _damaged("its tiles do not follow from its entries")
    if not hmac.compare_digest(builder.root(), root):
        raise _damaged("it leads to another root")


def _parse(data: bytes, size: int) -> tuple[int, dict[str, bytes]]:
    """Return the base size and the objects of a bundle that leads to ``size`` leaves."""
    start = len(_MAGIC) + _SIZES.size
    if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
        raise _damaged("it is no staged bundle")
    base, staged_to = _SIZES.unpack_from(data, len(_MAGIC))
    objects: dict[str, bytes] = {}
    try:
        while start < len(data):
            path, start = _read(_PATH, data, start)
            body, start = _read(_BODY, data, start)
            objects[path.decode("ascii")] = body
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged("it is cut short") from error
    if start != len(data) or not base < staged_to:
        raise _damaged("it is cut short")
    if staged_to != size:
        raise _damaged("it leads to a tree of another size")
    return base, objects


def _read(length: struct.Struct, data: bytes, at: int) -> tuple[bytes, int]:
    start = at + length.size
    end = start + length.unpack_from(data, at)[0]
    return data[start:end], end


def _damaged(reason: str) -> LogError:
    return LogError(f"the staged bundle is refused: {reason}", code="staging_damaged")
