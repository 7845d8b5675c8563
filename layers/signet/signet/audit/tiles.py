"""The audit of any C2SP tlog-tiles log: what its checkpoint and its entries say, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from signet.audit.report import AuditReport
from signet.audit.run import AuditRun, Progress
from signet.audit.source import LogSource
from signet.audit.tree import PREFIX as TILES
from signet.audit.tree import TreeWalk
from signet.core.verification import needed
from signet.log import object_keys
from signet.log.note import VerifierKey, parse_checkpoint, parse_note, verify_note


def audit_tiles(
    source: LogSource, keys: Sequence[VerifierKey], *, progress: Progress | None = None
) -> AuditReport:
    """Audit any C2SP tlog-tiles log: its checkpoint's signatures, and every tile from its entries.

    Args:
        source: the log.
        keys: verifier keys (vkeys); each must have signed the checkpoint.
        progress: called now and then.

    Raises:
        UnavailableError: the source cannot be read.
    """
    run = _TilesAudit(source, progress)
    run.checks.run(
        "checkpoint: signed with every key given", object_keys.CHECKPOINT, lambda: run.read_checkpoint(keys)
    )
    run.checks.run("tiles: each follows from the entries", TILES, run.read_entries)
    run.check_listing()
    return run.report()


class _TilesAudit(AuditRun):
    """One audit of a log that need not be Signet's."""

    def read_checkpoint(self, keys: Sequence[VerifierKey]) -> None:
        """Read the checkpoint and hold it to the keys."""
        note = parse_note(self._object(object_keys.CHECKPOINT))
        tree = parse_checkpoint(note.text)
        verify_note(note, keys)
        self._tree = tree

    def read_entries(self) -> None:
        """Walk all entries and hold the root to the checkpoint."""
        tree = needed(self._tree)
        walk = self._walk = TreeWalk(self._source.get, tree.tree_size, fail=self.checks.fail)
        for _entries in walk.batches():
            self._progress(walk.size, tree.tree_size)
        self._check_root(walk.root(), tree.root_hash, object_keys.CHECKPOINT)
