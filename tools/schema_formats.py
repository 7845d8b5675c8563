"""JSON Schemas of what the log and packs hold beside receipts: by hand, since the library has code for them.

Tests hold them to the library, to ``verify.py`` and to the page. What JSON Schema cannot say (sums, order,
signatures, hashes), it does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from signet.log.keys import HEAD_ALGORITHMS, Algorithm
from signet.log.sth import MAX_TIMESTAMP
from signet.pack import layout
from signet.policy.bundle import FILE_NAME
from signet.policy.register import MAX_HISTORY
from signet.receipts.rules import COUNT, SHA256, SHA256_BASE64, TIME, UUID7

Schema = dict[str, Any]

_COUNT: Final = dict(COUNT.schema)
_SHA256: Final = dict(SHA256.schema)
_HASH: Final = dict(SHA256_BASE64.schema)
_TIME: Final = dict(TIME.schema)
_KEYID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_VERSION: Final[Schema] = {"const": 1}
_DATE: Final[Schema] = {"type": "string", "pattern": _TIME["pattern"].partition("T")[0] + "$"}
_NAME: Final = "[A-Za-z0-9_][A-Za-z0-9._-]*"
_PUBLIC_KEY_BYTES: Final = {Algorithm.ED25519: 32, Algorithm.ML_DSA_65: 1952, Algorithm.ML_DSA_44: 1312}
_SIGNATURE_BYTES: Final = {Algorithm.ED25519: 64, Algorithm.ML_DSA_65: 3309}


def exactly(**members: Schema) -> Schema:
    """Return the schema of an object with these members and no other."""
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def nullable(schema: Schema) -> Schema:
    """Return the schema of what may be null as well."""
    return {"anyOf": [schema, {"type": "null"}]}


def _array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _row(*places: Schema) -> Schema:
    """Return the schema of an array with one schema for each place."""
    return {"type": "array", "prefixItems": list(places), "items": False, "minItems": len(places)}


def _base64(length: int) -> Schema:
    """Return the schema of so many bytes in the one spelling of base64, whose spare bits are 0."""
    whole, rest = divmod(length, 3)
    tail = {0: "", 1: "[A-Za-z0-9+/][AQgw]==", 2: "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]="}[rest]
    return {"type": "string", "pattern": f"^[A-Za-z0-9+/]{{{4 * whole}}}{tail}$"}


def _count(least: int) -> Schema:
    return {**_COUNT, "minimum": least}


def _signatures() -> Schema:
    places = (
        exactly(alg={"const": alg.value}, keyid=_KEYID, sig=_base64(_SIGNATURE_BYTES[alg]))
        for alg in HEAD_ALGORITHMS
    )
    return _row(*places)


def key_set(*, first: bool) -> Schema:
    """Return the schema of a key set: of set 0, or of a later one."""
    keys = (
        exactly(alg={"const": alg.value}, keyid=_KEYID, public_key=_base64(_PUBLIC_KEY_BYTES[alg]))
        for alg in Algorithm
    )
    number: Schema = {"const": 0} if first else _count(1)
    return exactly(
        n=number,
        from_tree_size=number,
        keys=_row(*keys),
        endorsement={"type": "null"} if first else exactly(previous=_signatures(), next=_signatures()),
    )


def _keys() -> Schema:
    return exactly(
        v=_VERSION,
        origin={"type": "string", "pattern": "^[!-*,-~]{1,255}$"},
        log_id=_SHA256,
        sets={
            "type": "array",
            "prefixItems": [key_set(first=True)],
            "items": key_set(first=False),
            "minItems": 1,
        },
    )


def _head() -> Schema:
    return exactly(
        v=_VERSION,
        log_id=_SHA256,
        date=_DATE,
        final={"type": "boolean"},
        tree_size=_COUNT,
        root_hash=_HASH,
        timestamp={"type": "integer", "minimum": 0, "maximum": MAX_TIMESTAMP},
        first_leaf=_COUNT,
        prev_sth_sha256=nullable(_SHA256),
        chains=_array(exactly(id=_COUNT, first_seq=_COUNT, next_seq=_COUNT, head=_HASH), minItems=1),
        emitters=exactly(count=_COUNT, decisions=_COUNT, missing=_COUNT, sha256=_SHA256),
        policy_bundle_sha256=_SHA256,
        signatures=_signatures(),
    )


def _accounts() -> Schema:
    account = exactly(count=_count(1), first=_COUNT, last=_COUNT, gaps=_array(_row(_COUNT, _COUNT)))
    return {"type": "object", "propertyNames": _KEYID, "additionalProperties": account}


def _manifest() -> Schema:
    name = {"type": "string", "pattern": f"^{_NAME}(?:/{_NAME})*$"}
    return exactly(
        v=_VERSION,
        format={"const": layout.FORMAT},
        date=_DATE,
        log_id=_SHA256,
        files=_array(exactly(name=name, sha256=_SHA256, size=_COUNT), uniqueItems=True),
    )


def manifest_of_version_2() -> Schema:
    """Return the schema of the manifest of a pack with transcripts."""
    first = _manifest()["properties"]
    return exactly(**{**first, "v": {"const": 2}, "needs": {"const": 2}})


def _consistency() -> Schema:
    proof = exactly(size1=_COUNT, size2=_COUNT, proof=_array(_HASH))
    return exactly(v=_VERSION, proofs=_array(proof))


def _register() -> Schema:
    version: dict[str, Schema] = {"n": _count(1), "bundle_sha256": _SHA256, "pushed_at": _TIME}
    names = _array({"type": "string", "pattern": f"^{FILE_NAME.pattern}$"}, uniqueItems=True)
    history = _array(exactly(**version), maxItems=MAX_HISTORY)
    return exactly(v=_VERSION, **version, files=names, history=history)


def _receipt_proof(receipts: Mapping[str, Schema]) -> Schema:
    return exactly(
        v=_VERSION,
        receipt={"anyOf": list(receipts.values())},
        leaf_index=_COUNT,
        tree_size=_count(1),
        root_hash=_HASH,
        proof=_array(_HASH),
        sth=_head(),
        keys=_keys(),
    )


def formats(receipts: Mapping[str, Schema]) -> dict[str, tuple[str, Schema]]:
    """Return (title, schema) of each format, by the first part of its file's name.

    Args:
        receipts: schemas of the receipts in a log, by type.
    """
    return {
        "sth": ("Signed tree head (sth.json, sth/<date>.json, sth/latest.json)", _head()),
        "keys": ("The log's public keys (keys.json)", _keys()),
        "manifest": ("Manifest of a compliance pack (manifest.json)", _manifest()),
        "range": (
            "Subtrees left of the day (proofs/range.json)",
            exactly(v=_VERSION, first_leaf=_COUNT, tree_size=_COUNT, left=_array(_HASH)),
        ),
        "consistency": ("Consistency of the heads (proofs/consistency.json)", _consistency()),
        "inclusion": (
            "One line of the inclusion proofs (proofs/inclusion.jsonl)",
            exactly(id=dict(UUID7.schema), leaf_index=_COUNT, proof=_array(_HASH)),
        ),
        "emitters": ("Emitters' accounts (emitters/<sha256>)", _accounts()),
        "receipt-proof": ("Proof of one receipt (signet prove)", _receipt_proof(receipts)),
        "policy-register": ("Pushed policy (the register policy)", _register()),
    }
