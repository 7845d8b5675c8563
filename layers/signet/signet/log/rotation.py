"""The receipt of a rotation: a ``key.rotated`` leaf, and the rule of which days hold one. Pure.

A key set's interval begins at a tree size, so a verifier needs no clock to know who may sign. The leaf makes
the rotation itself part of the record: the day whose heads pass ``from_tree_size`` holds exactly one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from signet.core.canonical import canonicalize
from signet.core.errors import CanonicalError, KeyFileError
from signet.core.instants import UUID7_RANDOM_BYTES, utc_millis, uuid7
from signet.log.keys import KeySet, LogKeys, PublicKey, read_key_set
from signet.receipts.reading import Receipt, read_receipt
from signet.receipts.shape import ROTATION_TYPE

_ID_PREFIX: Final = b"signet-key-rotated-v1\n"


def rotation_id(log_id: str, n: int, keys: Sequence[PublicKey], at_ms: int) -> str:
    """Return the receipt id of the rotation to set n: the same in every run that writes it.

    It depends on the set's keys, which are unknown outside before the receipt is there: a sender that could
    name the id in advance could send a receipt under it, and no rotation could be recorded any more.
    """
    named = _ID_PREFIX + canonicalize({"log_id": log_id, "n": n, "keyids": [key.keyid for key in keys]})
    return uuid7(at_ms, hashlib.sha256(named).digest()[:UUID7_RANDOM_BYTES])


def rotation_receipt(keys: LogKeys, at_ms: int) -> Receipt:
    """Return the receipt of the rotation to the last of the sets, without its ``chain``.

    Args:
        keys: the sets, the new one included.
        at_ms: when the rotation was decided, Unix milliseconds.
    """
    last = keys.sets[-1]
    members = {
        "v": 1,
        "type": ROTATION_TYPE,
        "id": rotation_id(keys.log_id, last.n, last.keys, at_ms),
        "decided_at": utc_millis(at_ms),
        "set": keys.set_object(last.n),
    }
    return read_receipt(canonicalize(members), chained=False)


def announced_set(value: Any, keys: LogKeys) -> KeySet:
    """Return the set that a leaf's member ``set`` announces, to follow ``keys``.

    Raises:
        KeyFileError: it is no such set, or not endorsed.
    """
    try:
        found = read_key_set(value, keys.sets[-1])
        grown = keys.with_set(found)
    except (CanonicalError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise KeyFileError("the rotation's receipt holds no key set") from error
    if canonicalize(grown.set_object(found.n)) != canonicalize(value):
        raise KeyFileError("the rotation's receipt holds members that no key set has")
    return found


def begins_within(keys: LogKeys, first_leaf: int, tree_size: int) -> list[KeySet]:
    """Return the sets whose interval begins in a day, by the bounds of its final head."""
    return [found for found in keys.sets if first_leaf < found.from_tree_size <= tree_size]
