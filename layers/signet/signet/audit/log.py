"""The audit of a Signet log: all that it promises beyond the tiles.

It is audited like a pack, but all of it and in place: every receipt against its chain and as a
leaf, every head against the receipts before it, every tile against the entries, the lock register
against the store, and the chains that wait for integration against what is integrated.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import replace

from signet.audit import policy
from signet.audit.beyond import KEY_SETS, ObjectsBeyondTree
from signet.audit.emitters import EmitterNumbers
from signet.audit.entries import Entries, compact_range
from signet.audit.evidence import NamedEvidence, Retention
from signet.audit.formats import BoundVersion
from signet.audit.heads import Heads, read_heads
from signet.audit.live import REGISTER, LiveState, check_chains, check_register
from signet.audit.packs import check_packs
from signet.audit.policy import PushedVersions, check_files
from signet.audit.report import AuditReport, EvidenceCounts, PackCounts
from signet.audit.run import AuditRun, Progress
from signet.audit.source import LogSource
from signet.audit.tree import PREFIX as TILES
from signet.audit.tree import TreeWalk
from signet.core.errors import AuditError, PackError
from signet.core.instants import day_start_ms
from signet.core.verification import Failure, SkippedError, needed
from signet.log import object_keys
from signet.log.emitters import EmitterTotals, summarize
from signet.log.keys import LogKeys, parse_keys
from signet.log.merkle import CompactRange, tree_root
from signet.log.note import Checkpoint, verify_checkpoint
from signet.log.sth import TreeHead
from signet.log.tiles import TILE_WIDTH, TileReader
from signet.pack.day import DayReader, check_rotations
from signet.pack.known import Earlier, KnownTree, Shown, check_known
from signet.pack.registrations import Registrations, check_registrations
from signet.receipts.chain import EMPTY_HEAD
from signet.receipts.repeats import Key, Seen, id_of, nonce_of, repetitions


def audit_log(
    source: LogSource,
    *,
    log_id: str | None = None,
    live: LiveState | None = None,
    days: int | None = None,
    evidence: Retention | None = None,
    packs: bool = False,
    earlier: Earlier | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit a Signet log.

    Args:
        source: its objects.
        log_id: hex id of the log as known from elsewhere; without it the log is held to itself only.
        live: lock register and chains, where they can be read.
        days: how many of the last closed days to read, and the open one; None reads everything.
        evidence: how long evidence is kept, to look at that too. Not with ``days``: when a piece was
            stored, and so when it may go, the first receipt tells that names it.
        packs: whether to verify every pack that is stored beside the log.
        earlier: what the reader saw of this log before: it has to be of the same history, and not larger.
        progress: called now and then.

    Raises:
        UnavailableError: a store cannot be read.
    """
    run = _SignetAudit(source, progress, days, evidence, live)
    check = run.checks.run
    check("keys: those of the log", object_keys.KEYS, lambda: run.read_keys(log_id))
    # Newest head, keys, register, in this order: also beside a run, what is read later is not older.
    check("tree heads: a chain without gaps, signed twice each", object_keys.HEADS, run.read_heads)
    check("checkpoint: signed twice", object_keys.CHECKPOINT, run.read_checkpoint)
    check("receipts, tiles and heads tell one story", TILES, run.read_days)
    if earlier is not None:
        check("history: the one that was seen before", object_keys.HEADS, lambda: run.check_history(earlier))
    check("receipts: each id once", TILES, run.check_ids)
    check("nonces: each allowed once", TILES, run.check_nonces)
    check("registrations: decisions agree with them", TILES, run.check_registered)
    if evidence is not None:
        check("evidence: what allowed decisions name is there", object_keys.EVIDENCE, run.check_evidence)
    check("key sets one by one: those of keys.json", KEY_SETS, run.check_key_sets)
    run.check_listing()
    if packs:
        check("packs: each is the log's own, of its day", object_keys.PACKS, run.check_packs)
    check("policy: files have their hash", policy.FILES, run.check_policies)
    if live is not None:
        check("lock register and store agree", REGISTER, lambda: run.check_register(live))
        check("chains go on where the log ends", "chains", lambda: run.check_chains(live))
        if (pushed := live.policy) is not None:
            check("policy register and log agree", policy.REGISTER, lambda: run.check_pushed(pushed))
    return run.report()


