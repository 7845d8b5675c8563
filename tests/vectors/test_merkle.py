"""Inclusion and consistency proofs of RFC 9162: what must hold holds, what must fail fails."""

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

from signet.core.errors import ProofError
from signet.log.merkle import verify_consistency, verify_inclusion

SHAPES = {
    "inclusion": {"leafIdx", "treeSize", "root", "leafHash", "proof", "desc", "wantErr"},
    "consistency": {"size1", "size2", "root1", "root2", "proof", "desc", "wantErr"},
}


def read(folder: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    paths = sorted((folder / "merkle" / kind).glob("*.json"))
    cases = [(path.name, json.loads(path.read_bytes())) for path in paths]
    assert all(set(case) == SHAPES[kind] for _name, case in cases)
    assert Counter(case["wantErr"] for _name, case in cases).keys() == {True, False}
    return cases


def decode(text: str | None) -> bytes:
    return base64.b64decode(text or "", validate=True)


def proof_of(case: dict[str, Any]) -> list[bytes]:
    return [decode(node) for node in case["proof"] or []]


def refused(verify: Any, *args: Any) -> bool:
    try:
        verify(*args)
    except ProofError:
        return True
    return False


def test_inclusion_proofs_agree_with_every_case(vectors: Path) -> None:
    wrong = [
        name
        for name, case in read(vectors, "inclusion")
        if case["wantErr"]
        != refused(
            verify_inclusion,
            decode(case["leafHash"]),
            case["leafIdx"],
            case["treeSize"],
            proof_of(case),
            decode(case["root"]),
        )
    ]
    assert wrong == []


def test_consistency_proofs_agree_with_every_case(vectors: Path) -> None:
    wrong = [
        name
        for name, case in read(vectors, "consistency")
        if case["wantErr"]
        != refused(
            verify_consistency,
            case["size1"],
            decode(case["root1"]),
            case["size2"],
            decode(case["root2"]),
            proof_of(case),
        )
    ]
    assert wrong == []
