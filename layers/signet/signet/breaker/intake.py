"""Outcomes that backends send over HTTP: read, counted once each, added to the breakers' sums.

    {"outcomes": [{"ticket": "v1.…", "latency_ms": 41.5, "error": false}, …]}

Only a ticket moves anything: without one not even the store is asked. An outcome is marked first and added
then, so it counts at most once: if the addition fails, it is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from signet.breaker.accumulators import OutcomeAccumulator
from signet.breaker.callers import CallerAccumulator, callers_item
from signet.breaker.config import BreakerConfig
from signet.breaker.fleetclock import uncorrected
from signet.breaker.snapshot import KEPT_S, sums_item
from signet.breaker.ticket import Ticket, read_ticket
from signet.core.errors import UnavailableError, UsageError
from signet.core.ports import BreakerStore, OutcomeMarks

#: Longest batch in bytes, and the most outcomes in it.
MAX_BYTES: Final = 64 * 1024
MAX_OUTCOMES: Final = 100
#: Code of a batch that is larger.
TOO_LARGE: Final = "batch_too_large"
#: Longest time that an answer can have taken, milliseconds: a ticket counts no longer.
_MAX_LATENCY_MS: Final = 900_000
_MEMBERS: Final = {"ticket", "latency_ms", "error"}


class Result(StrEnum):
    """What became of one outcome."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the request's outcome was counted before
    INVALID = "invalid"  # no outcome, or its ticket does not count or no more


@dataclass(frozen=True, slots=True)
class _Outcome:
    ticket: Ticket
    latency_ms: float
    error: bool


@dataclass(frozen=True, slots=True)
class OutcomeIntake:
    """Takes batches of outcomes.

    Attributes:
        keys: for tickets, 32 bytes each; any of them may have made one.
        marks: which requests' outcomes were counted.
        store: the breakers' sums.
        config: the breaker's numbers; the same ones for every reporter and reader.
        fleet_ms: turns this machine's time into the fleet's, Unix milliseconds (``fleetclock``).
    """

    keys: Sequence[bytes] = field(repr=False)
    marks: OutcomeMarks
    store: BreakerStore
    config: BreakerConfig
    fleet_ms: Callable[[int], int] = uncorrected
    _callers: dict[str, CallerAccumulator] = field(default_factory=dict, init=False)

    def take(self, body: bytes, *, now_ms: int) -> list[Result]:
        """Count a batch; one result for each outcome, in their order.

        Raises:
            UsageError: ``batch_too_large``, ``malformed``: nothing was counted.
            UnavailableError: a store is down. What could be counted was; a batch that is sent again adds the
                rest, and what was marked is then a duplicate.
        """
        given = [self._read(item, now_ms // 1000) for item in _items(body)]
        first = {outcome.ticket.receipt_id: outcome for outcome in reversed(given) if outcome}
        kept = {receipt: outcome.ticket.expires_at + KEPT_S for receipt, outcome in first.items()}
        marked = self.marks.mark(kept) if kept else {}
        self._add([outcome for receipt, outcome in first.items() if marked[receipt]], self.fleet_ms(now_ms))
        if None in marked.values():
            raise UnavailableError("could not mark every outcome as counted")
        return [_result(outcome, first, marked) for outcome in given]

    def _read(self, item: Any, now_s: int) -> _Outcome | None:
        if not isinstance(item, dict) or item.keys() != _MEMBERS:
            return None
        latency, error = item["latency_ms"], item["error"]
        if isinstance(latency, bool) or not isinstance(latency, int | float) or not isinstance(error, bool):
            return None
        if not 0 <= latency <= _MAX_LATENCY_MS:
            return None
        ticket = read_ticket(self.keys, item["ticket"], now_s=now_s)
        return None if ticket is None else _Outcome(ticket, float(latency), error)

    def _add(self, outcomes: Sequence[_Outcome], now_ms: int) -> None:
        accumulators: dict[str, OutcomeAccumulator] = {}
        for outcome in outcomes:
            token, error = outcome.ticket.token, outcome.error
            slow = outcome.latency_ms > token.objective_ms
            if token.caller is not None:
                callers = self._callers.setdefault(token.name, CallerAccumulator())
                callers.add(token.caller, now_ms, bad=error or slow)
                if token.caller.blamed:
                    continue
            accumulator = accumulators.setdefault(token.name, OutcomeAccumulator(self.config.estimator))
            accumulator.add(token.generation, now_ms, latency_ms=outcome.latency_ms, error=error, slow=slow)
        expires_at = now_ms // 1000 + KEPT_S
        for name, accumulator in accumulators.items():
            for key, sums in accumulator.drain().items():
                self.store.add(sums_item(name, key), sums.to_increments(), expires_at=expires_at)
        for name in dict.fromkeys(outcome.ticket.token.name for outcome in outcomes):
            epoch, amounts = self._callers[name].drain() if name in self._callers else (0, {})
            if amounts:
                self.store.add(callers_item(name, epoch), amounts, expires_at=expires_at)


def _result(
    outcome: _Outcome | None, first: Mapping[str, _Outcome], marked: Mapping[str, bool | None]
) -> Result:
    if outcome is None:
        return Result.INVALID
    receipt = outcome.ticket.receipt_id
    return Result.ACCEPTED if marked[receipt] and first[receipt] is outcome else Result.DUPLICATE


def _items(body: bytes) -> list[Any]:
    if len(body) > MAX_BYTES:
        raise UsageError(f"a batch has at most {MAX_BYTES} bytes", code=TOO_LARGE)
    try:
        document = json.loads(body, object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UsageError("the body is no JSON", code="malformed") from error
    items = document.get("outcomes") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(items, list):
        raise UsageError('the body is not {"outcomes": [...]}', code="malformed")
    if len(items) > MAX_OUTCOMES:
        raise UsageError(f"a batch has at most {MAX_OUTCOMES} outcomes", code=TOO_LARGE)
    return items


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
