"""A zip that two readers could read in two ways is refused by both verifiers."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.errors import LogError, PackError
from signet.pack import zipwriter
from signet.pack.strictzip import StrictZip
from signet.pack.verify import verify_pack
from signet.pack.zipwriter import END, Member, central_header, deflate, local_header, write_zip
from tests.support.forgery import assert_good, library, remade, run_checker, unzip
from tests.support.packs import PackLog, log_with_days


@pytest.fixture(scope="module")
def log() -> PackLog:
    return log_with_days(2, 3)


@pytest.fixture(scope="module")
def pack(log: PackLog) -> bytes:
    return log.pack()


def refused_by_both(data: bytes) -> None:
    report = library(data)
    assert not report.good
    assert "malformed" not in {failure.code for failure in report.failures}
    code, printed = run_checker(data, None)
    assert code == 1
    assert "the pack is malformed (" not in printed  # nor does the checker fall back on its last net


def directory_of(data: bytes) -> int:
    return int.from_bytes(data[-6:-2], "little")


def with_end(body: bytes, directory: bytes, count: int) -> bytes:
    return body + directory + END.pack(b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)


def standard_zip(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in data
    return data.replace(old, new)


def hidden_member(data: bytes) -> bytes:
    """A member between the last one and the directory, in no directory."""
    at = directory_of(data)
    spool = io.BytesIO()
    member = deflate("hidden", (b"boo",), spool)
    extra = local_header(member) + spool.getvalue()
    return with_end(data[:at] + extra, data[at:-22], int.from_bytes(data[-12:-10], "little"))


def duplicated_member(data: bytes) -> bytes:
    at = directory_of(data)
    spool = io.BytesIO()
    member = deflate("sth.json", (b"{}",), spool)
    body = data[:at] + local_header(member) + spool.getvalue()
    directory = data[at:-22] + central_header(member, at)
    return with_end(body, directory, int.from_bytes(data[-12:-10], "little") + 1)


def overlapping_member(data: bytes) -> bytes:
    """Two directory entries for the same bytes."""
    at = directory_of(data)
    first = struct.unpack_from("<H", data, at + 28)[0] + 46
    directory = data[at:-22]
    return with_end(data[:at], directory + directory[:first], int.from_bytes(data[-12:-10], "little") + 1)


def patched(offset: int, value: bytes, *, central: bool = True) -> Callable[[bytes], bytes]:
    """Overwrite bytes of the first member's central or local header."""

    def change(data: bytes) -> bytes:
        at = (directory_of(data) if central else 0) + offset
        return data[:at] + value + data[at + len(value) :]

    return change


TRICKS: dict[str, Callable[[bytes], bytes]] = {
    "bytes before": lambda data: b"MZ" + data,
    "bytes after": lambda data: data + b"\n",
    "a second end record": lambda data: data + data[-22:],
    "a comment": lambda data: data[:-2] + b"\x02\x00hi",
    "the end record cut": lambda data: data[:-1],
    "only an end record": lambda _data: END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0),
    "nothing": lambda _data: b"",
    "half": lambda data: data[: len(data) // 2],
    "no zip": lambda _data: b"x" * 1000,
    "a hidden member": hidden_member,
    "a member twice": duplicated_member,
    "overlapping members": overlapping_member,
    "an absolute name": lambda data: renamed(data, b"VERIFY.md", b"/ERIFY.md"),
    "a name that climbs": lambda data: renamed(data, b"proofs/range.json", b"proofs/../ge.json"),
    "a dot file": lambda data: renamed(data, b"VERIFY.md", b".ERIFY.md"),
    "a backslash": lambda data: renamed(data, b"proofs/range.json", b"proofs\\range.json"),
    "a name with NUL": lambda data: renamed(data, b"VERIFY.md", b"VERIFY\0md"),
    "a name in another case": lambda data: renamed(data, b"VERIFY.md", b"verify.md"),
    "a name that is not ASCII": lambda data: renamed(data, b"VERIFY.md", "VÉRIF.md".encode()),
    "the encrypted flag": lambda data: patched(8, b"\1")(patched(6, b"\1", central=False)(data)),
    "the descriptor flag": lambda data: patched(8, b"\x08")(patched(6, b"\x08", central=False)(data)),
    "the UTF-8 flag in one header": patched(9, b"\x08"),
    "another time": patched(12, b"\1"),
    "another system": patched(5, b"\0"),
    "another mode": patched(40, b"\xff"),
    "the second disk": patched(34, b"\1"),
    "a wrong CRC in both headers": lambda data: patched(16, b"\0\0\0\0")(
        patched(14, b"\0\0\0\0", central=False)(data)
    ),
    "a size of all ones (ZIP64)": lambda data: patched(24, b"\xff" * 4)(
        patched(22, b"\xff" * 4, central=False)(data)
    ),
    "a packed size of all ones (ZIP64)": lambda data: patched(20, b"\xff" * 4)(
        patched(18, b"\xff" * 4, central=False)(data)
    ),
    "an extra field announced": patched(30, b"\4"),
    "a local header that differs": patched(22, b"\1", central=False),
    "a smaller count": lambda data: data[:-14] + b"\1\0\1\0" + data[-10:],
    "a count of all ones (ZIP64)": lambda data: data[:-14] + b"\xff" * 4 + data[-10:],
    "zipfile's own form": lambda data: standard_zip(unzip(data)),
    "stored members": lambda data: standard_zip(unzip(data), zipfile.ZIP_STORED),
}


