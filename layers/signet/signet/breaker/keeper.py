"""The breaker as one environment of the authorizer holds it: read now and then, asked at every request.

A request refreshes the view if it is older than the refresh interval; there is no other clock, since an
environment is frozen between requests. A refresh also drives the machine:

1. It reads the snapshot and asks the machine for a transition.
2. It writes the transition on the condition that the stored version is still the one it read.
3. It sends the receipt. The receipt stays with the state until it is known to be in the queue.

An environment that finds the same receipt at two refreshes sends it again: the writer left it behind.

Nothing here ever fails a request, and nothing a caller controls moves the state: only verified requests are
counted as load, only the backend's outcomes and failures of our own stores behind verification as evidence.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from signet.breaker.accumulators import ArrivalAccumulator, OutcomeAccumulator
from signet.breaker.additions import Additions
from signet.breaker.admission import Admission, View, admit
from signet.breaker.callers import Caller
from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate
from signet.breaker.fairness import Offenders
from signet.breaker.firststep import Probes
from signet.breaker.fleetclock import uncorrected
from signet.breaker.machine import decide
from signet.breaker.patient import PatientStore
from signet.breaker.pause import MisconfigurationReporter, Pause, Report, is_quick, unheard
from signet.breaker.presented import CountedProofs, Presented
from signet.breaker.rates import Rates
from signet.breaker.snapshot import (
    INTERVALS,
    KEPT_S,
    OutcomeToken,
    Snapshot,
    arrivals_item,
    decode,
    encode,
    first,
    read_snapshot,
    sums_item,
)
from signet.breaker.transitions import Sender, receipts_of
from signet.core.errors import UnavailableError
from signet.core.ports import BreakerStore, ReceiptQueue, StoredBreaker
from signet.core.rates import RateLimit

_TRIES = 3
# An item has room for some 500 receipts, and every read pays for what is in it.
_MAX_UNSENT = 32

#: Returns the numbers to move by, given those of the code; None while it is not known which are in force.
PolicyOverrides = Callable[[BreakerConfig], BreakerConfig | None]


@dataclass(slots=True)
class BreakerKeeper:
    """Implements ``Breaker`` over the shared state; safe to share between threads.

    Attributes:
        name: the breaker's.
        store: state and statistics.
        queue: takes the receipts of transitions; None for one that only watches and never drives.
        config: the breaker's numbers.
        draw: a uniform draw from [0, 1).
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``): ages what was read.
        overrides: asked at each refresh, so that numbers change without a restart; what it does not know
            moves nothing.
        report: is told what a person has to change before store or queue can be used, once per pause.
        fleet_ms: turns this machine's time into the fleet's, Unix milliseconds (``fleetclock``); every
            ``now_ms`` of this class's methods is this machine's.
    """

    name: str
    store: BreakerStore
    queue: ReceiptQueue | None
    config: BreakerConfig
    draw: Callable[[], float]
    clock: Callable[[], float]
    overrides: PolicyOverrides = field(default=lambda config: config)
    report: Report = unheard
    fleet_ms: Callable[[int], int] = uncorrected
    _view: View | None = field(default=None, init=False)
    _interval_ms: int = field(default=0, init=False)
    _pause: Pause = field(default_factory=Pause, init=False)
    _refused: MisconfigurationReporter = field(init=False)
    _patient: PatientStore = field(init=False)
    _additions: Additions = field(init=False)
    _sender: Sender = field(init=False)
    _arrivals: ArrivalAccumulator = field(init=False)
    _evidence: OutcomeAccumulator = field(init=False)
    _rates: Rates = field(init=False)
    _offenders: Offenders = field(default_factory=Offenders, init=False)
    _shed: CountedProofs = field(default_factory=CountedProofs, init=False)
    _probes: Probes = field(init=False)
    _failed: CountedProofs = field(default_factory=CountedProofs, init=False)
    _refreshing: threading.Lock = field(default_factory=threading.Lock, init=False)
    _counting: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._interval_ms = self.config.refresh_ms
        self._refused = MisconfigurationReporter(self.report)
        self._patient = PatientStore(self.store, self.clock)
        self._additions = Additions(self.store, self.clock)
        self._probes = Probes(self.name, self._patient, self.config, self.draw)
        self._sender = Sender(self.name, self._patient, self.queue, self.clock, self.report)
        self._arrivals = ArrivalAccumulator(self.config.estimator)
        self._evidence = OutcomeAccumulator(self.config.estimator)
        self._rates = Rates(self.config.item_writes_per_s)

    def admit(self, now_ms: int) -> Admission:
        """See ``Breaker``; of several threads one refreshes while the others go by what there is."""
        view, at_s = self._view, self.clock()
        at_ms = int(at_s * 1000)
        due = view is None or view.is_due(at_ms, self._interval_ms) or self._rates.is_due(at_s)
        if due and self._pause.is_over(at_s) and self._refreshing.acquire(blocking=view is None):
            try:
                if self._view is view:  # else another thread refreshed while this one waited
                    self._refresh(now_ms, at_s)
            finally:
                self._refreshing.release()
        return admit(self._view, self.fleet_ms(now_ms), self.config, self.draw, at_ms=at_ms)

    def outcome_token(self, admission: Admission, *, objective_ms: int, caller: Caller | None = None) -> str:
        """See ``Breaker``."""
        if admission.generation is None:
            return ""
        return str(OutcomeToken(self.name, admission.generation, objective_ms, caller))

    def spared(self, caller: int, now_ms: int) -> tuple[Caller, int | None]:
        """See ``Breaker``; a few requests of a caller that is to blame go through."""
        if not self._offenders.is_blamed(caller, self.fleet_ms(now_ms)):
            return Caller(caller, blamed=False), None
        at_s = self.clock()
        with self._counting:
            goes_through = self._offenders.lets_through(at_s, self.draw())
        pause_ms = self.config.max_open_ms + self.draw() * self.config.retry_jitter_ms
        return Caller(caller, blamed=True), None if goes_through else math.ceil(pause_ms / 1000)

    def counted(self, admission: Admission, now_ms: int) -> Admission:
        """See ``Breaker``."""
        return self._probes.counted(admission, self.fleet_ms(now_ms))

    def returned(self, admission: Admission) -> None:
        """See ``Breaker``."""
        self._probes.returned(admission)

    def arrived(self, admission: Admission, now_ms: int) -> None:
        """See ``Breaker``."""
        now_ms = self.fleet_ms(now_ms)
        with self._counting:
            self._arrivals.add(now_ms)
            if admission.probing and admission.generation is not None:
                self._evidence.probed(admission.generation, now_ms)

    def turned_away(self, proof: Presented, now_ms: int) -> None:
        """See ``Breaker``; other environments count the proof once each as well."""
        at_s = self.clock()
        with self._counting:
            if self._shed.is_new(proof, at_s=at_s):
                self._arrivals.add(self.fleet_ms(now_ms))

    def failed(self, admission: Admission, now_ms: int, proof: Presented | None = None) -> None:
        """See ``Breaker``; other environments count the proof once each as well."""
        if admission.generation is None:
            return
        at_s = self.clock()
        with self._counting:
            if proof is None or self._failed.is_new(proof, at_s=at_s):
                self._evidence.add(
                    admission.generation, self.fleet_ms(now_ms), latency_ms=0, error=True, slow=False
                )

    def limited(self, limit: RateLimit, caller: bytes) -> int | None:
        """See ``Breaker``; with as much jitter as for a request that is shed."""
        with self._counting:
            wait_s = self._rates.wait_s(limit, caller, self.clock())
        if wait_s is None:
            return None
        return math.ceil(wait_s + self.draw() * self.config.retry_jitter_ms / 1000) or 1

    def taken(self, limit: RateLimit, caller: bytes) -> None:
        """See ``Breaker``."""
        with self._counting:
            self._rates.take(limit, caller, self.clock())

    def _refresh(self, now_ms: int, at_s: float) -> None:
        failure = self._flush(self.fleet_ms(now_ms), at_s)
        began_s = self.clock()
        try:
            # A store that fails now and then may still be read: what it says decides the next requests.
            if failure is not None and not is_quick(failure, began_s - at_s):
                raise failure
            for _ in range(_TRIES):
                snapshot = self._read(now_ms, at_s)
                if self._drive(snapshot, self.fleet_ms(now_ms), int(at_s * 1000)):
                    break
        except UnavailableError as error:
            self._pause.failed(at_s, quickly=is_quick(error, self.clock() - at_s))
            self._refused.failed(error, at_s)
            with self._counting:
                self._rates.lose()
            if self._view is not None:
                self._view = replace(self._view, reached=False)
            return
        self._pause.answered()
        self._refused.answered()
        self._interval_ms = self.config.refresh_interval_ms(snapshot.environments)

    def _read(self, now_ms: int, at_s: float) -> Snapshot:
        if self.queue is None:  # a keeper that only watches needs no statistics
            stored = self._patient.read(self.name)[0] or first(self.name, self.fleet_ms(now_ms))
            return Snapshot(stored, decode(stored.state), Estimate(), 0.0)
        known = self._view.record.generation if self._view else None
        for _ in range(_TRIES):
            if known is None:  # and with the first answer comes the fleet's time
                began, _sums = self._patient.read(self.name)
                if began is None:  # the first write wins: all begin alike
                    self._patient.move(first(self.name, self.fleet_ms(now_ms)))
                    continue
                known = decode(began.state).generation
            fleet_ms = self.fleet_ms(now_ms)
            with self._counting:
                rates = self._rates.items(self.name, fleet_ms)
                also = [*rates, *self._offenders.items(self.name, fleet_ms)]
            snapshot = read_snapshot(
                self._patient, self.name, now_ms=fleet_ms, config=self.config, generation=known, also=also
            )
            if snapshot is not None:
                self._learn(snapshot, len(rates), fleet_ms, at_s)
                return snapshot
            known = None
        raise UnavailableError("the breaker's state does not stay")

    def _learn(self, snapshot: Snapshot, rates: int, now_ms: int, at_s: float) -> None:
        found, environments = snapshot.also, snapshot.environments
        with self._counting:
            self._rates.learn(found[:rates], environments=environments, now_ms=now_ms, at_s=at_s)
            self._offenders.learn(
                found[rates:], snapshot.arrivals, environments=environments, now_ms=now_ms, at_s=at_s
            )

    def _drive(self, snapshot: Snapshot, now_ms: int, at_ms: int) -> bool:
        """Carry out what the machine proposes; False if another environment was faster."""
        config = self.overrides(self.config) if self.queue else None
        transition = decide(snapshot.record, snapshot.estimate, now_ms, config) if config else None
        if config is not None:
            verdict = self._offenders.judge(snapshot, transition, config, now_ms=now_ms, at_s=at_ms / 1000)
            if verdict.again:
                return False
            if verdict.blame:
                item = arrivals_item(self.name, now_ms // self.config.estimator.arrival_epoch_ms)
                self._patient.note(item, verdict.blame, expires_at=now_ms // 1000 + KEPT_S)
            transition = None if verdict.hold else transition
        if config is None or transition is None:
            self._view = View(snapshot.record, snapshot.estimate, at_ms)
            self._sender.collect(snapshot.stored)
            return True
        unsent = snapshot.stored.unsent
        if len(unsent) >= _MAX_UNSENT:
            if not self._sender.send(snapshot.stored):  # nothing moves that could not be put on record either
                self._view = View(snapshot.record, snapshot.estimate, at_ms)
                return True
            unsent = ()
        stored = StoredBreaker(
            self.name,
            transition.after.version,
            encode(transition.after),
            (*unsent, *receipts_of(self.name, transition, now_ms, config.policy_bundle)),
        )
        if not self._patient.move(stored):
            return False  # or this write took effect, and its answer was lost: it is read as any other
        self._view = View(transition.after, snapshot.estimate, at_ms)
        self._sender.send(stored)
        return True

    def _flush(self, now_ms: int, at_s: float) -> UnavailableError | None:
        """Add what was counted since the last refresh; return a failure, if there was one."""
        with self._counting:
            arrivals, evidence = self._arrivals.drain(), self._evidence.drain()
            taken = self._rates.drain(self.name, now_ms, at_s)
        expires_at = now_ms // 1000 + KEPT_S
        newest = max(arrivals, default=0)
        for epoch, amounts in arrivals.items():
            told = {INTERVALS: str(self._interval_ms)} if epoch == newest else {}
            self._additions.put(arrivals_item(self.name, epoch), {**amounts, **told}, expires_at=expires_at)
        for key, sums in evidence.items():
            self._additions.put(sums_item(self.name, key), sums.to_increments(), expires_at=expires_at)
        for item, tokens in taken.items():
            self._additions.put(item, tokens, expires_at=expires_at + KEPT_S)  # an epoch can last an hour
        return self._additions.flush()
