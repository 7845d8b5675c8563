"""Integrating receipts into the log: read, stage, check, sign, decide, publish.

One step, safe to kill at any point:

1. take the newest head from the lock register (``Publisher.recover``)
2. take receipts out of the chains, build the tiles they add, bring the emitters' accounts up to them
3. stage tiles and accounts as one object
4. read it back, recompute it, prove the new tree consistent with the newest head
5. sign head and checkpoint
6. compare-and-swap the lock register: here, and only here, the head becomes true
7. write tiles and accounts, once each
8. write the day's checkpoint and head if it is final, the checkpoint, the latest head
9. drop the staged object
10. sign the root for COSE receipts

Killed before 6 nothing has happened: the staged object is overwritten or dropped by a later run. Killed
after 6 the register names the head and its staged object, and the next run begins with 7 (with 10, killed
after 9). Two runs at once: one swap succeeds, the other run starts over from 1. Two heads for one tree size
with different roots can therefore never both be true, nor can a head be true whose tiles are lost.

A rotation of the log's keys goes through the same register, between two such steps (``signet.log.rollover``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from signet.core.errors import LogError, NotFoundError, UnavailableError, UsageError
from signet.core.instants import day_start_ms, next_day, utc_day
from signet.core.ports import ChainStore, LockStore, ObjectStore
from signet.log.cose import publish_roots
from signet.log.emitters import EmitterAccount, EmitterTotals, read_accounts, summarize
from signet.log.fencing import fence, first_day
from signet.log.intake import DayIntake, Oldest
from signet.log.keys import Signer
from signet.log.merkle import consistency_proof, verify_consistency
from signet.log.note import sign_checkpoint, verify_checkpoint
from signet.log.partials import remove_partials
from signet.log.publish import Publisher
from signet.log.register import Register, Rotation
from signet.log.rollover import check_next_set, is_rotation_due, record_rotation
from signet.log.staging import check_staged, encode_staged, staging_key
from signet.log.sth import SignedTreeHead, TreeHead, sign_sth
from signet.log.summaries import ChainSummary
from signet.log.tiles import TileReader
from signet.policy.bundle import policy_bundle_sha256
from signet.receipts.chain import EMPTY_HEAD

#: Receipts and bytes of one step, each with a head of its own: they bound a run's memory.
MAX_STEP_RECEIPTS: Final = 50_000
MAX_STEP_BYTES: Final = 16 << 20

_MAX_LOST_RACES: Final = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did.

    Attributes:
        head: the final head of the day that was to be closed, else the newest head.
        closed: the days this run closed, in order.
        integrated: receipts this run added to the tree.
        rotated: numbers of the key sets this run brought into force.
        register: where the log stands: its newest head, its keys, a rotation that waits for its day.
        oldest: the earliest receipt that this run added; None if it added none.
    """

    head: SignedTreeHead
    closed: tuple[dt.date, ...]
    integrated: int
    rotated: tuple[int, ...]
    register: Register
    oldest: Oldest | None = None


@dataclass(frozen=True, slots=True)
class Sequencer:
    """The one writer of the log.

    Attributes:
        objects: the log's objects.
        lock: decides which head is the newest.
        chains: where receipts come from.
        signer: the log's keys; it need not know more than set 0.
        chain_count: number of chains; fixed for the life of a log.
        policy: the policy files deployed beside the signer, by name.
        max_step_receipts: receipts per step.
        max_step_bytes: bytes of receipts per step (at most one receipt per chain more).
        threads: objects written at a time.
        rotation_days: days after which a key set is followed by another; None for never.
    """

    objects: ObjectStore
    lock: LockStore
    chains: ChainStore
    signer: Signer
    chain_count: int
    policy: Mapping[str, bytes]
    max_step_receipts: int = MAX_STEP_RECEIPTS
    max_step_bytes: int = MAX_STEP_BYTES
    threads: int = 1
    rotation_days: int | None = None

    def integrate(
        self, now_ms: int, close: dt.date | None = None, *, rotate_to: int | None = None
    ) -> Outcome:
        """Integrate what is new, close every day that is over, rotate keys if it is time, publish.

        Args:
            now_ms: the present, Unix milliseconds; a clock that lags behind the newest head does no harm.
            close: close all days up to and including this one, even if it is not over; a day that is
                closed already stays as it is.
            rotate_to: number of the key set to have in force, now or with the next day; the set after the
                last, or one that is there already, which changes nothing.

        Raises:
            UsageError: ``close`` is a day to come, ``rotate_to`` skips a set.
            NotFoundError: ``close`` is before the log's first day.
            LogError: chains, store and register contradict each other; nothing wrong was signed.
            UnavailableError: a store cannot be reached, or other runs are always faster; running again
                is safe and continues where this one stopped.
        """
        run = _Run(self, now_ms, close, rotate_to)
        for _ in range(_MAX_LOST_RACES):
            try:
                return run.start()
            except _LostRaceError:
                continue
        raise UnavailableError("other runs are integrating at the same time: run again later")

    def remove_partials(self, outcome: Outcome, now_ms: int) -> int:
        """Remove partial tiles that full ones replaced, after a run that closed a day; return how many.

        Raises:
            LogError: a final head in the store is not what it should be.
            UnavailableError: the store cannot be reached; the run that closes the next day does it.
        """
        if not outcome.closed:
            return 0
        keys = outcome.register.keys
        publisher = Publisher(self.objects, self.lock, self.signer.keys)
        return remove_partials(
            self.objects,
            lambda day: publisher.final_head(day, keys),
            newest=outcome.closed[-1],
            now_ms=now_ms,
            threads=self.threads,
        )


