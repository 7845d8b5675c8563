"""COSE receipts: what the log's writer signs proves its leaves, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import LogError, ProofError, SignetError
from signet.log import cbor
from signet.log.cose import attach_proof, publish_roots, sign_root, verify_receipt, verify_root
from signet.log.keys import HEAD_ALGORITHMS, Algorithm, LocalSigner, generate_private_set
from signet.log.merkle import inclusion_proof, leaf_hash, perfect_root
from tests.unit.log.test_sequencer import DAY, SIGNER, T0, LogOnFakes

LEAVES = [leaf_hash(bytes([number])) for number in range(8)]
ROOT = perfect_root(LEAVES)
INDEX, SIZE, TIME = 5, 8, 1_800_000_000
OTHER = LocalSigner("other.example", generate_private_set())
VALUES = st.recursive(
    st.none() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers(-300, 300) | st.text(), inner),
    max_leaves=8,
)


def read(level: int, index: int) -> bytes:
    return perfect_root(LEAVES[index << level : (index + 1) << level])


PATH = inclusion_proof(INDEX, SIZE, read)


def receipt(alg: Algorithm = Algorithm.ED25519, signer: Any = SIGNER) -> bytes:
    return attach_proof(sign_root(alg, ROOT, SIZE, TIME, signer), INDEX, SIZE, PATH)


@given(VALUES)
def test_what_is_encoded_is_read_again(value: Any) -> None:
    try:
        encoded = cbor.encode(value)
        assert cbor.decode(encoded) == value
    except ValueError as error:
        assert "nested too deep" in str(error)  # noqa: PT017 - the one value that has no form


@pytest.mark.parametrize(
    ("data", "value"),  # RFC 8949, appendix A
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1b000000e8d4a51000", 1000000000000),
        ("3bffffffffffffffff", -18446744073709551616),
        ("3903e7", -1000),
        ("4401020304", bytes([1, 2, 3, 4])),
        ("62c3bc", "\u00fc"),
        ("83010203", [1, 2, 3]),
        ("a201020304", {1: 2, 3: 4}),
        ("f6", None),
    ],
)
def test_published_values(data: str, value: Any) -> None:
    assert cbor.encode(value) == bytes.fromhex(data)
    assert cbor.decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "data",
    [
        "",  # nothing
        "0000",  # trailing bytes
        "1817",  # a length in more bytes than it takes
        "9f0102ff",  # indefinite lengths
        "5f4101ff",
        "bf0102ff",
        "a201020102",  # a key twice
        "a203040102",  # keys out of order
        "a1400a",  # a key of bytes
        "a18000",
        "f4",  # false, a float, undefined
        "f93c00",
        "f7",
        "1c",
        "44010203",  # cut off
        "9b7fffffffffffffff",  # more members than there are bytes
        "d2",
        "62ff00",  # no UTF-8
        "81" * 5000 + "00",  # nested too deep
    ],
)
def test_what_is_not_in_its_one_form_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cbor.decode(bytes.fromhex(data))


@pytest.mark.parametrize("alg", HEAD_ALGORITHMS)
def test_a_receipt_proves_its_leaf(alg: Algorithm) -> None:
    found = verify_receipt(receipt(alg), LEAVES[INDEX], SIGNER.keys)
    assert (found.alg, found.leaf_index, found.tree_size) == (alg, INDEX, SIZE)
    with pytest.raises(SignetError):
        verify_receipt(receipt(alg), LEAVES[4], SIGNER.keys)


def changed(change: Callable[[list[Any]], object]) -> bytes:
    """A receipt with its array changed; header and proof are there as values."""
    protected, _, _, signature = cbor.decode(receipt()).value
    parts = [cbor.decode(protected), [SIZE, INDEX, list(PATH)], None, signature, {}]
    change(parts)
    unprotected = {**parts[4], 396: {-1: [cbor.encode(parts[1])]}}
    return cbor.encode(cbor.Tagged(18, [cbor.encode(parts[0]), unprotected, *parts[2:4]]))


def moved_alg(parts: list[Any]) -> None:
    parts[4] = {1: parts[0].pop(1)}


BAD: dict[str, Callable[[list[Any]], object]] = {
    "another algorithm": lambda p: p[0].update({1: -49}),
    "an algorithm of no head": lambda p: p[0].update({1: -48}),
    "algorithm unprotected": moved_alg,
    "algorithm also unprotected": lambda p: p[4].update({1: -8}),
    "another structure": lambda p: p[0].update({395: 2}),
    "another key": lambda p: p[0].update({4: bytes(16)}),
    "another issuer": lambda p: p[0][15].update({1: "other"}),
    "another log": lambda p: p[0][15].update({2: "0" * 64}),
    "another time": lambda p: p[0][15].update({6: TIME + 1}),
    "time of no number": lambda p: p[0][15].update({6: "1"}),
    "another size signed": lambda p: p[0][15].update({-65537: 9}),
    "no size": lambda p: p[0][15].pop(-65537),
    "a header more": lambda p: p[0].update({2: [1]}),
    "header no map": lambda p: p.__setitem__(0, []),
    "another size": lambda p: p[1].__setitem__(0, 7),
    "another index": lambda p: p[1].__setitem__(1, 4),
    "index beyond the tree": lambda p: p[1].__setitem__(1, 8),
    "negative index": lambda p: p[1].__setitem__(1, -1),
    "size of 64 bits": lambda p: p[1].__setitem__(0, (1 << 64) - 1),
    "hash less": lambda p: p[1][2].pop(),
    "hash more": lambda p: p[1][2].append(bytes(32)),
    "path of 64 hashes": lambda p: p[1][2].extend([bytes(32)] * 61),
    "short hash": lambda p: p[1][2].__setitem__(0, bytes(31)),
    "another hash": lambda p: p[1][2].__setitem__(0, bytes(32)),
    "payload": lambda p: p.__setitem__(2, ROOT),
    "another signature": lambda p: p.__setitem__(3, bytes(64)),
    "short signature": lambda p: p.__setitem__(3, b""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_changed_receipt_is_refused(name: str) -> None:
    assert changed(lambda _parts: None) == receipt()
    data = changed(BAD[name])
    assert data != receipt()
    with pytest.raises(SignetError):
        verify_receipt(data, LEAVES[INDEX], SIGNER.keys)


@pytest.mark.parametrize("data", [b"", b"\xd2", receipt()[1:], receipt() + b"\0", receipt() * 100])
def test_what_is_no_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(LogError, match="refused"):
        verify_receipt(data, LEAVES[INDEX], SIGNER.keys)


def test_the_size_is_signed_where_a_path_fits_several() -> None:
    """Leaf 0 of trees of 5 to 8 leaves has paths of one shape: only what is signed tells the sizes apart."""
    path = inclusion_proof(0, SIZE, read)
    signed = sign_root(Algorithm.ED25519, ROOT, SIZE, TIME, SIGNER)
    verify_receipt(attach_proof(signed, 0, SIZE, path), LEAVES[0], SIGNER.keys)
    with pytest.raises(ProofError, match="of a tree of 7 leaves, but one of 8 is signed"):
        verify_receipt(attach_proof(signed, 0, 7, path), LEAVES[0], SIGNER.keys)


def test_a_receipt_of_another_log_is_refused() -> None:
    with pytest.raises(LogError, match="not this log's"):
        verify_receipt(receipt(signer=OTHER), LEAVES[INDEX], SIGNER.keys)


def test_the_writer_signs_each_head_and_makes_up_for_what_a_killed_run_left_out() -> None:
    log = LogOnFakes()
    log.append(5, T0)
    log.run(T0)
    names = ["cose/5.ed25519", "cose/5.ml-dsa-65"]
    assert sorted(key for key in log.objects.objects if key.startswith("cose/")) == names
    kept = log.objects.objects[names[1]]
    del log.objects.objects[names[0]]
    log.run(T0 + DAY)  # closes the day with a head of the same tree
    assert sorted(key for key in log.objects.objects if key.startswith("cose/")) == names
    assert log.objects.objects[names[1]] == kept
    assert verify_root(kept, log_root(log), SIGNER.keys) == (Algorithm.ML_DSA_65, 5)


def log_root(log: LogOnFakes) -> bytes:
    from signet.log.sth import verify_sth  # noqa: PLC0415

    return verify_sth(log.objects.objects["sth/latest.json"], SIGNER.keys).root_hash


def test_something_else_in_the_place_of_a_signed_root_stops_the_writer() -> None:
    log = LogOnFakes()
    other = sign_root(Algorithm.ED25519, bytes(32), SIZE, TIME, SIGNER)
    log.objects.put_once("cose/8.ed25519", other)
    with pytest.raises(LogError, match=r"cose/8\.ed25519 is not the signed root"):
        publish_roots(log.objects, ROOT, SIZE, TIME, SIGNER)
    swapped = LogOnFakes()
    swapped.objects.put_once("cose/8.ed25519", sign_root(Algorithm.ML_DSA_65, ROOT, SIZE, TIME, SIGNER))
    with pytest.raises(LogError, match="of another tree"):
        publish_roots(swapped.objects, ROOT, SIZE, TIME, SIGNER)
