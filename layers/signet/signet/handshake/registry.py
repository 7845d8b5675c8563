"""What is registered, remembered for a minute: what the authorizer knows about a key id, or about an API."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from typing import Final, Generic, TypeVar

from signet.core.apis import OWN_API, Api
from signet.core.client import Client
from signet.core.errors import UnavailableError
from signet.core.ports import ApiRegistry, ClientRegistry

#: A deployment that makes its API anew changes its id: for so long, seconds, the old one is taken for it.
_OWN_S: Final = 600.0
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Remembered(Generic[_K, _V]):
    """Remembers what a registry says, so that a change holds within a minute.

    That something is unknown is remembered too, so that guessing costs no reads, but in a table of its own
    that is bounded: guesses never push out what is registered.
    """

    def __init__(
        self,
        read: Callable[[_K], _V | None],
        clock: Callable[[], float],
        *,
        seconds: float = 60,
        size: int = 1024,
    ) -> None:
        """Wrap a registry.

        Args:
            read: asked for what is not remembered.
            clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``).
            seconds: for how long an entry is remembered.
            size: most entries in each of the two tables.
        """
        self._read = read
        self._clock = clock
        self._seconds = seconds
        self._size = size
        self._known: OrderedDict[_K, tuple[float, _V | None]] = OrderedDict()
        self._unknown: OrderedDict[_K, tuple[float, _V | None]] = OrderedDict()

    def get(self, key: _K) -> _V | None:
        """Return the entry, or None; at most ``seconds`` old."""
        now = self._clock()
        for table in (self._known, self._unknown):
            if (cached := table.get(key)) is not None and now < cached[0] + self._seconds:
                return cached[1]
        found = self._read(key)
        self._known.pop(key, None)
        self._unknown.pop(key, None)
        table = self._unknown if found is None else self._known
        table[key] = (now, found)
        if len(table) > self._size:
            table.popitem(last=False)
        return found


class CachedRegistry:
    """Implements ``signet.core.ports.ClientRegistry``: a revocation holds within a minute."""

    def __init__(
        self, registry: ClientRegistry, clock: Callable[[], float], *, seconds: float = 60, size: int = 1024
    ) -> None:
        """Wrap a registry; the arguments are those of ``Remembered``."""
        self._entries = Remembered[str, Client](registry.get, clock, seconds=seconds, size=size)

    def get(self, keyid: str) -> Client | None:
        """Return the entry, or None; at most ``seconds`` old."""
        return self._entries.get(keyid)


class CachedApis:
    """Implements ``signet.core.ports.ApiRegistry``: an API that is added or removed is so within a minute.

    Signet's own API is in front of what is registered, in all its stages. All names are listed once in that
    time, so the reads of an environment are bounded by what is registered, not by what is asked for.
    """

    def __init__(
        self,
        own: Callable[[str], Api],
        registry: ApiRegistry,
        clock: Callable[[], float],
        *,
        seconds: float = 60,
    ) -> None:
        """Wrap a registry.

        Args:
            own: returns Signet's own API, for the key ``signet``; asked anew each ten minutes.
            registry: of the attached ones.
            clock: as for ``Remembered``.
            seconds: as for ``Remembered``.
        """
        self._own = Remembered[str, Api](own, clock, seconds=_OWN_S, size=1)
        self._entries = Remembered[tuple[str, str], Api](
            lambda key: registry.find(*key), clock, seconds=seconds, size=256
        )
        self._names = Remembered[str, Api](registry.named, clock, seconds=seconds, size=256)
        self._listed = Remembered[None, Collection[str]](
            lambda _: registry.names(), clock, seconds=seconds, size=1
        )

    def find(self, api_id: str, stage: str) -> Api | None:
        """Return the entry, or None.

        Raises:
            UnavailableError: the registry cannot be read.
        """
        own = self.own()
        return own if api_id == own.api_id else self._entries.get((api_id, stage))

    def named(self, name: str) -> Api | None:
        """Return the entry with a name, or None.

        Raises:
            UnavailableError: the registry cannot be read.
        """
        if name == OWN_API:
            return self.own()
        # Strangers name what they like. What is not listed is not looked up, and not remembered either.
        return self._names.get(name) if name in self.names() else None

    def names(self) -> Collection[str]:
        """Return the names of the attached APIs, at most ``seconds`` old.

        Raises:
            UnavailableError: the registry cannot be read.
        """
        return self._listed.get(None) or ()

    def own(self) -> Api:
        """Return Signet's own API.

        Raises:
            UnavailableError: it cannot be read which one that is.
        """
        own = self._own.get(OWN_API)
        if own is None:
            raise UnavailableError("it is not known which API is Signet's own")
        return own
