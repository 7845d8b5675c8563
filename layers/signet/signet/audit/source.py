"""Where a log's objects are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Returns an object's bytes by key, None if there is none.
Get = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where a log's objects are.

    Attributes:
        get: returns an object's bytes by key, None if there is none.
        keys: yields the keys under a prefix; None where the source cannot be listed (a web server).
    """

    get: Get
    keys: Callable[[str], Iterator[str]] | None = None
