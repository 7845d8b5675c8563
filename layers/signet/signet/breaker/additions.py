"""What is to be added to the store: each addition at most once, and none lost that need not be.

An addition whose answer was lost may have taken place. It is never repeated, since it would count twice; what
is lost so is lost at random, and shares stay what they are. One that certainly did not take place
(``NotDoneError``) waits for the next try, and so does what was not tried at all. Every addition names its
item, with the generation or epoch of its own: a late one counts where it belongs, and moves no later state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import partial
from typing import Final

from signet.breaker.pause import is_quick, repeated
from signet.core.errors import NotDoneError, UnavailableError
from signet.core.ports import BreakerStore

#: Items whose additions wait at most, the newest, and for how long: what is older weighs next to nothing.
_WAITING: Final = 64
_WAITS_S: Final = 60.0
# As many digits as DynamoDB adds (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
_EXACT: Final = Context(prec=38)


@dataclass(slots=True)
class _Addition:
    amounts: Mapping[str, str]
    expires_at: int
    since_s: float


@dataclass(slots=True)
class Additions:
    """Not safe to share between threads.

    Attributes:
        store: takes them.
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``).
        learn: is given an item, what was added to it, and its sums then.
    """

    store: BreakerStore
    clock: Callable[[], float]
    learn: Callable[[str, Mapping[str, str], Mapping[str, str]], None] = lambda _item, _added, _sums: None
    _waiting: dict[str, _Addition] = field(default_factory=dict, init=False)

    def __len__(self) -> int:
        """Return how many items wait for an addition."""
        return len(self._waiting)

    def put(self, item: str, amounts: Mapping[str, str], *, expires_at: int) -> None:
        """Let an addition wait for the next flush; several to one item become one.

        Args:
            item: as ``BreakerStore.add`` takes it.
            amounts: likewise.
            expires_at: likewise.
        """
        before = self._waiting.pop(item, None)
        if before is None:
            self._waiting[item] = _Addition(amounts, expires_at, self.clock())
        else:
            sums = _sum(before.amounts, amounts)
            self._waiting[item] = _Addition(sums, max(before.expires_at, expires_at), before.since_s)

    def flush(self) -> UnavailableError | None:
        """Try all that wait, and return the last failure; one that took time, or was refused, ends it."""
        now_s = self.clock()
        waiting = {item: one for item, one in self._waiting.items() if now_s - one.since_s < _WAITS_S}
        self._waiting = {}
        failure: UnavailableError | None = None
        ended = False
        for item, one in waiting.items():
            if ended:
                self._waiting[item] = one
                continue
            began_s = self.clock()
            try:
                # Again at once only where nothing was added.
                sums = repeated(partial(self._add, item, one), self.clock, most=1)
            except UnavailableError as error:
                failure = error
                ended = isinstance(error, NotDoneError) or not is_quick(error, self.clock() - began_s)
                if isinstance(error, NotDoneError):
                    self._waiting[item] = one
            else:
                self.learn(item, one.amounts, sums)
        for oldest in list(self._waiting)[:-_WAITING]:
            del self._waiting[oldest]
        return failure

    def _add(self, item: str, one: _Addition) -> Mapping[str, str]:
        return self.store.add(item, one.amounts, expires_at=one.expires_at)


def _sum(one: Mapping[str, str], other: Mapping[str, str]) -> Mapping[str, str]:
    zero = Decimal(0)
    return {
        name: format(_EXACT.add(Decimal(one.get(name, zero)), Decimal(other.get(name, zero))), "f")
        for name in {**one, **other}
    }
