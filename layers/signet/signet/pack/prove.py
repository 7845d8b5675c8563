"""Take one receipt out of a pack with all that proves it, for a reader who must not see the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import encode_base64
from signet.core.errors import NotFoundError, PackError, SignetError
from signet.log.keys import LogKeys, parse_keys
from signet.log.merkle import (
    HashReader,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    node_hash,
    perfect_root,
    perfect_subtrees,
    verify_inclusion,
)
from signet.log.note import verify_checkpoint
from signet.log.sth import SignedTreeHead, verify_sth
from signet.pack import layout
from signet.pack.members import Members, hashes_of, parse_json
from signet.pack.strictzip import StrictZip


@dataclass(frozen=True, slots=True)
class ReceiptProof:
    """One receipt and why it is in the log; checked when it was made.

    Attributes:
        receipt: the receipt's bytes, which are the leaf.
        leaf_index: its place in the tree.
        path: inclusion proof, leaf upward (RFC 9162 section 2.1.3).
        head: the signed head of its day.
        keys: the keys that signed it.
        checkpoint: the pack's checkpoint, bytes.
    """

    receipt: bytes
    leaf_index: int
    path: tuple[bytes, ...]
    head: SignedTreeHead
    keys: LogKeys
    checkpoint: bytes

    def to_json(self) -> bytes:
        """Return the proof as canonical JSON; with the log id from elsewhere it stands alone."""
        return canonicalize(
            {
                "v": 1,
                "receipt": parse(self.receipt),
                "leaf_index": self.leaf_index,
                "tree_size": self.head.tree_size,
                "root_hash": encode_base64(self.head.root_hash),
                "proof": [encode_base64(value) for value in self.path],
                "sth": parse(self.head.raw),
                "keys": parse(self.keys.encode()),
            }
        )

    def to_tlog_proof(self) -> bytes:
        """Return the proof in the form of c2sp.org/tlog-proof@v1.

        Raises:
            SignetError: the checkpoint is not this log's, or of another tree.
        """
        checkpoint = verify_checkpoint(self.checkpoint, self.keys)
        if (checkpoint.tree_size, checkpoint.root_hash) != (self.head.tree_size, self.head.root_hash):
            raise PackError("is not of the tree of sth.json", file=layout.CHECKPOINT, code="wrong_root")
        lines = ["c2sp.org/tlog-proof@v1", f"index {self.leaf_index}", *map(encode_base64, self.path), "", ""]
        return "\n".join(lines).encode() + self.checkpoint


def prove_receipt(file: BinaryIO, receipt_id: str) -> ReceiptProof:
    """Return the proof of one receipt of a pack.

    The head's signatures and the path are checked, the rest of the pack is not: see ``verify_pack``.

    Args:
        file: the pack, seekable.
        receipt_id: UUID of the receipt.

    Raises:
        NotFoundError: the pack has no such receipt.
        PackError: the pack is malformed or does not prove the receipt.
    """
    members = Members(StrictZip(file))
    keys, head = _signed_head(members)
    try:
        subtrees = _subtrees(members, head)
        receipt, index, leaves = _find(members, receipt_id, head)
        path = inclusion_proof(index, head.tree_size, _reader(head.first_leaf, subtrees, leaves))
        verify_inclusion(leaf_hash(receipt), index, head.tree_size, path, head.root_hash)
    except (PackError, NotFoundError):
        raise
    except SignetError as error:
        raise PackError(str(error), file=layout.HEAD, code=error.code) from error
    return ReceiptProof(receipt, index, tuple(path), head, keys, members.read(layout.CHECKPOINT))


def read_signed_head(file: BinaryIO) -> SignedTreeHead:
    """Return the head of a pack's day, signed by the keys in the pack; nothing else of it is checked.

    Args:
        file: the pack, seekable.

    Raises:
        PackError: the pack is malformed, or its head is not signed.
    """
    return _signed_head(Members(StrictZip(file)))[1]


def _signed_head(members: Members) -> tuple[LogKeys, SignedTreeHead]:
    file = layout.KEYS
    try:
        keys = parse_keys(members.read(file))
        file = layout.HEAD
        return keys, verify_sth(members.read(file), keys)
    except PackError:
        raise
    except SignetError as error:
        raise PackError(str(error), file=file, code=error.code) from error


def _subtrees(members: Members, head: SignedTreeHead) -> dict[tuple[int, int], bytes]:
    """Return the roots of the perfect subtrees before the day, by (level, index)."""
    fixed = {"v": 1, "first_leaf": head.first_leaf, "tree_size": head.tree_size}
    left = hashes_of(layout.RANGE, members.read_json(layout.RANGE), fixed, "left")
    places = list(perfect_subtrees(0, head.first_leaf))
    if len(left) != len(places):
        raise PackError("has a wrong number of hashes", file=layout.RANGE, code="bad_proof")
    return dict(zip(places, left, strict=True))


def _find(members: Members, receipt_id: str, head: SignedTreeHead) -> tuple[bytes, int, list[bytes]]:
    """Return the receipt, its leaf index, and the leaf hashes of the whole day."""
    found: tuple[bytes, int] | None = None
    leaves: list[bytes] = []
    needle = b'"id":' + canonicalize(receipt_id)
    for lines in members.line_batches(layout.RECEIPTS):
        for number, line in enumerate(lines, len(leaves)):
            if found is None and needle in line and _id(line, number + 1) == receipt_id:
                found = line, head.first_leaf + number
        leaves += leaf_hashes(lines)
    if found is None:
        raise NotFoundError(f"the pack of {head.date} has no receipt {receipt_id}")
    if len(leaves) != head.tree_size - head.first_leaf:
        raise PackError("is not the whole day", file=layout.RECEIPTS, code="receipt_count")
    return *found, leaves


def _id(line: bytes, number: int) -> Any:
    value = parse_json(layout.RECEIPTS, line, line=number)
    return value.get("id") if isinstance(value, dict) else None


def _reader(first_leaf: int, left: Mapping[tuple[int, int], bytes], leaves: Sequence[bytes]) -> HashReader:
    """Read perfect subtrees of a tree of which only the leaves from ``first_leaf`` on are known.

    A path from one of these leaves meets subtrees before the day only where the path to
    ``first_leaf`` turns right, too: and these are the ones that ``left`` holds.
    """

    def read(level: int, index: int) -> bytes:
        start, end = index << level, (index + 1) << level
        if end <= first_leaf:
            return left[level, index]
        if start >= first_leaf:
            return perfect_root(leaves[start - first_leaf : end - first_leaf])
        return node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))

    return read
