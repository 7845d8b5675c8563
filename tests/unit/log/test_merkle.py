"""The Merkle module against a textbook recursion, and every proof against every one-bit change."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.core.errors import ProofError
from signet.log.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    node_hash,
    perfect_root,
    perfect_subtrees,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

MAX_LEAVES = 70
LEAVES = leaf_hashes(b"%d" % n for n in range(MAX_LEAVES))


def read(level: int, index: int) -> bytes:
    return perfect_root(LEAVES[index << level : (index + 1) << level])


def mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 §2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_hashes_carry_their_domain_prefix() -> None:
    assert leaf_hash(b"x") == hashlib.sha256(b"\x00x").digest()
    assert node_hash(b"l", b"r") == hashlib.sha256(b"\x01lr").digest()
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT


@pytest.mark.parametrize("size", range(MAX_LEAVES + 1))
def test_root_equals_the_textbook_recursion(size: int) -> None:
    grown = CompactRange()
    grown.extend(LEAVES[:size])
    assert grown.root() == tree_root(size, read) == mth(LEAVES[:size])
    assert list(grown.roots) == [read(level, index) for level, index in perfect_subtrees(0, size)]


@given(st.data())
def test_compact_range_grows_from_any_size_by_leaves_and_subtrees(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, MAX_LEAVES))
    start = data.draw(st.integers(0, size))
    by_leaf = CompactRange(start, [read(level, index) for level, index in perfect_subtrees(0, start)])
    by_subtree = by_leaf.copy()
    for leaf in LEAVES[start:size]:
        by_leaf.append(leaf)
    for level, index in perfect_subtrees(start, size):
        by_subtree.append_subtree(level, read(level, index))
    assert by_leaf.root() == by_subtree.root() == mth(LEAVES[:size])
    assert by_leaf.roots == by_subtree.roots


def test_compact_range_refuses_state_that_fits_no_tree() -> None:
    with pytest.raises(ProofError):
        CompactRange(3, [LEAVES[0]])
    with pytest.raises(ProofError):
        CompactRange(1, [b"short"])
    with pytest.raises(ProofError):
        CompactRange(-1)
    with pytest.raises(ProofError):
        CompactRange(1, [LEAVES[0]]).append_subtree(1, LEAVES[1])


def test_every_inclusion_proof_verifies_at_its_place_only() -> None:
    for size in range(1, 20):
        root = mth(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(index, size, read)
            verify_inclusion(LEAVES[index], index, size, proof, root)
            for other in set(range(size)) - {index}:
                with pytest.raises(ProofError):
                    verify_inclusion(LEAVES[index], other, size, proof, root)


def test_every_consistency_proof_verifies_at_its_sizes_only() -> None:
    for size2 in range(1, 20):
        root2 = mth(LEAVES[:size2])
        for size1 in range(1, size2 + 1):
            root1 = mth(LEAVES[:size1])
            proof = consistency_proof(size1, size2, read)
            verify_consistency(size1, root1, size2, root2, proof)
            if size1 < size2:
                with pytest.raises(ProofError):
                    verify_consistency(size2, root2, size1, root1, proof)


@settings(max_examples=60)
@given(st.data())
def test_an_inclusion_proof_with_one_bit_changed_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, MAX_LEAVES))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, read)
    parts = [LEAVES[index], mth(LEAVES[:size]), *proof]
    which = data.draw(st.integers(0, len(parts) - 1))
    parts[which] = flipped(parts[which], data.draw(st.integers(0, 255)))
    with pytest.raises(ProofError):
        verify_inclusion(parts[0], index, size, parts[2:], parts[1])


@settings(max_examples=60)
@given(st.data())
def test_a_consistency_proof_with_one_bit_changed_is_refused(data: st.DataObject) -> None:
    size2 = data.draw(st.integers(1, MAX_LEAVES))
    size1 = data.draw(st.integers(1, size2))
    proof = consistency_proof(size1, size2, read)
    parts = [mth(LEAVES[:size1]), mth(LEAVES[:size2]), *proof]
    which = data.draw(st.integers(0, len(parts) - 1))
    parts[which] = flipped(parts[which], data.draw(st.integers(0, 255)))
    with pytest.raises(ProofError):
        verify_consistency(size1, parts[0], size2, parts[1], parts[2:])


@settings(max_examples=60)
@given(st.data())
def test_a_proof_of_another_length_is_refused(data: st.DataObject) -> None:
    size2 = data.draw(st.integers(2, MAX_LEAVES))
    size1 = data.draw(st.integers(1, size2 - 1))
    inclusion = inclusion_proof(size1, size2, read)
    consistency = consistency_proof(size1, size2, read)
    for change in (lambda p: p[:-1], lambda p: p[1:], lambda p: [*p, LEAVES[0]], lambda p: [LEAVES[0], *p]):
        with pytest.raises(ProofError):
            verify_inclusion(LEAVES[size1], size1, size2, change(inclusion), mth(LEAVES[:size2]))
        with pytest.raises(ProofError):
            verify_consistency(size1, mth(LEAVES[:size1]), size2, mth(LEAVES[:size2]), change(consistency))


def test_nothing_is_provable_about_sizes_that_do_not_exist() -> None:
    root = LEAVES[0]
    for index, size in ((0, 0), (1, 1), (-1, 1), (0, -1), (0, 1 << 63)):
        with pytest.raises(ProofError):
            verify_inclusion(root, index, size, [], root)
        with pytest.raises(ProofError):
            inclusion_proof(index, size, read)
    for size1, size2 in ((0, 1), (-1, 1), (2, 1), (1, 1 << 63)):
        with pytest.raises(ProofError):
            verify_consistency(size1, root, size2, root, [])
        with pytest.raises(ProofError):
            consistency_proof(size1, size2, read)


def test_a_tree_has_at_most_two_to_the_63_leaves_less_one() -> None:
    path = [LEAVES[number % 7] for number in range(63)]
    root = LEAVES[0]
    for sibling in path:
        root = node_hash(root, sibling)
    verify_inclusion(LEAVES[0], 0, (1 << 63) - 1, path, root)
    verify_consistency(1, LEAVES[0], (1 << 63) - 1, root, path)
    for check, arguments in (
        (verify_inclusion, (LEAVES[0], 0, 1 << 63, path, root)),
        (verify_consistency, (1, LEAVES[0], 1 << 63, root, path)),
        (inclusion_proof, (0, 1 << 63, lambda _level, _index: LEAVES[0])),
        (consistency_proof, (1, 1 << 63, lambda _level, _index: LEAVES[0])),
        (CompactRange, (1 << 63, [LEAVES[0]])),
    ):
        with pytest.raises(ProofError, match="is not a tree size"):
            check(*arguments)


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    verify_consistency(5, LEAVES[0], 5, LEAVES[0], [])
    for size1, root1, root2, proof in (
        (5, LEAVES[0], LEAVES[1], []),
        (5, LEAVES[0], LEAVES[0], [LEAVES[1]]),
        (0, LEAVES[0], LEAVES[0], []),
    ):
        with pytest.raises(ProofError):
            verify_consistency(size1, root1, size1, root2, proof)
