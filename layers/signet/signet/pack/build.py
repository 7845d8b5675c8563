"""Build the compliance pack of a closed day from the log's objects alone.

One pass over the day's entries: every member is deflated into a spool (a temporary file for big days),
then manifest and members are copied into the zip. Memory stays flat; the spool needs as much room as the
pack. What is read from the store is checked against the day's signed root before it is used.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - a date's text is called date all over
from typing import Any, BinaryIO

from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError, LogError, NotFoundError, NotReadyError, UnavailableError
from signet.core.ports import ObjectStore
from signet.log import object_keys
from signet.pack import layout
from signet.pack.contents import THREADS, Contents, PackPlan, Progress, fetch, read_head
from signet.pack.zipwriter import ByteWriter, Member, deflate, write_zip

__all__ = ["PackPlan", "PackSummary", "PreparedPack", "build_pack", "plan_pack", "prepare_pack"]


@dataclass(frozen=True, slots=True)
class PackSummary:
    """A pack that was built.

    Attributes:
        date: its day.
        sha256: hex digest of the zip.
        size: bytes of the zip.
        tree_size: leaves in the tree of the day's final head.
        receipts: receipts of the day.
    """

    date: str
    sha256: str
    size: int
    tree_size: int
    receipts: int


def plan_pack(
    objects: ObjectStore, date: str, *, today: Date, evidence: bool = False, transcripts: bool = False
) -> PackPlan:
    """Read what decides a pack's bytes.

    Args:
        objects: the log.
        date: ``YYYY-MM-DD``.
        today: the present day (UTC).
        evidence: whether to include the evidence that the log still holds.
        transcripts: whether to include the transcripts that are still held.

    Raises:
        NotFoundError: the day is in the future or before the log's first.
        NotReadyError: the day is not closed.
        LogError: a published object is missing or malformed.
        UnavailableError: the store cannot be reached.
    """
    head = objects.get(object_keys.final_head(date))
    if head is None:
        raise _absent(objects, date, today)
    # The checkpoint is written before the head is and never changes, and of keys.json only later sets do not
    # belong to the day: one day, one plan, however the log grows.
    keys = _keys_of(read_head(head), fetch(objects, object_keys.KEYS))
    checkpoint = fetch(objects, object_keys.final_checkpoint(date))
    return PackPlan(date, head, keys, checkpoint, evidence, transcripts)


def _keys_of(head: dict[str, Any], keys: bytes) -> bytes:
    """Return ``keys.json`` without the sets that begin after the head.

    Raises:
        UnavailableError: the set that signed the head is not in it.
    """
    try:
        value = parse(keys)
        value["sets"] = [item for item in value["sets"] if item["from_tree_size"] <= head["tree_size"]]
        signers = {key["keyid"] for key in value["sets"][-1]["keys"]}
    except (CanonicalError, KeyError, TypeError, IndexError) as error:
        raise LogError("the published keys.json is malformed") from error
    if head["signatures"][0]["keyid"] not in signers:
        # A run that hung put an older keys.json over the newest; the next run puts that right.
        raise UnavailableError("keys.json is older than the day's head: run 'signet close', then try again")
    return canonicalize(value)


def _absent(objects: ObjectStore, date: str, today: Date) -> NotFoundError | NotReadyError:
    """Return why a day has no final head."""
    if date > today.isoformat():
        return NotFoundError(f"{date} is in the future; a pack exists for each closed day")
    days = [day for day in map(layout.head_date, objects.list(object_keys.HEADS)) if day]
    latest = objects.get(object_keys.LATEST_HEAD)
    if latest is not None:
        days.append(read_head(latest)["date"])
    if days and date < min(days):
        return NotFoundError(f"{date} is before the log's first day, {min(days)}")
    return NotReadyError(
        f"{date} is not closed; it is closed automatically after midnight UTC, or run "
        f"'signet close --date {date}'"
    )


@dataclass(frozen=True, slots=True)
class PreparedPack:
    """A pack whose members lie deflated in the spool: its size and hash are known, it can be written.

    Attributes:
        summary: what it is.
    """

    summary: PackSummary
    _manifest: tuple[Member, bytes]
    _members: tuple[Member, ...]
    _spool: BinaryIO

    def write(self, out: ByteWriter) -> None:
        """Write the zip, front to back; may be repeated."""
        _write(self._manifest, self._members, self._spool, out)


def prepare_pack(
    objects: ObjectStore,
    plan: PackPlan,
    *,
    spool: BinaryIO,
    transcripts: ObjectStore | None = None,
    progress: Progress | None = None,
) -> PreparedPack:
    """Read the log and deflate a pack's members.

    Args:
        objects: the log the plan was made from; safe to be read by several threads.
        plan: what to build.
        spool: empty, readable, writable, seekable; a temporary file unless the day is small.
        transcripts: where they are kept; for a plan with transcripts.
        progress: called now and then with (receipts read, receipts of the day).

    Raises:
        LogError: the log's objects contradict each other or the head, or the pack would be too large.
        UnavailableError: the store cannot be reached.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        contents = Contents(objects, plan, pool, transcripts)
        inner = contents.members(progress or (lambda _done, _total: None))
        members = tuple(_checked(deflate(name, chunks, spool)) for name, chunks in inner)
    files = [{"name": member.name, "sha256": member.sha256, "size": member.size} for member in members]
    manifest = canonicalize(
        {
            **layout.versioned(transcripts=plan.transcripts),
            "format": layout.FORMAT,
            "date": plan.date,
            "log_id": contents.head["log_id"],
            "files": files,
        }
    )
    front = io.BytesIO()
    first = (_checked(deflate(layout.MANIFEST, (manifest,), front)), front.getvalue())
    counted = _HashingWriter()
    _write(first, members, spool, counted)
    tree_size = contents.head["tree_size"]
    summary = PackSummary(plan.date, counted.digest.hexdigest(), counted.size, tree_size, plan.receipts)
    return PreparedPack(summary, first, members, spool)


def build_pack(
    objects: ObjectStore,
    plan: PackPlan,
    *,
    spool: BinaryIO,
    out: ByteWriter,
    transcripts: ObjectStore | None = None,
) -> PackSummary:
    """Build a pack: ``prepare_pack``, then write it to ``out``, front to back.

    Raises:
        LogError: the log's objects contradict each other or the head, or the pack would be too large.
        UnavailableError: the store cannot be reached.
    """
    prepared = prepare_pack(objects, plan, spool=spool, transcripts=transcripts)
    prepared.write(out)
    return prepared.summary


def _checked(member: Member) -> Member:
    """Return the member unless every verifier would refuse it."""
    if member.size > layout.MAX_MEMBER_BYTES and not layout.is_streamed(member.name):
        limit = layout.MAX_MEMBER_BYTES
        raise LogError(f"{member.name} would be larger than {limit} bytes", code="pack_too_large")
    return member


def _write(
    manifest: tuple[Member, bytes], members: Iterable[Member], spool: BinaryIO, out: ByteWriter
) -> None:
    spool.seek(0)
    parts: Iterator[tuple[Member, BinaryIO]] = itertools.chain(
        ((manifest[0], io.BytesIO(manifest[1])),), ((member, spool) for member in members)
    )
    write_zip(parts, out)


class _HashingWriter:
    """A writer that hashes and counts, and keeps nothing."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self.digest.update(data)
        self.size += len(data)
