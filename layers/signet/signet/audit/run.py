"""What every audit of a log does: it reads objects, walks the tree, and keeps what its checks found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from signet.audit.report import AuditReport
from signet.audit.source import Listing, LogSource, is_stray_file
from signet.audit.tree import PREFIX as TILES
from signet.audit.tree import TreeWalk, check_listed
from signet.core.errors import AuditError
from signet.core.verification import Checks, needed
from signet.log.note import Checkpoint

_MAX_STRAY_FILES: Final = 1000

#: Called with (leaves read, leaves in all).
Progress = Callable[[int, int], None]


class AuditRun:
    """One audit of a tlog-tiles log; a caller that knows more of the log adds checks.

    Attributes:
        checks: what was checked, and what came of it.
    """

    def __init__(self, source: LogSource, progress: Progress | None, *, copied: bool = True) -> None:
        """Prepare; nothing is read yet.

        Args:
            source: the log.
            progress: called now and then.
            copied: whether it may be a copy, in which file managers leave files of theirs; in the log's own
                store nothing but a stray writer does.
        """
        self.checks = Checks()
        self._stray_files: set[str] = set()
        self._source = (
            source
            if source.keys is None or not copied
            else replace(source, keys=self._without_stray_files(source.keys))
        )
        self._progress = progress or (lambda _done, _total: None)
        self._tree: Checkpoint | None = None
        self._walk: TreeWalk | None = None
        self._first_leaf = 0

    def check_listing(self) -> None:
        """Look for objects among the tiles that the tree does not have."""
        listing = self._source.keys
        if listing is None:
            self.checks.notice(
                "not_listed",
                "objects beyond those of the newest tree were not looked for: this source has no listing",
            )
            return
        self.checks.run("store: no tile of another history", TILES, lambda: self._check_listed(listing))

    def report(self) -> AuditReport:
        """Return the verdict."""
        if self._stray_files:
            self.checks.notice(
                "stray_files",
                f"{len(self._stray_files)} files that file managers leave in folders lie in this copy, "
                f"such as {min(self._stray_files)}: they are no part of the log",
            )
        checks, tree, walk = self.checks, self._tree, self._walk
        return AuditReport(
            origin=tree.origin if tree else "",
            tree_size=tree.tree_size if tree else 0,
            root_hash=tree.root_hash if tree else b"",
            first_leaf=self._first_leaf,
            objects=walk.compared if walk else 0,
            checks=tuple(checks.passed),
            notices=tuple(checks.notices),
            failures=tuple(checks.failures),
            more_failures=checks.more_failures,
        )

    def _check_listed(self, listing: Callable[[str], Iterator[str]]) -> None:
        tree = needed(self._tree)
        beyond = self._look_beyond(
            check_listed(self._source.get, listing(TILES), tree.tree_size, self.checks.fail)
        )
        if beyond:
            self.checks.notice(
                "tiles_beyond",
                f"{beyond} tiles reach beyond the checkpoint: an integration is under way or was cut short; "
                "the next run completes it",
            )

    def _look_beyond(self, paths: Iterator[str]) -> int:
        """Look at tiles that reach beyond the tree; return how many of them are work under way."""
        return sum(1 for _path in paths)

    def _without_stray_files(self, keys: Listing) -> Listing:
        def listing(prefix: str) -> Iterator[str]:
            for key in keys(prefix):
                if not is_stray_file(key):
                    yield key
                elif len(self._stray_files) < _MAX_STRAY_FILES:
                    self._stray_files.add(key)

        return listing

    def _get(self, key: str) -> bytes | None:
        return self._source.get(key)

    def _object(self, key: str) -> bytes:
        found = self._get(key)
        if found is None:
            raise AuditError("is missing", where=key, code="missing_object")
        return found

    @staticmethod
    def _check_root(found: bytes, claimed: bytes, where: str) -> None:
        if found != claimed:
            raise AuditError("its root is not that of the entries", where=where, code="wrong_root")
