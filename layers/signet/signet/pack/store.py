"""Compliance packs beside the log: built once, named by their inputs, handed out by a URL that expires."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - a date's text is called date all over
from typing import BinaryIO, Final, Protocol, cast

from signet.core.errors import LogError, UnavailableError, UsageError
from signet.core.ports import ObjectStore
from signet.log import object_keys
from signet.pack.build import PackPlan, PreparedPack, plan_pack, prepare_pack
from signet.pack.contents import Progress
from signet.pack.zipwriter import ByteWriter

#: A day's pack up to this size never touches the disk, and is stored by one request.
_IN_MEMORY_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What is known of an object without reading it.

    Attributes:
        size: bytes.
        metadata: as it was stored with the object.
    """

    size: int
    metadata: Mapping[str, str]


class PackObjects(Protocol):
    """Where packs are kept: beside the log, each object written once.

    A write that returned is durable, and every later read sees it. All methods may raise
    ``UnavailableError``, except ``url``; an object may then be there or not, and is never there in part. To
    store the same again is safe: the first object stays.
    """

    def find(self, key: str) -> StoredObject | None:
        """Return what is known of an object, or None if there is none."""
        ...

    def put_once(self, key: str, body: bytes, *, metadata: Mapping[str, str]) -> bool:
        """Create by one request; False if an object is there already, or is being written."""
        ...

    def upload_once(
        self, key: str, write: Callable[[ByteWriter], None], *, metadata: Mapping[str, str]
    ) -> bool:
        """Create of any size, part by part; False if an object is there already, or is being written.

        Args:
            key: its key.
            write: called once, with what takes the bytes from front to back.
            metadata: kept with it.
        """
        ...

    def url(self, key: str, *, ttl_s: int, filename: str | None = None) -> str:
        """Return a URL that reads an object for ``ttl_s`` seconds, whether it is there yet or not.

        Less if the credentials that signed it end before. With a file name, browsers save it under that.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredPack:
    """A pack in the bucket.

    Attributes:
        key: where it is.
        sha256: hex digest of its bytes.
        size: bytes.
        tree_size: leaves in the tree of the day's final head.
        built: whether this call built it.
    """

    key: str
    sha256: str
    size: int
    tree_size: int
    built: bool


@dataclass(frozen=True, slots=True)
class PackStore:
    """Builds packs on demand and keeps them; a second request for the same inputs builds nothing.

    Attributes:
        objects: the log.
        packs: where packs are kept.
        transcripts: the bucket of the transcripts; None where no pack is built with them.
        erasable: where packs with transcripts are kept: from here they can be erased.
    """

    objects: ObjectStore
    packs: PackObjects
    transcripts: ObjectStore | None = None
    erasable: PackObjects | None = None

    def plan(self, date: str, *, today: Date, evidence: bool = False, transcripts: bool = False) -> PackPlan:
        """Return what the pack of a closed day is made of.

        Raises:
            NotFoundError: the day is before the log's first or in the future.
            NotReadyError: the day is not closed yet.
            LogError: the log contradicts itself.
            UnavailableError: the store cannot be reached.
        """
        return plan_pack(self.objects, date, today=today, evidence=evidence, transcripts=transcripts)

    def find(self, plan: PackPlan) -> StoredPack | None:
        """Return the pack of a plan if it was built before.

        Raises:
            LogError: ``bad_pack_object``; it is there, but not as ``obtain`` stores it.
            UnavailableError: the store cannot be reached.
        """
        found = self._where(plan.key).find(plan.key)
        if found is None:
            return None
        try:
            sha256, tree_size = found.metadata["sha256"], int(found.metadata["tree-size"])
        except (KeyError, ValueError) as error:
            raise LogError(
                f"{plan.key} lost its metadata, perhaps when the bucket was copied: delete this object, and "
                "the next request builds the same pack again",
                code="bad_pack_object",
            ) from error
        return StoredPack(plan.key, sha256, found.size, tree_size, built=False)

    def obtain(self, plan: PackPlan, progress: Progress | None = None) -> StoredPack:
        """Return the pack of a plan, built now unless it was before.

        Args:
            plan: what to build.
            progress: called now and then with (receipts read, receipts of the day).

        Raises:
            LogError: the log contradicts itself, or the day is too large for a pack.
            UnavailableError: the store cannot be reached.
        """
        return self.find(plan) or self._build(plan, progress)

    def presign(self, pack: StoredPack, *, ttl_s: int) -> str:
        """Return a URL that downloads the pack for ``ttl_s`` seconds (less if the role's session ends)."""
        return self._where(pack.key).url(pack.key, ttl_s=ttl_s, filename=pack.key.rsplit("/", 1)[-1])

    def _build(self, plan: PackPlan, progress: Progress | None) -> StoredPack:
        with _spooled() as spool:
            pack = prepare_pack(
                self.objects,
                plan,
                spool=cast("BinaryIO", spool),
                transcripts=self.transcripts,
                progress=progress,
            )
            summary = pack.summary
            metadata = {"sha256": summary.sha256, "tree-size": str(summary.tree_size)}
            if self._store(plan.key, pack, metadata):
                return StoredPack(plan.key, summary.sha256, summary.size, summary.tree_size, built=True)
        # Another request was faster; equal plans give equal bytes, so its pack is as good.
        found = self.find(plan)
        if found is None:
            raise UnavailableError("the pack is being stored by another request; try again")
        return found

    def _where(self, key: str) -> PackObjects:
        """Return where the pack of a key is kept."""
        if not key.startswith(object_keys.PACKS_WITH_TRANSCRIPTS):
            return self.packs
        if self.erasable is None:
            raise UsageError("packs with transcripts are not built here")
        return self.erasable

    def _store(self, key: str, pack: PreparedPack, metadata: Mapping[str, str]) -> bool:
        """Store a pack unless it is there: by one request if it is small, else part by part."""
        if pack.summary.size > _IN_MEMORY_BYTES:
            return self._where(key).upload_once(key, pack.write, metadata=metadata)
        written = io.BytesIO()
        pack.write(written)
        return self._where(key).put_once(key, written.getvalue(), metadata=metadata)


def _spooled() -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)
