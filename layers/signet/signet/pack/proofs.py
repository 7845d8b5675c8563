"""Checking the proof of one receipt as ``signet prove`` writes it: without the pack it came from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from signet.core.canonical import canonicalize
from signet.core.encoding import decode_base64
from signet.core.errors import PackError, SignetError
from signet.core.instants import MS_PER_DAY, day_start_ms
from signet.log.cose import verify_receipt
from signet.log.keys import HEAD_ALGORITHMS, Algorithm, LogKeys, parse_keys
from signet.log.merkle import leaf_hash, verify_inclusion
from signet.log.note import log_verifier_keys, parse_note, verify_checkpoint
from signet.log.sth import SignedTreeHead, verify_sth
from signet.pack import layout
from signet.pack.members import hashes_of, parse_json
from signet.receipts.reading import Receipt, read_receipt

_T = TypeVar("_T")

TLOG_PROOF: Final = b"c2sp.org/tlog-proof@v1\n"
#: The tag of a COSE_Sign1.
COSE: Final = b"\xd2"
_FILE: Final = "proof"
_MEMBERS: Final = ("v", "receipt", "leaf_index", "tree_size", "root_hash", "proof", "sth", "keys")
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class ProvedReceipt:
    """A receipt that a proof was found to prove.

    Attributes:
        receipt: the receipt.
        leaf_index: its place in the log.
        tree_size: leaves of the signed tree.
        log_id: hex id of the log that signed it.
        head: the head of its day; None if the proof has a checkpoint or a signed root instead.
        signed_by: the log's signatures in the proof; each was checked.
        not_checked: key names of the other signature lines of a checkpoint, witnesses' for example.
    """

    receipt: Receipt
    leaf_index: int
    tree_size: int
    log_id: str
    head: SignedTreeHead | None
    signed_by: tuple[Algorithm, ...]
    not_checked: tuple[str, ...] = ()


def check_proof(data: bytes, *, log_id: str | None = None) -> ProvedReceipt:
    """Check a proof in JSON: it has all that it needs, but for the log's id.

    Args:
        data: the file.
        log_id: hex id of the log as known from elsewhere; without it the proof is held to itself only.

    Raises:
        PackError: it does not prove what it says; ``file`` names its part.
    """
    if len(data) > layout.MAX_MEMBER_BYTES:
        raise _bad("is larger than any proof")
    value = parse_json(_FILE, data.removesuffix(b"\n"))
    if not isinstance(value, dict) or value.keys() != set(_MEMBERS) or type(value["v"]) is not int:
        raise _bad(f"must have exactly the members {', '.join(_MEMBERS)}")
    keys = _keys(canonicalize(value["keys"]), log_id)
    head = _checked("sth", lambda: verify_sth(canonicalize(value["sth"]), keys))
    if keys.sets[-1].from_tree_size > head.tree_size:
        raise PackError("has a key set that begins after the day", file="keys", code="key_set_later")
    index, path = _path(value, head)
    receipt = _checked("receipt", lambda: read_receipt(canonicalize(value["receipt"]), chained=True))
    _check_place(receipt, index, head)
    _checked(
        "proof",
        lambda: verify_inclusion(leaf_hash(receipt.encoded), index, head.tree_size, path, head.root_hash),
    )
    return ProvedReceipt(receipt, index, head.tree_size, keys.log_id, head, HEAD_ALGORITHMS)


def check_tlog_proof(data: bytes, *, receipt: bytes, keys: bytes, log_id: str | None = None) -> ProvedReceipt:
    """Check a proof in the form of c2sp.org/tlog-proof@v1.

    Args:
        data: the file: index, path and checkpoint; an ``extra`` line is not read.
        receipt: the receipt's bytes, which are the leaf.
        keys: bytes of the log's ``keys.json``.
        log_id: as in ``check_proof``.

    Raises:
        PackError: it does not prove that this receipt is in this log.
    """
    found = _keys(keys, log_id)
    head, blank, checkpoint = data.removeprefix(TLOG_PROOF).partition(b"\n\n")
    if not data.startswith(TLOG_PROOF) or not blank:
        raise _bad("is no tlog-proof")
    lines = head.decode("ascii", "replace").split("\n")
    if lines[0].startswith("extra "):
        del lines[0]
    place = _INDEX.fullmatch(lines[0]) if lines else None
    if place is None:
        raise _bad("has no index")
    try:
        path = [decode_base64(line) for line in lines[1:]]
    except ValueError as error:
        raise _bad("has a hash that is not base64") from error
    index = int(place[1])
    tree = _checked("checkpoint", lambda: verify_checkpoint(checkpoint, found))
    leaf = _checked("receipt", lambda: read_receipt(receipt, chained=True))
    _checked(
        "proof",
        lambda: verify_inclusion(leaf_hash(leaf.encoded), index, tree.tree_size, path, tree.root_hash),
    )
    own = {(key.name, key.key_id) for key in log_verifier_keys(found, tree.tree_size)}
    signatures = parse_note(checkpoint).signatures
    others = tuple(line.name for line in signatures if (line.name, line.key_id) not in own)
    algorithms = (Algorithm.ED25519, Algorithm.ML_DSA_44)
    return ProvedReceipt(leaf, index, tree.tree_size, found.log_id, None, algorithms, others)


def check_cose_receipt(
    data: bytes, *, receipt: bytes, keys: bytes, log_id: str | None = None
) -> ProvedReceipt:
    """Check a COSE receipt (RFC 9942): one of the log's two signatures of a root, and the path to it.

    Args:
        data: the file.
        receipt: as in ``check_tlog_proof``.
        keys: as there.
        log_id: as there.

    Raises:
        PackError: it does not prove that this receipt is in this log.
    """
    found = _keys(keys, log_id)
    proved = _checked(_FILE, lambda: verify_receipt(data, leaf_hash(receipt), found))
    leaf = _checked("receipt", lambda: read_receipt(receipt, chained=True))
    return ProvedReceipt(leaf, proved.leaf_index, proved.tree_size, found.log_id, None, (proved.alg,))


def _keys(data: bytes, log_id: str | None) -> LogKeys:
    keys = _checked("keys", lambda: parse_keys(data))
    if log_id is not None and keys.log_id != log_id:
        raise PackError(f"this is the log {keys.log_id}, not {log_id}", file="keys", code="wrong_log")
    return keys


def _path(value: dict[str, Any], head: SignedTreeHead) -> tuple[int, list[bytes]]:
    """Return index and path, after holding what the proof says of the tree to the signed head."""
    index = value["leaf_index"]
    if value["v"] != 1 or type(index) is not int:
        raise _bad("is not of version 1, or has no leaf_index")
    own = {name: value[name] for name in ("tree_size", "root_hash", "proof")}
    try:
        said = decode_base64(own["root_hash"])
    except (TypeError, ValueError) as error:
        raise _bad("root_hash is not base64") from error
    if said != head.root_hash:
        raise PackError("root_hash is not that of the signed head", file=_FILE, code="wrong_root")
    fixed = {"tree_size": head.tree_size, "root_hash": own["root_hash"]}
    return index, hashes_of(_FILE, own, fixed, "proof")


def _check_place(receipt: Receipt, index: int, head: SignedTreeHead) -> None:
    """Hold the receipt to the day of the head that is to prove it."""
    start = day_start_ms(head.date)
    within = receipt.link is not None and start <= receipt.link.recorded_at_ms < start + MS_PER_DAY
    if not within or index < head.first_leaf:
        raise PackError(f"is not of the day of its head, {head.date}", file="receipt", code="outside_day")


def _checked(part: str, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except PackError:
        raise
    except SignetError as error:
        raise PackError(str(error), file=part, code=error.code) from error


def _bad(reason: str) -> PackError:
    return PackError(reason, file=_FILE, code="bad_proof")
