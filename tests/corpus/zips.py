"""Zips that two readers could read in two ways, or that would hurt the reader that unpacks them."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

from signet.pack.zipwriter import END, Member, central_header, deflate, local_header, write_zip
from tests.corpus.case import Case
from tests.support.forgery import Files, unzip
from tests.support.packs import PackLog

Change = Callable[[bytes], bytes]
_MEBIBYTE = bytes(1 << 20)


def cases(log: PackLog) -> Iterator[Case]:
    """Every trick, played on the newest pack of a log."""
    data = log.pack()
    for name, (change, code, member) in TRICKS.items():
        kind = KINDS.get(name, "pack")
        yield Case(f"zip-{name}", "zip", change(data), log.log_id, code, member, kind=kind)


def directory_of(data: bytes) -> int:
    """Where the directory starts."""
    return int.from_bytes(data[-6:-2], "little")


def count_of(data: bytes) -> int:
    return int.from_bytes(data[-12:-10], "little")


def with_end(body: bytes, directory: bytes, count: int) -> bytes:
    return body + directory + END.pack(b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)


def zip_of(parts: list[tuple[Member, bytes]]) -> bytes:
    """Members as they are given, even against their headers."""
    body, directory = bytearray(), bytearray()
    for member, packed in parts:
        directory += central_header(member, len(body))
        body += local_header(member) + packed
    return with_end(bytes(body), bytes(directory), len(parts))


def packed(name: str, plain: bytes) -> tuple[Member, bytes]:
    spool = io.BytesIO()
    return deflate(name, (plain,), spool), spool.getvalue()


def standard_zip(files: Files, compression: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


def bomb(member: str, mebibytes: int = 100) -> Change:
    """A member of zeros, a thousandth of its size when packed."""

    def change(data: bytes) -> bytes:
        parts: list[tuple[Member, io.BytesIO]] = []
        for name, body in unzip(data).items():
            spool = io.BytesIO()
            chunks = (_MEBIBYTE for _ in range(mebibytes)) if name == member else iter((body,))
            parts.append((deflate(name, chunks, spool), spool))
            spool.seek(0)
        out = io.BytesIO()
        write_zip(iter(parts), out)
        return out.getvalue()

    return change


def quine_like(data: bytes) -> bytes:
    """A member whose header says less than its data expand to."""
    member, body = packed("manifest.json", b"x" * 100_000)
    lying = Member(member.name, member.crc, member.packed, 1000, "")
    rest = [packed(name, plain) for name, plain in unzip(data).items() if name != "manifest.json"]
    return zip_of([(lying, body), *rest])


def damaged(change: Change) -> Change:
    """The deflated bytes of the first member changed, with headers that fit their new length."""

    def changed(data: bytes) -> bytes:
        first, *rest = unzip(data).items()
        member, body = packed(*first)
        body = change(body)
        changed_member = Member(member.name, member.crc, len(body), member.size, "")
        return zip_of([(changed_member, body), *(packed(*item) for item in rest)])

    return changed


def endless(body: bytes) -> bytes:
    """The same data, deflated without a last block: some readers stop when they have all of its bytes."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(zlib.decompress(body, -15)) + packer.flush(zlib.Z_SYNC_FLUSH)


def renamed(old: bytes, new: bytes) -> Change:
    """A name of the same length in all headers; the manifest still has the old one."""

    def change(data: bytes) -> bytes:
        assert len(old) == len(new)
        assert old in data
        return data.replace(old, new)

    return change


def hidden_member(data: bytes) -> bytes:
    """A member between the last one and the directory, in no directory."""
    at = directory_of(data)
    member, body = packed("hidden", b"boo")
    return with_end(data[:at] + local_header(member) + body, data[at:-22], count_of(data))


def duplicated_member(name: str) -> Change:
    """Two members of one name: which one counts depends on the reader."""

    def change(data: bytes) -> bytes:
        at = directory_of(data)
        member, body = packed(name, b"{}")
        directory = data[at:-22] + central_header(member, at)
        return with_end(data[:at] + local_header(member) + body, directory, count_of(data) + 1)

    return change


def overlapping_members(data: bytes) -> bytes:
    """Two directory entries for the same bytes."""
    at = directory_of(data)
    first = struct.unpack_from("<H", data, at + 28)[0] + 46
    directory = data[at:-22]
    return with_end(data[:at], directory + directory[:first], count_of(data) + 1)


