"""What an audit of a log says."""

from __future__ import annotations

from dataclasses import dataclass

from signet.core.verification import Failure, Gap, Notice
from signet.pack.known import KnownTree


@dataclass(frozen=True, slots=True)
class EvidenceCounts:
    """What became of the evidence that allowed decisions name; all are numbers of pieces.

    Attributes:
        named: that they name.
        whole: of these, there and what they are named by.
        damaged: there, but something else.
        missing: not there, though their retention is not over.
        dropped: not there, as their retention is over.
        unnamed: there, but named by none of them; None where that cannot be seen.
    """

    named: int
    whole: int
    damaged: int
    missing: int
    dropped: int
    unnamed: int | None


@dataclass(frozen=True, slots=True)
class PackCounts:
    """What became of the stored packs: how many were verified, and how many of these are not good."""

    verified: int
    bad: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The verdict on a log.

    Attributes:
        origin: the log's name, as its checkpoint has it; empty if that cannot be read.
        log_id: hex id of a Signet log; empty for others.
        tree_size: leaves of the audited tree.
        root_hash: its root, 32 bytes; empty if the checkpoint cannot be read.
        first_leaf: first leaf that was read; above 0 only the days asked for were.
        objects: tiles compared byte for byte.
        days: final heads checked.
        evidence: what became of the evidence; None if it was not asked for, or could not be told.
        packs: what became of the stored packs; None if they were not asked for, or could not be read.
        checks: titles of the checks that passed.
        gaps: decisions that emitters numbered and the days read do not have.
        notices: what is worth knowing.
        failures: what checks refuse, the first of all; empty if the log is good.
        more_failures: how many failures were not kept.
        trees: of the signed heads that were checked, oldest first.
    """

    origin: str = ""
    log_id: str = ""
    tree_size: int = 0
    root_hash: bytes = b""
    first_leaf: int = 0
    objects: int = 0
    days: int = 0
    evidence: EvidenceCounts | None = None
    packs: PackCounts | None = None
    checks: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notices: tuple[Notice, ...] = ()
    failures: tuple[Failure, ...] = ()
    more_failures: int = 0
    trees: tuple[KnownTree, ...] = ()

    @property
    def good(self) -> bool:
        """True if no check failed."""
        return not self.failures
