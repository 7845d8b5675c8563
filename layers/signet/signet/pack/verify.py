"""Verify a compliance pack offline: every check of docs/formats.md, with bounded memory.

Each check reports its first failure with file, line and a code; a check that needs what a failed one
would have given is left out. The single-file checker inside each pack shares no code with this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from signet.core.errors import PackError, SignetError
from signet.core.instants import day_start_ms
from signet.core.verification import Checks, Notice, SkippedError, needed
from signet.log import object_keys
from signet.log.emitters import summarize
from signet.log.keys import LogKeys, parse_keys
from signet.log.merkle import CompactRange, verify_consistency
from signet.log.sth import SignedTreeHead, check_successor, verify_sth
from signet.pack import layout
from signet.pack.callers import Callers
from signet.pack.checks import check_checkpoint, check_inclusion, check_policy, numbered_lines
from signet.pack.day import DayReader, check_rotations, gaps_of
from signet.pack.kind import Kind, kind_of
from signet.pack.known import Earlier, KnownTree, Shown, check_known
from signet.pack.members import Members, array_of, hashes_of
from signet.pack.notices import notices_on
from signet.pack.registrations import check_registrations
from signet.pack.released import is_released
from signet.pack.report import PackReport
from signet.pack.strictzip import ZIP, StrictZip
from signet.pack.transcripts import CallersProofs, Decided
from signet.policy.bundle import policy_bundle_sha256
from signet.receipts.chain import EMPTY_HEAD
from signet.receipts.repeats import nonce_of, repetitions

if TYPE_CHECKING:
    from signet.pack.rejudge import Rejudge  # brings the policy's interpreter

#: Most bytes of a policy that is judged by; a deployment takes no larger one.
MAX_BUNDLE_BYTES: Final = 8 * 1024 * 1024
#: Called with (bytes of receipts read, bytes in all).
Progress = Callable[[int, int], None]


def verify_pack(
    file: BinaryIO,
    *,
    log_id: str | None = None,
    date: str | None = None,
    earlier: Earlier | None = None,
    callers: Callers | None = None,
    rejudge: type[Rejudge] | None = None,
    decided: Decided | None = None,
    progress: Progress | None = None,
) -> PackReport:
    """Verify a pack.

    Args:
        file: the zip, seekable.
        log_id: hex id of the log as known from elsewhere; without it a pack is held to itself only.
        date: the day that was asked for, ``YYYY-MM-DD``; without it a pack of any day is good.
        earlier: what the reader saw of this log before: the pack has to be of the same history.
        callers: public keys that the reader has from the callers: without a caller's key none of its requests
            counts as proven.
        rejudge: ``signet.pack.rejudge.Rejudge``, to judge decisions with transcripts again. The policy files
            in the pack are code that it runs: only for a pack of a log that is known (``log_id``).
        decided: takes each decision whose transcript is here and agrees with its receipt, before it is known
            whether the pack is good.
        progress: called now and then while the receipts are read.

    Returns:
        The report; ``good`` says whether every check passed.

    Raises:
        OSError: the file cannot be read. No bytes of the file lead to any other exception.
    """
    run = _PackVerification(log_id, date, callers, decided, progress or (lambda _done, _total: None))
    if rejudge is not None:
        run.rejudge(rejudge)
    run.check("zip: the one form a pack has", ZIP, lambda: run.open(file))
    if run.members is not None:
        run.check("keys: those of the log", layout.KEYS, run.read_keys)
        run.check("tree heads: a chain without gaps, signed twice each", layout.HEAD, run.read_heads)
        if earlier is not None:
            run.check("seen before: of this log, and signed", layout.HEAD, lambda: run.read_earlier(earlier))
        run.check("receipts: chain and tree agree, line by line", layout.RECEIPTS, run.read_receipts)
        run.check("nonces: each allowed once", layout.RECEIPTS, run.check_nonces)
        run.check(
            "registrations: decisions agree with those of the day", layout.RECEIPTS, run.check_registered
        )
        if run.members.transcripts:
            run.check("callers: what is on record is what they signed", "transcripts", run.check_transcripts)
        run.check("rotations: each new key set is in the log", layout.RECEIPTS, run.check_rotations)
        run.check("consistency: each day extends the one before", layout.CONSISTENCY, run.check_consistency)
        run.check("inclusion: each receipt's own proof", layout.INCLUSION, run.check_inclusion)
        run.check("checkpoint: signed twice", layout.CHECKPOINT, run.check_checkpoint)
        run.check("emitters: accounts recomputed", layout.HEAD, run.check_emitters)
        run.check("policy: files have their hash", "policy", run.check_policy)
        run.check("evidence: has its hash, and a receipt names it", "evidence", run.check_evidence)
        if earlier is not None:
            run.check("history: the one that was seen before", layout.HEAD, run.check_history)
        run.check("manifest: every member has its hash", layout.MANIFEST, run.check_rest)
    return run.report()


class _PackVerification:
    """One verification: what has been read so far, and what failed."""

    def __init__(
        self,
        log_id: str | None,
        date: str | None,
        callers: Callers | None,
        decided: Decided | None,
        progress: Progress,
    ) -> None:
        self._pinned = log_id
        self._asked = date
        self._decided = decided
        self._judge: Rejudge | None = None
        self._proofs = CallersProofs(self._read_transcripts, callers, self._hand_over)
        self._kind = Kind.PACK
        self._progress = progress
        self._checks = Checks()
        self._trees: list[KnownTree] = []  # of each final head, first to last
        self._earlier: list[KnownTree] | None = None
        self._previous: SignedTreeHead | None = None
        self.members: Members | None = None
        self._keys: LogKeys | None = None
        self._head: SignedTreeHead | None = None
        self._day: DayReader | None = None
        self._unnamed: set[str] = set()

    def rejudge(self, made: type[Rejudge]) -> None:
        """Judge decisions again while their receipts are read."""
        self._judge = made(self._policy_files)

    def _hand_over(self, receipt: Mapping[str, Any], asked: Any) -> None:
        if self._judge is not None:
            self._judge.take(receipt, asked)
        if self._decided is not None:
            self._decided(receipt, asked)

    def check(self, title: str, file: str, run: Callable[[], None]) -> None:
        """Run one check and record how it went; ``file`` is what a failure without a place is filed under."""
        self._checks.run(title, file, lambda: _fail_closed(run, file))

    def open(self, file: BinaryIO) -> None:
        """Check the zip's structure and hold its members to the manifest."""
        try:
            archive = StrictZip(file)
        except PackError as error:
            # No tool that packs a folder again makes two names that are one file when unpacked.
            self._kind = Kind.PACK if error.code == "zip_duplicate" else kind_of(file)
            raise
        try:
            self.members = Members(archive)
        except PackError:
            self._kind = Kind.NOT_A_PACK if kind_of(file) is Kind.NOT_A_PACK else Kind.PACK
            raise

    def read_keys(self) -> None:
        """Check ``keys.json`` and the log id: of another log nothing else is read, however large it is."""
        members = needed(self.members)
        keys = parse_keys(members.read(layout.KEYS))
        if members.log_id != keys.log_id:
            raise PackError("log_id is not that of the keys", file=layout.MANIFEST, code="wrong_log")
        if self._pinned is not None and self._pinned != keys.log_id:
            raise PackError(
                f"this is the log {keys.log_id}, not {self._pinned}", file=layout.KEYS, code="wrong_log"
            )
        self._keys = keys

    def read_heads(self) -> None:
        """Check every final head, from the first to the day's."""
        members, keys = needed(self.members), needed(self._keys)
        previous: SignedTreeHead | None = None
        head: SignedTreeHead | None = None
        for name in members.names:
            date = layout.head_date(name)
            if date is None:
                continue
            previous, head = head, _read_head(members, name, keys)
            try:
                check_successor(previous, head)
            except SignetError as error:
                raise PackError(str(error), file=name, code=error.code) from error
            if head.date.isoformat() != date:
                raise PackError("is the head of another day", file=name, code="wrong_day")
            self._trees.append(KnownTree.of(head, name))
        head = needed(head)
        if head.raw != members.read(layout.HEAD):
            raise PackError(
                f"is not the same as {object_keys.final_head(members.date)}",
                file=layout.HEAD,
                code="wrong_head",
            )
        if self._asked not in {None, head.date.isoformat()}:
            raise PackError(f"is of {head.date}, not of {self._asked}", file=layout.HEAD, code="other_day")
        self._check_keys_end(keys, head)
        self._previous, self._head = previous, head

    def _check_keys_end(self, keys: LogKeys, head: SignedTreeHead) -> None:
        last = keys.sets[-1]
        if last.from_tree_size > head.tree_size:
            raise PackError(
                f"has key set {last.n}, which begins after the day", file=layout.KEYS, code="key_set_later"
            )

    def read_earlier(self, earlier: Earlier) -> None:
        """Read what was seen before; the pack's own keys have to have signed it."""
        trees = earlier.trees(needed(self._keys))
        self._earlier = trees or None
        if not trees and not earlier.files:
            raise SkippedError  # nothing was seen, so nothing agrees with it

    def read_receipts(self) -> None:
        """Check every receipt, and that chains and tree lead from the previous head to this one."""
        members, head = needed(self.members), needed(self._head)
        tree = self._read_range(members, head)
        heads = {chain.id: chain.head for chain in self._previous.chains} if self._previous else {}
        chains = [(chain.first_seq, heads.get(chain.id, EMPTY_HEAD)) for chain in head.chains]
        unnamed = self._unnamed = set(members.evidence)
        named = (lambda digest, _receipt: unnamed.discard(digest)) if unnamed else None
        sizes = [known.tree_size for known in self._earlier or ()]
        day = DayReader(day_start_ms(head.date), chains, tree, named, take=self._proofs.take, sizes=sizes)
        total, done = members.size(layout.RECEIPTS), 0
        for lines in members.line_batches(layout.RECEIPTS):
            day.extend(lines)
            done += sum(map(len, lines)) + len(lines)
            self._progress(done, total)
        _check_end(day, head)
        self._day = day

    def _read_range(self, members: Members, head: SignedTreeHead) -> CompactRange:
        """Return the tree before the day, held to the previous head."""
        value = members.read_json(layout.RANGE)
        left = hashes_of(layout.RANGE, value, {"v": 1, **_span(head)}, "left")
        if len(left) != head.first_leaf.bit_count():
            raise PackError("has a wrong number of hashes", file=layout.RANGE, code="bad_proof")
        tree = CompactRange(head.first_leaf, left)
        if self._previous is not None and tree.root() != self._previous.root_hash:
            raise PackError(
                "does not lead to the root of the day before", file=layout.RANGE, code="wrong_root"
            )
        return tree

    def check_nonces(self) -> None:
        """Check that no nonce let two requests in."""
        members, day = needed(self.members), needed(self._day)
        hashes = day.nonces.repeated()
        if not hashes:
            return
        lines = (line for _number, line in numbered_lines(members, layout.RECEIPTS))
        for line, earlier in repetitions(lines, nonce_of, hashes, first=1):
            reason = f"allows a request with the nonce that line {earlier} allowed one with"
            raise PackError(reason, file=layout.RECEIPTS, line=line, code="nonce_allowed_twice")

    def check_registered(self) -> None:
        """Hold the registrations that decisions name to those that were recorded on this day."""
        day = needed(self._day)
        check_registrations(day.registrations, day.ids)

    def check_transcripts(self) -> None:
        """Check that transcripts agree with their receipts, and that callers whose keys are known signed."""
        members, _day = needed(self.members), needed(self._day)
        self._proofs.finish(name.removeprefix(object_keys.TRANSCRIPTS) for name in members.transcripts)

    def _read_transcripts(self, name: str) -> bytes | None:
        members, member = needed(self.members), object_keys.transcripts(name)
        return members.read(member) if member in members.transcripts else None

    def _policy_files(self, bundle: str) -> dict[str, bytes] | None:
        """Return a bundle's files, held to its hash; None if they are not here, or too large."""
        members = needed(self.members)
        names = [name for name in members.policies if (layout.policy_file(name) or ("", ""))[0] == bundle]
        if not names or sum(map(members.size, names)) > MAX_BUNDLE_BYTES:
            return None
        files = {(layout.policy_file(name) or ("", name))[1]: members.read(name) for name in names}
        return files if policy_bundle_sha256(files) == bundle else None

    def check_rotations(self) -> None:
        """Check that the day holds a leaf for every key set that begins in it, and no other."""
        keys, head, day = needed(self._keys), needed(self._head), needed(self._day)
        check_rotations(day, keys, head)

    def check_consistency(self) -> None:
        """Check the RFC 9162 proof from each final head to the next."""
        members, _head = needed(self.members), needed(self._head)
        file = layout.CONSISTENCY
        proofs = array_of(file, members.read_json(file), {"v": 1}, "proofs")
        if len(proofs) != len(self._trees) - 1:
            raise PackError("has not one proof from each head to the next", file=file, code="bad_proof")
        for value, one, two in zip(proofs, self._trees, self._trees[1:], strict=False):
            proof = hashes_of(file, value, {"size1": one.tree_size, "size2": two.tree_size}, "proof")
            if one.tree_size:
                verify_consistency(one.tree_size, one.root_hash, two.tree_size, two.root_hash, proof)
            elif proof:
                raise PackError("must be empty after an empty tree", file=file, code="bad_proof")

    def check_history(self) -> None:
        """Hold the history that this pack shows to what was seen before."""
        trees, head, day = needed(self._earlier), needed(self._head), needed(self._day)
        roots = day.roots | {tree.tree_size: tree.root_hash for tree in self._trees}
        days = {tree.day: tree.sth_sha256 for tree in self._trees if tree.day and tree.sth_sha256}
        shown = Shown(needed(self._keys), head.tree_size, roots.get, days, whole=False)
        check_known(trees, shown, self._checks)

    def check_inclusion(self) -> None:
        """Check the proof of each receipt of a small day; a large day has none."""
        check_inclusion(needed(self.members), needed(self._head), needed(self._day))

    def check_checkpoint(self) -> None:
        """Check the C2SP checkpoint."""
        check_checkpoint(needed(self.members), needed(self._keys), needed(self._head))

    def check_emitters(self) -> None:
        """Hold what the head says of the emitters to the receipts."""
        head, day = needed(self._head), needed(self._day)
        found, _encoded = summarize(day.accounts())
        for member in fields(found):
            if getattr(found, member.name) != getattr(head.emitters, member.name):
                reason = f"emitters.{member.name} is not what the receipts add up to"
                raise PackError(reason, file=layout.HEAD, code="wrong_emitters")

    def check_policy(self) -> None:
        """Hold the policy files to their hash."""
        self._checks.notices += check_policy(needed(self.members), needed(self._head), needed(self._day))

    def check_evidence(self) -> None:
        """Hold the evidence to its name, and that to a receipt."""
        members, _day = needed(self.members), needed(self._day)
        for digest in members.evidence:
            name = layout.evidence_name(digest)
            if members.sha256(name) != digest:  # the manifest's; check_rest compares the bytes
                raise PackError("has not the hash it is named by", file=name, code="evidence_hash")
            if digest in self._unnamed:
                raise PackError("is evidence that no receipt names", file=name, code="evidence_unnamed")

    def check_rest(self) -> None:
        """Hold to their hash the members that no check has read to the end."""
        members = needed(self.members)
        if self._checks.failures:
            raise SkippedError  # a member left half read has its failure already
        members.check_rest()
        self._checks.notices += notices_on(needed(self._head), needed(self._day))
        if not is_released(members.sha256(layout.GUIDE), members.sha256(layout.CHECKER)):
            text = (
                "VERIFY.md or verify.py are not those of a version that this one knows; no signature covers "
                "them: run neither unread"
            )
            self._checks.notice("other_checker", text)

    def report(self) -> PackReport:
        """Return the verdict."""
        keys, head, day = self._keys, self._head, self._day
        if self._pinned is None and not self._checks.failures:
            text = "without --log-id this shows only that the pack agrees with itself, not whose log it is"
            self._checks.notices.insert(0, Notice("log_id_not_pinned", text))
        return PackReport(
            kind=self._kind,
            date=head.date.isoformat() if head else "",
            signed_at_ms=head.timestamp if head else 0,
            log_id=keys.log_id if keys else "",
            pinned=self._pinned is not None and keys is not None,
            tree_size=head.tree_size if head else 0,
            receipts=day.count if day else 0,
            decisions=dict(sorted(day.decisions.items())) if day else {},
            apis=day.decisions_by_api() if day else {},
            summarised=dict(sorted(day.folded.counts.items())) if day else {},
            proven=self._proofs.counts() if day else {},
            rejudged=dict(self._judge.counts) if day and self._judge else None,
            trees=tuple(self._trees),
            key_sets=len(keys.sets) if keys else 0,
            checks=tuple(self._checks.passed),
            gaps=gaps_of(day.accounts()) if day else (),
            notices=tuple(self._checks.notices),
            failures=tuple(self._checks.failures),
        )


