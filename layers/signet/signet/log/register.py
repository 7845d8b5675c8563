"""What the lock register holds: the newest signed head, all that is needed to publish it, and the keys. Pure.

The register decides which key sets are in force, as it decides which head is the newest. It holds them by
number and digest only: a set is some 14 KB, and the item has to hold a head as well.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError, LogError, SignatureError
from signet.log.keys import LogKeys
from signet.log.note import verify_checkpoint
from signet.log.sth import SignedTreeHead, verify_sth


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation that is decided, whose set is not in force yet.

    Attributes:
        n: number of the set to come.
        at_ms: when it was decided, Unix milliseconds; with ``n`` it names the rotation's receipt.
    """

    n: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class KeysPin:
    """Which ``keys.json`` is the true one.

    Attributes:
        count: its key sets.
        sha256: hex digest of its bytes.
    """

    count: int
    sha256: str

    @staticmethod
    @lru_cache(maxsize=4)  # a run encodes its register several times, and its keys change rarely
    def of(keys: LogKeys) -> KeysPin:
        """Return the pin of a log's keys."""
        return KeysPin(len(keys.sets), hashlib.sha256(keys.encode()).hexdigest())

    def holds(self, data: bytes) -> bool:
        """Tell whether these are the bytes of the true ``keys.json``."""
        return hmac.compare_digest(hashlib.sha256(data).hexdigest(), self.sha256)


@dataclass(frozen=True, slots=True)
class Register:
    """The value of the lock register: JCS of ``v`` and a member for each of these, the head as ``sth``.

    Attributes:
        head: the newest signed head.
        checkpoint: the checkpoint of the same tree.
        staging: key of the bundle with the head's tiles; None if it has no new leaves.
        keys: the key sets in force.
        keys_since_ms: since when the last of them is, Unix milliseconds.
        rotation: the rotation under way, if any.
    """

    head: SignedTreeHead
    checkpoint: bytes
    staging: str | None
    keys: LogKeys
    keys_since_ms: int
    rotation: Rotation | None = None

    def encode(self) -> bytes:
        """Return the register's bytes."""
        pin, rotation = KeysPin.of(self.keys), self.rotation
        return canonicalize(
            {
                "v": 1,
                "sth": self.head.raw.decode(),
                "checkpoint": self.checkpoint.decode(),
                "staging": self.staging,
                "keys": {"count": pin.count, "sha256": pin.sha256, "since_ms": self.keys_since_ms},
                "rotation": None if rotation is None else {"n": rotation.n, "at_ms": rotation.at_ms},
            }
        )


def read_pin(data: bytes) -> KeysPin:
    """Return which keys the register needs to be read; nothing else of it is checked.

    Raises:
        LogError: not a register.
    """
    try:
        keys = parse(data)["keys"]
        pin = KeysPin(keys["count"], keys["sha256"])
    except (CanonicalError, KeyError, TypeError) as error:
        raise _no_head() from error
    if type(pin.count) is not int or type(pin.sha256) is not str:
        raise _no_head()
    return pin


def parse_register(data: bytes, keys: LogKeys) -> Register:
    """Read and check the register.

    Args:
        data: its bytes.
        keys: the keys that its pin names.

    Raises:
        LogError: not a register of this log, a signature in it does not verify, or it pins other keys.
    """
    try:
        value = parse(data)
        head = verify_sth(value["sth"].encode(), keys)
        checkpoint = value["checkpoint"].encode()
        tree = verify_checkpoint(checkpoint, keys)
        since_ms, rotation = value["keys"]["since_ms"], _read_rotation(value["rotation"])
        found = Register(head, checkpoint, value["staging"], keys, since_ms, rotation)
        exact = found.encode() == data
    except (CanonicalError, SignatureError, KeyError, TypeError, AttributeError) as error:
        raise _no_head() from error
    if not exact or (tree.tree_size, tree.root_hash) != (head.tree_size, head.root_hash):
        raise LogError("the lock register contradicts itself", code="bad_register")
    return found


def _read_rotation(value: Mapping[str, Any] | None) -> Rotation | None:
    return None if value is None else Rotation(value["n"], value["at_ms"])


def _no_head() -> LogError:
    return LogError("the lock register holds no head of this log", code="bad_register")
