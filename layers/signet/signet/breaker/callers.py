"""Callers as outcomes name them, and their outcomes in a sketch: what a reporter adds beside the sums.

    <name>#callers#<epoch>     outcomes of 15 s by caller, told while some are bad

Two rows of 64 slots; a caller is in one slot of each, by a keyed hash (a count-min sketch: Cormode and
Muthukrishnan, J. Algorithms 55, 2005). Its size is fixed, sketches merge by addition, and it shows the
heaviest few. Names of sums: a letter, the row, two digits of the slot.

    n, b    outcomes, and bad ones
    m, d    the same of requests that went through although their caller is blamed (``fairness``)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

#: Length of an epoch of outcomes by caller; that of an epoch of arrivals.
EPOCH_MS: Final = 15_000
#: For how long outcomes wait to be told of.
_WINDOW_MS: Final = 3_000
#: For how many windows all outcomes are told once bad ones were: a reporter that told of its bad ones alone
#: would make all callers seem bad.
_TELLING: Final = 5
# Four sums a slot at most, few of blamed callers: one ADD stays below 300 names and 4 KB, which is as much
# as an update takes (docs.aws.amazon.com, "Quotas in Amazon DynamoDB", expression parameters).
ROWS: Final = 2
_SLOT_BITS: Final = 6
_SLOTS: Final = 2**_SLOT_BITS
_CALLER_BITS: Final = 28
#: Least share of bad outcomes, of those that wait to be told of, with which they are told of.
_TOLD_SHARE: Final = 0.05


class Caller(NamedTuple):
    """A caller as an outcome token names one.

    Attributes:
        number: of 28 bits, from a keyed hash.
        blamed: the request went through although its caller is blamed.
    """

    number: int
    blamed: bool

    def __str__(self) -> str:
        return f"{'s' if self.blamed else 'c'}{self.number:07x}"

    @classmethod
    def parse(cls, text: str) -> Caller:
        """Read what a token's pattern found: a letter and seven hexadecimal digits."""
        return cls(int(text[1:], 16), text[0] == "s")


def numbered(name: bytes) -> int:
    """Return the number of a caller, from the name of ``signet.breaker.rates.name_caller``."""
    return int.from_bytes(name[:4]) >> (32 - _CALLER_BITS)


def callers_item(name: str, epoch: int) -> str:
    """Return the item in which the outcomes of an epoch are counted by caller."""
    return f"{name}#callers#{epoch}"


@dataclass(slots=True)
class CallerAccumulator:
    """Outcomes by caller that were not told yet, of one window. Not shared between threads."""

    _window: int = 0
    _counts: dict[str, int] = field(default_factory=dict)
    _all: int = 0
    _bad: int = 0
    _probes: int = 0
    _until: int = 0

    def add(self, caller: Caller, at_ms: int, *, bad: bool) -> None:
        """Count an outcome."""
        window = at_ms // _WINDOW_MS
        # What was not worth telling is over, or good outcomes of long ago would hide bad ones. A moment of a
        # window before is counted with this one's; an earlier one shows that the clock was set back.
        if not self._window - 1 <= window <= self._window:
            self._window, self._until = window, min(self._until, window + _TELLING)
            self._clear()
        kinds = "md" if caller.blamed else "nb"
        for place in places_of(caller.number):
            self._counts[kinds[0] + place] = self._counts.get(kinds[0] + place, 0) + 1
            if bad:
                self._counts[kinds[1] + place] = self._counts.get(kinds[1] + place, 0) + 1
        self._probes += caller.blamed
        self._all += not caller.blamed
        self._bad += bad and not caller.blamed

    def drain(self) -> tuple[int, dict[str, str]]:
        """Return epoch and amounts to ADD; none while nothing is bad."""
        telling = self._window < self._until
        if not self._probes and (self._bad < max(1, _TOLD_SHARE * self._all)) and not (telling and self._all):
            return 0, {}
        if self._bad:
            self._until = self._window + _TELLING
        amounts = {name: str(count) for name, count in self._counts.items()}
        self._clear()
        return self._window * _WINDOW_MS // EPOCH_MS, amounts

    def _clear(self) -> None:
        self._counts, self._all, self._bad, self._probes = {}, 0, 0, 0


def row_of(row: int) -> Iterator[str]:
    """Yield the places of a row."""
    return (f"{row}{slot:02d}" for slot in range(_SLOTS))


def places_of(number: int) -> tuple[str, ...]:
    """Return where a caller is counted: row and slot."""
    return tuple(f"{row}{number >> _SLOT_BITS * row & _SLOTS - 1:02d}" for row in range(ROWS))
