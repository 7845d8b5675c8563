"""What an audit says, and how its checks are run one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from signet.core.errors import AuditError, PackError, SignetError, UnavailableError
from signet.pack.report import Gap

#: A log that is damaged all over shall not fill the screen: the first ones say where to look.
MAX_FINDINGS: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of the log: what is stored is not what was signed, or contradicts itself.

    Attributes:
        code: stable word for programs.
        where: object key, ``leaf <index>``, ``lock register`` or ``chain <id>``.
        reason: a sentence for people.
    """

    code: str
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know that is no fault: work under way, something that could not be looked at."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class EvidenceReport:
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
class PacksReport:
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
        remarks: what is worth knowing.
        findings: faults; empty if the log is good. At most ``MAX_FINDINGS`` are kept.
        more_findings: faults beyond these.
    """

    origin: str = ""
    log_id: str = ""
    tree_size: int = 0
    root_hash: bytes = b""
    first_leaf: int = 0
    objects: int = 0
    days: int = 0
    evidence: EvidenceReport | None = None
    packs: PacksReport | None = None
    checks: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    remarks: tuple[Remark, ...] = ()
    findings: tuple[Finding, ...] = ()
    more_findings: int = 0

    @property
    def good(self) -> bool:
        """True if nothing was found."""
        return not self.findings


class SkippedError(Exception):
    """A check needs what a failed one would have given."""


@dataclass(slots=True)
class Ledger:
    """Runs checks and keeps what came of them.

    Attributes:
        checks: titles of those that passed.
        findings: faults.
        remarks: what is worth knowing.
        more_findings: faults that were not kept.
    """

    checks: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    more_findings: int = 0

    def check(self, title: str, where: str, run: Callable[[], None]) -> None:
        """Run one check; ``where`` is what a fault without a place of its own is filed under.

        Raises:
            UnavailableError: a store cannot be reached: that is no verdict.
        """
        before = len(self.findings) + self.more_findings
        try:
            run()
        except SkippedError:
            return
        except UnavailableError:
            raise
        except AuditError as error:
            self.find(Finding(error.code, error.where, error.reason))
        except PackError as error:
            self.find(Finding(error.code, error.file, error.reason))
        except SignetError as error:
            self.find(Finding(error.code, where, str(error)))
        if len(self.findings) + self.more_findings == before:
            self.checks.append(title)

    def find(self, finding: Finding) -> None:
        """Keep a fault."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.more_findings += 1

    def remark(self, code: str, text: str) -> None:
        """Keep a remark."""
        self.remarks.append(Remark(code, text))
