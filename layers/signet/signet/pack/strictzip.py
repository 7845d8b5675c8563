"""Read a zip that has exactly the form of a pack, and no other.

Readers of zip files disagree about prefixes, gaps, overlaps, duplicate names, local against central
headers and ZIP64: each is a way to show two people two contents. Here all of a header is fixed but
name, CRC, sizes and offset, and the offset follows from the member before. So headers are made again
from those few fields and compared byte by byte; nothing else is left to interpret.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import BinaryIO, Final

from signet.core.errors import PackError
from signet.pack.zipwriter import CENTRAL, END, MAX_MEMBERS, Member, central_header, local_header

#: What a failure of the zip as a whole is filed under.
ZIP: Final = "zip"

_SAFE_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_READ_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 18


class StrictZip:
    """The members of a zip, by name, in the order of the file."""

    def __init__(self, file: BinaryIO) -> None:
        """Check the structure; no member is read.

        Args:
            file: seekable, at any position.

        Raises:
            PackError: codes ``zip_malformed``, ``zip_unsafe_name``, ``zip_duplicate``.
        """
        self._file = file
        self._starts: dict[str, int] = {}
        members: dict[str, Member] = {}
        count, offset, directory = self._directory()
        position = next_start = 0
        for _ in range(count):
            member, used = _entry(directory, position)
            if member.name in members:
                raise PackError("is in the zip twice", file=member.name, code="zip_duplicate")
            if directory[position : position + used] != central_header(member, next_start):
                raise PackError("has a zip header that no pack has", file=member.name, code="zip_malformed")
            header = local_header(member)
            if self._read(next_start, len(header)) != header:
                raise PackError("has two zip headers that differ", file=member.name, code="zip_malformed")
            members[member.name] = member
            self._starts[member.name] = next_start + len(header)
            next_start += len(header) + member.packed
            position += used
            if next_start > offset:
                raise PackError("reaches beyond the members", file=member.name, code="zip_malformed")
        if position != len(directory) or next_start != offset:
            raise PackError("holds bytes that belong to no member", file=ZIP, code="zip_malformed")
        _check_distinct_paths(list(members))
        self.members: Mapping[str, Member] = MappingProxyType(members)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's plain bytes, at most 256 KiB at a time, never more than its header says.

        Raises:
            PackError: ``member_missing``; ``zip_damaged`` if data, size or CRC are wrong.
        """
        member = self.members.get(name)
        if member is None:
            raise PackError("is missing", file=name, code="member_missing")
        crc = size = 0
        for plain in self._inflate(member):
            size += len(plain)
            if size > member.size:
                raise PackError("expands beyond its size", file=name, code="zip_damaged")
            crc = zlib.crc32(plain, crc)
            yield plain
        if (size, crc) != (member.size, member.crc):
            raise PackError("has not the size and CRC of its header", file=name, code="zip_damaged")

    def _inflate(self, member: Member) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        position = self._starts[member.name]
        end = position + member.packed
        while not inflater.eof:
            data = inflater.unconsumed_tail
            if not data and position < end:
                data = self._read(position, min(_READ_BYTES, end - position))
                position += len(data)
            try:
                plain = inflater.decompress(data, _CHUNK_BYTES)
            except zlib.error as error:
                raise PackError("has damaged data", file=member.name, code="zip_damaged") from error
            if not data and not plain and not inflater.eof:
                raise PackError("has truncated data", file=member.name, code="zip_damaged")
            if plain:
                yield plain
        if inflater.unused_data or position != end:
            raise PackError("has bytes after its data", file=member.name, code="zip_damaged")

    def _directory(self) -> tuple[int, int, bytes]:
        """Return (number of members, where the directory starts, its bytes)."""
        start = self._file.seek(0, 2) - END.size
        if start < 0:
            raise PackError("is not a zip file", file=ZIP, code="zip_malformed")
        record = self._read(start, END.size)
        _, _, _, _, count, size, offset, _ = END.unpack(record)
        if record != END.pack(b"PK\5\6", 0, 0, count, count, size, offset, 0):
            raise PackError("does not end as a pack ends", file=ZIP, code="zip_malformed")
        if count > MAX_MEMBERS:
            raise PackError("has more members than a pack can have", file=ZIP, code="zip_malformed")
        if offset + size != start:
            raise PackError("holds bytes that belong to no member", file=ZIP, code="zip_malformed")
        return count, offset, self._read(offset, size)

    def _read(self, position: int, count: int) -> bytes:
        self._file.seek(position)
        data = self._file.read(count)
        if len(data) != count:
            raise PackError("is truncated", file=ZIP, code="zip_malformed")
        return data


def _check_distinct_paths(names: Sequence[str]) -> None:
    """Check that no two names are one file when unpacked: equal but for case, or a file and its folder.

    Sorted with the slash before every other character, a folder's members come right behind a file of its
    name: no name is held against all others, however many there are.
    """
    ordered = sorted((name.lower().replace("/", "\0"), place) for place, name in enumerate(names))
    later = len(names)
    above: list[tuple[str, int]] = []  # what a name is or lies under, with the first place of these
    for folded, place in ordered:
        while above and folded != above[-1][0] and not folded.startswith(above[-1][0] + "\0"):
            above.pop()
        first = above[-1][1] if above else place
        if above:
            later = min(later, max(first, place))
        above.append((folded, min(first, place)))
    if later < len(names):
        reason = "and an earlier member are one file when unpacked"
        raise PackError(reason, file=names[later], code="zip_duplicate")


def _entry(directory: bytes, position: int) -> tuple[Member, int]:
    """Return the member a directory entry describes and the entry's length."""
    if len(directory) - position < CENTRAL.size:
        raise PackError("has a truncated directory", file=ZIP, code="zip_malformed")
    fields = CENTRAL.unpack_from(directory, position)
    crc, packed, size, name_length = fields[7:11]
    start = position + CENTRAL.size
    name = directory[start : start + name_length]
    if len(name) != name_length or _SAFE_NAME.fullmatch(name) is None:
        shown = ascii(name.decode("ascii", "replace"))[:80]
        raise PackError(f"holds a member with an unsafe name: {shown}", file=ZIP, code="zip_unsafe_name")
    return Member(name.decode("ascii"), crc, packed, size, ""), CENTRAL.size + name_length
