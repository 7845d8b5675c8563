"""The proof of one receipt out of the log itself: minutes after the call, without a pack of its day.

Of the open day the newest signed head proves it, of a closed day the final head of that day: each proof has
the form that ``signet.pack.proofs`` checks, and is checked by it before it is handed out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from signet.core.canonical import canonicalize
from signet.core.errors import LogError, NotFoundError, PackError, SignetError, UnavailableError, UsageError
from signet.core.instants import MS_PER_DAY, is_uuid7, utc_day, utc_millis, uuid7_millis
from signet.log import object_keys
from signet.log.cose import attach_proof
from signet.log.keys import Algorithm, LogKeys, parse_keys
from signet.log.merkle import inclusion_proof
from signet.log.note import verify_checkpoint
from signet.log.sth import SignedTreeHead, verify_sth
from signet.log.tiles import TILE_WIDTH, TileReader
from signet.pack.proofs import check_cose_receipt, check_proof
from signet.pack.prove import ReceiptProof
from signet.receipts.reading import Receipt, read_receipt

Get = Callable[[str], bytes | None]

#: The sink takes no receipt of a clock more than a day off, and a day's leaves are in no order of time.
_SEARCHED_MS: Final = 2 * MS_PER_DAY
#: Checkpoint and head move with each run, one after the other.
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class _Signed:
    keys: LogKeys
    head: SignedTreeHead
    checkpoint: bytes


def prove_now(
    get: Get,
    receipt_id: str,
    *,
    log_id: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ReceiptProof:
    """Return the proof of one receipt against a head that is signed now; it was checked.

    Entries are read from the newest back, each held to the signed root, until the receipt is found or all
    that is left was recorded days before it was made.

    Args:
        get: reads the log's objects.
        receipt_id: UUID of the receipt.
        log_id: hex id of the log as known from elsewhere; without it the log is held to itself only.
        progress: called with entries read, and entries in all.

    Raises:
        UsageError: the id is none of a receipt.
        NotFoundError: no signed head has the receipt (yet), or the log has no head.
        PackError, LogError: the log is not the one that was asked for, or contradicts itself.
        UnavailableError: the log cannot be read, or moves on faster than it is read.
    """
    if not is_uuid7(receipt_id):
        raise UsageError(f"{receipt_id!r} is not the id of a receipt (a UUID of version 7, in lower case)")
    newest = _newest(get, log_id)
    reader = TileReader(get, newest.head.tree_size, root=newest.head.root_hash)
    found = _find(reader, receipt_id, progress)
    if found is None:
        raise NotFoundError(_not_there(receipt_id, newest.head))
    index, receipt = found
    signed = newest if index >= newest.head.first_leaf else _of_its_day(get, newest.keys, receipt)
    size = signed.head.tree_size
    tree = reader if signed is newest else TileReader(get, size, root=signed.head.root_hash)
    path = inclusion_proof(index, size, tree.subtree_hash)
    proof = ReceiptProof(
        receipt.encoded, index, tuple(path), signed.head, signed.keys.up_to(size), signed.checkpoint
    )
    check_proof(proof.to_json(), log_id=log_id)
    return proof


def cose_receipt(get: Get, proof: ReceiptProof, alg: Algorithm) -> bytes:
    """Return a proof as COSE receipt, with the signed root of its tree out of the log; it was checked.

    Args:
        get: reads the log's objects.
        proof: what ``prove_now`` found there.
        alg: which of the log's signatures it is to carry.

    Raises:
        NotFoundError: the log has no signed root of this tree.
        PackError, LogError: what it has is none.
    """
    size = proof.head.tree_size
    key = object_keys.signed_root(size, alg)
    stored = get(key)
    if stored is None:
        raise NotFoundError(
            f"{key} is not in the log: the head was signed before the log had COSE receipts, or just now"
        )
    made = attach_proof(stored, proof.leaf_index, size, proof.path)
    check_cose_receipt(made, receipt=proof.receipt, keys=proof.keys.encode(), log_id=proof.keys.log_id)
    return made


def _newest(get: Get, log_id: str | None) -> _Signed:
    for _ in range(_TRIES):
        # Head and checkpoint, then keys: what signed them is in the keys that are read after them.
        raw, checkpoint = get(object_keys.LATEST_HEAD), get(object_keys.CHECKPOINT)
        stored = get(object_keys.KEYS)
        if raw is None or checkpoint is None or stored is None:
            raise NotFoundError("there is no signed head here yet, or this is no log; is it the right one?")
        keys = parse_keys(stored)
        if log_id is not None and keys.log_id != log_id:
            raise PackError(f"this is the log {keys.log_id}, not {log_id}", file="keys", code="wrong_log")
        head, tree = verify_sth(raw, keys), verify_checkpoint(checkpoint, keys)
        if (tree.tree_size, tree.root_hash) == (head.tree_size, head.root_hash):
            return _Signed(keys, head, checkpoint)
    raise UnavailableError("the log moves on while it is read: try again")


def _of_its_day(get: Get, keys: LogKeys, receipt: Receipt) -> _Signed:
    """Return the final head of the day that the receipt was recorded on."""
    if receipt.link is None:
        raise LogError("a leaf of the log is not of a chain", code="bad_entry")
    date = utc_day(receipt.link.recorded_at_ms).isoformat()
    raw, checkpoint = get(object_keys.final_head(date)), get(object_keys.final_checkpoint(date))
    if raw is None or checkpoint is None:
        raise LogError(f"the final head of {date} is missing", code="missing_object")
    return _Signed(keys, verify_sth(raw, keys), checkpoint)


def _find(
    reader: TileReader, receipt_id: str, progress: Callable[[int, int], None]
) -> tuple[int, Receipt] | None:
    """Return (leaf index, receipt); the newest of that id."""
    needle, made_ms = b'"id":' + canonicalize(receipt_id), uuid7_millis(receipt_id)
    end = reader.size
    while end:
        start = (end - 1) // TILE_WIDTH * TILE_WIDTH
        entries = list(reader.entries(start, end))
        for index in range(end - 1, start - 1, -1):
            entry = entries[index - start]
            if needle in entry and (receipt := _read(entry)).id == receipt_id:
                return index, receipt
        link = _read(entries[-1]).link
        if link is None or link.recorded_at_ms < made_ms - _SEARCHED_MS:
            return None
        end = start
        progress(reader.size - end, reader.size)
    return None


def _read(entry: bytes) -> Receipt:
    try:
        return read_receipt(entry, chained=True)
    except SignetError as error:
        raise LogError("an entry of the log is no receipt", code="bad_entry") from error


def _not_there(receipt_id: str, head: SignedTreeHead) -> str:
    made_ms, signed = uuid7_millis(receipt_id), utc_millis(head.timestamp)
    made = f"receipt {receipt_id} (made {utc_millis(made_ms)})"
    due = "90 seconds from the call, or what the log's operator states (MaximumDelaySeconds)"
    if made_ms >= head.timestamp:
        return f"{made} is in no signed head yet: the newest is of {signed}. One is due {due}: try again then"
    return (
        f"{made} is not in the newest signed head, of {signed}. One with it is due {due}; if that time is "
        "over, the receipt waits in a queue, is not of this log, or was lost: `signet audit` shows gaps, and "
        "the operator's dead-letter queue what waits"
    )
