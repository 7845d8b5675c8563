"""The numbers of emitters over the days of a log: which are missing, and which stand there twice.

An emitter counts its decisions from 0, and a day's end does not stop it. A day by itself cannot tell a number
that was lost from one of the day before; the days together can. What is kept of an emitter is its account,
until nothing was heard of it for as long as a message may wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from signet.core.verification import Gap
from signet.log.emitters import EmitterAccount
from signet.pack.folded import Said

#: Days of silence after which an emitter is done: 14 in the queue, 14 in the dead-letter queue, 2 more.
_SILENT_DAYS: Final = 30
#: Emitters that are kept; of more, those that were silent longest are taken to be done.
MAX_EMITTERS: Final = 200_000
#: Gaps that an audit reports; it says how many more there are.
MAX_GAPS: Final = 10_000
_NOTHING: Final[Mapping[str, Said]] = {}


@dataclass(slots=True)
class _Emitter:
    account: EmitterAccount
    last_day: int
    begun: bool  # whether its first number should be in what was read
    said: Said = field(default_factory=Said)


class EmitterNumbers:
    """Takes the numbers of one day after the other.

    Attributes:
        gaps: numbers that are missing, of emitters that are done; at most ``MAX_GAPS``.
        more_gaps: how many gaps there are beyond these.
        twice: receipts with a number that an earlier receipt of their emitter has.
        first_twice: the emitter of the first of these.
        hidden: refusals that emitters which are done say that they counted, and no summary of theirs counts.
        falling: emitters that say fewer with their last number than with their first.
    """

    def __init__(self, *, whole: bool) -> None:
        """Begin; ``whole`` says that the first day taken is the log's first."""
        self._whole = whole
        self._days = 0
        self._open: dict[str, _Emitter] = {}
        self.gaps: list[Gap] = []
        self.more_gaps = 0
        self.twice = 0
        self.first_twice = ""
        self.hidden = self.falling = 0

    def add_day(self, numbers: Mapping[str, Iterable[int]], said: Mapping[str, Said] = _NOTHING) -> None:
        """Take the numbers of the next day, by emitter, and what emitters say of refusals they counted."""
        for emitter, drawn in numbers.items():
            self._add(emitter, sorted(drawn))
            if emitter in said:
                self._open[emitter].said.merge(said[emitter])
        self._days += 1
        self._close_accounts(self._days - _SILENT_DAYS)

    def finish(self) -> None:
        """Report what is missing of all emitters that were not done yet."""
        self._close_accounts(self._days + 1)

    def _add(self, emitter: str, drawn: list[int]) -> None:
        known = self._open.pop(emitter, None)  # and in again at the end: so they are kept by their last day
        ordered = sorted(set(drawn))
        before = 0 if known is None else _present(known.account)
        account = EmitterAccount.of(ordered) if known is None else known.account.with_more(ordered)
        again = len(drawn) - (_present(account) - before)
        if again:
            self.twice += again
            self.first_twice = self.first_twice or emitter
        begun = (self._whole or self._days > 0) if known is None else known.begun
        said = Said() if known is None else known.said
        self._open[emitter] = _Emitter(account, self._days, begun, said)

    def _close_accounts(self, before_day: int) -> None:
        done: list[str] = []
        for emitter, known in self._open.items():  # in the order of their last day
            if known.last_day >= before_day and len(self._open) - len(done) <= MAX_EMITTERS:
                break
            done.append(emitter)
        for emitter in sorted(done):
            known = self._open.pop(emitter)
            self.hidden += known.said.hidden(begun=known.begun)
            self.falling += known.said.grown < 0
            if known.begun and known.account.first > 0:
                self._missing(Gap(emitter, 0, known.account.first - 1))
            for first, last in known.account.gaps:
                self._missing(Gap(emitter, first, last))

    def _missing(self, gap: Gap) -> None:
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(gap)
        else:
            self.more_gaps += 1


def _present(account: EmitterAccount) -> int:
    return account.last - account.first + 1 - account.missing