@pytest.mark.parametrize("name", TRICKS)
def test_a_zip_with(pack: bytes, name: str) -> None:
    data = TRICKS[name](pack)
    assert data != pack
    refused_by_both(data)
    report = library(data)
    assert report.failures[0].code.startswith(("zip_", "manifest_", "member_", "size_"))


@pytest.mark.parametrize("part", ["start", "end", "more", "stored"])
def test_deflated_data_that_lies_is_refused(pack: bytes, part: str) -> None:
    plain = b"x" * 100_000
    spool = io.BytesIO()
    member = deflate("manifest.json", (plain,), spool)
    packed = spool.getvalue()
    size = member.size
    if part == "start":
        packed = b"\x07" + packed[1:]
    elif part == "end":
        packed = packed[:-2]
    elif part == "more":
        packed += b"more"
    else:
        size -= 1  # expands beyond what the header says
    lying = Member(member.name, member.crc, len(packed), size, "")
    header = local_header(lying)
    data = with_end(header + packed, central_header(lying, 0), 1)
    with pytest.raises(PackError) as refused:
        b"".join(StrictZip(io.BytesIO(data)).chunks("manifest.json"))
    assert refused.value.code == "zip_damaged"
    refused_by_both(data)


@pytest.mark.parametrize("name", ["manifest.json", "sth.json", "keys.json", "receipts.jsonl"])
def test_a_bomb_costs_no_memory(pack: bytes, name: str) -> None:
    """100 MB of zeros in a tenth of a megabyte, in the place of each kind of member."""
    files = unzip(pack)
    chunk = bytes(1 << 20)
    parts: list[tuple[Member, io.BytesIO]] = []
    for other, body in files.items():
        spool = io.BytesIO()
        chunks = (chunk for _ in range(100)) if other == name else iter((body,))
        parts.append((deflate(other, chunks, spool), spool))
        spool.seek(0)
    out = io.BytesIO()
    write_zip(iter(parts), out)
    tracemalloc.start()
    refused_by_both(out.getvalue())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_changed_byte_goes_unnoticed_and_none_raises(data: st.DataObject, pack: bytes) -> None:
    at = data.draw(st.integers(0, len(pack) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = pack[:at] + bytes([pack[at] ^ flip]) + pack[at + 1 :]
    refused_by_both(changed)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000))
def test_garbage_is_a_verdict(data: bytes) -> None:
    refused_by_both(data)


def test_the_zip_is_one_that_every_reader_reads(log: PackLog, pack: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        assert archive.testzip() is None
        assert {info.external_attr for info in archive.infolist()} == {0o100644 << 16}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert_good(pack, log)
    assert remade(unzip(pack)) == pack


def test_deflate_is_that_of_zlib_at_level_6() -> None:
    spool = io.BytesIO()
    body = b"receipt " * 1000
    member = deflate("a", (body[:100], body[100:]), spool)
    assert zlib.decompress(spool.getvalue(), -15) == body
    assert (member.size, member.packed) == (len(body), len(spool.getvalue()))


def test_what_would_need_zip64_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipwriter, "MAX_BYTES", 1000)
    with pytest.raises(LogError) as refused:
        deflate("a", (bytes(1001),), io.BytesIO())
    assert refused.value.code == "pack_too_large"


def test_a_file_that_cannot_be_read_is_not_a_verdict(pack: bytes) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        verify_pack(Broken(pack))
