"""What the lock register holds: the newest signed head and all that is needed to publish it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from signet.errors import CanonicalError, LogError, SignatureError
from signet.log.keys import LogKeys
from signet.log.note import verify_checkpoint
from signet.log.sth import SignedTreeHead, verify_sth
from signet.receipts.canonical import canonicalize, parse


@dataclass(frozen=True, slots=True)
class Register:
    """The value of the lock register: JCS of ``v``, ``sth``, ``checkpoint``, ``staging``.

    Attributes:
        head: the newest signed head.
        checkpoint: the checkpoint of the same tree.
        staging: key of the bundle with the head's tiles; None if it has no new leaves.
    """

    head: SignedTreeHead
    checkpoint: bytes
    staging: str | None

    def encode(self) -> bytes:
        """Return the register's bytes."""
        return canonicalize(
            {
                "v": 1,
                "sth": self.head.raw.decode(),
                "checkpoint": self.checkpoint.decode(),
                "staging": self.staging,
            }
        )


def parse_register(data: bytes, keys: LogKeys) -> Register:
    """Read and check the register.

    Raises:
        LogError: not a register of this log, or a signature in it does not verify.
    """
    try:
        value = parse(data)
        head = verify_sth(value["sth"].encode(), keys)
        checkpoint = value["checkpoint"].encode()
        tree = verify_checkpoint(checkpoint, keys)
        found = Register(head, checkpoint, value["staging"])
        exact = found.encode() == data
    except (CanonicalError, SignatureError, KeyError, TypeError, AttributeError) as error:
        raise LogError("the lock register holds no head of this log", code="bad_register") from error
    if not exact or (tree.tree_size, tree.root_hash) != (head.tree_size, head.root_hash):
        raise LogError("the lock register contradicts itself", code="bad_register")
    return found
