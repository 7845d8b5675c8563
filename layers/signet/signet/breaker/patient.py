"""A store that fails now and then, asked again at once: for calls that may be repeated.

A refresh takes several calls. Where a third of the calls fail, few refreshes would succeed, and requests
would be decided by what was read long ago.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from signet.breaker.pause import repeated
from signet.core.errors import UnavailableError
from signet.core.ports import BreakerStore, StoredBreaker

_TRIES: Final = 4
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PatientStore:
    """Implements ``signet.core.ports.BreakerStore``: asks another one, up to four times in all.

    Not again after a failure that took time, since a request waits. Three times where calls are refused
    because there are too many.

    Attributes:
        store: the other one.
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``).
    """

    store: BreakerStore
    clock: Callable[[], float]

    def read(
        self, name: str, items: Sequence[str] = ()
    ) -> tuple[StoredBreaker | None, Sequence[Mapping[str, str]]]:
        """Read; reading changes nothing."""
        return self._again(lambda: self.store.read(name, items))

    def add(self, item: str, amounts: Mapping[str, str], *, expires_at: int) -> Mapping[str, str]:
        """Add, once: what may have taken place is not repeated."""
        return self.store.add(item, amounts, expires_at=expires_at)

    def note(self, item: str, names: Mapping[str, str], *, expires_at: int) -> None:
        """Add where a sum says something by being there: twice is once."""
        self._again(lambda: self.store.add(item, names, expires_at=expires_at))

    def claim(self, item: str, name: str, *, expires_at: int) -> Decimal:
        """Add one, and return the sum; a claim whose answer was lost may count twice, and spares the more."""
        sums = self._again(lambda: self.store.add(item, {name: "1"}, expires_at=expires_at))
        try:
            return Decimal(sums[name])
        except (KeyError, ArithmeticError) as error:
            raise UnavailableError("the sum of claims cannot be read") from error

    def move(self, record: StoredBreaker) -> bool:
        """Write a state; False may stand for this very write, its answer lost, as the port says."""
        return self._again(lambda: self.store.move(record))

    def clear_unsent(self, name: str, *, version: int) -> None:
        """Forget receipts; twice is once."""
        self._again(lambda: self.store.clear_unsent(name, version=version))

    def _again(self, call: Callable[[], _T]) -> _T:
        return repeated(call, self.clock, most=_TRIES)
