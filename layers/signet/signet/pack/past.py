"""Asks policies of today about requests of the past: what an operator wants to know before a push.

A transcript has what the policy was asked, but for members that no rule of that policy read. Where another
policy reads one of those, it is filled in as for a case (``signet.policy.cases``): no record says what it
was. The time is the receipt's, and networks are found anew, since each policy names its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from signet.core.canonical import canonicalize
from signet.core.errors import PackError
from signet.core.instants import parse_utc_millis
from signet.pack.report import PackReport
from signet.pack.transcripts import Decided
from signet.pack.verify import Progress, verify_pack
from signet.policy.engine import PolicyEngine
from signet.policy.explain import answer
from signet.policy.memory import Memory
from signet.policy.routes import route_key

_MAX_REMEMBERED: Final = 65_536
#: Most kinds of difference that are told apart: rules can put a caller's own words into a reason.
_MOST_KINDS: Final = 1_000


def read_past(file: BinaryIO, decided: Decided, *, progress: Progress | None = None) -> PackReport:
    """Verify a pack, and hand over each decision whose transcript it has.

    Nothing of the pack's own policy is run.

    Args:
        file: the pack, seekable.
        decided: as in ``verify_pack``.
        progress: likewise.

    Raises:
        PackError: the pack is not good; its first failure.
    """
    report = verify_pack(file, decided=decided, progress=progress)
    if not report.good:
        first = report.failures[0]
        raise PackError(f"the pack is not good: {first.reason}", file=first.where, code=first.code)
    return report


def past_input(receipt: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a policy that was not in force is asked about a request on record.

    Args:
        receipt: members of its receipt.
        asked: the input in its transcript, held to the receipt.
    """
    stated = {**asked, "time": {"unix": parse_utc_millis(receipt["decided_at"]) // 1000}}
    source = asked.get("source")
    if isinstance(source, Mapping) and source.get("ip"):
        stated["source"] = {"ip": source["ip"]}
    return stated


@dataclass(slots=True)
class OneReceipt:
    """Finds what the policy was asked about one request.

    Attributes:
        id: of its receipt.
        asked: the input on record; None if it was not found.
    """

    id: str
    asked: Mapping[str, Any] | None = None

    def take(self, receipt: Mapping[str, Any], asked: Any) -> None:
        """Take one decision (``Decided``)."""
        if receipt["id"] == self.id:
            self.asked = past_input(receipt, asked)


@dataclass(slots=True)
class Kind:
    """Requests of one route of which two policies say different things, and the same ones.

    Attributes:
        requests: how many.
        receipt_id: of the first.
    """

    requests: int
    receipt_id: str


class Otherwise:
    """Counts the requests of a day that two policies decide otherwise.

    Attributes:
        asked: decisions that both were asked about.
        kinds: (route, what the first says, what the second says) → the requests.
        more: requests of kinds that came after the thousandth.
    """

    def __init__(self, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> None:
        """Take the files of both, name → bytes.

        Raises:
            PolicyError: one of them does not compile.
        """
        self._engines = PolicyEngine(before), PolicyEngine(after)
        self._remembered: Memory[bytes, tuple[str, str]] = Memory(_MAX_REMEMBERED)
        self.asked = 0
        self.kinds: dict[tuple[str, str, str], Kind] = {}
        self.more = 0

    def take(self, receipt: Mapping[str, Any], asked: Any) -> None:
        """Take one decision (``Decided``)."""
        self.asked += 1
        stated = past_input(receipt, asked)
        key = hashlib.sha256(canonicalize(stated)).digest()
        said = self._remembered.get(key)
        if said is None:
            before, after = self._engines
            said = answer(before, stated), answer(after, stated)
            self._remembered.put(key, said)
        was, is_now = said
        if was == is_now:
            return
        kind = route_key(asked["api"], asked["route"]), was, is_now
        if kind not in self.kinds and len(self.kinds) >= _MOST_KINDS:
            self.more += 1
            return
        found = self.kinds.setdefault(kind, Kind(0, receipt["id"]))
        found.requests += 1
