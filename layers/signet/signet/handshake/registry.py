"""Registered callers: what the authorizer knows about a key id."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signet.ports import ClientRegistry

#: What a key id looks like.
KEYID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")


class Role(StrEnum):
    """What a client may be: a caller of protected routes, or an auditor who may fetch packs."""

    CALLER = "caller"
    AUDITOR = "auditor"


class Status(StrEnum):
    """Whether a client's key may be used at all."""

    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Client:
    """One registered key.

    Attributes:
        keyid: name the caller signs under; for hybrid suites derived from the public key.
        alg: suite name, exactly as in the ``alg`` parameter.
        public_key: raw public key in the suite's encoding (``signet.handshake.suites``).
        status: active or revoked.
        roles: what the client may do.
        routes: patterns ``METHOD /path`` where ``*`` in the path matches any text; empty: every route
            its roles allow.
        not_before: first second the key is valid (Unix seconds), or None.
        not_after: last second the key is valid (Unix seconds), or None.
    """

    keyid: str
    alg: str
    public_key: bytes
    status: Status = Status.ACTIVE
    roles: frozenset[Role] = frozenset({Role.CALLER})
    routes: tuple[str, ...] = ()
    not_before: int | None = None
    not_after: int | None = None

    def may_use(self, method: str, path: str) -> bool:
        """Tell whether one of the client's route patterns matches; without patterns, every route does."""
        if not self.routes:
            return True
        return any(_matches(pattern, f"{method} {path}") for pattern in self.routes)


def _matches(pattern: str, route: str) -> bool:
    """Match literally but for ``*``; linear in the length of the route, whatever the pattern."""
    first, *rest = pattern.split("*")
    if not rest:
        return route == pattern
    if not route.startswith(first):
        return False
    position, last = len(first), rest.pop()
    for part in rest:
        found = route.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return len(route) - position >= len(last) and route.endswith(last)


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
            clock: seconds that have passed, by two clocks (``signet.clocks.Elapsed``).
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