def _fail_closed(run: Callable[[], None], file: str) -> None:
    """Run a check; hostile bytes must end as a verdict, also where no check foresaw them."""
    try:
        run()
    except (SignetError, SkippedError, OSError):
        raise
    except Exception as error:
        reason = f"is malformed in a way no check foresaw ({type(error).__name__})"
        raise PackError(reason, file=file, code="malformed") from error


def _read_head(members: Members, name: str, keys: LogKeys) -> SignedTreeHead:
    try:
        return verify_sth(members.read(name), keys)
    except PackError:
        raise
    except SignetError as error:
        raise PackError(str(error), file=name, code=error.code) from error


def _check_end(day: DayReader, head: SignedTreeHead) -> None:
    """Check that the receipts end exactly where the head says."""
    held = head.tree_size - head.first_leaf
    if day.count != held:
        raise PackError(
            f"holds {day.count} receipts, but the day has {held}", file=layout.RECEIPTS, code="receipt_count"
        )
    for chain, state in zip(head.chains, day.chains, strict=True):
        if (chain.next_seq, chain.head) != (state.next_seq, state.head):
            raise PackError(
                f"chain {chain.id} does not end where the head says", file=layout.RECEIPTS, code="chain_end"
            )
    if day.tree.root() != head.root_hash:
        raise PackError("does not lead to the root of the head", file=layout.RECEIPTS, code="wrong_root")


def _span(head: SignedTreeHead) -> dict[str, int]:
    return {"first_leaf": head.first_leaf, "tree_size": head.tree_size}
