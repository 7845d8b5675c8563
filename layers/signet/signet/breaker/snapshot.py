"""Where a breaker's statistics lie in the store, and one read of them, to drive the breaker or to show it.

<name>#<generation>#<epoch>     sums of outcomes (``accumulators.Sums``), and ``interval_ms``, as below
<name>#arrivals#<epoch>         arrivals by bin, and ``interval_ms``: of each addition, how long
                                its environment waits between two
<name>#claims#<generation>#<turn>  ``claimed``: probes of the first step (``firststep``)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from signet.breaker.accumulators import Sums, SumsKey, read_bins
from signet.breaker.callers import Caller
from signet.breaker.config import BreakerConfig, EstimatorConfig
from signet.breaker.counts import count_of
from signet.breaker.estimator import Estimate, arrival_epochs, estimate, measure_load, sum_epochs
from signet.breaker.record import BreakerRecord, initial
from signet.core.apis import OWN_BACKEND
from signet.core.errors import UnavailableError
from signet.core.ports import BreakerStore, StoredBreaker

#: Name of the breaker of what Signet's own API calls.
DEFAULT_NAME: Final = OWN_BACKEND
#: Member of an item that sums the intervals at which it is added to, milliseconds.
INTERVALS: Final = "interval_ms"
#: How long items of sums are kept after their last use, seconds.
KEPT_S: Final = 3600
_TOKEN = re.compile(r"([a-z][a-z0-9-]{0,31})/(0|[1-9][0-9]{0,14})/([1-9][0-9]{0,4})(?:/([cs][0-9a-f]{7}))?")
_READS = 3
_MAX_DIGITS = 15
#: A writer of sums must not slow the refreshes of all environments below what so many would need.
MAX_ENVIRONMENTS: Final = 10_000.0


@dataclass(frozen=True, slots=True)
class OutcomeToken:
    """Names the breaker, and the generation of its evidence, to which an admitted request's outcome counts.

    The authorizer hands it to the backend, which hands it back with the outcome: so an outcome always counts
    towards the state under which its request was admitted, however late it comes, and is held against the
    objective of the policy that admitted it.

    Attributes:
        name: the breaker's.
        generation: of the evidence.
        objective_ms: an answer that takes longer counts as bad.
        caller: who asked; None in tokens from before there were callers in them.
    """

    name: str
    generation: int
    objective_ms: int
    caller: Caller | None = None

    def __str__(self) -> str:
        told = f"{self.name}/{self.generation}/{self.objective_ms}"
        return told if self.caller is None else f"{told}/{self.caller}"

    @classmethod
    def parse(cls, text: object) -> OutcomeToken | None:
        """Return the token that a text stands for, or None if it is none."""
        found = _TOKEN.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            return None
        caller = None if found[4] is None else Caller.parse(found[4])
        return cls(found[1], int(found[2]), int(found[3]), caller)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State and statistics of a breaker, as one read of the store found them.

    Attributes:
        stored: as it is stored.
        record: the machine's record in it.
        estimate: what the sums say at the time of the read.
        environments: how many added to the arrivals lately.
        arrivals: the items of arrivals, by epoch.
        also: what else was asked for, in that order.
    """

    stored: StoredBreaker
    record: BreakerRecord
    estimate: Estimate
    environments: float
    also: Sequence[Mapping[str, str]] = ()
    arrivals: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


def sums_item(name: str, key: SumsKey) -> str:
    """Return the item in which the outcomes of a generation and an epoch are summed up."""
    return f"{name}#{key.generation}#{key.epoch}"


def arrivals_item(name: str, epoch: int) -> str:
    """Return the item in which the arrivals of an epoch are counted."""
    return f"{name}#arrivals#{epoch}"


def encode(record: BreakerRecord) -> bytes:
    """Return a record as it is stored."""
    return json.dumps(record.to_attributes(), sort_keys=True, separators=(",", ":")).encode()


def decode(state: bytes) -> BreakerRecord:
    """Read a stored record.

    Raises:
        UnavailableError: it is none; the reader goes on as if the store were down.
    """
    try:
        return BreakerRecord.from_attributes(json.loads(state))
    except (KeyError, ValueError, TypeError) as error:
        raise UnavailableError("the breaker's state cannot be read") from error


def first(name: str, now_ms: int) -> StoredBreaker:
    """Return the state of a breaker that has none yet."""
    record = initial(now_ms)
    return StoredBreaker(name, record.version, encode(record))


def read_snapshot(
    store: BreakerStore,
    name: str,
    *,
    now_ms: int,
    config: BreakerConfig,
    generation: int | None = None,
    also: Sequence[str] = (),
) -> Snapshot | None:
    """Read state and statistics; None if the breaker has no state yet.

    Args:
        store: where they are.
        name: the breaker's.
        now_ms: the moment to estimate for.
        config: the breaker's numbers.
        generation: the one expected; if it is still in force, one round trip is enough.
        also: further items of sums to read with them.

    Raises:
        UnavailableError: the store is down, or the state changed faster than it could be read.
    """
    if generation is None:
        stored, _ = store.read(name)
        if stored is None:
            return None
        generation = decode(stored.state).generation
    epochs = sum_epochs(now_ms, config.estimator)
    arrivals = arrival_epochs(now_ms, config.estimator)
    for _ in range(_READS):
        items = [sums_item(name, SumsKey(generation, epoch)) for epoch in epochs]
        items += [arrivals_item(name, epoch) for epoch in arrivals]
        stored, found = store.read(name, [*items, *also])
        if stored is None:
            return None
        record = decode(stored.state)
        if record.generation == generation:
            sums = {epoch: _sums(item) for epoch, item in zip(epochs, found, strict=False) if item}
            counted, more = found[len(epochs) : len(items)], found[len(items) :]
            bins = dict(zip(arrivals, counted, strict=True))
            measured = _measured(sums, bins, record, now_ms=now_ms, config=config.estimator)
            return Snapshot(stored, record, measured, environments_of(counted, config.estimator), more, bins)
        generation = record.generation
    raise UnavailableError("the breaker's state kept changing while it was read")


def _sums(item: Mapping[str, str]) -> Sums:
    """Read what backends wrote; what cannot be read is no evidence, and no reason to fail either."""
    try:
        return Sums.from_attributes(item)
    except ValueError:
        return Sums()


def _measured(
    sums: Mapping[int, Sums],
    bins: Mapping[int, Mapping[str, str]],
    record: BreakerRecord,
    *,
    now_ms: int,
    config: EstimatorConfig,
) -> Estimate:
    load = measure_load(read_bins(bins, config), now_ms=now_ms, config=config)
    return estimate(sums, load, generation_since_ms=record.generation_since_ms, now_ms=now_ms, config=config)


def environments_of(arrivals: Sequence[Mapping[str, str]], config: EstimatorConfig) -> float:
    """Return how many environments added over the last complete epoch, at any mix of intervals.

    One that adds every n milliseconds adds its n as often as n goes into the epoch: an epoch's length in all.
    """
    total = count_of(arrivals[-2].get(INTERVALS, "0"), digits=_MAX_DIGITS) or 0
    return min(total / config.arrival_epoch_ms, MAX_ENVIRONMENTS)