class _LostRaceError(Exception):
    """Another run moved the lock register: what was read is out of date."""


class _Run:
    """One call of ``integrate``; what it did survives starting over after a lost race."""

    def __init__(
        self, sequencer: Sequencer, now_ms: int, close: dt.date | None, rotate_to: int | None
    ) -> None:
        self._sequencer = sequencer
        self._publisher = Publisher(
            sequencer.objects, sequencer.lock, sequencer.signer.keys, sequencer.threads
        )
        self._policy_sha256 = policy_bundle_sha256(sequencer.policy)
        self._now_ms = now_ms
        self._close = close
        self._rotate_to = rotate_to
        self._rotated: list[int] = []
        self._register: Register | None = None
        self._closed: list[dt.date] = []
        self._integrated = 0
        self._oldest: Oldest | None = None

    def start(self) -> Outcome:
        self._register = self._publisher.recover()
        self._publish_roots()  # a run that was killed may have left them out
        check_next_set(self._register, self._rotate_to)
        today = utc_day(self._next_timestamp())
        if self._close is not None and self._close > today:
            raise UsageError(f"{self._close} is still to come: close a day up to today, {today}")
        day = self._prepare(today)
        while day < today or (self._close is not None and day <= self._close):
            fence(self._sequencer.chains, self._sequencer.chain_count, day_start_ms(next_day(day)))
            self._integrate_day(day, final=True)
            self._closed.append(day)
            day = next_day(day)
        self._integrate_day(day, final=False)
        days = self._sequencer.rotation_days
        if is_rotation_due(self._newest(), self._rotate_to, days, self._next_timestamp()):
            self._announce_rotation()
            self._integrate_day(day, final=False)
        return self._outcome()

    def _prepare(self, today: dt.date) -> dt.date:
        """Write what must be there before the next head, and return the day that is open."""
        newest = None if self._register is None else self._register.head
        if newest is None:
            self._publisher.publish_genesis()
        if newest is None or newest.policy_bundle_sha256 != self._policy_sha256:
            self._publisher.publish_policy(self._policy_sha256, self._sequencer.policy)
        if newest is None:
            return first_day(self._sequencer.chains, self._sequencer.chain_count, today)
        if len(newest.chains) != self._sequencer.chain_count:
            raise LogError(f"the log has {len(newest.chains)} chains: the number of chains cannot change")
        return next_day(newest.date) if newest.final else newest.date

    def _integrate_day(self, day: dt.date, *, final: bool) -> None:
        """Integrate the day's receipts in steps; the last one carries the final head if it closes."""
        self._finish_rotation(day)
        sequencer = self._sequencer
        intake = DayIntake(sequencer.chains, day, *self._day_so_far())
        done = False
        while not done:
            entries, done = intake.collect(
                max_receipts=sequencer.max_step_receipts, max_bytes=sequencer.max_step_bytes
            )
            closes = final and done
            if entries or closes or self._register is None:
                self._step(day, entries, intake, final=closes)

    def _day_so_far(self) -> tuple[list[ChainSummary], dict[str, EmitterAccount]]:
        """Return chains and emitters' accounts of the open day as the newest head has them."""
        if self._register is None:
            empty = [ChainSummary(n, 0, 0, EMPTY_HEAD) for n in range(self._sequencer.chain_count)]
            return empty, {}
        newest = self._register.head
        if not newest.final:
            return list(newest.chains), read_accounts(self._sequencer.objects.get, newest.emitters)
        return [ChainSummary(c.id, c.next_seq, c.next_seq, c.head) for c in newest.chains], {}

    def _step(self, day: dt.date, entries: list[bytes], intake: DayIntake, *, final: bool) -> None:
        """Make one head true and publish it: steps 2 to 10."""
        emitters, accounts = summarize(intake.accounts)
        staged, size, root, staging = self._stage(entries, emitters, accounts)
        signer = self._signer()
        head = sign_sth(self._head(day, size, root, intake.chains, emitters, final=final), signer)
        checkpoint = sign_checkpoint(size, root, head.timestamp // 1000, signer)
        verify_checkpoint(checkpoint, signer.keys)
        if self._register is None:
            following = Register(head, checkpoint, staging, signer.keys, head.timestamp)
        else:
            following = replace(self._register, head=head, checkpoint=checkpoint, staging=staging)
        self._swap(following)
        self._publisher.publish(following, staged)
        self._publish_roots()
        self._integrated += len(entries)
        if entries and intake.oldest is not None:
            self._oldest = intake.oldest.or_earlier(self._oldest)

    def _publish_roots(self) -> None:
        """Sign the newest head's root for COSE receipts, only now that the register holds it."""
        if self._register is not None:
            head = self._register.head
            signer, objects = self._signer(), self._sequencer.objects
            publish_roots(objects, head.root_hash, head.tree_size, head.timestamp // 1000, signer)

    def _swap(self, following: Register) -> None:
        """Move the lock register; from here on what ``following`` says is true."""
        held = None if self._register is None else self._register.encode()
        # If the swap's effect is unknown the error ends the run: only reading anew can tell.
        if not self._sequencer.lock.compare_and_swap(held, following.encode()):
            raise _LostRaceError
        self._register = following

    def _signer(self) -> Signer:
        signer = self._sequencer.signer
        return signer if self._register is None else signer.knowing(self._register.keys)

    def _announce_rotation(self) -> None:
        """Decide that the next key set is to come; which one it is and where it begins is still open."""
        register = self._newest()
        rotation = Rotation(register.keys.sets[-1].n + 1, self._next_timestamp())
        self._swap(replace(register, rotation=rotation))

    def _finish_rotation(self, day: dt.date) -> None:
        """Bring a rotation under way into force with this day, if its receipt is or can be in it."""
        register = self._register
        if register is None or register.rotation is None:
            return
        keys = record_rotation(
            self._sequencer.chains, register, self._signer(), day=day, now_ms=self._next_timestamp()
        )
        if keys is None:
            return
        self._publisher.publish_set(keys)
        self._swap(replace(register, keys=keys, keys_since_ms=self._next_timestamp(), rotation=None))
        self._publisher.publish_keys(keys)
        self._rotated.append(keys.sets[-1].n)

    def _stage(
        self, entries: list[bytes], emitters: EmitterTotals, accounts: bytes
    ) -> tuple[Mapping[str, bytes], int, bytes, str | None]:
        """Stage what new entries add; return (objects as stored, tree size, root, staging key)."""
        objects = self._sequencer.objects
        base, base_root = 0, None
        if self._register is not None:
            base, base_root = self._register.head.tree_size, self._register.head.root_hash
        builder = TileReader(objects.get, base, root=base_root).builder()
        if not entries:  # and so no account that is not in the store
            return {}, base, builder.root(), None
        grown = dict(builder.append(entries)) | dict(builder.partial_tiles())
        if emitters.key is not None:
            grown[emitters.key] = accounts
        size, root = builder.size, builder.root()
        key = staging_key(size, root)
        objects.put(key, encode_staged(base, size, grown))
        del grown, entries  # what is published is what was read back; a step's memory is the bytes once less
        stored = objects.get(key)
        if stored is None:
            # Only a run that saw a larger head drops bundles: the swap of this one would fail anyway.
            raise _LostRaceError
        staged = check_staged(stored, size, root, emitters, objects.get)
        if base_root is not None and base > 0:
            reader = TileReader(_overlay(staged, objects.get), size, root=root)
            proof = consistency_proof(base, size, reader.subtree_hash)
            verify_consistency(base, base_root, size, root, proof)
        return staged, size, root, key

    def _head(
        self,
        day: dt.date,
        size: int,
        root: bytes,
        chains: Sequence[ChainSummary],
        emitters: EmitterTotals,
        *,
        final: bool,
    ) -> TreeHead:
        first_leaf, prev = 0, None
        if self._register is not None:
            newest = self._register.head
            first_leaf = newest.tree_size if newest.final else newest.first_leaf
            prev = newest.sha256 if newest.final else newest.prev_sth_sha256
        return TreeHead(
            log_id=self._sequencer.signer.keys.log_id,
            date=day,
            final=final,
            tree_size=size,
            root_hash=root,
            timestamp=self._next_timestamp(),
            first_leaf=first_leaf,
            prev_sth_sha256=prev,
            chains=tuple(chains),
            emitters=emitters,
            policy_bundle_sha256=self._policy_sha256,
        )

    def _next_timestamp(self) -> int:
        """Return the present, but later than the newest head: so heads have one order."""
        if self._register is None:
            return self._now_ms
        return max(self._now_ms, self._register.head.timestamp + 1)

    def _newest(self) -> Register:
        if self._register is None:
            raise LogError("no head was published")
        return self._register

    def _outcome(self) -> Outcome:
        newest = self._newest()
        head: SignedTreeHead | None = newest.head
        if self._close is not None:
            head = self._publisher.final_head(self._close.isoformat(), newest.keys)
        if head is None:
            raise NotFoundError(f"the log has no day {self._close}: it begins later")
        return Outcome(
            head, tuple(self._closed), self._integrated, tuple(self._rotated), newest, self._oldest
        )


def _overlay(
    objects: Mapping[str, bytes], get: Callable[[str], bytes | None]
) -> Callable[[str], bytes | None]:
    """Return a reader that sees staged objects over stored ones."""

    def read(path: str) -> bytes | None:
        staged = objects.get(path)
        return get(path) if staged is None else staged

    return read
