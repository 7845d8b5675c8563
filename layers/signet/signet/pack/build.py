"""Build the compliance pack of a closed day from the log's objects alone.

One pass over the day's entries: every member is deflated into a spool (a temporary file for big days),
then manifest and members are copied into the zip. Memory stays flat; the spool needs as much room as the
pack. What is read from the store is checked against the day's signed root before it is used.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - a date's text is called date all over
from datetime import timedelta
from functools import lru_cache
from importlib import resources
from typing import Any, BinaryIO, Final

from signet.errors import CanonicalError, LogError, NotFoundError, NotReadyError, UnavailableError
from signet.log import object_keys
from signet.log.merkle import consistency_proof, inclusion_proof, perfect_subtrees
from signet.log.tiles import TileReader
from signet.pack import layout
from signet.pack.zipwriter import Member, Sink, deflate, write_zip
from signet.policy.bundle import policy_bundle_sha256
from signet.ports import ObjectStore
from signet.receipts.canonical import canonicalize, parse
from signet.receipts.reading import read_receipt

_RECEIPTS_PER_CHUNK: Final = 512
#: Inner nodes kept while proofs are made: neighbours share nearly all of theirs.
_CACHED_NODES: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class PackPlan:
    """What a pack is made of; equal plans give equal bytes.

    Attributes:
        date: the day.
        head: bytes of the day's final head.
        keys: bytes of ``keys.json`` as it was at the day's end.
        checkpoint: bytes of the checkpoint that was published with it.
    """

    date: str
    head: bytes
    keys: bytes
    checkpoint: bytes

    @property
    def key(self) -> str:
        """Where the pack is stored: named by date and inputs, the files that ship in it included."""
        parts = (self.head, self.keys, self.checkpoint, *shipped_files().values())
        digests = b"".join(hashlib.sha256(part).digest() for part in parts)
        named = hashlib.sha256(b"signet-pack-v1\n" + digests).hexdigest()
        return f"packs/{self.date}-{named[:16]}.zip"


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


def plan_pack(objects: ObjectStore, date: str, *, today: Date) -> PackPlan:
    """Read what decides a pack's bytes.

    Args:
        objects: the log.
        date: ``YYYY-MM-DD``.
        today: the present day (UTC).

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
    keys = _keys_of(_read_head(head), _get(objects, object_keys.KEYS))
    return PackPlan(date, head, keys, _get(objects, object_keys.final_checkpoint(date)))


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
        days.append(_read_head(latest)["date"])
    if days and date < min(days):
        return NotFoundError(f"{date} is before the log's first day, {min(days)}")
    return NotReadyError(
        f"{date} is not closed; it is closed automatically after midnight UTC, or run "
        f"'signet close --date {date}'"
    )


def build_pack(objects: ObjectStore, plan: PackPlan, *, spool: BinaryIO, out: Sink) -> PackSummary:
    """Build a pack.

    Args:
        objects: the log the plan was made from.
        plan: what to build.
        spool: empty, readable, writable, seekable; a temporary file unless the day is small.
        out: where the zip goes, front to back.

    Raises:
        LogError: the log's objects contradict each other or the head, or the pack would be too large.
        UnavailableError: the store cannot be reached.
    """
    build = _Build(objects, plan)
    members = [deflate(name, chunks, spool) for name, chunks in build.members()]
    files = [{"name": member.name, "sha256": member.sha256, "size": member.size} for member in members]
    manifest = canonicalize(
        {
            "v": layout.VERSION,
            "format": layout.FORMAT,
            "date": plan.date,
            "log_id": build.head["log_id"],
            "files": files,
        }
    )
    front = io.BytesIO()
    first = deflate(layout.MANIFEST, (manifest,), front)
    front.seek(0)
    spool.seek(0)
    parts: Iterator[tuple[Member, BinaryIO]] = itertools.chain(
        ((first, front),), ((member, spool) for member in members)
    )
    counted = _Counted(out)
    write_zip(parts, counted)
    return PackSummary(
        date=plan.date,
        sha256=counted.digest.hexdigest(),
        size=counted.size,
        tree_size=build.head["tree_size"],
        receipts=build.head["tree_size"] - build.head["first_leaf"],
    )


