"""The members of a pack, read from the log's objects and checked against the day's signed root."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError, LogError
from signet.core.ports import ObjectStore
from signet.log import object_keys
from signet.log.merkle import consistency_proof, inclusion_proof, perfect_subtrees
from signet.log.readahead import ReadAhead
from signet.log.tiles import TileReader
from signet.pack import layout
from signet.pack.evidence import named_evidence
from signet.policy.bundle import policy_bundle_sha256
from signet.receipts.reading import Receipt, read_receipt
from signet.receipts.transcripts import transcripts_of

#: Called with (receipts read, receipts of the day).
Progress = Callable[[int, int], None]

_RECEIPTS_PER_CHUNK: Final = 512
#: Inner nodes kept while proofs are made: neighbours share nearly all of theirs.
_CACHED_NODES: Final = 1 << 14
#: Pieces of evidence in memory; each is no larger than a request's headers.
_EVIDENCE_AT_ONCE: Final = 256
#: Objects of transcripts in memory.
_TRANSCRIPTS_AT_ONCE: Final = 16
#: What a pack takes from a head; whether a head is signed and true, its verifiers see.
_HEAD_MEMBERS: Final = {
    "date": str,
    "first_leaf": int,
    "log_id": str,
    "policy_bundle_sha256": str,
    "prev_sth_sha256": str | None,
    "root_hash": str,
    "signatures": list,
    "tree_size": int,
}
#: Objects fetched at once: what a pack waits for is the store's latency, not its own work.
THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class PackPlan:
    """What a pack is made of; equal plans give equal bytes.

    Attributes:
        date: the day.
        head: bytes of the day's final head.
        keys: bytes of ``keys.json`` as it was at the day's end.
        checkpoint: bytes of the checkpoint that was published with it.
        evidence: whether evidence goes into the pack. It is dropped one day: what such a pack holds
            depends on when it was built.
        transcripts: whether transcripts go into the pack; the same holds for them.
    """

    date: str
    head: bytes
    keys: bytes
    checkpoint: bytes
    evidence: bool = False
    transcripts: bool = False

    @property
    def key(self) -> str:
        """Where the pack is stored: named by date and inputs, the files that ship in it included."""
        parts = (self.head, self.keys, self.checkpoint, *shipped_files().values())
        digests = b"".join(hashlib.sha256(part).digest() for part in parts)
        asked = (b"evidence\n" if self.evidence else b"") + (b"transcripts\n" if self.transcripts else b"")
        named = hashlib.sha256(b"signet-pack-v1\n" + asked + digests).hexdigest()
        return f"{self._folder}{self.date}-{named[:16]}.zip"

    @property
    def _folder(self) -> str:
        if self.transcripts:
            return object_keys.PACKS_WITH_TRANSCRIPTS
        return object_keys.PACKS_WITH_EVIDENCE if self.evidence else object_keys.PACKS

    @property
    def receipts(self) -> int:
        """Receipts of the day."""
        head = read_head(self.head)
        count: int = head["tree_size"] - head["first_leaf"]
        return count


class Contents:
    """Makes the members of one pack, in order; later ones know what earlier ones have seen."""

    def __init__(
        self,
        objects: ObjectStore,
        plan: PackPlan,
        pool: ThreadPoolExecutor,
        transcripts: ObjectStore | None = None,
    ) -> None:
        """Start to read; the tree's right edge is checked against the head.

        Args:
            objects: the log.
            plan: what to make.
            pool: reads ahead.
            transcripts: the bucket that holds them; for a plan with transcripts.

        Raises:
            LogError: the tiles do not lead to the root of the plan's head.
        """
        self._objects = objects
        self._plan = plan
        self._pool = pool
        self.head = read_head(plan.head)
        root = base64.b64decode(self.head["root_hash"])
        self._tree = TileReader(ReadAhead(objects.get, pool), self.head["tree_size"], root=root)
        self._node: Callable[[int, int], bytes] = lru_cache(_CACHED_NODES)(self._tree.subtree_hash)
        self._ids: list[str] = []
        self._policies: set[str] = {self.head["policy_bundle_sha256"]}
        self._evidence: set[str] = set()
        self._kept = transcripts if plan.transcripts else None
        self._transcripts: set[str] = set()

    def members(self, progress: Progress) -> Iterator[tuple[str, Iterable[bytes]]]:
        """Yield (name, chunks) of every member but the manifest, in the order of the zip."""
        first, size = self.head["first_leaf"], self.head["tree_size"]
        yield layout.RECEIPTS, self._receipts(first, size, progress)
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
        for digest, kept in self._kept_evidence():
            yield layout.evidence_name(digest), (_matching(kept, digest),)
        for key, transcripts in self._kept_transcripts():
            yield key, (transcripts,)
        for name, data in shipped_files().items():
            yield name, (data,)

    def _receipts(self, first: int, size: int, progress: Progress) -> Iterator[bytes]:
        entries, done = self._tree.entries(first, size), 0
        while chunk := list(itertools.islice(entries, _RECEIPTS_PER_CHUNK)):
            for index, entry in enumerate(chunk, first + done):
                try:
                    self._collect(read_receipt(entry, chained=True), size - first)
                except CanonicalError as error:
                    raise LogError(f"leaf {index} is no receipt: {error}") from error
            done += len(chunk)
            yield b"\n".join(chunk) + b"\n"
            progress(done, size - first)

    def _collect(self, receipt: Receipt, count: int) -> None:
        """Remember what later members need of a receipt."""
        if receipt.policy_bundle is not None:
            self._policies.add(receipt.policy_bundle)
        if count <= layout.MAX_INCLUSION_PROOFS:
            self._ids.append(receipt.id)
        if self._plan.evidence and (digest := named_evidence(receipt)) is not None:
            self._evidence.add(digest)
        if self._kept is not None and (name := transcripts_of(receipt)) is not None:
            self._transcripts.add(name)

    def _heads(self) -> list[tuple[str, bytes]]:
        """Return (date, bytes) of all final heads, the first day's first."""
        days = [day for day in map(layout.head_date, self._objects.list(object_keys.HEADS)) if day]
        earlier = sorted((day for day in days if day < self._plan.date), reverse=True)
        heads = [(self._plan.date, self._plan.head)]
        wanted = self.head["prev_sth_sha256"]
        # A head of every day since the first: one after the other, they would take longer each day.
        for date, data in zip(
            earlier, self._pool.map(self._objects.get, map(object_keys.final_head, earlier)), strict=True
        ):
            if wanted is None or data is None or hashlib.sha256(data).hexdigest() != wanted:
                raise LogError(f"the tree head of {date} is not the one that the next day's names")
            heads.append((date, data))
            wanted = read_head(data)["prev_sth_sha256"]
        if wanted is not None:
            raise LogError(f"the tree head before that of {heads[-1][0]} is missing")
        return heads[::-1]

    def _range(self, first: int, size: int) -> bytes:
        left = [self._node(level, index) for level, index in perfect_subtrees(0, first)]
        return canonicalize({"v": 1, "first_leaf": first, "tree_size": size, "left": _texts(left)})

    def _consistency(self, heads: Iterable[bytes]) -> bytes:
        sizes = [read_head(head)["tree_size"] for head in heads]
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

    def _kept_evidence(self) -> Iterator[tuple[str, bytes]]:
        """Yield (digest, bytes) of what the log still holds; some retention may be over."""
        named = iter(sorted(self._evidence))
        while digests := list(itertools.islice(named, _EVIDENCE_AT_ONCE)):
            found = self._pool.map(self._objects.get, map(object_keys.evidence, digests))
            for digest, kept in zip(digests, found, strict=True):
                if kept is not None:
                    yield digest, kept

    def _kept_transcripts(self) -> Iterator[tuple[str, bytes]]:
        """Yield (name, bytes) of what is still held; verifiers hold each entry to its receipt."""
        named = iter(sorted(self._transcripts))
        while self._kept is not None and (names := list(itertools.islice(named, _TRANSCRIPTS_AT_ONCE))):
            keys = list(map(object_keys.transcripts, names))
            for key, kept in zip(keys, self._pool.map(self._kept.get, keys), strict=True):
                if kept:
                    yield key, kept

    def _policy_files(self) -> dict[str, bytes]:
        """Return the bundles that are named and whole; one that is being written just now is not."""
        found: dict[str, bytes] = {}
        for bundle in self._policies:
            folder = f"policy/{bundle}/"
            files = {name: fetch(self._objects, name) for name in self._objects.list(folder)}
            own = {name.removeprefix(folder): body for name, body in files.items()}
            if policy_bundle_sha256(own) == bundle:
                found |= files
        return found


