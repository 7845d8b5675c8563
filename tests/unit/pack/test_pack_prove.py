"""One receipt's proof, taken out of a pack, stands without it."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest

from signet.core.canonical import canonicalize, parse
from signet.core.errors import NotFoundError, PackError
from signet.log.keys import parse_keys
from signet.log.merkle import leaf_hash, verify_inclusion
from signet.log.note import verify_checkpoint
from signet.log.sth import verify_sth
from signet.pack.prove import prove_receipt
from tests.support.forgery import edit, remade, unzip
from tests.support.packs import FIRST_DAY, PackLog, log_with_days


def ids_of(data: bytes) -> list[str]:
    return [json.loads(line)["id"] for line in unzip(data)["receipts.jsonl"].splitlines()]


def check_alone(proof: dict[str, Any], log_id: str) -> None:
    """Check a proof with nothing but itself and the log's id."""
    keys = parse_keys(canonicalize(proof["keys"]))
    assert keys.log_id == log_id
    head = verify_sth(canonicalize(proof["sth"]), keys)
    assert proof["root_hash"] == base64.b64encode(head.root_hash).decode()
    path = [base64.b64decode(item) for item in proof["proof"]]
    leaf = leaf_hash(canonicalize(proof["receipt"]))
    verify_inclusion(leaf, proof["leaf_index"], proof["tree_size"], path, head.root_hash)


@pytest.mark.parametrize("counts", [(1,), (2, 1), (3, 5), (7, 9, 12), (5, 260), (256, 3)])
def test_every_receipt_is_proved(counts: tuple[int, ...]) -> None:
    log = log_with_days(*counts, chains=2)
    data = log.pack()
    ids = ids_of(data)
    for receipt_id in ids if len(ids) < 20 else ids[::37]:
        proof = json.loads(prove_receipt(io.BytesIO(data), receipt_id).to_json())
        assert proof["receipt"]["id"] == receipt_id
        check_alone(proof, log.log_id)


def test_a_tlog_proof_holds_index_path_and_checkpoint() -> None:
    log = log_with_days(3, 4)
    data = log.pack()
    found = prove_receipt(io.BytesIO(data), ids_of(data)[2])
    text = found.to_tlog_proof().decode()
    head, checkpoint = text.split("\n\n", 1)
    first, index, *path = head.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 5")
    note = verify_checkpoint(checkpoint.encode(), log.signer.keys)
    hashes = [base64.b64decode(item) for item in path]
    verify_inclusion(leaf_hash(found.receipt), 5, note.tree_size, hashes, note.root_hash)


def test_a_tlog_proof_in_a_tree_of_one_leaf_has_no_path() -> None:
    log = log_with_days(1)
    data = log.pack()
    text = prove_receipt(io.BytesIO(data), ids_of(data)[0]).to_tlog_proof().decode()
    assert text.startswith("c2sp.org/tlog-proof@v1\nindex 0\n\nexample.com/log\n1\n")


def test_a_pack_of_an_earlier_day_makes_tlog_proofs_too() -> None:
    log = log_with_days(2, 2)
    data = log.pack(FIRST_DAY)
    text = prove_receipt(io.BytesIO(data), ids_of(data)[0]).to_tlog_proof().decode()
    assert "\n\nexample.com/log\n2\n" in text


def test_a_checkpoint_of_another_tree_makes_no_tlog_proof() -> None:
    log = log_with_days(2, 2)
    data = log.pack(FIRST_DAY)
    files = {**unzip(data), "checkpoint": log.store.objects["checkpoint"]}
    with pytest.raises(PackError, match="not of the tree"):
        prove_receipt(io.BytesIO(remade(files)), ids_of(data)[0]).to_tlog_proof()


@pytest.mark.parametrize("receipt_id", ["", "x", "0190a1b2-0000-7000-8000-000000000000", '","id":"'])
def test_an_unknown_receipt_is_not_found(receipt_id: str) -> None:
    with pytest.raises(NotFoundError):
        prove_receipt(io.BytesIO(log_with_days(2).pack()), receipt_id)


@pytest.fixture(scope="module")
def log() -> PackLog:
    return log_with_days(3, 4)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("receipts.jsonl", b""),
        ("proofs/range.json", None),
        ("keys.json", b"{}"),
        ("sth.json", b"{}"),
        ("proofs/range.json", b'{"first_leaf":3,"left":[],"tree_size":7,"v":1}'),
    ],
)
def test_a_forged_pack_proves_nothing(log: PackLog, name: str, body: bytes | None) -> None:
    data = log.pack()
    receipt_id = ids_of(data)[1]
    files = unzip(data)
    if body is None:
        files = edit(files, name, lambda value: value["left"].reverse())
    elif not body:
        lines = files[name].splitlines(keepends=True)
        files = {**files, name: b"".join([*lines[:3], lines[3].replace(b'"n":', b'"n":1')])}
    else:
        files = {**files, name: body}
    with pytest.raises(PackError):
        prove_receipt(io.BytesIO(remade(files)), receipt_id)


def test_the_proof_is_canonical(log: PackLog) -> None:
    data = log.pack()
    proof = prove_receipt(io.BytesIO(data), ids_of(data)[0]).to_json()
    assert canonicalize(parse(proof)) == proof
    assert parse(proof)["v"] == 1
    assert set(parse(proof)) == {
        *("v", "receipt", "leaf_index", "tree_size", "root_hash", "proof", "sth", "keys"),
    }


def test_a_receipt_in_another_spelling_is_named_by_its_line(log: PackLog) -> None:
    data = log.pack()
    files = unzip(data)
    lines = files["receipts.jsonl"].splitlines(keepends=True)
    lines[2] = lines[2].replace(b'{"authorizer_us"', b'{ "authorizer_us"', 1)
    changed = remade({**files, "receipts.jsonl": b"".join(lines)})
    with pytest.raises(PackError) as caught:
        prove_receipt(io.BytesIO(changed), ids_of(data)[2])
    assert (caught.value.file, caught.value.line, caught.value.code) == ("receipts.jsonl", 3, "not_canonical")