def patched(offset: int, value: bytes, *, central: bool = True, local: int | None = None) -> Change:
    """Overwrite bytes of the first member's central header, and of its local one at ``local``."""

    def change(data: bytes) -> bytes:
        places = [directory_of(data) + offset] if central else []
        places += [local] if local is not None else []
        changed = bytearray(data)
        for at in places:
            changed[at : at + len(value)] = value
        return bytes(changed)

    return change


def extra_field(data: bytes) -> bytes:
    """An extra field (an extended timestamp) in the first member's two headers."""
    extra = struct.pack("<2HBL", 0x5455, 5, 1, 1_700_000_000)
    at = directory_of(data)
    name_end = 30 + struct.unpack_from("<H", data, 26)[0]
    local = patched(0, struct.pack("<H", len(extra)), central=False, local=28)(data[:name_end]) + extra
    central = bytearray(data[at:-22])
    central[30:32] = struct.pack("<H", len(extra))
    first = 46 + struct.unpack_from("<H", data, at + 28)[0]
    entries = bytearray(bytes(central[:first]) + extra + bytes(central[first:]))
    position = first + len(extra)
    while position < len(entries):  # what follows lies as much later
        offset = struct.unpack_from("<L", entries, position + 42)[0]
        struct.pack_into("<L", entries, position + 42, offset + len(extra))
        position += 46 + struct.unpack_from("<H", entries, position + 28)[0]
    return with_end(local + data[name_end:at], bytes(entries), count_of(data))


def streamed(data: bytes) -> bytes:
    """As a program writes that cannot seek: sizes in data descriptors behind the members."""

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in unzip(data).items():
            archive.writestr(name, body)
    return out.getvalue()


def zip64(data: bytes) -> bytes:
    """A ZIP64 end record and its locator before a plain end record that points at them."""
    at, count = directory_of(data), count_of(data)
    directory = data[at:-22]
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), at
    )  # fixed part, no extensible data
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at + len(directory), 1)
    escape = 0xFFFF_FFFF
    return data[:-22] + record + locator + END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, escape, escape, 0)


def second_zip(data: bytes) -> bytes:
    """Another whole zip behind the first: some readers take the first, some the last."""
    return data + standard_zip({"manifest.json": b"{}"}, zipfile.ZIP_STORED)


def stored_first(data: bytes) -> bytes:
    """The first member stored, not deflated: its bytes in the clear."""
    first, *rest = unzip(data).items()
    member = Member(first[0], zlib.crc32(first[1]), len(first[1]), len(first[1]), "")
    made = zip_of([(member, first[1]), *(packed(*item) for item in rest)])
    return patched(10, b"\0\0", local=8)(made)


def so_many(count: int) -> Change:
    """A zip of so many empty members, none of them a pack's; 65,535 is where ZIP64's escape begins."""

    def change(_data: bytes) -> bytes:
        member, body = packed("", b"")
        names = (f"m{number}" for number in range(count))
        return zip_of([(Member(name, member.crc, member.packed, 0, ""), body) for name in names])

    return change


def with_members(*names: str) -> Change:
    """More members behind the others; what they are is read later than the names."""

    def change(data: bytes) -> bytes:
        return zip_of([*(packed(*item) for item in unzip(data).items()), *(packed(n, b"{}") for n in names)])

    return change


