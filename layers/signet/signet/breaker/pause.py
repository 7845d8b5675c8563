"""Leaving a store alone after it failed, and telling of it: for those who go on without it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from signet.core.errors import MisconfiguredError, NotDoneError, SignetError, UnavailableError

_T = TypeVar("_T")

# The first pause, and the longest.
_PAUSES_S: Final = (1.0, 30.0)
# What fails at once costs its request nothing; a store that answers half of its calls is worth asking.
_QUICK_PAUSES_S: Final = (0.5, 2.0)
_QUICK_S: Final = 0.2
#: How often a call is tried that the store refuses because there are too many, as AWS's SDKs do
#: (docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html): more tries would make it worse.
TRIES_IF_REFUSED: Final = 3

#: Takes an error that is met on the side, where no request fails of it.
Report = Callable[[SignetError], None]


def unheard(_error: SignetError) -> None:
    """Do nothing: the default ``Report``."""


@dataclass(slots=True)
class Pause:
    """How long a store is left alone after it failed: twice as long each time, until it answers again.

    All times are seconds that have passed by two clocks (``signet.core.clocks.Elapsed``).
    """

    _until_s: float = 0.0
    _length_s: float = 0.0

    def is_over(self, now_s: float) -> bool:
        """Tell whether the store may be tried."""
        return now_s >= self._until_s

    def failed(self, now_s: float, *, quickly: bool = False) -> None:
        """Leave it alone for longer than the last time; not for long if it failed at once."""
        first_s, longest_s = _QUICK_PAUSES_S if quickly else _PAUSES_S
        self._length_s = min(longest_s, max(first_s, 2 * self._length_s))
        self._until_s = now_s + self._length_s

    def answered(self) -> None:
        """Forget that it ever failed."""
        self._until_s = self._length_s = 0.0


def is_quick(error: SignetError, taken_s: float) -> bool:
    """Tell whether a failure cost its request no time, and may be gone with the next call.

    Args:
        error: the failure.
        taken_s: seconds that the call took, by two clocks.
    """
    return taken_s <= _QUICK_S and not isinstance(error, MisconfiguredError)


def repeated(call: Callable[[], _T], clock: Callable[[], float], *, most: int) -> _T:
    """Return what a call returns, made again at once where it failed and that cost its request no time.

    Args:
        call: to be made.
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``).
        most: how often in all, where it may have had its effect: 1 if twice is not once. What was refused for
            certain is tried ``TRIES_IF_REFUSED`` times.

    Raises:
        UnavailableError: as the last try.
    """
    tried = 0
    while True:
        began_s = clock()
        try:
            return call()
        except UnavailableError as error:
            tried += 1
            tries = TRIES_IF_REFUSED if isinstance(error, NotDoneError) else most
            if tried >= tries or not is_quick(error, clock() - began_s):
                raise


@dataclass(slots=True)
class MisconfigurationReporter:
    """Reports what stays until a person changes something: once per pause, of the same lengths as above.

    Without it a part that goes on without its store would be off for good, and no line would say why.

    Attributes:
        report: is told; what it raises goes no further.
    """

    report: Report
    _pause: Pause = field(default_factory=Pause, init=False)

    def failed(self, error: SignetError, now_s: float) -> None:
        """Report a ``MisconfiguredError``, unless one was reported within the pause; others pass."""
        if isinstance(error, MisconfiguredError) and self._pause.is_over(now_s):
            self._pause.failed(now_s)
            with suppress(Exception):
                self.report(error)

    def answered(self) -> None:
        """Report the next one at once."""
        self._pause.answered()
