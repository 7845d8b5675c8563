"""The audit itself: of any tlog-tiles log, and of all that a Signet log promises beyond that.

A Signet log is audited like a pack, but all of it and in place: every receipt against its chain and as a
leaf, every head against the receipts before it, every tile against the entries, the lock register
against the store, and the chains that wait for integration against what is integrated.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from signet.audit.heads import Heads, read_heads
from signet.audit.live import REGISTER, LiveState, check_chains, check_register
from signet.audit.report import AuditReport, Finding, Ledger, SkippedError
from signet.audit.source import Get, LogSource
from signet.audit.tree import PREFIX as TILES
from signet.audit.tree import TreeWalk, check_listed
from signet.errors import AuditError, PackError
from signet.log import object_keys
from signet.log.emitters import EmitterTotals, summarize
from signet.log.encoding import day_start_ms, next_day
from signet.log.keys import LogKeys, parse_keys
from signet.log.merkle import CompactRange, perfect_subtrees
from signet.log.note import (
    Checkpoint,
    VerifierKey,
    parse_checkpoint,
    parse_note,
    verify_checkpoint,
    verify_note,
)
from signet.log.sth import TreeHead
from signet.log.tiles import TileReader
from signet.pack import layout
from signet.pack.day import DayReader, check_rotations, gaps_of
from signet.pack.report import Gap
from signet.policy.bundle import policy_bundle_sha256
from signet.receipts.chain import EMPTY_HEAD

_POLICY: Final = "policy/"
_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")

#: Called with (leaves read, leaves in all).
Progress = Callable[[int, int], None]


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
    run = _Audit(source, progress)
    run.ledger.check(
        "checkpoint: signed with every key given", object_keys.CHECKPOINT, lambda: run.trust(keys)
    )
    run.ledger.check("tiles: each follows from the entries", TILES, run.read_entries)
    run.check_listing()
    return run.report()


def audit_log(
    source: LogSource,
    *,
    log_id: str | None = None,
    live: LiveState | None = None,
    days: int | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit a Signet log.

    Args:
        source: its objects.
        log_id: hex id of the log as known from elsewhere; without it the log is held to itself only.
        live: lock register and chains, where they can be read.
        days: how many of the last closed days to read, and the open one; None reads everything.
        progress: called now and then.

    Raises:
        UnavailableError: a store cannot be read.
    """
    run = _SignetAudit(source, progress, days)
    check = run.ledger.check
    check("keys: those of the log", object_keys.KEYS, lambda: run.read_keys(log_id))
    # Newest head, keys, register, in this order: whatever runs beside, what is read later is not older.
    check("tree heads: a chain without gaps, signed twice each", object_keys.HEADS, run.read_heads)
    check("checkpoint: signed twice", object_keys.CHECKPOINT, run.read_checkpoint)
    check("receipts, tiles and heads tell one story", TILES, run.read_days)
    run.check_listing()
    check("policy: files have their hash", _POLICY, run.check_policies)
    if live is not None:
        check("lock register and store agree", REGISTER, lambda: run.check_register(live))
        check("chains go on where the log ends", "chains", lambda: run.check_chains(live))
    return run.report()


class _Audit:
    """One audit of a tlog-tiles log."""

    def __init__(self, source: LogSource, progress: Progress | None) -> None:
        self.ledger = Ledger()
        self._source = source
        self._progress = progress or (lambda _done, _total: None)
        self._tree: Checkpoint | None = None
        self._walk: TreeWalk | None = None
        self._first_leaf = 0

    def trust(self, keys: Sequence[VerifierKey]) -> None:
        """Read the checkpoint and hold it to the keys."""
        note = parse_note(self._object(object_keys.CHECKPOINT))
        tree = parse_checkpoint(note.text)
        verify_note(note, keys)
        self._tree = tree

    def read_entries(self) -> None:
        """Walk all entries and hold the root to the checkpoint."""
        tree = _needed(self._tree)
        walk = self._walk = TreeWalk(self._source.get, tree.tree_size, find=self.ledger.find)
        for _entries in walk.batches():
            self._progress(walk.size, tree.tree_size)
        self._check_root(walk.root(), tree.root_hash, object_keys.CHECKPOINT)

    def check_listing(self) -> None:
        """Look for objects among the tiles that the tree does not have."""
        listing = self._source.keys
        if listing is None:
            self.ledger.remark(
                "not_listed",
                "objects beyond those of the newest tree were not looked for: this source has no listing",
            )
            return
        self.ledger.check("store: no tile of another history", TILES, lambda: self._check_listed(listing))

    def report(self) -> AuditReport:
        """Return the verdict."""
        ledger, tree, walk = self.ledger, self._tree, self._walk
        return AuditReport(
            origin=tree.origin if tree else "",
            tree_size=tree.tree_size if tree else 0,
            root_hash=tree.root_hash if tree else b"",
            first_leaf=self._first_leaf,
            objects=walk.compared if walk else 0,
            checks=tuple(ledger.checks),
            remarks=tuple(ledger.remarks),
            findings=tuple(ledger.findings),
            more_findings=ledger.more_findings,
        )

    def _check_listed(self, listing: Callable[[str], Iterator[str]]) -> None:
        tree = _needed(self._tree)
        beyond = check_listed(self._source.get, listing(TILES), tree.tree_size, self.ledger.find)
        if beyond:
            self.ledger.remark(
                "tiles_beyond",
                f"{beyond} tiles reach beyond the checkpoint: an integration is under way or was cut short; "
                "the next run completes it",
            )

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


