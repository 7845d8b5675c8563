"""What a verification of a pack says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from signet.core.verification import Failure, Gap, Notice
from signet.pack.kind import Kind
from signet.pack.known import KnownTree
from signet.pack.transcripts import Judged, Proven


@dataclass(frozen=True, slots=True)
class PackReport:
    """The verdict on one pack. Where a check failed, what it would have told is empty.

    Attributes:
        kind: what the file is; anything but a pack is not good.
        date: day of the pack, from its signed head; empty if that was not found good.
        signed_at_ms: when that head says it was signed, Unix milliseconds; 0 without one.
        log_id: hex id of the log that signed it; empty if the keys cannot be read.
        pinned: whether the log id was given by the caller and matched.
        tree_size: leaves in the tree of the day's final head.
        receipts: receipts of the day.
        decisions: number of decisions by reason.
        apis: the same of each API that decisions name, by its name; None for those of no known API. Decisions
            of version 1 say no API, and are not among them.
        summarised: refusals that are counted in summaries and have no receipt of their own, by reason.
        proven: how many allowed requests were signed by their callers, as far as this pack and the keys at
            hand show it.
        rejudged: decisions that were judged again, by what became of it; None where that was not asked for.
        trees: of the final heads that were checked, from the first day to this one.
        key_sets: signing key sets from the log's first to the one of this day.
        checks: titles of the checks that passed, in order.
        gaps: emitter numbers missing.
        notices: what is worth knowing.
        failures: first failure of each check; empty if the pack is good.
    """

    kind: Kind = Kind.PACK
    date: str = ""
    signed_at_ms: int = 0
    log_id: str = ""
    pinned: bool = False
    tree_size: int = 0
    receipts: int = 0
    decisions: Mapping[str, int] = field(default_factory=dict)
    summarised: Mapping[str, int] = field(default_factory=dict)
    apis: Mapping[str | None, Mapping[str, int]] = field(default_factory=dict)
    proven: Mapping[Proven, int] = field(default_factory=dict)
    rejudged: Mapping[Judged, int] | None = None
    trees: tuple[KnownTree, ...] = ()
    key_sets: int = 0
    checks: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notices: tuple[Notice, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def heads(self) -> int:
        """How many final heads were checked."""
        return len(self.trees)

    @property
    def good(self) -> bool:
        """True if no check failed."""
        return not self.failures
