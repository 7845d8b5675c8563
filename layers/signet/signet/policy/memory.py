"""Remembers verdicts: by what the rules read, within a bound, and without a cliff at it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from signet.policy.facts import Facts
from signet.policy.wanted import Wanted

_T = TypeVar("_T")

#: By member of ``Facts``: its place in the input, and what stands in for it where no rule reads it.
_MEMBERS: Final[Mapping[str, tuple[str, str, Any]]] = MappingProxyType(
    {
        "path": ("path", "", ""),
        "path_parameters": ("path_parameters", "", ()),
        "keyid": ("principal", "keyid", ""),
        "roles": ("principal", "roles", frozenset()),
        "labels": ("principal", "labels", ()),
        "algorithm": ("algorithm", "", ""),
        "binding": ("binding", "", ""),
        "evidence_sha256": ("evidence", "", None),
        "state": ("breaker", "state", None),
        "level": ("breaker", "level", None),
        "header_bytes": ("header_bytes", "", 0),
    }
)
_MULTIPLIER: Final = 6364136223846793005  # Knuth's, of a generator modulo 2^64
_MASK: Final = (1 << 64) - 1


class VerdictMemory(Generic[_T]):
    """Verdicts by the facts that the rules read; the route always counts.

    When it is full, a new verdict takes the place of any other: requests that go round more questions than
    there are places then still find most of them. The oldest would always be the one that is asked for next.
    """

    def __init__(self, wanted: Wanted, most: int) -> None:
        """Remember at most so many verdicts of the policy that reads this."""
        self._blank: dict[str, Any] = {
            name: blank
            for name, (member, part, blank) in _MEMBERS.items()
            if not _is_read(wanted, member, part)
        }
        self._most = most
        self._verdicts: dict[Facts, _T] = {}
        self._places: list[Facts] = []
        self._state = 1

    def key(self, facts: Facts) -> Facts:
        """Return the facts without what no rule reads: equal keys get equal verdicts."""
        return facts._replace(**self._blank)

    def get(self, key: Facts) -> _T | None:
        """Return the verdict of a key, or None."""
        return self._verdicts.get(key)

    def put(self, key: Facts, verdict: _T) -> None:
        """Remember a verdict."""
        if key in self._verdicts:
            return
        if len(self._places) < self._most:
            self._places.append(key)
        else:
            self._state = (self._state * _MULTIPLIER + 1) & _MASK
            place = (self._state >> 32) % self._most
            del self._verdicts[self._places[place]]
            self._places[place] = key
        self._verdicts[key] = verdict


def _is_read(wanted: Wanted, member: str, part: str) -> bool:
    members = wanted.reads_of(member)
    return members is None or (part in members if part else bool(members))
