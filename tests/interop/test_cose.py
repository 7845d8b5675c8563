"""A reader of COSE receipts that is not ours accepts ours, and no changed one."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signet.log.keys import Algorithm
from signet.log.tiles import TileReader
from signet.pack.now import cose_receipt, prove_now
from signet.receipts.reading import read_receipt
from tests.unit.log.test_sequencer import SIGNER, T0, LogOnFakes

verify_receipt = pytest.importorskip(
    "scitt_cose.receipt", reason="the foreign reader is not installed: make .venv/ready"
).verify_receipt


def test_a_foreign_reader_verifies_our_receipt_by_ed25519() -> None:
    """It knows no ML-DSA: that signature only our own reader checks."""
    log = LogOnFakes()
    log.append(300, T0)
    log.run(T0)
    entry = list(TileReader(log.objects.get, 300).entries(0, 300))[123]
    proof = prove_now(log.objects.get, read_receipt(entry, chained=True).id)
    receipt = cose_receipt(log.objects.get, proof, Algorithm.ED25519)
    raw = SIGNER.keys.for_tree_size(300).key(Algorithm.ED25519).public_key
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    found = verify_receipt(receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=pem)
    assert found.ok, found.errors
    assert (found.leaf_index, found.tree_size) == (123, 300)
    assert (found.issuer, found.subject) == (SIGNER.keys.origin, SIGNER.keys.log_id)
    other = verify_receipt(receipt, leaf_entry_hex=(entry + b" ").hex(), log_public_key_pem=pem)
    assert not other.ok
    pqc = cose_receipt(log.objects.get, proof, Algorithm.ML_DSA_65)
    assert not verify_receipt(pqc, leaf_entry_hex=entry.hex(), log_public_key_pem=pem).ok
