"""Write a zip whose bytes depend on its members alone.

The manifest comes first but holds the hashes of all others. So members are deflated into a spool, one
after the other, and the zip is put together when all are known: each byte is made once, memory stays
flat, and sizes and CRCs stand in the local headers (no data descriptors).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from signet.core.errors import LogError

#: What every header of a pack holds, so that a reader can demand it (docs/formats.md).
ZIP_VERSION: Final = 20
MADE_BY: Final = 3 << 8 | ZIP_VERSION  # Unix
FLAGS: Final = 0
DEFLATE: Final = 8
DOS_TIME: Final = 0
DOS_DATE: Final = 1 << 5 | 1  # 1980-01-01
ATTRIBUTES: Final = 0o100644 << 16
LOCAL: Final = struct.Struct("<4s5H3L2H")
CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
END: Final = struct.Struct("<4s4H2LH")
#: Without ZIP64, sizes have 32 bits and members are counted in 16; all ones are its escape.
MAX_BYTES: Final = 0xFFFF_FFFE
MAX_MEMBERS: Final = 0xFFFE

_LEVEL = 6
_COPY_BYTES = 1 << 18


class ByteWriter(Protocol):
    """Where the zip goes: anything that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A deflated member.

    Attributes:
        name: ASCII name.
        crc: CRC-32 of the plain bytes.
        packed: deflated size in bytes.
        size: plain size in bytes.
        sha256: hex digest of the plain bytes.
    """

    name: str
    crc: int
    packed: int
    size: int
    sha256: str


def deflate(name: str, chunks: Iterable[bytes], spool: ByteWriter) -> Member:
    """Deflate a member's plain bytes into the spool.

    Raises:
        LogError: code ``pack_too_large``: the member needs ZIP64, which packs do not use.
    """
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    digest = hashlib.sha256()
    crc = packed = size = 0
    for chunk in chunks:
        digest.update(chunk)
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
        data = packer.compress(chunk)
        packed += len(data)
        spool.write(data)
    data = packer.flush()
    packed += len(data)
    spool.write(data)
    _check_limit(size)
    return Member(name, crc, packed, size, digest.hexdigest())


def local_header(member: Member) -> bytes:
    """Return the header that stands before a member's deflated bytes."""
    name = member.name.encode("ascii")
    return LOCAL.pack(b"PK\3\4", *_common(member, len(name))) + name


def central_header(member: Member, offset: int) -> bytes:
    """Return the member's entry in the directory; ``offset`` is where its local header starts."""
    name = member.name.encode("ascii")
    entry = CENTRAL.pack(
        b"PK\1\2", MADE_BY, *_common(member, len(name)), 0, 0, 0, ATTRIBUTES, offset
    )  # no comment, first disk, no internal attributes
    return entry + name


def write_zip(parts: Iterable[tuple[Member, BinaryIO]], out: ByteWriter) -> None:
    """Write the zip of deflated members.

    Args:
        parts: members in order, each with the spool positioned at its first deflated byte.
        out: where the zip goes.

    Raises:
        LogError: code ``pack_too_large``: the zip needs ZIP64, which packs do not use.
    """
    directory = bytearray()
    offset = count = 0
    for member, spool in parts:
        header = local_header(member)
        directory += central_header(member, offset)
        out.write(header)
        _copy(spool, out, member.packed)
        offset += len(header) + member.packed
        count += 1
        _check_limit(offset)
    if count > MAX_MEMBERS:
        raise LogError(f"a pack holds at most {MAX_MEMBERS} members", code="pack_too_large")
    _check_limit(offset + len(directory))
    out.write(bytes(directory))
    out.write(END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0))


def _common(member: Member, name_length: int) -> tuple[int, ...]:
    sizes = (member.crc, member.packed, member.size, name_length, 0)
    return (ZIP_VERSION, FLAGS, DEFLATE, DOS_TIME, DOS_DATE, *sizes)


def _copy(source: BinaryIO, out: ByteWriter, count: int) -> None:
    while count:
        data = source.read(min(count, _COPY_BYTES))
        if not data:
            raise EOFError("the spool of a pack is shorter than what was written to it")
        out.write(data)
        count -= len(data)


def _check_limit(size: int) -> None:
    if size > MAX_BYTES:
        raise LogError("the pack would be 4 GiB or more", code="pack_too_large")
