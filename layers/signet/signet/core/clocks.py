"""How much time has passed, by two clocks: every cache and every deadline of an environment asks here.

A monotonic clock stands still while Lambda freezes an execution environment between two requests
(github.com/hashicorp/vault-lambda-extension/issues/150, github.com/awslabs/aws-lambda-web-adapter/issues/569,
github.com/DataDog/dd-trace-java/issues/11882), and a laptop's while it sleeps. A wall clock can be set, also
back. Neither alone says for how long a revoked key or an old policy has been believed.
docs/threat-model.md lists what is remembered anywhere, and for how long ("What is remembered").

Caches are written by hand. ``cachetools.TTLCache`` would take this clock as its ``timer``, but it counts an
age from after the read, and needs a lock around it (cachetools.readthedocs.io, "Cache implementations"). Its
import takes 6 ms of a cold start (8.0.2), and the longest cache here would lose eight lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

#: What has passed when the wall clock went back: how much is unknown, so more than any limit there is.
UNKNOWN_S: Final = 366 * 86_400.0


class Elapsed:
    """Seconds that have passed since it was made; safe to share between threads.

    From one call to the next it goes on by the larger step of the two clocks, and by ``UNKNOWN_S`` when the
    wall clock went back. So what is older than its limit by either clock is older by this one, and what was
    remembered before the wall clock was set back is forgotten.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        """Start; both clocks return seconds."""
        self._clocks = (monotonic, wall)
        self._last = (monotonic(), wall())
        self._passed = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the seconds that have passed; never fewer than before."""
        with self._lock:
            (monotonic, wall), (earlier, before) = self._clocks, self._last
            self._last = now, told = monotonic(), wall()
            ticked, stepped = now - earlier, told - before
            self._passed += UNKNOWN_S if stepped < 0 else max(ticked, stepped)
            return self._passed
