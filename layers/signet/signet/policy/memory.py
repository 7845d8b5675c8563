"""Remembers verdicts: by what the rules read, within a bound, and without a cliff at it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from signet.policy.facts import Facts
from signet.policy.wanted import Wanted

_K = TypeVar("_K")
_V = TypeVar("_V")

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


class Memory(Generic[_K, _V]):
    """Answers by question, within a bound.

    When it is full, a new answer takes the place of any other: who goes round more questions than there are
    places then still finds most of them. The oldest would always be the one that is asked for next.
    """

    def __init__(self, most: int) -> None:
        """Remember at most so many answers."""
        self._most = most
        self._answers: dict[_K, _V] = {}
        self._places: list[_K] = []
        self._state = 1

    def get(self, key: _K) -> _V | None:
        """Return the answer to a question, or None."""
        return self._answers.get(key)

    def put(self, key: _K, answer: _V) -> None:
        """Remember an answer."""
        if key in self._answers:
            return
        if len(self._places) < self._most:
            self._places.append(key)
        else:
            self._state = (self._state * _MULTIPLIER + 1) & _MASK
            place = (self._state >> 32) % self._most
            del self._answers[self._places[place]]
            self._places[place] = key
        self._answers[key] = answer


class VerdictMemory(Memory[Facts, _V]):
    """Verdicts by the facts that the rules read; the route always counts."""

    def __init__(self, wanted: Wanted, most: int) -> None:
        """Remember at most so many verdicts of the policy that reads this."""
        super().__init__(most)
        self._blank: dict[str, Any] = {
            name: blank
            for name, (member, part, blank) in _MEMBERS.items()
            if not _is_read(wanted, member, part)
        }

    def key(self, facts: Facts) -> Facts:
        """Return the facts without what no rule reads: equal keys get equal verdicts."""
        return facts._replace(**self._blank)


def _is_read(wanted: Wanted, member: str, part: str) -> bool:
    members = wanted.reads_of(member)
    return members is None or (part in members if part else bool(members))
