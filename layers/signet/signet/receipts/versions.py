"""Which versions of the receipt there are: the one place where a reader looks up what ``v`` means.

A version that was ever released is never removed (docs/adr/0015-formats-grow-by-version.md). Receipts of
several may lie side by side in one chain, day and pack. What is of no version in here is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from signet.receipts.rules import refused
from signet.receipts.table import Table
from signet.receipts.v1 import V1
from signet.receipts.v2 import V2

#: By the value of ``v``.
VERSIONS: Final[dict[int, Table]] = {V1.version: V1, V2.version: V2}
#: Those that may still change. What is in a log stays there for ever, so the sink takes none of them.
DRAFTS: Final = frozenset({V2.version})


def table_of(receipt: Mapping[str, Any]) -> Table:
    """Return the version that a parsed receipt names.

    Raises:
        CanonicalError: code ``bad_receipt``: it names none, or none that is known.
    """
    if "v" not in receipt:
        raise refused("receipt must have the member v")
    v = receipt["v"]
    if type(v) is int and v > max(VERSIONS):  # no damage, if it is true
        raise refused(f"receipt.v is {v}, which this program does not know: a newer one is needed")
    if type(v) is not int or v not in VERSIONS:  # to Python, true is also 1
        raise refused("receipt.v has a value that cannot stand there")
    return VERSIONS[v]


def table_at_end(data: bytes) -> Table | None:
    """Return the version that canonical bytes end with, if they are a decision's; None if it is not known."""
    for table in VERSIONS.values():
        if data.endswith(table.ending):
            return table
    return None


def check_receipt(receipt: object, *, chained: bool) -> None:
    """Check a parsed receipt against the version that it names, member by member.

    A ``pch.decision`` is checked whole, a ``key.rotated`` but for what its ``set`` says. Of the other types
    version 1 checks the common members (and the chain), and the rest is their own; version 2 checks all.

    Args:
        receipt: what ``canonical.parse`` returned.
        chained: True for a receipt out of the log, False for one on its way to the sink.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the member, or those that exclude each other.
    """
    if not isinstance(receipt, dict):
        raise refused("a receipt must be an object")
    table_of(receipt).check(receipt, chained=chained)
