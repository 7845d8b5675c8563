"""What a file is that was given as a pack: its bytes tell, before the file is called a bad pack.

A page of a web server, half a download and a folder that was packed again are no attempts to deceive. They
also need another remedy than a pack that contradicts itself: fetch the pack again, or ask for the original.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import BinaryIO, Final

from signet.pack.layout import MANIFEST
from signet.pack.zipwriter import CENTRAL, END

_LOCAL_MAGIC: Final = b"PK\3\4"
_CENTRAL_MAGIC: Final = b"PK\1\2"
_END_MAGIC: Final = b"PK\5\6"
_MOST_COMMENT: Final = 0xFFFF
#: Directories are read up to here: those of 65,534 members have less.
_MOST_DIRECTORY: Final = 64 << 20


class Kind(StrEnum):
    """What a file is."""

    PACK = "pack"
    NOT_A_PACK = "not_a_pack"
    CUT_SHORT = "cut_short"
    PACKED_ANEW = "packed_anew"


def kind_of(file: BinaryIO) -> Kind:
    """Tell what a file is that has not the one zip form of a pack.

    ``NOT_A_PACK`` does not begin with the header of a zip's member. ``CUT_SHORT`` begins so, but has no end
    record that reaches to the end of the file. ``PACKED_ANEW`` has one, and a directory that other programs
    read: every name once, ``manifest.json`` among them (perhaps in a folder), none that leads out of the
    folder it is unpacked to. Everything else is a ``PACK``, and a bad one.

    Args:
        file: seekable, at any position.
    """
    file.seek(0)
    if file.read(len(_LOCAL_MAGIC)) != _LOCAL_MAGIC:
        return Kind.NOT_A_PACK
    end = file.seek(0, 2)
    start = max(0, end - END.size - _MOST_COMMENT)
    file.seek(start)
    tail = file.read(end - start)
    at = _end_record(tail)
    if at is None:
        return Kind.CUT_SHORT
    *_, count, size, offset, _comment = END.unpack_from(tail, at)
    if size > _MOST_DIRECTORY or offset + size > start + at:
        return Kind.PACK
    file.seek(offset)
    names = _names(file.read(size), count)
    return Kind.PACKED_ANEW if _is_readable(names) else Kind.PACK


def _end_record(tail: bytes) -> int | None:
    """Return where in a file's last bytes the end record begins whose comment reaches to the end."""
    at = tail.rfind(_END_MAGIC)
    while at >= 0:
        if len(tail) - at >= END.size and at + END.size + END.unpack_from(tail, at)[-1] == len(tail):
            return at
        at = tail.rfind(_END_MAGIC, 0, at)
    return None


def _names(directory: bytes, count: int) -> list[bytes]:
    """Return the names of a zip's directory; none if it has another form or another length."""
    names, position = [], 0
    try:
        for _ in range(count):
            fields = CENTRAL.unpack_from(directory, position)
            if fields[0] != _CENTRAL_MAGIC:
                return []
            name_size, extra_size, comment_size = fields[10:13]
            start = position + CENTRAL.size
            names.append(directory[start : start + name_size])
            position = start + name_size + extra_size + comment_size
    except struct.error:
        return []
    return names if position == len(directory) else []


def _is_readable(names: list[bytes]) -> bool:
    manifest = MANIFEST.encode()
    return (
        len(set(names)) == len(names)
        and any(name == manifest or name.endswith(b"/" + manifest) for name in names)
        and not any(name.startswith(b"/") or b"\\" in name or b".." in name.split(b"/") for name in names)
    )
