"""Our breaker with its own keeper and reporter: where the store's failures and the clocks are the question.

``fleet.SignetFleet`` reads and writes a table directly, which is several times faster. Here each environment
is a ``BreakerKeeper`` and an ``OutcomeReporter``, with their pauses, their flushes and what they drop.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from bench.breaker.fleet import SHIPPED, START_MS
from bench.breaker.plan import Request, Scenario
from signet.breaker.admission import Admission
from signet.breaker.callers import Caller, numbered
from signet.breaker.config import BreakerConfig
from signet.breaker.fleetclock import FleetClock
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.machine import BreakerRecord
from signet.breaker.presented import Presented
from signet.breaker.rates import name_caller
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import OutcomeToken, decode
from signet.core.errors import NotDoneError, UnavailableError
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import PPM, BreakerState

_NAME = "backend"
_Admitted = tuple[Admission, Caller | None]
_GOOD_FOR_MS = 330_000
_ANSWER_MS = 10
_KINDS = 3


class FailingStore:
    """States and sums in memory; a call fails as ``fails`` says.

    They are of three kinds in turn: a call is refused, for certain without effect; one fails before any
    effect, one after it, which a caller cannot tell apart.
    """

    def __init__(self, fails: Callable[[], bool]) -> None:
        """Begin empty."""
        self.records: list[BreakerRecord] = []
        self._fails = fails
        self._failures = 0
        self._stored: StoredBreaker | None = None
        self._sums: dict[str, dict[str, float]] = {}

    def read(
        self, name: str, items: Sequence[str] = ()
    ) -> tuple[StoredBreaker | None, Sequence[Mapping[str, str]]]:
        """Read the state and sums."""
        del name
        self._answer(lost=self._call())
        return self._stored, [
            {sum_: _text(value) for sum_, value in self._sums[item].items()} if item in self._sums else {}
            for item in items
        ]

    def add(self, item: str, amounts: Mapping[str, str], *, expires_at: int) -> Mapping[str, str]:
        """Add to sums."""
        del expires_at
        lost = self._call()
        sums = self._sums.setdefault(item, {})
        for name, amount in amounts.items():
            sums[name] = sums.get(name, 0.0) + float(amount)
        self._answer(lost=lost)
        return {name: _text(sums[name]) for name in amounts}

    def move(self, record: StoredBreaker) -> bool:
        """Write a state if its version is the next one."""
        lost = self._call()
        moves = (self._stored.version if self._stored else 0) == record.version - 1
        if moves:
            self._stored = record
            self.records.append(decode(record.state))
        self._answer(lost=lost)
        return moves

    def clear_unsent(self, name: str, *, version: int) -> None:
        """Forget the receipts."""
        del name
        lost = self._call()
        if self._stored and self._stored.version == version:
            self._stored = replace(self._stored, unsent=())
        self._answer(lost=lost)

    def _call(self) -> bool:
        """Fail before any effect, or say whether the answer will be lost after it."""
        if not self._fails():
            return False
        self._failures += 1
        if self._failures % _KINDS == 1:
            raise NotDoneError("the store has too much to do")
        if self._failures % _KINDS == 2:  # noqa: PLR2004 - the second kind
            raise UnavailableError("the store is away")
        return True

    def _answer(self, *, lost: bool) -> None:
        if lost:
            raise UnavailableError("the store's answer is lost")


class _Heard:
    """One environment's way to the store: its clock hears the whole second of each answer."""

    def __init__(
        self, store: FailingStore, clock: FleetClock, now_ms: Callable[[], int], skew_ms: int
    ) -> None:
        self._store, self._clock, self._now_ms, self._skew_ms = store, clock, now_ms, skew_ms

    def read(
        self, name: str, items: Sequence[str] = ()
    ) -> tuple[StoredBreaker | None, Sequence[Mapping[str, str]]]:
        """See ``FailingStore``."""
        found = self._store.read(name, items)
        self._hear()
        return found

    def add(self, item: str, amounts: Mapping[str, str], *, expires_at: int) -> Mapping[str, str]:
        """See ``FailingStore``."""
        sums = self._store.add(item, amounts, expires_at=expires_at)
        self._hear()
        return sums

    def move(self, record: StoredBreaker) -> bool:
        """See ``FailingStore``."""
        moved = self._store.move(record)
        self._hear()
        return moved

    def clear_unsent(self, name: str, *, version: int) -> None:
        """See ``FailingStore``."""
        self._store.clear_unsent(name, version=version)
        self._hear()

    def _hear(self) -> None:
        now_ms = self._now_ms()
        date = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        mine_ms = now_ms + self._skew_ms
        self._clock.heard(date, sent_ms=mine_ms - _ANSWER_MS, received_ms=mine_ms)


