"""Registered callers, remembered for a minute: what the authorizer knows about a key id."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from signet.core.client import Client
from signet.core.ports import ClientRegistry


class CachedRegistry:
    """Remembers entries for a minute, so that a revocation holds within that time.

    Unknown ids are remembered too, so that guessing costs no reads, but in a table of their own that
    is bounded: guesses never push a real client out.
    """

    def __init__(
        self, registry: ClientRegistry, clock: Callable[[], float], *, seconds: float = 60, size: int = 1024
    ) -> None:
        """Wrap a registry.

        Args:
            registry: asked for what is not remembered.
            clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``).
            seconds: for how long an entry is remembered.
            size: most entries in each of the two tables.
        """
        self._registry = registry
        self._clock = clock
        self._seconds = seconds
        self._size = size
        self._known: OrderedDict[str, tuple[float, Client | None]] = OrderedDict()
        self._unknown: OrderedDict[str, tuple[float, Client | None]] = OrderedDict()

    def get(self, keyid: str) -> Client | None:
        """Return the entry, or None; at most ``seconds`` old."""
        now = self._clock()
        for table in (self._known, self._unknown):
            if (cached := table.get(keyid)) is not None and now < cached[0] + self._seconds:
                return cached[1]
        found = self._registry.get(keyid)
        self._known.pop(keyid, None)
        self._unknown.pop(keyid, None)
        table = self._unknown if found is None else self._known
        table[keyid] = (now, found)
        if len(table) > self._size:
            table.popitem(last=False)
        return found
