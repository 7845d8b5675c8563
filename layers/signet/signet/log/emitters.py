"""The accounts of a day's emitters: which of the numbers that each one gave out are in the tree. Pure.

An emitter is an execution environment, and a caller that sends bursts makes more of them. A tree head must
not grow with them: it has their totals and the digest of their accounts, which are an object of the log.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from signet.core.canonical import MAX_INTEGER, canonicalize, parse
from signet.core.errors import CanonicalError, LogError
from signet.log import object_keys

_EMITTER_ID: Final = re.compile(r"[0-9a-f]{32}")
_MEMBERS: Final = frozenset({"count", "first", "last", "gaps"})


@dataclass(frozen=True, slots=True)
class EmitterAccount:
    """What one emitter's decisions of the day look like in the tree.

    Attributes:
        count: its leaves.
        first: smallest number among them.
        last: largest.
        gaps: inclusive ranges between ``first`` and ``last`` that are not among them, ascending.
    """

    count: int
    first: int
    last: int
    gaps: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, numbers: Iterable[int]) -> EmitterAccount:
        """Return the account of an emitter's first leaves of the day, at least one."""
        ordered = sorted(numbers)
        return cls(0, ordered[0], ordered[0]).with_more(ordered)

    def with_more(self, numbers: Iterable[int]) -> EmitterAccount:
        """Return the account with more leaves, in any order; linear in gaps and leaves."""
        ordered = sorted(numbers)
        if not ordered:
            return self
        first, last = min(self.first, ordered[0]), max(self.last, ordered[-1])
        gaps: list[tuple[int, int]] = []
        for start, end in ((first, self.first - 1), *self.gaps, (self.last + 1, last)):
            missing = start
            for n in ordered[bisect_left(ordered, start) : bisect_right(ordered, end)]:
                if missing < n:
                    gaps.append((missing, n - 1))
                missing = n + 1
            if missing <= end:
                gaps.append((missing, end))
        return EmitterAccount(self.count + len(ordered), first, last, tuple(gaps))

    @property
    def missing(self) -> int:
        """How many numbers are in the gaps."""
        return sum(end - start + 1 for start, end in self.gaps)

    def to_object(self) -> dict[str, Any]:
        """Return the account as the log's object has it."""
        return {"count": self.count, "first": self.first, "last": self.last, "gaps": self.gaps}

    def is_consistent(self) -> bool:
        """Tell whether gaps lie apart, ascending, strictly inside, and leave numbers for all leaves."""
        position = self.first
        for start, end in self.gaps:
            if not position < start <= end:
                return False
            position = end + 1
        present = self.last - self.first + 1 - self.missing
        return self.first >= 0 and position <= self.last and 0 < present <= self.count


@dataclass(frozen=True, slots=True)
class EmitterTotals:
    """What a tree head says of its day's emitters: the member ``emitters``.

    Attributes:
        count: emitters with a leaf.
        decisions: their leaves.
        missing: numbers in their gaps; of more than 2^53 - 1, which JSON cannot hold, 2^53 - 1.
        sha256: hex digest of the accounts' bytes.
    """

    count: int
    decisions: int
    missing: int
    sha256: str

    @property
    def key(self) -> str | None:
        """Key of the object with the accounts; None without emitters: then there is no object."""
        return object_keys.accounts(self.sha256) if self.count else None

    def is_consistent(self, leaves: int) -> bool:
        """Tell whether a day with this many leaves may have such totals."""
        return (
            0 <= self.count <= self.decisions <= leaves
            and (self.decisions == 0) == (self.count == 0) == (self.sha256 == NO_EMITTERS.sha256)
            and self.missing >= 0
            and (self.count < self.decisions or self.missing == 0)  # a single leaf leaves no gap
        )


NO_EMITTERS: Final = EmitterTotals(0, 0, 0, hashlib.sha256(b"{}").hexdigest())


def summarize(accounts: Mapping[str, EmitterAccount]) -> tuple[EmitterTotals, bytes]:
    """Return what a head says of these accounts, and their bytes: JCS of an object by emitter id."""
    encoded = canonicalize({name: account.to_object() for name, account in accounts.items()})
    return _totals(accounts, hashlib.sha256(encoded).hexdigest()), encoded


def read_accounts(get: Callable[[str], bytes | None], totals: EmitterTotals) -> dict[str, EmitterAccount]:
    """Return the accounts that a head names, held to what it says of them.

    Args:
        get: reads stored objects.
        totals: of the head.

    Raises:
        LogError: code ``bad_accounts``: they are not in the store, or not the ones that the head names.
    """
    if totals.key is None:
        return {}
    data = get(totals.key)
    if data is None:
        raise _refused(totals, "is missing")
    if not hmac.compare_digest(hashlib.sha256(data).hexdigest(), totals.sha256):
        raise _refused(totals, "does not have the digest it is named by")
    try:
        accounts = {name: _read(name, item) for name, item in parse(data).items()}
    except (CanonicalError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _refused(totals, "holds no accounts in their one form") from error
    if _totals(accounts, totals.sha256) != totals:
        raise _refused(totals, "adds up to something else than its tree head says")
    return accounts


def _totals(accounts: Mapping[str, EmitterAccount], sha256: str) -> EmitterTotals:
    missing = sum(account.missing for account in accounts.values())
    decisions = sum(account.count for account in accounts.values())
    return EmitterTotals(len(accounts), decisions, min(missing, MAX_INTEGER), sha256)


def _read(name: str, item: dict[str, Any]) -> EmitterAccount:
    account = EmitterAccount(
        item["count"], item["first"], item["last"], tuple((start, end) for start, end in item["gaps"])
    )
    numbers = (account.count, account.first, account.last, *(n for gap in account.gaps for n in gap))
    if (
        item.keys() != _MEMBERS
        or not _EMITTER_ID.fullmatch(name)
        or not all(type(number) is int for number in numbers)
        or not account.is_consistent()
    ):
        raise ValueError(name)
    return account


def _refused(totals: EmitterTotals, reason: str) -> LogError:
    return LogError(f"{totals.key} {reason}", code="bad_accounts")
