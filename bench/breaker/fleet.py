"""Our breaker as it is deployed: environments that cache and flush, backends that report, one table.

Everything that decides is the shipped code; here is only what the adapter does with a real table: keep items,
ADD to them, write a record on the condition of its version. Updates can be lost or applied twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bench.breaker.plan import SYSTEM, Request
from signet.breaker.accumulators import ArrivalAccumulator, OutcomeAccumulator, Sums, SumsKey
from signet.breaker.admission import Admission, View, admit, is_first_probe, turned_down
from signet.breaker.config import BreakerConfig, EstimatorConfig
from signet.breaker.estimator import Load, estimate, measure_load, sum_epochs
from signet.breaker.firststep import Claims, Turn, in_time, turn
from signet.breaker.machine import Cause, Transition, decide, initial
from signet.core.vocabulary import BreakerState

#: A real clock does not start at zero; nor at the start of an epoch.
START_MS = 1_760_000_123_457
_SECOND_MS = 1000

#: As it is deployed by default: how many servers the protected system has is not known.
SHIPPED = BreakerConfig()
#: With ``BackendServers`` set.
KNOWN = BreakerConfig(estimator=EstimatorConfig(servers=SYSTEM.servers))


class Table:
    """The shared items: one record, sums by generation and epoch, arrivals by bin."""

    def __init__(self, copies: Callable[[], int] = lambda: 1) -> None:
        """Make an empty table; ``copies`` says how often the next ADD takes effect."""
        self.record = initial(START_MS)
        self.transitions: list[tuple[int, Transition]] = []
        self._copies = copies
        self._sums: dict[int, dict[int, Sums]] = {}
        self._bins: dict[int, int] = {}
        self._claimed: dict[Turn, int] = {}
        self._load: tuple[int, Load] = (-1, Load())

    def add_sums(self, key: SumsKey, sums: Sums) -> None:
        """ADD to an item of sums."""
        item = self._sums.setdefault(key.generation, {})
        for _ in range(self._copies()):
            item[key.epoch] = item.get(key.epoch, Sums()).merge(sums)

    def add_arrivals(self, drained: dict[int, dict[str, str]], per_epoch: int) -> None:
        """ADD to items of arrival bins."""
        for epoch, item in drained.items():
            copies = self._copies()
            for name, count in item.items():
                number = epoch * per_epoch + int(name[1:])
                self._bins[number] = self._bins.get(number, 0) + copies * int(count)

    def sums(self, generation: int, now_ms: int, config: EstimatorConfig) -> dict[int, Sums]:
        """Read the items a reader asks for."""
        item = self._sums.get(generation, {})
        wanted = sum_epochs(now_ms, config)
        return {epoch: sums for epoch, sums in item.items() if epoch in wanted}

    def load(self, now_ms: int, config: EstimatorConfig) -> Load:
        """Measure the load; once per bin, since it is made of bins that are complete."""
        number = now_ms // config.bin_ms
        if number != self._load[0]:
            oldest = number - (config.dispersion_window_ms + config.flush_delay_ms) // config.bin_ms - 1
            if len(self._bins) > 2 * (number - oldest):
                self._bins = {bin_: count for bin_, count in self._bins.items() if bin_ >= oldest}
            self._load = (number, measure_load(self._bins, now_ms=now_ms, config=config))
        return self._load[1]

    def claim(self, now: Turn) -> int:
        """ADD a claim of a probe, and return the sum."""
        self._claimed[now] = self._claimed.get(now, 0) + 1
        return self._claimed[now]

    def write(self, transition: Transition, now_ms: int) -> bool:
        """Write a record if the stored one is still the one that was read."""
        if self.record.version != transition.before.version:
            return False
        self.record = transition.after
        self.transitions.append((now_ms, transition))
        for generation in [known for known in self._sums if known < self.record.generation - 2]:
            del self._sums[generation]
        return True


@dataclass(slots=True)
class Ramp:
    """What the first step of one ramp let through; ``first_second`` also counts later steps within it."""

    began_ms: int
    ended_ms: int
    admitted: int = 0
    offered: int = 0
    first_second: int = 0


class SignetFleet:
    """``environments`` authorizers and as many reporting backends on one table. A ``simulation.Fleet``."""

    def __init__(
        self,
        environments: int,
        seed: int,
        *,
        config: BreakerConfig = SHIPPED,
        copies: Callable[[], int] = lambda: 1,
        store_down: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self.config = config
        self.table = Table(copies)
        self._down = store_down
        self._interval_ms = config.refresh_interval_ms(environments)
        self._rng = random.Random(f"fleet {seed}")  # noqa: S311 - a simulation
        self._views: list[View | None] = [None] * environments
        self._arrivals = [ArrivalAccumulator(config.estimator) for _ in range(environments)]
        self._outcomes = [OutcomeAccumulator(config.estimator) for _ in range(environments)]
        self._probes = [OutcomeAccumulator(config.estimator) for _ in range(environments)]
        self._claims = [Claims() for _ in range(environments)]
        self._flushed_ms = [0] * environments
        self._wait_ms = [0] * environments
        self._trips = 0
        self.ramps: list[Ramp] = []
        self.admitted_while_open = 0

    def admit(self, environment: int, at_s: float, request: Request) -> Admission | None:
        """Count the arrival, refresh the view if it is due, and admit or shed."""
        now_ms = START_MS + round(at_s * 1000)
        self._arrivals[environment].add(now_ms)
        view = self._views[environment]
        if view is None or view.is_due(now_ms, self._interval_ms):
            view = self._views[environment] = self._refresh(environment, view, at_s, now_ms)
        draws = iter((request.draw, self._rng.random()))
        admission = self._counted(environment, admit(view, now_ms, self.config, lambda: next(draws)), now_ms)
        if admission.probing and admission.generation is not None:
            self._probes[environment].probed(admission.generation, now_ms)
        self._watch(now_ms, admitted=admission.admitted)
        return admission if admission.admitted else None

    def complete(
        self, environment: int, at_s: float, token: Admission, *, error: bool, slow: bool, latency_s: float
    ) -> None:
        """Report an outcome; flush if the last flush is a refresh interval ago."""
        if token.generation is None:
            return
        now_ms = START_MS + round(at_s * 1000)
        accumulator = self._outcomes[environment]
        accumulator.add(token.generation, now_ms, latency_ms=latency_s * 1000, error=error, slow=slow)
        if now_ms - self._flushed_ms[environment] >= self._wait_ms[environment] and not self._down(at_s):
            # After its first flush a reporter waits twice as long (``pace``).
            first = self._flushed_ms[environment] == 0
            self._wait_ms[environment] = 2 * self.config.refresh_ms if first else self._interval_ms
            self._flushed_ms[environment] = now_ms
            for key, sums in accumulator.drain().items():
                self.table.add_sums(key, sums)

    def trips(self) -> list[int]:
        """Return the trips of the one breaker."""
        return [self._trips]

    def open_share(self, at_s: float) -> float:  # noqa: ARG002 - the protocol's signature
        """Return what share is turned away by the record."""
        record = self.table.record
        return 1 - record.admit_ppm / 1_000_000

    def _refresh(self, environment: int, view: View | None, at_s: float, now_ms: int) -> View | None:
        if self._down(at_s):
            return None if view is None else View(view.record, view.estimate, view.read_at_ms, reached=False)
        table, estimator = self.table, self.config.estimator
        table.add_arrivals(self._arrivals[environment].drain(), estimator.bins_per_epoch)
        for key, sums in self._probes[environment].drain().items():
            table.add_sums(key, sums)
        record = table.record
        found = estimate(
            table.sums(record.generation, now_ms, estimator),
            table.load(now_ms, estimator),
            generation_since_ms=record.generation_since_ms,
            now_ms=now_ms,
            config=estimator,
        )
        transition = decide(record, found, now_ms, self.config)
        if transition is not None and table.write(transition, now_ms):
            self._trips += transition.cause is Cause.TRIPPED
            record = transition.after
            if record.first_step and not transition.before.first_step:
                self.ramps.append(Ramp(now_ms, now_ms))
        return View(record, found, now_ms)

    def _counted(self, environment: int, admission: Admission, now_ms: int) -> Admission:
        """Claim a probe of the first step, as the keeper does."""
        view = admission.view
        if view is None or not is_first_probe(admission):
            return admission
        claims, now = self._claims[environment], turn(view.record, now_ms, self.config)
        goes_through = claims.known(now)
        if goes_through is None:
            goes_through = in_time(self.table.claim(now), self.config)
            if not goes_through:
                claims.too_late(now)
        return admission if goes_through else turned_down(admission, now_ms, self.config, self._rng.random)

    def _watch(self, now_ms: int, *, admitted: bool) -> None:
        record = self.table.record
        if self.ramps and now_ms - self.ramps[-1].began_ms < _SECOND_MS:
            self.ramps[-1].first_second += admitted
        if record.first_step:
            ramp = self.ramps[-1]
            ramp.ended_ms = now_ms
            ramp.offered += 1
            ramp.admitted += admitted
        elif record.state is BreakerState.OPEN and now_ms - record.state_since_ms > self._interval_ms:
            self.admitted_while_open += admitted