def _matching(body: bytes, digest: str) -> bytes:
    if hashlib.sha256(body).hexdigest() != digest:
        raise LogError(f"{object_keys.evidence(digest)} does not have its hash")
    return body


def fetch(objects: ObjectStore, key: str) -> bytes:
    """Return an object that must be there.

    Raises:
        LogError: it is missing.
    """
    data = objects.get(key)
    if data is None:
        raise LogError(f"{key} is missing in the log")
    return data


def read_head(data: bytes) -> dict[str, Any]:
    """Return the members of a published head.

    Raises:
        LogError: it is malformed.
    """
    try:
        head: dict[str, Any] = parse(data)
        whole = all(isinstance(head[name], kinds) for name, kinds in _HEAD_MEMBERS.items())
        base64.b64decode(head["root_hash"], validate=True)
        head["signatures"][0]["keyid"].encode()
    except (CanonicalError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise LogError("a published tree head is malformed; 'signet audit' says which") from error
    if not whole:
        raise LogError("a published tree head has a member of another type; 'signet audit' says which")
    return head


def _texts(hashes: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(value).decode() for value in hashes]


def shipped_files() -> dict[str, bytes]:
    """Return the files that go into every pack, by member name."""
    folder = resources.files("signet.pack.resources")
    return {name: folder.joinpath(name).read_bytes() for name in (layout.GUIDE, layout.CHECKER)}
