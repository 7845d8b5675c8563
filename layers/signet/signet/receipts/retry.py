"""When the sink tries again within one invocation.

A message that fails goes back to its queue and stays hidden there for the queue's visibility timeout, which
is six times as long as an invocation. So what a little patience mends is mended at once. Pauses are random
between nothing and a bound that doubles ("full jitter"), so that sinks that met once do not meet again and
again: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

#: How often one thing is tried in all, however much time is left.
MAX_TRIES: Final = 20
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


def _no_pause(_seconds: float) -> None:
    """Go on at once."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How to pause, and until when to try again.

    Attributes:
        sleep: waits for so many seconds.
        random: draws from 0 to 1.
        time_left: whether another try may begin; the first one always may.
    """

    sleep: Callable[[float], None] = _no_pause
    random: Callable[[], float] = lambda: 1.0
    time_left: Callable[[], bool] = lambda: True

    def tries(self) -> Iterator[int]:
        """Yield the number of each try, from 0, after the pause before it."""
        yield 0
        for number in range(1, MAX_TRIES):
            bound_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (number - 1))
            if not self.time_left():
                return
            self.sleep(bound_s * self.random())
            if not self.time_left():
                return
            yield number


AT_ONCE: Final = RetryPolicy()