class _SignetAudit(_Audit):
    """One audit of a Signet log."""

    def __init__(self, source: LogSource, progress: Progress | None, days: int | None) -> None:
        super().__init__(source, progress)
        self._days = days
        self._keys: LogKeys | None = None
        self._heads: Heads | None = None
        self._gaps: list[Gap] = []
        self._policies: set[str] = set()
        self._moving: dict[str, bytes | None] = {}

    def read_keys(self, log_id: str | None) -> None:
        """Check ``keys.json`` and the log id."""
        # A set is in keys.json before it signs: what was signed up to now verifies with the keys read now.
        self._moving = {
            key: self._source.get(key) for key in (object_keys.LATEST_HEAD, object_keys.CHECKPOINT)
        }
        keys = parse_keys(self._object(object_keys.KEYS))
        if log_id is None:
            text = "without --log-id this shows only that the log agrees with itself, not whose log it is"
            self.ledger.remark("log_id_not_pinned", text)
        elif keys.log_id != log_id:
            raise AuditError(
                f"this is the log {keys.log_id}, not {log_id}", where=object_keys.KEYS, code="wrong_log"
            )
        self._keys = keys

    def read_heads(self) -> None:
        """Check every head that is asked for."""
        self._heads = read_heads(self._get, _needed(self._keys), days=self._days)

    def read_checkpoint(self) -> None:
        """Check the newest checkpoint; the larger of its tree and the newest head's is the one audited."""
        newest = _needed(self._heads).newest
        tree = verify_checkpoint(self._object(object_keys.CHECKPOINT), _needed(self._keys))
        self._tree = tree
        if tree.tree_size < newest.tree_size:
            # Two runs at once may leave the older one's. It must still be of this history.
            TileReader(self._source.get, tree.tree_size, root=tree.root_hash)
            self._tree = Checkpoint(tree.origin, newest.tree_size, newest.root_hash)
            self.ledger.remark(
                "stale_checkpoint", "checkpoint is older than sth/latest.json: the next head replaces it"
            )

    def read_days(self) -> None:
        """Walk the entries day by day, and hold each head to the receipts before it."""
        heads, tree = _needed(self._heads), _needed(self._tree)
        previous: TreeHead | None = heads.before
        base = previous.tree_size if previous else 0
        self._first_leaf = base
        root = previous.root_hash if previous else None
        walk = self._walk = TreeWalk(
            self._source.get, tree.tree_size, base=base, base_root=root, find=self.ledger.find
        )
        entries = _Entries(walk, lambda: self._progress(walk.size - base, tree.tree_size - base))
        grown = _compact_range(self._source.get, base, root)
        for head in (*heads.final, *([heads.open_day] if heads.open_day else ())):
            grown = self._read_day(head, previous, entries, grown)
            previous = head
        entries.finish()
        self._check_root(walk.root(), tree.root_hash, object_keys.CHECKPOINT)

    def check_policies(self) -> None:
        """Hold the stored policy files to the hash they are filed under."""
        if self._source.keys is None:
            raise SkippedError
        bundles: dict[str, dict[str, bytes]] = {}
        for key in self._source.keys(_POLICY):
            bundle, _, name = key.removeprefix(_POLICY).partition("/")
            if _SHA256_HEX.fullmatch(bundle) is not None:
                bundles.setdefault(bundle, {})[name] = self._object(key)
        for bundle, files in bundles.items():
            if policy_bundle_sha256(files) != bundle:
                raise AuditError("has not its hash", where=f"{_POLICY}{bundle}", code="policy_hash")
        for bundle in sorted(self._policies - bundles.keys()):
            self.ledger.remark(
                "policy_absent", f"the files of policy {bundle}, which receipts name, are not in the store"
            )

    def check_register(self, live: LiveState) -> None:
        """Hold the lock register to the store."""
        check_register(self._source, live, _needed(self._keys), _needed(self._heads), self.ledger)

    def check_chains(self, live: LiveState) -> None:
        """Hold the chains to the newest head."""
        check_chains(live, _needed(self._heads).newest, self.ledger)

    def report(self) -> AuditReport:
        """Return the verdict."""
        heads = self._heads
        return replace(
            super().report(),
            log_id=self._keys.log_id if self._keys else "",
            days=len(heads.final) if heads else 0,
            gaps=tuple(self._gaps),
        )

    def _read_day(
        self, head: TreeHead, previous: TreeHead | None, entries: _Entries, tree: CompactRange
    ) -> CompactRange:
        """Read one day's receipts; return the tree after them."""
        where = object_keys.final_head(head.date.isoformat()) if head.final else object_keys.LATEST_HEAD
        before = {chain.id: chain.head for chain in previous.chains} if previous else {}
        chains = [(chain.first_seq, before.get(chain.id, EMPTY_HEAD)) for chain in head.chains]
        day = DayReader(day_start_ms(head.date), chains, tree)
        try:
            for batch in entries.take(head.tree_size):
                day.extend(batch)
            if head.final:  # on an open day a set's leaf may come after its interval has begun
                check_rotations(day, _needed(self._keys), head)
        except PackError as error:
            leaf = head.first_leaf + (error.line or 1) - 1
            raise AuditError(error.reason, where=f"leaf {leaf}", code=error.code) from error
        self._check_root(day.tree.root(), head.root_hash, where)
        for chain, state in zip(head.chains, day.chains, strict=True):
            if (chain.next_seq, chain.head) != (state.next_seq, state.head):
                raise AuditError(
                    f"chain {chain.id} does not end where it says", where=where, code="chain_end"
                )
        accounts = day.accounts()
        totals, encoded = summarize(accounts)
        if head.emitters != totals:
            raise AuditError(
                "its emitters are not what the receipts add up to", where=where, code="wrong_emitters"
            )
        self._check_accounts(totals, encoded)
        self._gaps += gaps_of(accounts)
        self._policies |= day.policies | {head.policy_bundle_sha256}
        return day.tree

    def _check_accounts(self, totals: EmitterTotals, expected: bytes) -> None:
        if totals.key is None:
            return
        stored = self._get(totals.key)
        if stored is None:
            self.ledger.find(Finding("missing_accounts", totals.key, "is missing"))
        elif not hmac.compare_digest(stored, expected):
            self.ledger.find(Finding("wrong_accounts", totals.key, "is not what the entries give"))

    def _get(self, key: str) -> bytes | None:
        return self._moving[key] if key in self._moving else super()._get(key)

    def _check_listed(self, listing: Callable[[str], Iterator[str]]) -> None:
        super()._check_listed(listing)
        newest = _needed(self._heads).newest
        open_from = next_day(newest.date) if newest.final else newest.date
        days = (layout.head_date(key) for key in listing(object_keys.HEADS))
        later = sum(1 for day in days if day is not None and day >= open_from.isoformat())
        if later:
            self.ledger.remark(
                "heads_beyond",
                f"{later} days are closed that sth/latest.json does not know of: a run is under way, or "
                "somebody put an old one back; the next run puts that right",
            )


class _Entries:
    """The entries of a walk, handed out up to given sizes: days end in the middle of bundles."""

    def __init__(self, walk: TreeWalk, report: Callable[[], None]) -> None:
        self._batches = walk.batches()
        self._report = report
        self._at = walk.size
        self._left: list[bytes] = []

    def take(self, until: int) -> Iterator[list[bytes]]:
        """Yield entries up to leaf ``until``."""
        while self._at < until:
            if not self._left:
                self._left = next(self._batches)
                self._report()
            batch, self._left = self._left[: until - self._at], self._left[until - self._at :]
            self._at += len(batch)
            yield batch

    def finish(self) -> None:
        """Go to the end of the tree: beyond the newest head lies what a run that goes on has published."""
        for _batch in self._batches:
            self._report()


def _compact_range(get: Get, size: int, root: bytes | None) -> CompactRange:
    reader = TileReader(get, size, root=root)
    return CompactRange(size, [reader.subtree_hash(level, at) for level, at in perfect_subtrees(0, size)])


def _needed(value: _T | None) -> _T:
    if value is None:
        raise SkippedError
    return value
