"""Members of a pack as the manifest lists them: hashed while they are read, by every reader."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

from signet.core.canonical import parse
from signet.core.encoding import decode_base64
from signet.core.errors import CanonicalError, PackError
from signet.core.instants import parse_date
from signet.pack import layout
from signet.pack.strictzip import StrictZip

_HEX = re.compile(r"[0-9a-f]{64}")
#: Longest line of any ``.jsonl`` member: a receipt of 65,535 bytes.
MAX_LINE_BYTES: Final = 65_535


class Members:
    """The members of a zip, held to its manifest.

    Attributes:
        date: day of the pack, as the manifest says. The manifest is not signed: the heads decide.
        log_id: log of the pack, as the manifest says.
        names: all members but the manifest, in order.
        policies: names of the policy members.
        evidence: hex digests of the evidence members.
        version: of the pack's format.
        transcripts: names of the members that hold transcripts.
    """

    def __init__(self, archive: StrictZip) -> None:
        """Read the manifest and hold names, order and sizes of the zip's members to it.

        Raises:
            PackError: ``manifest_malformed``, ``manifest_members``, ``member_missing``, ``size_mismatch``,
                ``member_too_large``, ``wrong_day`` (it names an earlier day than the last head's) or one of
                the zip's.
        """
        self._zip = archive
        self._sha256: dict[str, str] = {}
        self._matched: set[str] = set()
        manifest = _manifest(archive)
        self.date: str = manifest["date"]
        self.log_id: str = manifest["log_id"]
        self.version: int = manifest["v"]
        for entry in manifest["files"]:
            self._take(entry)
        self.names = tuple(self._sha256)
        self.policies = tuple(name for name in self.names if layout.policy_file(name))
        self.evidence = tuple(digest for digest in map(layout.evidence_digest, self.names) if digest)
        of_transcripts = self.version >= layout.WITH_TRANSCRIPTS
        self.transcripts = tuple(filter(layout.is_transcripts, self.names)) if of_transcripts else ()
        self._check_names()

    def _take(self, entry: object) -> None:
        if not isinstance(entry, dict) or entry.keys() != {"name", "sha256", "size"}:
            raise _bad("files must hold objects of name, sha256 and size")
        name, sha256, size = entry["name"], entry["sha256"], entry["size"]
        if type(name) is not str or type(sha256) is not str or _HEX.fullmatch(sha256) is None:
            raise _bad("files must name each member and its sha256 in hex")
        member = self._zip.members.get(name)
        if member is None:
            raise PackError("is in the manifest, but not in the zip", file=name, code="member_missing")
        if type(size) is not int or member.size != size:
            raise PackError("has not the size in the manifest", file=name, code="size_mismatch")
        if size > layout.MAX_MEMBER_BYTES and not layout.is_streamed(name):
            raise PackError("is larger than any pack has it", file=name, code="member_too_large")
        self._sha256[name] = sha256

    def _check_names(self) -> None:
        unlisted = self._zip.members.keys() - self._sha256.keys() - {layout.MANIFEST}
        if unlisted:
            raise PackError("is not in the manifest", file=min(unlisted), code="manifest_members")
        if tuple(self._zip.members) != (layout.MANIFEST, *self.names):
            raise _bad("lists the members in another order than the zip", code="manifest_members")
        dates = [date for date in map(layout.head_date, self.names) if date]
        if any(date > self.date for date in dates):
            raise _bad("date is of an earlier day than the last tree head", code="wrong_day")
        expected = layout.members_in_order(
            sorted({*dates, self.date}),
            self.policies,
            map(layout.evidence_name, self.evidence),
            self.transcripts,
            inclusion=layout.INCLUSION in self._sha256,
        )
        for name in expected:
            if name not in self._sha256:
                raise PackError("is missing", file=name, code="member_missing")
        if list(self.names) != expected:
            odd = next(
                name for name, other in zip(self.names, [*expected, ""], strict=False) if name != other
            )
            raise PackError("is a member that no pack has there", file=odd, code="manifest_members")

    def size(self, name: str) -> int:
        """Return a member's size in bytes."""
        return self._zip.members[name].size

    def sha256(self, name: str) -> str:
        """Return the hex digest that the manifest names."""
        return self._sha256[name]

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes; at their end, hold them to the manifest's hash.

        Raises:
            PackError: ``member_missing``, ``hash_mismatch``, ``zip_damaged``.
        """
        if name not in self._sha256:
            raise PackError("is missing", file=name, code="member_missing")
        digest = hashlib.sha256()
        for chunk in self._zip.chunks(name):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != self._sha256[name]:
            raise PackError("has not the hash in the manifest", file=name, code="hash_mismatch")
        self._matched.add(name)

    def read(self, name: str) -> bytes:
        """Return the bytes of a member that is not streamed (``layout.is_streamed``).

        Raises:
            PackError: as ``chunks``.
        """
        return b"".join(self.chunks(name))

    def read_json(self, name: str) -> Any:
        """Return the value of a member of canonical JSON.

        Raises:
            PackError: as ``read``, or ``not_canonical``.
        """
        return parse_json(name, self.read(name))

    def line_batches(self, name: str) -> Iterator[list[bytes]]:
        """Yield the lines of a ``.jsonl`` member, without newlines, some thousand at a time.

        Raises:
            PackError: as ``chunks``, or ``line_too_long``, ``line_unfinished``.
        """
        rest = b""
        count = 0
        for chunk in self.chunks(name):
            *lines, rest = (rest + chunk).split(b"\n")
            count += len(lines)
            if len(rest) > MAX_LINE_BYTES:
                raise PackError("is too long", file=name, line=count + 1, code="line_too_long")
            yield lines
        if rest:
            raise PackError("has no newline", file=name, line=count + 1, code="line_unfinished")

    def check_rest(self) -> None:
        """Check the hash of every member that no check has read to its end.

        Raises:
            PackError: as ``chunks``.
        """
        for name in self.names:
            if name not in self._matched:
                for _chunk in self.chunks(name):
                    pass


def parse_json(name: str, data: bytes, *, line: int | None = None) -> Any:
    """Return the value of canonical JSON bytes.

    Raises:
        PackError: ``not_canonical``.
    """
    try:
        return parse(data)
    except CanonicalError as error:
        raise PackError(str(error), file=name, line=line, code="not_canonical") from error


def array_of(file: str, value: Any, fixed: dict[str, Any], name: str) -> list[Any]:
    """Return the array ``name`` of an object that has the ``fixed`` members besides, and no other.

    Raises:
        PackError: ``bad_proof``.
    """
    if not isinstance(value, dict) or value.keys() != {*fixed, name} or not isinstance(value[name], list):
        raise PackError(
            f"must have exactly the members {', '.join([*fixed, name])}", file=file, code="bad_proof"
        )
    for member, expected in fixed.items():
        if type(value[member]) is not type(expected) or value[member] != expected:
            raise PackError(f"{member} must be {expected}", file=file, code="bad_proof")
    items: list[Any] = value[name]
    return items


def hashes_of(file: str, value: Any, fixed: dict[str, Any], name: str) -> list[bytes]:
    """Return the hashes of an object that has the ``fixed`` members, and one array of base64.

    Raises:
        PackError: ``bad_proof``.
    """
    try:
        return [decode_base64(text) for text in array_of(file, value, fixed, name)]
    except (TypeError, ValueError) as error:
        raise PackError(f"{name} must hold base64", file=file, code="bad_proof") from error


def _manifest(archive: StrictZip) -> dict[str, Any]:
    member = archive.members.get(layout.MANIFEST)
    if member is not None and member.size > layout.MAX_MEMBER_BYTES:
        raise PackError("is larger than any pack has it", file=layout.MANIFEST, code="member_too_large")
    value = parse_json(layout.MANIFEST, b"".join(archive.chunks(layout.MANIFEST)))
    if not isinstance(value, dict) or not {"v", "format", "date", "log_id", "files"} <= value.keys():
        raise _bad("must have the members v, format, date, log_id and files")
    _check_version(value)
    date, log_id = value["date"], value["log_id"]
    try:
        parse_date(date)
    except (TypeError, ValueError) as error:
        raise _bad("date is not a day, YYYY-MM-DD") from error
    if type(log_id) is not str or _HEX.fullmatch(log_id) is None or type(value["files"]) is not list:
        raise _bad("log_id must be 64 hex digits and files an array")
    names = [entry.get("name") for entry in value["files"] if isinstance(entry, dict)]
    if any(type(name) is not str for name in names) or len(set(names)) != len(names):
        raise _bad("files must name each member once")
    return value


def _check_version(manifest: dict[str, Any]) -> None:
    version, needs = manifest["v"], manifest.get("needs", layout.VERSION)
    if (
        manifest["format"] != layout.FORMAT
        or type(version) is not int
        or type(needs) is not int
        or version < 1
    ):
        raise _bad(f"is not of a version of {layout.FORMAT}")
    if needs > layout.WITH_TRANSCRIPTS or version > layout.WITH_TRANSCRIPTS:
        raise _bad(f"is of version {version}, and needs a checker of version {needs}: use a newer one")
    if (
        manifest.keys() - {"format", "date", "log_id", "files"}
        != layout.versioned(transcripts=version > 1).keys()
    ):
        raise _bad("must have exactly the members of its version")
    if needs != version:
        raise _bad(f"needs must be {version}")


def _bad(reason: str, *, code: str = "manifest_malformed") -> PackError:
    return PackError(reason, file=layout.MANIFEST, code=code)