class _Counted:
    """A sink that hashes and counts what passes through."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self.digest.update(data)
        self.size += len(data)
        self._out.write(data)


class _Build:
    """Makes the members of one pack, in order; later ones know what earlier ones have seen."""

    def __init__(self, objects: ObjectStore, plan: PackPlan) -> None:
        self._objects = objects
        self._plan = plan
        self.head = _read_head(plan.head)
        root = base64.b64decode(self.head["root_hash"])
        self._tree = TileReader(objects.get, self.head["tree_size"], root=root)
        self._node: Callable[[int, int], bytes] = lru_cache(_CACHED_NODES)(self._tree.subtree_hash)
        self._ids: list[str] = []
        self._policies: set[str] = {self.head["policy_bundle_sha256"]}

    def members(self) -> Iterator[tuple[str, Iterable[bytes]]]:
        """Yield (name, chunks) of every member but the manifest, in the order of the zip."""
        first, size = self.head["first_leaf"], self.head["tree_size"]
        yield layout.RECEIPTS, self._receipts(first, size)
        yield layout.HEAD, (self._plan.head,)
        heads = self._heads()
        for date, head in heads:
            yield object_keys.final_head(date), (head,)
        yield layout.RANGE, (self._range(first, size),)
        yield layout.CONSISTENCY, (self._consistency([head for _date, head in heads]),)
        if size - first <= layout.MAX_INCLUSION_PROOFS:
            yield layout.INCLUSION, self._inclusion(first, size)
        yield layout.KEYS, (self._plan.keys,)
        yield layout.CHECKPOINT, (self._plan.checkpoint,)
        for name, body in sorted(self._policy_files().items()):
            yield name, (body,)
        for name, data in shipped_files().items():
            yield name, (data,)

    def _receipts(self, first: int, size: int) -> Iterator[bytes]:
        keep_ids = size - first <= layout.MAX_INCLUSION_PROOFS
        entries = self._tree.entries(first, size)
        while chunk := list(itertools.islice(entries, _RECEIPTS_PER_CHUNK)):
            for index, entry in enumerate(chunk):
                try:
                    receipt = read_receipt(entry, chained=True)
                except CanonicalError as error:
                    raise LogError(f"a leaf near {first + index} is no receipt: {error}") from error
                if receipt.policy_bundle is not None:
                    self._policies.add(receipt.policy_bundle)
                if keep_ids:
                    self._ids.append(receipt.id)
            first += len(chunk)
            yield b"\n".join(chunk) + b"\n"

    def _heads(self) -> list[tuple[str, bytes]]:
        """Return (date, bytes) of all final heads, the first day's first."""
        heads = [(self._plan.date, self._plan.head)]
        wanted = self.head["prev_sth_sha256"]
        while wanted is not None:
            date = (Date.fromisoformat(heads[-1][0]) - timedelta(days=1)).isoformat()
            data = _get(self._objects, object_keys.final_head(date))
            if hashlib.sha256(data).hexdigest() != wanted:
                raise LogError(f"the tree head of {date} is not the one that the next day's names")
            heads.append((date, data))
            wanted = _read_head(data)["prev_sth_sha256"]
        return heads[::-1]

    def _range(self, first: int, size: int) -> bytes:
        left = [self._node(level, index) for level, index in perfect_subtrees(0, first)]
        return canonicalize({"v": 1, "first_leaf": first, "tree_size": size, "left": _texts(left)})

    def _consistency(self, heads: Iterable[bytes]) -> bytes:
        sizes = [_read_head(head)["tree_size"] for head in heads]
        proofs = [
            {
                "size1": size1,
                "size2": size2,
                "proof": _texts(consistency_proof(size1, size2, self._node) if 0 < size1 < size2 else []),
            }
            for size1, size2 in itertools.pairwise(sizes)
        ]
        return canonicalize({"v": 1, "proofs": proofs})

    def _inclusion(self, first: int, size: int) -> Iterator[bytes]:
        for index, receipt_id in enumerate(self._ids, first):
            proof = _texts(inclusion_proof(index, size, self._node))
            yield canonicalize({"id": receipt_id, "leaf_index": index, "proof": proof}) + b"\n"

    def _policy_files(self) -> dict[str, bytes]:
        """Return the bundles that are named and whole; one that is being written just now is not."""
        found: dict[str, bytes] = {}
        for bundle in self._policies:
            folder = f"policy/{bundle}/"
            files = {name: _get(self._objects, name) for name in self._objects.list(folder)}
            own = {name.removeprefix(folder): body for name, body in files.items()}
            if policy_bundle_sha256(own) == bundle:
                found |= files
        return found


def _get(objects: ObjectStore, key: str) -> bytes:
    data = objects.get(key)
    if data is None:
        raise LogError(f"{key} is missing in the log")
    return data


def _read_head(data: bytes) -> dict[str, Any]:
    try:
        head: dict[str, Any] = parse(data)
    except CanonicalError as error:
        raise LogError(f"a published tree head is malformed: {error}") from error
    return head


def _texts(hashes: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(value).decode() for value in hashes]


def shipped_files() -> dict[str, bytes]:
    """Return the files that go into every pack, by member name."""
    folder = resources.files("signet.pack.resources")
    return {name: folder.joinpath(name).read_bytes() for name in (layout.GUIDE, layout.CHECKER)}
