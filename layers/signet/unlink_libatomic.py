"""Makes a shared library that takes nothing from libatomic stop asking for it (argument: the library).

The policy engine's wheels are linked against libatomic.so.1 without using one symbol of it, and manylinux
lets them rely on it; but the Lambda runtimes' minimal Amazon Linux does not promise to have it, and without
it no function that reads the policy would start. So the entry in the list of needed libraries is made to
name libc.so.6, which is in that list anyway. Structures as in the System V ABI (gABI), chapters 4 and 5.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

UNWANTED = b"libatomic.so.1"
INSTEAD = b"libc.so.6"

_IDENTIFICATION = b"\x7fELF\x02\x01"  # 64 bits, least significant byte first
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_VERNEED, _DT_VERNEEDNUM = 0, 1, 5, 0x6FFFFFFE, 0x6FFFFFFF


class Library:
    """The dynamic section of a 64-bit little-endian shared library.

    Args:
        content: the file's bytes; ``replace_needed`` changes them in place.

    Raises:
        ValueError: it is something else.
    """

    def __init__(self, content: bytearray) -> None:
        if not content.startswith(_IDENTIFICATION):
            raise ValueError("this is no 64-bit little-endian ELF file")
        self.content = content
        table: int = struct.unpack_from("<Q", content, 32)[0]
        size, count = struct.unpack_from("<HH", content, 54)
        headers = [struct.unpack_from("<IIQQQQ", content, table + n * size) for n in range(count)]
        self._loads: list[tuple[int, int, int]] = [
            (address, offset, length) for kind, _, offset, address, _, length in headers if kind == _PT_LOAD
        ]
        [self._dynamic] = [offset for kind, _, offset, *_ in headers if kind == _PT_DYNAMIC]
        self._values: dict[int, int] = {tag: value for _, tag, value in self._entries()}
        self._strings = self._offset(self._values[_DT_STRTAB])

    def needed(self) -> dict[bytes, int]:
        """Return the needed libraries' names, each with the file offset of its dynamic entry."""
        return {self._text(value): place for place, tag, value in self._entries() if tag == _DT_NEEDED}

    def symbol_sources(self) -> set[bytes]:
        """Return the libraries from which versioned symbols are taken; libatomic's all are."""
        found = set()
        place = self._offset(self._values[_DT_VERNEED]) if _DT_VERNEED in self._values else 0
        for _ in range(self._values.get(_DT_VERNEEDNUM, 0)):
            _, _, name, _, following = struct.unpack_from("<HHIII", self.content, place)
            found.add(self._text(name))
            place += following
        return found

    def replace_needed(self, unwanted: bytes, instead: bytes) -> None:
        """Let the entry of one needed library name another that is needed too."""
        needed = self.needed()
        self.content[needed[unwanted] : needed[unwanted] + 16] = self.content[
            needed[instead] : needed[instead] + 16
        ]

    def _entries(self) -> Iterator[tuple[int, int, int]]:
        place = self._dynamic
        while True:
            tag, value = struct.unpack_from("<QQ", self.content, place)
            if tag == _DT_NULL:
                return
            yield place, tag, value
            place += 16

    def _offset(self, address: int) -> int:
        for start, offset, length in self._loads:
            if start <= address < start + length:
                return address - start + offset
        raise ValueError("an address lies in no segment of the file")

    def _text(self, name: int) -> bytes:
        start = self._strings + name
        return bytes(self.content[start : self.content.index(0, start)])


def main(path: Path) -> str | None:
    """Change the file if it has to be changed; return what is wrong, or None."""
    library = Library(bytearray(path.read_bytes()))
    if UNWANTED not in library.needed():
        return None
    if UNWANTED in library.symbol_sources():
        return f"{path.name} takes symbols from {UNWANTED.decode()}: put that library into the layer's lib/."
    library.replace_needed(UNWANTED, INSTEAD)
    path.write_bytes(library.content)
    return None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
