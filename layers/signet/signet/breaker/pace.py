"""How often a backend's environment stores outcomes: the more of them are busy, the seldomer each.

An authorizer reads how many environments there are; a backend may only add. But an addition is answered with
the item's sums, so each one also says how long its environment waits between two, and between two of its own
additions to an item an environment sees what all others said. The sum, by the time that passed, is the number
of environments that add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from signet.breaker.config import BreakerConfig
from signet.breaker.snapshot import INTERVALS, MAX_ENVIRONMENTS

_ITEMS: Final = 16
_MAX_DIGITS: Final = 15


@dataclass(slots=True)
class Pace:
    """Not safe to share between threads.

    Attributes:
        config: the breaker's numbers.
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``).
        interval_ms: between two flushes. It begins at twice the shortest one: a fleet that starts all at once
            adds once each, and again when it can see how many they are.
    """

    config: BreakerConfig
    clock: Callable[[], float]
    interval_ms: int = field(init=False)
    _seen: dict[str, tuple[float, int]] = field(
        default_factory=dict, init=False
    )  # item → when, sum of intervals
    _environments: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.interval_ms = 2 * self.config.refresh_ms

    def told(self) -> Mapping[str, str]:
        """Return what an addition says of its environment."""
        return {INTERVALS: str(self.interval_ms)}

    def learn(self, item: str, added: Mapping[str, str], sums: Mapping[str, str]) -> None:
        """Take note of an item's sums after an addition; what cannot be read says nothing."""
        if INTERVALS not in added:
            return
        text = sums.get(INTERVALS, "")
        if not (text.isascii() and text.isdecimal()) or len(text) > _MAX_DIGITS:
            return
        now_s, total = self.clock(), int(text)
        before_s, before = self._seen.pop(item, (now_s, total))
        self._seen[item] = now_s, total
        if now_s > before_s:
            found = (total - before) / (1000 * (now_s - before_s))
            self._environments = max(self._environments, min(found, MAX_ENVIRONMENTS))

    def flushed(self) -> None:
        """Wait from now on as long as the items of this flush bear, if any of them was known before."""
        if self._environments > 0:
            self.interval_ms = self.config.refresh_interval_ms(self._environments)
        self._environments = 0.0
        for item in list(self._seen)[:-_ITEMS]:
            del self._seen[item]