def _text(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


class _Queue:
    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        """Take a receipt."""


class DeployedFleet:
    """``environments`` keepers and reporters on one store. A ``simulation.Fleet``."""

    def __init__(
        self, environments: int, seed: int, *, plan: Scenario, config: BreakerConfig = SHIPPED
    ) -> None:
        rng = random.Random(f"deployed {seed}")  # noqa: S311 - a simulation
        self._now_s, self._rng = 0.0, rng
        self._has_callers = plan.offender_share is not None
        self._seed = seed
        self._objective_ms = round(plan.system.slow_s * 1000)
        fails = plan.store_fails
        self.store = FailingStore(lambda: fails > 0 and rng.random() < fails)
        skew_ms = plan.clock_skew_s * 1000
        self._skews_ms = [round(rng.uniform(-skew_ms, skew_ms)) for _ in range(environments)]
        # Backends are other machines: here they have the same clocks, and hear the time of their own answers.
        self._keepers = [self._keeper(skew, config) for skew in self._skews_ms]
        self._reporters = [self._reporter(skew, config) for skew in self._skews_ms]

    def _keeper(self, skew_ms: int, config: BreakerConfig) -> BreakerKeeper:
        clock = FleetClock()
        store = _Heard(self.store, clock, self._true_ms, skew_ms)
        return BreakerKeeper(
            *(_NAME, store, _Queue(), config, self._rng.random, self._clock), fleet_ms=clock.correct
        )

    def _reporter(self, skew_ms: int, config: BreakerConfig) -> OutcomeReporter:
        clock = FleetClock()
        store = _Heard(self.store, clock, self._true_ms, skew_ms)
        return OutcomeReporter(store, config, self._clock, fleet_ms=clock.correct)

    def admit(self, environment: int, at_s: float, request: Request) -> _Admitted | None:
        """Ask the environment's keeper, as the verifier does."""
        self._now_s = at_s
        keeper, now_ms = self._keepers[environment], self._now_ms(environment)
        admission = keeper.admit(now_ms)
        caller = None
        if self._has_callers:
            caller, pause_s = keeper.spared(self._number(request.client), now_ms)
            if pause_s is not None:
                return None
        if admission.admitted and not (caller and caller.blamed):
            admission = keeper.counted(admission, now_ms)
        if not admission.admitted:
            keeper.turned_away(Presented(self._rng.randbytes(32), _GOOD_FOR_MS), now_ms)
            return None
        if caller is None or not caller.blamed:
            keeper.arrived(admission, now_ms)
        return admission, caller

    def complete(
        self, environment: int, at_s: float, token: _Admitted, *, error: bool, slow: bool, latency_s: float
    ) -> None:
        """Tell the environment's reporter."""
        admission, caller = token
        if admission.generation is None:
            return
        self._now_s = at_s
        outcome = OutcomeToken(_NAME, admission.generation, self._objective_ms, caller)
        self._reporters[environment].report(
            outcome, now_ms=self._now_ms(environment), latency_ms=latency_s * 1000, error=error, slow=slow
        )

    def trips(self) -> list[int]:
        """Return the trips of the one breaker."""
        return [len(self.trips_ms)]

    @property
    def trips_ms(self) -> list[int]:
        """Return when it tripped, by the clocks of the environments that wrote it."""
        records = self.store.records
        return [
            after.state_since_ms
            for before, after in pairwise(records)
            if (before.state, after.state) == (BreakerState.CLOSED, BreakerState.OPEN)
        ]

    def open_share(self, at_s: float) -> float:  # noqa: ARG002 - the protocol's signature
        """Return what share is turned away by the record."""
        records = self.store.records
        return 1 - records[-1].admit_ppm / PPM if records else 0.0

    def _number(self, client: int) -> int:
        return numbered(name_caller(str(self._seed).encode(), str(client)))

    def _clock(self) -> float:
        return self._now_s

    def _true_ms(self) -> int:
        return START_MS + round(self._now_s * 1000)

    def _now_ms(self, environment: int) -> int:
        return self._true_ms() + self._skews_ms[environment]
