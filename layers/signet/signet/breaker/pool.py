"""The breakers of one environment: one for each backend, made when its first request comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from signet.breaker.asked import Breaker


class Breakers(Protocol):
    """What the handshake asks of them."""

    def of(self, backend: str) -> Breaker:
        """Return the breaker of a backend that the policy names. Never fails."""
        ...


@dataclass(frozen=True, slots=True)
class OneBreaker:
    """One breaker for all backends.

    Attributes:
        breaker: that one.
    """

    breaker: Breaker

    def of(self, backend: str) -> Breaker:  # noqa: ARG002 - the protocol's signature
        """See ``Breakers``."""
        return self.breaker


@dataclass(frozen=True, slots=True)
class BreakerPool:
    """Implements ``Breakers``; safe to share between threads.

    It grows with the backends that policies in force have named, and so with nothing that a caller sends. An
    environment reads the state of those backends only that its own requests call.

    Attributes:
        make: makes the breaker of a backend.
    """

    make: Callable[[str], Breaker]
    _made: dict[str, Breaker] = field(default_factory=dict, init=False)
    _making: threading.Lock = field(default_factory=threading.Lock, init=False)

    def of(self, backend: str) -> Breaker:
        """See ``Breakers``."""
        found = self._made.get(backend)
        if found is None:
            with self._making:
                found = self._made.get(backend)
                if found is None:
                    found = self._made[backend] = self.make(backend)
        return found
