"""The hash chain of receipts: extending it, and checking one link. Pure.

``seq`` counts 0, 1, 2 …; ``prev`` is the SHA-256 of the previous receipt's bytes; ``recorded_at`` never
decreases and never lies before the fence. The sink adds the member ``chain`` and touches nothing else,
so what the authorizer sent stands in the log byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from signet.core.errors import LogError
from signet.core.instants import utc_millis
from signet.core.ports import ChainHead
from signet.receipts.reading import Receipt

#: ``prev`` of a chain's first receipt.
EMPTY_HEAD = bytes(32)
_NONE_KEPT: Final[Mapping[str, str]] = MappingProxyType({})


def chain_of(receipt_id: str, chains: int) -> int:
    """Return the number of the chain that a receipt belongs to, of ``chains`` in all."""
    if chains == 1:
        return 0
    digest = hashlib.sha256(receipt_id.encode("ascii")).digest()
    return int.from_bytes(digest[:8]) % chains


def empty_head(chain_id: int) -> ChainHead:
    """Return the head of a chain that nothing was written to."""
    return ChainHead(chain_id, next_seq=0, head=EMPTY_HEAD, recorded_at_ms=0, not_before_ms=0)


def extend(
    head: ChainHead, receipts: Sequence[Receipt], now_ms: int, kept: Mapping[str, str] = _NONE_KEPT
) -> tuple[ChainHead, list[tuple[str, bytes]]]:
    """Link receipts to the chain, in the order given.

    Args:
        head: where the chain stands.
        receipts: checked receipts without ``chain``, all of this chain.
        now_ms: the sink's clock, Unix milliseconds; where it lags behind the chain, the chain's time holds.
        kept: by receipt id, the name of the object that holds its transcript.

    Returns:
        The new head, and (id, bytes) of each receipt as it stands in the log.
    """
    recorded_at_ms = max(now_ms, head.recorded_at_ms, head.not_before_ms)
    recorded_at = utc_millis(recorded_at_ms)
    prev = head.head
    linked: list[tuple[str, bytes]] = []
    for seq, receipt in enumerate(receipts, head.next_seq):
        member = _chain_member(head.chain_id, prev, recorded_at, seq)
        if receipt.table.names_transcripts:
            member += _transcripts_member(kept.get(receipt.id))
        data = _insert_chain(receipt, member + b"}")
        prev = hashlib.sha256(data).digest()
        linked.append((receipt.id, data))
    if not linked:
        return head, linked
    new_head = replace(head, next_seq=head.next_seq + len(linked), head=prev, recorded_at_ms=recorded_at_ms)
    return new_head, linked


def advance(head: ChainHead, receipt: Receipt, *, chains: int | None = None) -> ChainHead:
    """Check that a receipt is the next one of a chain, and return the head after it.

    Args:
        head: the chain up to the receipt before. Its ``not_before_ms`` bounds ``recorded_at`` too: set it to
            the start of the day, and a receipt of an earlier day is refused.
        receipt: read with ``chained=True``.
        chains: the number of chains, to check that the id belongs here; None leaves that out.

    Raises:
        LogError: ``wrong_chain``, ``chain_gap``, ``chain_broken`` (``prev`` is not the hash of the receipt
            before) or ``recorded_at_decreases``.
    """
    link = receipt.link
    belongs = link is not None and link.chain_id == head.chain_id
    if link is None or not belongs or (chains is not None and chain_of(receipt.id, chains) != head.chain_id):
        raise LogError(f"the receipt does not belong to chain {head.chain_id}", code="wrong_chain")
    if link.seq != head.next_seq:
        raise LogError(f"chain.seq is {link.seq}, but {head.next_seq} comes next", code="chain_gap")
    if not hmac.compare_digest(link.prev, head.head):
        raise LogError("chain.prev is not the hash of the receipt before", code="chain_broken")
    if link.recorded_at_ms < max(head.recorded_at_ms, head.not_before_ms):
        raise LogError("chain.recorded_at goes back", code="recorded_at_decreases")
    return ChainHead(
        chain_id=head.chain_id,
        next_seq=head.next_seq + 1,
        head=hashlib.sha256(receipt.encoded).digest(),
        recorded_at_ms=link.recorded_at_ms,
        not_before_ms=head.not_before_ms,
    )


def _chain_member(chain_id: int, prev: bytes, recorded_at: str, seq: int) -> bytes:
    """Return how the member begins, canonical: values that need no escaping."""
    encoded = base64.b64encode(prev).decode()
    return f'"chain":{{"id":{chain_id},"prev":"{encoded}","recorded_at":"{recorded_at}","seq":{seq}'.encode()


def _transcripts_member(name: str | None) -> bytes:
    return b',"transcripts":null' if name is None else f',"transcripts":"{name}"'.encode()


def _insert_chain(receipt: Receipt, chain: bytes) -> bytes:
    """Return the receipt's bytes with the chain member at its place in the order of keys."""
    before, after = receipt.encoded[: receipt.chain_offset], receipt.encoded[receipt.chain_offset :]
    if before == b"{":
        return b"".join((before, chain, b",", after))
    return b"".join((before, b",", chain, after))
