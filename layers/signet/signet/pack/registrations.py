"""Which registrations decisions name, held to those on record: only as far as the receipts at hand go."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.core.errors import PackError
from signet.core.instants import raw_id
from signet.pack import layout
from signet.receipts.reading import Receipt
from signet.receipts.shape import ADDED_TYPE


class Registrations:
    """Takes receipts in any order: a decision may be recorded before the registration that it names."""

    def __init__(self) -> None:
        """Begin with none."""
        self._named: dict[
            bytes, int
        ] = {}  # canonical member ``api`` of decisions, and the first place of each
        self._added: dict[str, bytes] = {}  # by id of the receipt: the ``api`` of decisions under it

    def add(self, receipt: Receipt, place: int) -> None:
        """Take one receipt.

        Args:
            receipt: of any type.
            place: its line, or its leaf.
        """
        if receipt.called is not None:
            self._named.setdefault(receipt.called, place)
        elif receipt.type == ADDED_TYPE:
            self._added[receipt.id] = _called(receipt.members)

    def merge(self, other: Registrations, first: int) -> None:
        """Take what another one has taken, whose line 1 is the leaf ``first``."""
        for called, line in other._named.items():
            self._named.setdefault(called, first + line - 1)
        self._added |= other._added

    def contradictions(self, ids: Collection[bytes] = ()) -> list[tuple[int, str]]:
        """Return (place, reason) for decisions whose registration is on record and says something else.

        Args:
            ids: of all receipts at hand, 16 bytes each: one that is no registration is no decision's either.
        """
        found = []
        for called, place, registration in self._naming():
            added = self._added.get(registration)
            if added is None and raw_id(registration) in ids:
                found.append((place, "names as its API's registration a receipt that is none"))
            elif added is not None and added != called:
                found.append((place, "names the registration of another API, stage or kind"))
        return sorted(found)

    def absent(self) -> set[str]:
        """Return ids of registrations that are named, and not at hand."""
        return {registration for *_, registration in self._naming()} - self._added.keys()

    def _naming(self) -> Iterator[tuple[bytes, int, str]]:
        for called, place in self._named.items():
            registration = parse(called)["registration"]
            if registration is not None:
                yield called, place, registration


def check_registrations(day: Registrations, ids: Collection[bytes]) -> None:
    """Hold the registration that a decision names to the receipt of it, where that is of this day.

    Args:
        day: of all receipts of the day.
        ids: theirs.

    Raises:
        PackError: ``wrong_registration``; line is the first such decision's.
    """
    for line, reason in day.contradictions(ids):
        raise PackError(reason, file=layout.RECEIPTS, line=line, code="wrong_registration")


def _called(added: Mapping[str, Any]) -> bytes:
    return canonicalize({"name": added["name"], **added["api"], "registration": added["id"]})
