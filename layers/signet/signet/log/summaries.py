"""How far a tree head says each receipt chain is in the tree. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChainSummary:
    """How far a receipt chain is in the tree.

    Attributes:
        id: number of the chain.
        first_seq: first sequence number that is not in an earlier final head.
        next_seq: one past the last in the tree.
        head: SHA-256 of the last receipt in the tree; zero bytes if there is none.
    """

    id: int
    first_seq: int
    next_seq: int
    head: bytes
