"""A zip that two readers could read in two ways is refused by both verifiers."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.core.errors import LogError
from signet.pack import zipwriter
from signet.pack.strictzip import StrictZip
from signet.pack.verify import verify_pack
from signet.pack.zipwriter import deflate
from tests.corpus.zips import bomb
from tests.support.forgery import assert_good, checker, library, remade, rezip, run_checker, unzip
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


@pytest.mark.parametrize("name", ["manifest.json", "sth.json", "keys.json", "receipts.jsonl"])
def test_a_bomb_costs_no_memory(pack: bytes, name: str) -> None:
    """100 MB of zeros in a tenth of a megabyte, in the place of each kind of member."""
    data = bomb(name)(pack)
    tracemalloc.start()
    refused_by_both(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@settings(max_examples=60)
@given(data=st.data())
def test_no_changed_byte_goes_unnoticed_and_none_raises(data: st.DataObject, pack: bytes) -> None:
    at = data.draw(st.integers(0, len(pack) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = pack[:at] + bytes([pack[at] ^ flip]) + pack[at + 1 :]
    refused_by_both(changed)


@settings(max_examples=60)
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


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_165, 262_168, 600_000])
def test_members_of_any_size_are_read_whole(size: int) -> None:
    """Some sizes leave the last bytes in the inflater after all its input was taken."""
    data = rezip({"manifest.json": b"a" * size})
    for archive in (StrictZip(io.BytesIO(data)), checker().Pack(io.BytesIO(data))):
        assert b"".join(archive.chunks("manifest.json")) == b"a" * size


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
