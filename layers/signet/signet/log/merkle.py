"""RFC 9162 Merkle tree: hashes, proofs and their verification, in bounded memory.

Leaf = SHA-256(0x00 ‖ entry), node = SHA-256(0x01 ‖ left ‖ right), the empty tree's root is SHA-256 of
nothing (RFC 9162 §2.1.1). All hashes are 32 bytes.

A *perfect subtree* (level, index) is the complete subtree over the leaves
[index · 2^level, (index + 1) · 2^level). Its hash never changes as the tree grows, so a reader
of such hashes, from any store, is all that a proof needs.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from signet.core.errors import ProofError

HASH_BYTES: Final = 32
#: Root of the tree without leaves.
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

#: Sizes are 64-bit on the wire (C2SP tlog-checkpoint); anything larger is malformed.
_MAX_SIZE: Final = (1 << 63) - 1

#: Returns the hash of perfect subtree (level, index); raises what its storage raises.
HashReader = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one leaf (RFC 9162 §2.1.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two children (RFC 9162 §2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Return the leaf hash of every entry; the tight loop for bulk work."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def parent_level(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the node hashes over an even number of neighbours; the tight loop for bulk work."""
    sha256 = hashlib.sha256
    pairs = iter(hashes)
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over 2^k neighbours (k ≥ 0)."""
    level: Sequence[bytes] = hashes
    while len(level) > 1:
        level = parent_level(level)
    return level[0]


def perfect_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the (level, index) of the fewest perfect subtrees that cover [start, end), left to right.

    For start = 0 they come largest first and their levels are the one bits of ``end``.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


class CompactRange:
    """The perfect-subtree roots of leaves [0, size): O(log size) state from which the tree grows.

    Attributes:
        size: number of leaves so far.
    """

    __slots__ = ("_roots", "size")

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        """Start from the perfect-subtree roots of [0, size), largest first.

        Raises:
            ProofError: the number or the lengths of ``roots`` do not fit ``size``.
        """
        _check_size(size)
        if len(roots) != size.bit_count():
            raise ProofError(f"{size} leaves have {size.bit_count()} subtree roots, not {len(roots)}")
        _check_hashes(roots)
        self.size = size
        self._roots = list(roots)

    def copy(self) -> CompactRange:
        """Return an independent copy."""
        return CompactRange(self.size, self._roots)

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The perfect-subtree roots of [0, size), largest first."""
        return tuple(self._roots)

    def append(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaf hashes in order."""
        sha256 = hashlib.sha256
        roots = self._roots
        size = self.size
        for leaf in leaves:
            carry = leaf
            # A one bit at the bottom of the size is a subtree as large as the carry: merge, as in addition.
            bits = size
            while bits & 1:
                carry = sha256(b"\x01" + roots.pop() + carry).digest()
                bits >>= 1
            roots.append(carry)
            size += 1
        self.size = size

    def append_subtree(self, level: int, root: bytes) -> None:
        """Append a perfect subtree of 2^level leaves.

        Raises:
            ProofError: the current size is not a multiple of 2^level.
        """
        if self.size & ((1 << level) - 1):
            raise ProofError(f"a subtree of level {level} cannot start at leaf {self.size}")
        bits = self.size >> level
        carry = root
        while bits & 1:
            carry = node_hash(self._roots.pop(), carry)
            bits >>= 1
        self._roots.append(carry)
        self.size += 1 << level

    def root(self) -> bytes:
        """Return the root of the tree over all leaves so far."""
        return _fold(self._roots)


def tree_root(size: int, read: HashReader) -> bytes:
    """Return the root of the tree over leaves [0, size) (RFC 9162 §2.1.1)."""
    return _fold([read(level, index) for level, index in perfect_subtrees(0, size)])


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """Return the audit path of a leaf, from the leaf upward (RFC 9162 §2.1.3.1).

    Raises:
        ProofError: ``index`` is not within a tree of ``size`` leaves.
    """
    _check_size(size)
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(middle, end, read))
            end = middle
        else:
            path.append(_range_root(start, middle, read))
            start = middle
    path.reverse()
    return path


def consistency_proof(size1: int, size2: int, read: HashReader) -> list[bytes]:
    """Return the proof that the tree of ``size2`` leaves extends that of ``size1`` (RFC 9162 §2.1.4.1).

    Raises:
        ProofError: not 0 < size1 ≤ size2.
    """
    _check_size(size2)
    if not 0 < size1 <= size2:
        raise ProofError(f"there is no consistency proof from {size1} to {size2} leaves")
    proof: list[bytes] = []
    start, end = 0, size2
    # SUBPROOF(m, D_n, b) of the RFC, with m as an absolute position: b is "start is still 0".
    while size1 < end:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start = middle
    if start > 0:
        proof.append(_range_root(start, end, read))
    proof.reverse()
    return proof


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf_hash`` is leaf ``index`` of the tree (RFC 9162 §2.1.3.2).

    Raises:
        ProofError: malformed (sizes, lengths) or does not lead to ``root``.
    """
    _check_hashes((root,))
    if not hmac.compare_digest(root_of_inclusion(leaf_hash, index, size, proof), root):
        raise ProofError("the inclusion proof does not lead to the root")


def root_of_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to, for a caller who then checks the root's signature.

    Raises:
        ProofError: malformed (sizes, lengths).
    """
    _check_size(size)
    _check_hashes((leaf_hash, *proof))
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    position, last = index, size - 1
    computed = leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof has too many hashes")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise ProofError("the inclusion proof has too few hashes")
    return computed


def verify_consistency(size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (size2, root2) extends the tree (size1, root1) (RFC 9162 §2.1.4.2).

    From the empty tree there is nothing to prove, so ``size1`` = 0 is refused unless both are empty.

    Raises:
        ProofError: malformed (sizes, lengths) or does not connect the two roots.
    """
    _check_size(size2)
    _check_hashes((root1, root2, *proof))
    if not 0 <= size1 <= size2:
        raise ProofError(f"a tree of {size2} leaves cannot extend one of {size1}")
    if size1 == size2:
        _verify_same_tree(size1, root1, root2, proof)
        return
    if size1 == 0:
        raise ProofError("a consistency proof from the empty tree proves nothing")
    if not proof:
        raise ProofError("the consistency proof is empty")
    old, new = _fold_consistency(size1, size2, root1, proof)
    if not hmac.compare_digest(old, root1):
        raise ProofError("the consistency proof does not lead to the first root")
    if not hmac.compare_digest(new, root2):
        raise ProofError("the consistency proof does not lead to the second root")


def _verify_same_tree(size: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise ProofError("a consistency proof between equal sizes has no hashes")
    if not hmac.compare_digest(root1, root2):
        raise ProofError("two roots for one tree size")
    if size == 0 and not hmac.compare_digest(root1, EMPTY_ROOT):
        raise ProofError("the root of the empty tree is wrong")


def _fold_consistency(size1: int, size2: int, root1: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the two roots the proof leads to (RFC 9162 §2.1.4.2, steps 2 to 6)."""
    # Where size1 is a power of two its root is itself a node on the path: the proof leaves it out.
    path = iter(proof if size1 & (size1 - 1) else (root1, *proof))
    position, last = size1 - 1, size2 - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = next(path)
    for sibling in path:
        if last == 0:
            raise ProofError("the consistency proof has too many hashes")
        if position & 1 or position == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise ProofError("the consistency proof has too few hashes")
    return old, new


def _range_root(start: int, end: int, read: HashReader) -> bytes:
    """Root over [start, end) as RFC 9162 splits it: ``start`` is aligned to the range's first subtree."""
    return _fold([read(level, index) for level, index in perfect_subtrees(start, end)])


def _fold(roots: Sequence[bytes]) -> bytes:
    if not roots:
        return EMPTY_ROOT
    computed = roots[-1]
    for left in reversed(roots[:-1]):
        computed = node_hash(left, computed)
    return computed


def _split(count: int) -> int:
    """Return the largest power of two smaller than ``count`` (count ≥ 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _check_size(size: int) -> None:
    if not 0 <= size <= _MAX_SIZE:
        raise ProofError(f"{size} is not a tree size")


def _check_hashes(hashes: Iterable[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError(f"a hash has {HASH_BYTES} bytes, not {len(value)}")