class _SignetAudit(AuditRun):
    """One audit of a Signet log."""

    def __init__(
        self,
        source: LogSource,
        progress: Progress | None,
        days: int | None,
        retention: Retention | None,
        live: LiveState | None,
    ) -> None:
        super().__init__(source, progress, copied=live is None)
        self._live = live
        self._days = days
        self._retention = retention
        self._named = NamedEvidence()
        self._evidence: EvidenceCounts | None = None
        self._keys: LogKeys | None = None
        self._heads: Heads | None = None
        self._ids = Seen()
        self._nonces = Seen()
        self._registrations = Registrations()
        self._read: TreeHead | None = None
        self._numbers = EmitterNumbers(whole=True)
        self._summarised = self._summaries = 0
        self._packs: PackCounts | None = None
        self._objects_beyond: ObjectsBeyondTree | None = None
        self._policies: set[str] = set()
        self._accounts: set[str] = set()
        self._pushed = PushedVersions(self.checks.fail)
        self._versions = BoundVersion(self.checks.fail)
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
            self.checks.notice("log_id_not_pinned", text)
        elif keys.log_id != log_id:
            raise AuditError(
                f"this is the log {keys.log_id}, not {log_id}", where=object_keys.KEYS, code="wrong_log"
            )
        self._keys = keys

    def read_heads(self) -> None:
        """Check every head that is asked for."""
        self._heads = read_heads(self._get, needed(self._keys), days=self._days)

    def read_checkpoint(self) -> None:
        """Check the newest checkpoint; the larger of its tree and the newest head's is the one audited."""
        newest = needed(self._heads).newest
        tree = verify_checkpoint(self._object(object_keys.CHECKPOINT), needed(self._keys))
        self._tree = tree
        if tree.tree_size < newest.tree_size:
            # Two runs at once may leave the older one's. It must still be of this history.
            TileReader(self._source.get, tree.tree_size, root=tree.root_hash)
            self._tree = Checkpoint(tree.origin, newest.tree_size, newest.root_hash)
            self.checks.notice(
                "stale_checkpoint", "checkpoint is older than sth/latest.json: the next head replaces it"
            )

    def read_days(self) -> None:
        """Walk the entries day by day, and hold each head to the receipts before it."""
        heads, tree = needed(self._heads), needed(self._tree)
        previous: TreeHead | None = heads.before
        base = previous.tree_size if previous else 0
        self._first_leaf = base
        self._numbers = EmitterNumbers(whole=previous is None)
        root = previous.root_hash if previous else None
        walk = self._walk = TreeWalk(
            self._source.get, tree.tree_size, base=base, base_root=root, fail=self.checks.fail
        )
        entries = Entries(walk, lambda: self._progress(walk.size - base, tree.tree_size - base))
        grown = compact_range(self._source.get, base, root)
        for head in (*heads.final, *([heads.open_day] if heads.open_day else ())):
            grown = self._read_day(head, previous, entries, grown)
            previous = head
        self._read = previous
        self._numbers.finish()
        self._report_numbers()
        entries.finish()
        self._check_root(walk.root(), tree.root_hash, object_keys.CHECKPOINT)

    def check_history(self, earlier: Earlier) -> None:
        """Hold the history that the log shows to what was seen before."""
        tree, heads, _read = needed(self._tree), needed(self._heads), needed(self._read)
        tiles = TileReader(self._source.get, tree.tree_size, root=tree.root_hash)
        shown = Shown(
            needed(self._keys),
            tree.tree_size,
            lambda size: tree_root(size, tiles.subtree_hash),
            {head.date: head.sha256 for head in heads.final},
            whole=True,
        )
        trees = earlier.trees(shown.keys)
        if not trees and not earlier.files:
            raise SkippedError  # nothing was seen, so nothing agrees with it
        check_known(trees, shown, self.checks)

    def check_ids(self) -> None:
        """Find receipts that have the id of one on an earlier day; within a day that is found before."""
        self._find_repeated(self._ids, id_of, "receipt_repeated", _repeats)

    def check_nonces(self) -> None:
        """Find nonces that let two requests in, on the same day or on two."""
        self._find_repeated(self._nonces, nonce_of, "nonce_allowed_twice", _allows_again)

    def check_registered(self) -> None:
        """Hold the registrations that decisions name to those on record, on all days that were read."""
        _read = needed(self._read)
        for leaf, reason in self._registrations.contradictions():
            self.checks.fail(Failure("wrong_registration", f"leaf {leaf}", reason))
        if not self._first_leaf and (absent := self._registrations.absent()):
            self.checks.notice(
                "registration_absent",
                f"decisions name {len(absent)} registrations of APIs that the log does not hold: their "
                "receipts wait to be recorded, or were lost",
            )

    def _find_repeated(self, seen: Seen, key: Key, code: str, reason: Callable[[int], str]) -> None:
        read = needed(self._read)
        hashes = seen.repeated()
        if not hashes:
            return
        leaves = self._leaves(self._first_leaf, read.tree_size)
        for leaf, earlier in repetitions(leaves, key, hashes, first=self._first_leaf):
            self.checks.fail(Failure(code, f"leaf {leaf}", reason(earlier)))

    def check_evidence(self) -> None:
        """Hold the evidence beside the log to the receipts that name it."""
        _read, retention = needed(self._read), needed(self._retention)
        found = self._named.check(self._source, retention, self.checks.fail, self._progress)
        self._evidence = found
        if found.unnamed:
            self.checks.notice(
                "evidence_unnamed",
                f"{found.unnamed} pieces of evidence are named by no allowed decision of the log: their "
                "receipts wait, or were refused, or another writer put them there",
            )

    def check_packs(self) -> None:
        """Verify the packs that are stored beside the log."""
        self._packs = check_packs(self._source, needed(self._keys), self.checks, self._progress)

    def check_key_sets(self) -> None:
        """Hold the key sets that are stored one by one to ``keys.json``."""
        self._beyond().check_key_sets(self._source.keys)

    def check_policies(self) -> None:
        """Hold the stored policy files to the hash they are filed under."""
        if self._source.keys is None:
            raise SkippedError
        check_files(self._get, self._source.keys(policy.FILES), self._policies, self.checks)

    def check_register(self, live: LiveState) -> None:
        """Hold the lock register to the store."""
        check_register(self._source, live, needed(self._keys), needed(self._heads), self.checks)

    def check_chains(self, live: LiveState) -> None:
        """Hold the chains to the newest head."""
        check_chains(live, needed(self._heads).newest, self.checks)

    def check_pushed(self, read: Callable[[], bytes | None]) -> None:
        """Hold the register of pushed policies to the receipts of the pushes."""
        _read = needed(self._read)
        self._pushed.check_register(read(), self.checks, whole=not self._first_leaf)

    def report(self) -> AuditReport:
        """Return the verdict."""
        heads = self._heads
        return replace(
            super().report(),
            log_id=self._keys.log_id if self._keys else "",
            days=len(heads.final) if heads else 0,
            evidence=self._evidence,
            packs=self._packs,
            gaps=tuple(self._numbers.gaps),
            trees=_trees_of(heads) if heads else (),
        )

    def _read_day(
        self, head: TreeHead, previous: TreeHead | None, entries: Entries, tree: CompactRange
    ) -> CompactRange:
        """Read one day's receipts; return the tree after them."""
        where = object_keys.final_head(head.date.isoformat()) if head.final else object_keys.LATEST_HEAD
        before = {chain.id: chain.head for chain in previous.chains} if previous else {}
        chains = [(chain.first_seq, before.get(chain.id, EMPTY_HEAD)) for chain in head.chains]
        named = None if self._retention is None else self._named.add
        day = DayReader(day_start_ms(head.date), chains, tree, named)
        try:
            for batch in entries.read_to(head.tree_size):
                day.extend(batch)
            check_registrations(day.registrations, day.ids)
            if head.final:  # on an open day a set's leaf may come after its interval has begun
                check_rotations(day, needed(self._keys), head)
        except PackError as error:
            leaf, reason = head.first_leaf + (error.line or 1) - 1, error.reason
            if error.code == "receipt_repeated":
                leaves = self._leaves(head.first_leaf, leaf + 1)
                for _leaf, earlier in repetitions(leaves, id_of, first=head.first_leaf):
                    reason = _repeats(earlier)
            raise AuditError(reason, where=f"leaf {leaf}", code=error.code) from error
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
        self._numbers.add_day(day.numbers(), day.folded.emitters)
        self._summarised += day.folded.counts.total()
        self._summaries += day.folded.summaries
        self._policies |= day.policies | {head.policy_bundle_sha256}
        self._ids.update(day.ids)
        self._nonces.merge(day.nonces)
        self._registrations.merge(day.registrations, head.first_leaf)
        self._versions.add_day(day, head.first_leaf)
        for line, receipt in day.policy_changes:
            self._pushed.add(receipt, head.first_leaf + line - 1)
        return day.tree

    def _check_accounts(self, totals: EmitterTotals, expected: bytes) -> None:
        if totals.key is None:
            return
        self._accounts.add(totals.key)
        stored = self._get(totals.key)
        if stored is None:
            self.checks.fail(Failure("missing_accounts", totals.key, "is missing"))
        elif not hmac.compare_digest(stored, expected):
            self.checks.fail(Failure("wrong_accounts", totals.key, "is not what the entries give"))

    def _look_beyond(self, paths: Iterator[str]) -> int:
        beyond = self._beyond()
        return sum(map(beyond.is_writers_tile, paths))

    def _beyond(self) -> ObjectsBeyondTree:
        if self._objects_beyond is None:
            self._objects_beyond = ObjectsBeyondTree(
                self._source, needed(self._keys), self._live, self.checks
            )
        return self._objects_beyond

    def _report_numbers(self) -> None:
        numbers = self._numbers
        if numbers.twice:
            self.checks.notice(
                "emitter_number_twice",
                f"{numbers.twice} receipts have a number that an earlier one of their emitter has, the first "
                f"of {numbers.first_twice}: another writer used its name, or it counted twice",
            )
        if self._summaries or numbers.hidden:
            self.checks.notice(
                "refusals_summarised",
                f"{self._summarised} refusals are counted in {self._summaries} summaries and have no receipt "
                f"of their own; at least {numbers.hidden} more are in summaries that are not here: they were "
                "not sent yet, or they were lost, and a lost one is a gap",
            )
        if numbers.falling:
            self.checks.notice(
                "folded_decreases",
                f"{numbers.falling} emitters say later that they counted fewer refusals in summaries than "
                "before: what they say of that is wrong",
            )
        if numbers.more_gaps:
            self.checks.notice("more_gaps", f"{numbers.more_gaps} more gaps were found and are not listed")

    def _leaves(self, start: int, end: int) -> Iterator[bytes]:
        """Yield entries once more."""
        tree = needed(self._tree)
        reader = TileReader(self._source.get, tree.tree_size, root=tree.root_hash)
        for number, entry in enumerate(reader.entries(start, end)):
            if not number % TILE_WIDTH:
                self._progress(number, end - start)
            yield entry

    def _get(self, key: str) -> bytes | None:
        return self._moving[key] if key in self._moving else super()._get(key)

    def _check_listed(self, listing: Callable[[str], Iterator[str]]) -> None:
        super()._check_listed(listing)
        heads, beyond = needed(self._heads), self._beyond()
        first = (heads.final[0] if heads.final else heads.newest).date.isoformat()
        later = beyond.check_heads(listing, heads.newest, None if self._days is not None else first)
        if self._days is None:
            beyond.check_accounts(listing, self._accounts)
        if later:
            self.checks.notice(
                "heads_beyond",
                f"{later} days are closed that sth/latest.json does not know of: a run is under way, or "
                "an old one was put back; the next run puts that right",
            )


def _trees_of(heads: Heads) -> tuple[KnownTree, ...]:
    shown = (*heads.final, *([heads.open_day] if heads.open_day else ()))
    return tuple(KnownTree.of(head, object_keys.HEADS) for head in shown)


def _repeats(earlier: int) -> str:
    return f"has the id of the receipt at leaf {earlier}"


def _allows_again(earlier: int) -> str:
    return f"allows a request with the nonce that leaf {earlier} allowed one with"
