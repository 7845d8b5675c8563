"""Bringing a decided rotation into the log: its receipt first, and from that the key set itself.

The lock register decides that a rotation to set n takes place. The chain that takes the rotation's receipt
decides where set n begins: the receipt names the tree size, and an append on condition of the chain's head
puts it into a day or proves that the day is over. Three facts make that safe to kill anywhere:

1. While the register has a rotation under way, no run signs a head before it has looked for the receipt. So
   the tree cannot grow past the size that a receipt, appended by a slower run, names.
2. A run that does not find the receipt, and whose append fails, looks again. A run that finds the receipt
   takes what it says, also if another run wrote it. There is one receipt, hence one set n.
3. Once a chain is past a day (fenced, or with a later receipt) no append can put a receipt into that day any
   more. Such a day without the receipt is closed by the old keys, and the next day takes it.
"""

from __future__ import annotations

import datetime as dt
from itertools import islice
from typing import Any, Final

from signet.core.errors import CanonicalError, KeyFileError, LogError, UnavailableError, UsageError
from signet.core.instants import day_start_ms, next_day, utc_day
from signet.core.ports import ChainHead, ChainStore
from signet.log.keys import LogKeys, Signer
from signet.log.register import Register
from signet.log.rotation import announced_set, rotation_id, rotation_receipt
from signet.receipts.chain import chain_of, extend
from signet.receipts.model import read_receipt

_MAX_TRIES: Final = 100


def check_next_set(register: Register | None, rotate_to: int | None) -> None:
    """Refuse to rotate to a set that is neither there nor the next.

    Raises:
        UsageError: it is another one.
    """
    last = 0 if register is None else register.keys.sets[-1].n
    if rotate_to is not None and not 0 <= rotate_to <= last + 1:
        raise UsageError(f"the newest key set is {last}: rotate to {last + 1}")


def is_rotation_due(register: Register, rotate_to: int | None, days: int | None, now_ms: int) -> bool:
    """Tell whether the next key set is to be announced.

    Args:
        register: where the log stands.
        rotate_to: the set that was asked for, or None.
        days: days after which a set is followed by another; None for never.
        now_ms: the present, Unix milliseconds.
    """
    last = register.keys.sets[-1]
    if register.rotation is not None or last.from_tree_size > register.head.tree_size:
        return False  # one is under way, or has signed nothing yet: the next could begin at no larger tree
    if rotate_to is not None and rotate_to > last.n:
        return True
    # By days, not by hours: a schedule that is some seconds early must not put a rotation off.
    age = utc_day(now_ms) - utc_day(register.keys_since_ms)
    return days is not None and age.days >= days


def record_rotation(
    chains: ChainStore, register: Register, signer: Signer, *, day: dt.date, now_ms: int
) -> LogKeys | None:
    """See to it that the receipt of the rotation under way is in the open day.

    Args:
        chains: where receipts are.
        register: the newest head, with which the day is open, and the rotation.
        signer: makes and endorses the new set.
        day: the day to be integrated next.
        now_ms: the present, Unix milliseconds.

    Returns:
        The keys with the new set; None if there is no rotation, or if the day is over for the receipt's
        chain and has no such receipt.

    Raises:
        LogError: the chain holds something else under the receipt's id.
        UnavailableError: a store cannot be reached, or the chain moves too fast; running again is safe.
    """
    rotation = register.rotation
    if rotation is None:
        return None
    public = signer.store.public_keys(rotation.n)
    receipt_id = rotation_id(register.keys.log_id, rotation.n, public, rotation.at_ms)
    chain_id = chain_of(receipt_id, len(register.head.chains))
    end_ms = day_start_ms(next_day(day))
    searched = register.head.chains[chain_id].next_seq  # what is in the tree cannot hold it
    following: LogKeys | None = None
    for _ in range(_MAX_TRIES):
        # The head first: what the search does not find below this head is not in the chain, or the
        # append fails.
        head = chains.head(chain_id)
        announced = _find(chains, searched, head, receipt_id)
        if announced is not None:
            return _read(announced, register)
        if max(head.recorded_at_ms, head.not_before_ms) >= end_ms:
            return None
        searched = max(searched, head.next_seq)
        if following is None:
            # Making and endorsing keys takes a while: the head is read anew after it.
            following = register.keys.with_set(signer.next_set(register.head.tree_size + 1))
            continue
        receipt = rotation_receipt(following, rotation.at_ms)
        new_head, linked = extend(head, [receipt], min(now_ms, end_ms - 1))
        if chains.append(head, new_head, linked).appended:
            return following
    raise UnavailableError(f"chain {chain_id} moves too fast for a rotation: run again")


def _find(chains: ChainStore, start_seq: int, head: ChainHead, receipt_id: str) -> Any | None:
    """Return the member ``set`` of the receipt if it is in the chain from ``start_seq`` on."""
    needle = receipt_id.encode()
    waiting = islice(chains.read(head.chain_id, start_seq=start_seq), max(head.next_seq - start_seq, 0))
    for data in waiting:
        if needle not in data:
            continue
        try:
            receipt = read_receipt(data, chained=True)
        except CanonicalError as error:
            raise LogError(f"the rotation's receipt is refused: {error}", code="bad_receipt") from error
        if receipt.id == receipt_id:
            return receipt.members.get("set")
    return None


def _read(announced: Any, register: Register) -> LogKeys:
    try:
        following = announced_set(announced, register.keys)
    except KeyFileError as error:
        raise LogError(f"the rotation's receipt is refused: {error}", code="bad_keys") from error
    if following.from_tree_size <= register.head.tree_size:
        raise LogError(f"key set {following.n} begins at a tree that other keys have signed", code="bad_keys")
    return register.keys.with_set(following)