def anew(rename: Callable[[str], str] = str, *more: str, comment: bytes = b"") -> Change:
    """Unpacked and packed again by an ordinary tool, which may add members of its own."""

    def change(data: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in more:
                archive.writestr(name, b"")
            for name, body in unzip(data).items():
                archive.writestr(rename(name), body)
            archive.comment = comment
        return out.getvalue()

    return change


ZIP = "zip"
MANIFEST = "manifest.json"

#: name → (what is done to a good pack, the code, the member that is at fault)
TRICKS: dict[str, tuple[Change, str, str]] = {
    "bytes-before": (lambda data: b"MZ" + data, "zip_malformed", ZIP),
    "bytes-after": (lambda data: data + b"\n", "zip_malformed", ZIP),
    "another-zip-after": (second_zip, "zip_malformed", ZIP),
    "a-second-end-record": (lambda data: data + data[-22:], "zip_malformed", ZIP),
    "a-comment": (lambda data: data[:-2] + b"\x02\x00hi", "zip_malformed", ZIP),
    "end-record-cut": (lambda data: data[:-1], "zip_malformed", ZIP),
    "only-an-end-record": (
        lambda _data: END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0),
        "member_missing",
        MANIFEST,
    ),
    "empty-file": (lambda _data: b"", "zip_malformed", ZIP),
    "half-a-file": (lambda data: data[: len(data) // 2], "zip_malformed", ZIP),
    "no-zip": (lambda _data: b"x" * 1000, "zip_malformed", ZIP),
    "a-hidden-member": (hidden_member, "zip_malformed", ZIP),
    "a-member-twice": (duplicated_member("sth.json"), "zip_duplicate", "sth.json"),
    "the-manifest-twice": (duplicated_member(MANIFEST), "zip_duplicate", MANIFEST),
    "overlapping-members": (overlapping_members, "zip_duplicate", MANIFEST),
    "absolute-name": (renamed(b"VERIFY.md", b"/ERIFY.md"), "zip_unsafe_name", ZIP),
    "drive-name": (renamed(b"VERIFY.md", b"C:RIFY.md"), "zip_unsafe_name", ZIP),
    "climbing-name": (renamed(b"proofs/range.json", b"proofs/../ge.json"), "zip_unsafe_name", ZIP),
    "climbing-name-at-the-front": (
        renamed(b"proofs/range.json", b"../ofs/range.json"),
        "zip_unsafe_name",
        ZIP,
    ),
    "dot-segment": (renamed(b"proofs/range.json", b"proofs/./nge.json"), "zip_unsafe_name", ZIP),
    "empty-segment": (renamed(b"proofs/range.json", b"proofs//ange.json"), "zip_unsafe_name", ZIP),
    "dot-file": (renamed(b"VERIFY.md", b".ERIFY.md"), "zip_unsafe_name", ZIP),
    "backslash": (renamed(b"proofs/range.json", b"proofs\\range.json"), "zip_unsafe_name", ZIP),
    "folder-entry": (renamed(b"VERIFY.md", b"VERIFY.m/"), "zip_unsafe_name", ZIP),
    "name-with-nul": (renamed(b"VERIFY.md", b"VERIFY\0md"), "zip_unsafe_name", ZIP),
    "name-not-ascii": (renamed(b"VERIFY.md", "VÉRIF.md".encode()), "zip_unsafe_name", ZIP),
    "name-in-another-case": (renamed(b"VERIFY.md", b"Verify.md"), "member_missing", "VERIFY.md"),
    "encrypted-flag": (patched(8, b"\1", local=6), "zip_malformed", MANIFEST),
    "descriptor-flag": (patched(8, b"\x08", local=6), "zip_malformed", MANIFEST),
    "data-descriptors": (streamed, "zip_malformed", MANIFEST),
    "utf-8-flag-in-one-header": (patched(9, b"\x08"), "zip_malformed", MANIFEST),
    "another-time": (patched(12, b"\1", local=10), "zip_malformed", MANIFEST),
    "another-system": (patched(5, b"\0"), "zip_malformed", MANIFEST),
    "a-symbolic-link": (patched(40, b"\xff\xa1"), "zip_malformed", MANIFEST),
    "second-disk": (patched(34, b"\1"), "zip_malformed", MANIFEST),
    "member-comment-announced": (patched(32, b"\4"), "zip_malformed", MANIFEST),
    "wrong-crc-in-both-headers": (patched(16, b"\0\0\0\0", local=14), "zip_damaged", MANIFEST),
    "sizes-in-central-header-only": (
        patched(0, b"\0" * 8, central=False, local=18),
        "zip_malformed",
        MANIFEST,
    ),
    "another-name-in-local-header": (patched(0, b"M", central=False, local=30), "zip_malformed", MANIFEST),
    "another-size-in-local-header": (patched(0, b"\1", central=False, local=22), "zip_malformed", MANIFEST),
    "zip64-plain-size": (patched(24, b"\xff" * 4, local=22), "member_too_large", MANIFEST),
    "zip64-packed-size": (patched(20, b"\xff" * 4, local=18), "zip_malformed", MANIFEST),
    "zip64-end-record": (zip64, "zip_malformed", ZIP),
    "zip64-count": (lambda data: data[:-14] + b"\xff" * 4 + data[-10:], "zip_malformed", ZIP),
    "extra-field": (extra_field, "zip_malformed", MANIFEST),
    "extra-field-announced": (patched(30, b"\4"), "zip_malformed", MANIFEST),
    "smaller-count": (lambda data: data[:-14] + b"\1\0\1\0" + data[-10:], "zip_malformed", ZIP),
    "written-by-an-ordinary-tool": (
        lambda data: standard_zip(unzip(data), zipfile.ZIP_DEFLATED),
        "zip_malformed",
        MANIFEST,
    ),
    "stored-members": (lambda data: standard_zip(unzip(data), zipfile.ZIP_STORED), "zip_malformed", MANIFEST),
    "one-stored-member": (stored_first, "zip_malformed", MANIFEST),
    "data-damaged": (damaged(lambda body: b"\x07" + body[1:]), "zip_damaged", MANIFEST),
    "data-cut": (damaged(lambda body: body[:-16]), "zip_damaged", MANIFEST),
    "data-whole-without-its-end": (damaged(endless), "zip_damaged", MANIFEST),
    "data-with-more-behind": (damaged(lambda body: body + b"more"), "zip_damaged", MANIFEST),
    "expands-beyond-its-size": (quine_like, "zip_damaged", MANIFEST),
    "bomb-as-manifest": (bomb(MANIFEST), "member_too_large", MANIFEST),
    "bomb-as-head": (bomb("sth.json"), "size_mismatch", "sth.json"),
    "bomb-as-receipts": (bomb("receipts.jsonl"), "size_mismatch", "receipts.jsonl"),
    "65535-members": (so_many(65_535), "zip_malformed", ZIP),
    "65534-members-and-no-manifest": (so_many(65_534), "member_missing", MANIFEST),
    "two-names-that-differ-in-case": (with_members("Verify.MD"), "zip_duplicate", "Verify.MD"),
    "two-policies-that-differ-in-case": (
        with_members("policy/x/Data.json", "policy/X/data.JSON"),
        "zip_duplicate",
        "policy/X/data.JSON",
    ),
    "a-file-and-a-folder-of-its-name": (with_members("sth.json/a"), "zip_duplicate", "sth.json/a"),
    "a-folder-and-a-file-of-its-name": (with_members("proofs"), "zip_duplicate", "proofs"),
    "a-file-and-a-folder-deep-below-it": (
        with_members("Keys.JSON/a/b/c"),
        "zip_duplicate",
        "Keys.JSON/a/b/c",
    ),
    "a-file-below-a-folder-that-is-a-file-later": (
        with_members("a", "a/b/c", "a/b", "A/B"),
        "zip_duplicate",
        "a/b/c",
    ),
    "names-that-only-begin-alike": (
        with_members("proofs.json", "proofs-2/a", "sth.json2", "verify.pyc"),
        "manifest_members",
        "proofs-2/a",
    ),
    "a-web-page": (lambda _data: b"<!DOCTYPE html><title>403</title>", "zip_malformed", ZIP),
    "a-json-answer": (lambda _data: b'{"message":"Forbidden"}', "zip_malformed", ZIP),
    "gzip": (lambda data: gzip.compress(data, mtime=0), "zip_malformed", ZIP),
    "one-byte": (lambda _data: b"P", "zip_malformed", ZIP),
    "cut-to-its-first-header": (lambda data: data[:30], "zip_malformed", ZIP),
    "cut-before-its-end-record": (lambda data: data[:-22], "zip_malformed", ZIP),
    "packed-anew-in-a-folder": (anew(lambda name: f"pack/{name}"), "zip_malformed", "pack/manifest.json"),
    "packed-anew-with-a-comment": (anew(comment=b"by a tool"), "zip_malformed", ZIP),
    "packed-anew-with-folders": (anew(str, "sth/"), "zip_unsafe_name", ZIP),
    "packed-anew-with-what-a-system-adds": (anew(str, "__MACOSX/._sth.json"), "zip_unsafe_name", ZIP),
    "packed-anew-without-a-manifest": (
        lambda data: standard_zip({"a.txt": data[:9]}, zipfile.ZIP_DEFLATED),
        "zip_malformed",
        "a.txt",
    ),
}

_NOT_A_PACK = """
    bytes-before only-an-end-record empty-file no-zip a-web-page a-json-answer gzip one-byte
"""
_CUT_SHORT = """
    bytes-after end-record-cut half-a-file cut-to-its-first-header cut-before-its-end-record
"""
_PACKED_ANEW = """
    a-second-end-record a-comment a-hidden-member drive-name dot-segment empty-segment dot-file
    folder-entry name-with-nul name-not-ascii encrypted-flag descriptor-flag data-descriptors
    utf-8-flag-in-one-header another-time another-system a-symbolic-link second-disk
    sizes-in-central-header-only another-name-in-local-header another-size-in-local-header
    zip64-packed-size extra-field written-by-an-ordinary-tool stored-members one-stored-member
    packed-anew-in-a-folder packed-anew-with-a-comment packed-anew-with-folders
    packed-anew-with-what-a-system-adds
"""
#: What a file is that is no pack, or not as it was made; all others are bad packs.
KINDS: dict[str, str] = {
    **dict.fromkeys(_NOT_A_PACK.split(), "not_a_pack"),
    **dict.fromkeys(_CUT_SHORT.split(), "cut_short"),
    **dict.fromkeys(_PACKED_ANEW.split(), "packed_anew"),
}
