"""What happens without a safety step: each mutation takes one out, for the rest of a process's life.

They stand here and not in the code: nothing that is deployed can be told to leave a step out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from signet.aws import chains, receipt_index
from signet.aws.lock import DynamoLockStore
from signet.core.errors import UnavailableError
from signet.log import fencing, sequencer
from signet.log.publish import Publisher
from signet.log.sequencer import _Run


@dataclass(frozen=True, slots=True)
class Mutation:
    """A safety step taken out.

    Attributes:
        apply: takes it out of this process.
        scenario: a scenario in which that must be noticed.
        cases: what the names of those cases hold that can notice it; others are left out, to save time.
    """

    apply: Callable[[], None]
    scenario: str
    cases: str


def _swap_unconditionally() -> None:
    """The register is overwritten without a look at what it holds."""
    honest = DynamoLockStore.compare_and_swap

    def swap(self: DynamoLockStore, _old: bytes | None, new: bytes) -> bool:
        return honest(self, self.read(), new)

    DynamoLockStore.compare_and_swap = swap  # type: ignore[method-assign] # that is the mutation


def _stage_nothing() -> None:
    """The tiles are published from memory; no bundle is left for the run after a crash."""

    class Discarding:
        def __init__(self, objects: Any) -> None:
            self._objects = objects
            self._staged: dict[str, bytes] = {}

        def put(self, key: str, body: bytes, **_: Any) -> None:
            self._staged[key] = body

        def get(self, key: str) -> bytes | None:
            return self._staged.get(key) or self._objects.get(key)

    _with_objects(Discarding)


def _read_nothing_back() -> None:
    """What was sent to the store is signed, not what the store holds."""

    class Trusting:
        def __init__(self, objects: Any) -> None:
            self._objects = objects
            self._sent: dict[str, bytes] = {}

        def put(self, key: str, body: bytes, **_: Any) -> None:
            self._sent[key] = body
            self._objects.put(key, body)

        def get(self, key: str) -> bytes | None:
            return self._sent.get(key) or self._objects.get(key)

    _with_objects(Trusting)


def _with_objects(kind: Callable[[Any], Any]) -> None:
    """Let the staging step, and no other, see another store."""
    honest = _Run._stage

    def stage(self: _Run, *given: Any) -> Any:
        before = self._sequencer
        self._sequencer = replace(before, objects=kind(before.objects))
        try:
            return honest(self, *given)
        finally:
            self._sequencer = before

    _Run._stage = stage  # type: ignore[method-assign] # that is the mutation


def _compare_nothing() -> None:
    """An object that is there already is taken for the one that was to be written."""

    def write_once(self: Publisher, key: str, body: bytes, *, content_type: str = "") -> None:
        self.objects.put_once(key, body, content_type=content_type)

    Publisher.write_once = write_once  # type: ignore[method-assign] # that is the mutation


def _fence_nothing() -> None:
    """A day is closed while sinks may still append to it."""
    for module in (fencing, sequencer):
        module.fence = lambda *_: None  # type: ignore[attr-defined] # that is the mutation


def _remember_nothing() -> None:
    """Ids are not looked up before an append."""
    honest = receipt_index.Span.of

    def of(items: Any) -> receipt_index.Span:
        return receipt_index.Span(frozenset(), honest(items).next_page)

    chains.Span.of = of  # type: ignore[method-assign,assignment] # that is the mutation


def _guess_the_swap() -> None:
    """A swap whose effect is unknown is taken for one that succeeded."""
    honest = DynamoLockStore.compare_and_swap

    def swap(self: DynamoLockStore, old: bytes | None, new: bytes) -> bool:
        try:
            return honest(self, old, new)
        except UnavailableError:
            return True

    DynamoLockStore.compare_and_swap = swap  # type: ignore[method-assign] # that is the mutation


MUTATIONS: Mapping[str, Mutation] = {
    "swap unconditionally": Mutation(_swap_unconditionally, "two chains", "/ news and another run"),
    "stage nothing": Mutation(_stage_nothing, "new receipts", "/ killed just"),
    "read nothing back": Mutation(_read_nothing_back, "new receipts", "/ one bit flipped in what it stores"),
    "compare nothing": Mutation(_compare_nothing, "new receipts", "/ something else"),
    "fence nothing": Mutation(_fence_nothing, "closing a day", "/ a sink whose clock lags"),
    "remember no ids": Mutation(_remember_nothing, "a batch", "/ takes effect and then fails"),
    "take an unknown swap for done": Mutation(_guess_the_swap, "new receipts", "/ fails before"),
}
