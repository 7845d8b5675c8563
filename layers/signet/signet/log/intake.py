"""Taking a day's receipts out of their chains, checked link by link.

A receipt is handed on only after its successor in the chain (or, for the last, the chain's
head) confirmed its hash: no byte enters the tree that the chain does not vouch for.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from signet.core.errors import CanonicalError, LogError
from signet.core.instants import day_start_ms, utc_day
from signet.core.ports import ChainHead, ChainStore
from signet.log.emitters import EmitterAccount
from signet.log.summaries import ChainSummary
from signet.receipts.chain import EMPTY_HEAD, advance
from signet.receipts.model import Receipt, read_receipt

# A store may show a head a moment before the last receipts that it counts: the second look finds them.
_LOOKS: Final = 2


@dataclass(frozen=True, slots=True)
class Oldest:
    """The earliest receipt of a run, by each of the two clocks that date it; not always the same one.

    Attributes:
        decided_at_ms: Unix milliseconds, by the clock of what decided.
        recorded_at_ms: Unix milliseconds, by the clock of the sink.
    """

    decided_at_ms: int
    recorded_at_ms: int

    @classmethod
    def of(cls, receipt: Receipt, other: Oldest | None) -> Oldest | None:
        """Return the earlier of a receipt in a chain and of what came before."""
        if receipt.link is None:
            return other
        return cls(receipt.decided_at_ms, receipt.link.recorded_at_ms).or_earlier(other)

    def or_earlier(self, other: Oldest | None) -> Oldest:
        """Return the earlier of both, clock by clock."""
        if other is None:
            return self
        return Oldest(
            min(self.decided_at_ms, other.decided_at_ms), min(self.recorded_at_ms, other.recorded_at_ms)
        )


class DayIntake:
    """The receipts of one day that are not in the tree yet: chains in id order, receipts in seq order.

    Attributes:
        chains: how far each chain has been taken.
        accounts: of the day's emitters by id, over all that has been taken.
        oldest: the earliest of all that has been taken.
    """

    def __init__(
        self,
        store: ChainStore,
        day: dt.date,
        chains: Sequence[ChainSummary],
        accounts: Mapping[str, EmitterAccount],
    ) -> None:
        """Continue a day from what the newest head says of it and of its emitters.

        Of each chain only the receipts are taken that are there when it is first read: a chain that
        grows as fast as it is read does not keep a run from ending.
        """
        self.chains = list(chains)
        self.accounts = dict(accounts)
        self.oldest: Oldest | None = None
        self._store = store
        self._start_ms = day_start_ms(day)
        self._end_ms = day_start_ms(day + dt.timedelta(days=1))
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)  # taken, in no account yet
        self._streams = [self._receipts(summary) for summary in chains]

    def collect(self, *, max_receipts: int, max_bytes: int) -> tuple[list[bytes], bool]:
        """Return the next receipts' bytes, and True if these were the last of the day for now.

        Each chain gives up to an equal share. An emitter's numbers are spread over all chains: taken one
        chain after the other, every number that waits in a later chain would be a gap in its account.

        Raises:
            LogError: a chain contradicts itself or the tree.
        """
        count = len(self.chains)
        taken: list[bytes] = []
        done = True
        for index in range(count):
            share, last = self._collect_share(index, max(max_receipts // count, 1), max_bytes // count)
            taken += share
            done = done and last
        self._add_to_accounts()
        return taken, done

    def _collect_share(self, index: int, max_receipts: int, max_bytes: int) -> tuple[list[bytes], bool]:
        taken: list[bytes] = []
        size = 0
        for head, receipt in self._streams[index]:
            self.chains[index] = replace(self.chains[index], next_seq=head.next_seq, head=head.head)
            if receipt.emitter is not None:
                emitter, number = receipt.emitter
                self._numbers[emitter].append(number)
            self.oldest = Oldest.of(receipt, self.oldest)
            taken.append(receipt.encoded)
            size += len(receipt.encoded)
            if len(taken) >= max_receipts or size >= max_bytes:
                return taken, False
        return taken, True

    def _receipts(self, summary: ChainSummary) -> Iterator[tuple[ChainHead, Receipt]]:
        # The lower bound holds for all of them: earlier days are closed, and were fenced before.
        for head, receipt in _confirmed(self._store, summary, len(self.chains), not_before_ms=self._start_ms):
            if head.recorded_at_ms >= self._end_ms:
                break
            yield head, receipt

    def _add_to_accounts(self) -> None:
        # Once for all that was taken: an account with many gaps is read and written again as a whole.
        for emitter, numbers in self._numbers.items():
            known = self.accounts.get(emitter)
            self.accounts[emitter] = EmitterAccount.of(numbers) if known is None else known.with_more(numbers)
        self._numbers.clear()


def first_days(store: ChainStore, chain_count: int) -> list[dt.date]:
    """Return the day of each chain's first receipt; chains without receipts are left out.

    Raises:
        LogError: a chain contradicts itself.
    """
    empty = [ChainSummary(chain_id, 0, 0, EMPTY_HEAD) for chain_id in range(chain_count)]
    firsts = (next(_confirmed(store, summary, chain_count, not_before_ms=0), None) for summary in empty)
    return [utc_day(first[0].recorded_at_ms) for first in firsts if first is not None]


def pending(store: ChainStore, summary: ChainSummary, chain_count: int) -> Iterator[Receipt]:
    """Yield a chain's receipts that wait for integration: those after what a head says is in the tree.

    Raises:
        LogError: the chain contradicts itself or the tree.
    """
    for _head, receipt in _confirmed(store, summary, chain_count, not_before_ms=0):
        yield receipt


def _confirmed(
    store: ChainStore, summary: ChainSummary, chain_count: int, *, not_before_ms: int
) -> Iterator[tuple[ChainHead, Receipt]]:
    """Yield the chain's receipts after ``summary``, each with the chain's head after it."""
    until = store.head(summary.id)
    position = ChainHead(summary.id, summary.next_seq, summary.head, 0, not_before_ms)
    if until.next_seq < position.next_seq:
        raise LogError(f"chain {summary.id} is shorter than the log", code="chain_behind_log")
    unconfirmed: Receipt | None = None
    for _ in range(_LOOKS):
        if until.next_seq == position.next_seq:
            break
        for data in store.read(summary.id, start_seq=position.next_seq):
            receipt = _read(data, position)
            following = advance(position, receipt, chains=chain_count)
            if unconfirmed is not None:
                yield position, unconfirmed
            position, unconfirmed = following, receipt
            if position.next_seq == until.next_seq:
                break
    if position.next_seq != until.next_seq or not hmac.compare_digest(position.head, until.head):
        raise LogError(f"chain {summary.id} does not lead to its head", code="chain_broken")
    if unconfirmed is not None:
        yield position, unconfirmed


def _read(data: bytes, position: ChainHead) -> Receipt:
    try:
        return read_receipt(data, chained=True)
    except CanonicalError as error:
        where = f"receipt {position.next_seq} of chain {position.chain_id}"
        raise LogError(f"{where} is refused: {error}", code="bad_receipt") from error
