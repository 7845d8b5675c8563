"""Accumulators: what a reporter adds up between two flushes, and the increments a flush ADDs.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward decay", ICDE 2009): an outcome at time t weighs
e^((t - L)/tau), with the landmark L the start of its epoch. The weight depends on nothing but t, so sums of
any reporters merge by addition, in any order; a writer reads nothing first, and nothing is ever rebased.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Final

from signet.breaker.config import EstimatorConfig

# Increments have a fixed resolution, so that a sum never needs more digits than its largest value has before
# the point and these behind it; DynamoDB has 38. 50,000 outcomes a second weigh 1.8e22, with fast weights up
# to e^40, and 100,000 requests in flight 3.6e22 s: 23 digits each. Slow sums stay below 15 digits.
# An outcome weighs at least 1, so counts are cut by less than 1e-13 of themselves, and latencies by less
# than 1e-12 unless their mean is below half a millisecond.
_DECIMALS: Final = {
    "fast_n": 13,
    "fast_bad": 13,
    "fast_error": 13,
    "fast_latency": 15,
    "slow_n": 20,
    "slow_bad": 20,
    "slow_latency": 20,
    "slow_latency_sq": 20,
}
_MAX_LATENCY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class SumsKey:
    """Which item an increment belongs to.

    Attributes:
        generation: of the evidence, as the admission of the request carried it. Outcomes of a request that
            was admitted in an earlier generation land in an item that is no longer read.
        epoch: number of the epoch, Unix milliseconds divided by its length.
    """

    generation: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the outcomes of one generation and epoch; increments and totals have the same form.

    ``fast_`` and ``slow_`` sums are decayed with the two time constants, relative to the epoch's start.
    Latencies are in seconds. The rest is not decayed: ``count`` and ``bad_count`` are outcomes,
    ``late_count`` those of the bad ones that were late, and no error. ``probe_count`` are requests admitted
    while half open, ``probe_ms`` the sum of the times since the epoch's start at which they were.
    """

    fast_n: float = 0.0
    fast_bad: float = 0.0
    fast_error: float = 0.0
    fast_latency: float = 0.0
    slow_n: float = 0.0
    slow_bad: float = 0.0
    slow_latency: float = 0.0
    slow_latency_sq: float = 0.0
    count: int = 0
    bad_count: int = 0
    late_count: int = 0
    probe_count: int = 0
    probe_ms: int = 0

    def merge(self, other: Sums) -> Sums:
        """Return the sums of both; commutative and associative (to rounding)."""
        return Sums(
            self.fast_n + other.fast_n,
            self.fast_bad + other.fast_bad,
            self.fast_error + other.fast_error,
            self.fast_latency + other.fast_latency,
            self.slow_n + other.slow_n,
            self.slow_bad + other.slow_bad,
            self.slow_latency + other.slow_latency,
            self.slow_latency_sq + other.slow_latency_sq,
            self.count + other.count,
            self.bad_count + other.bad_count,
            self.late_count + other.late_count,
            self.probe_count + other.probe_count,
            self.probe_ms + other.probe_ms,
        )

    def scale(self, fast: float, slow: float) -> Sums:
        """Return the sums relative to another time: fast sums times ``fast``, slow sums times ``slow``."""
        return Sums(
            self.fast_n * fast,
            self.fast_bad * fast,
            self.fast_error * fast,
            self.fast_latency * fast,
            self.slow_n * slow,
            self.slow_bad * slow,
            self.slow_latency * slow,
            self.slow_latency_sq * slow,
            self.count,
            self.bad_count,
            self.late_count,
            self.probe_count,
            self.probe_ms,
        )

    def to_increments(self) -> dict[str, str]:
        """Return what a flush ADDs: attribute names and decimal strings; zeros are left out."""
        increments = {}
        for name in _NAMES:
            value = getattr(self, name)
            text = str(value)
            if name in _DECIMALS:
                text = f"{value:.{_DECIMALS[name]}f}".rstrip("0").rstrip(".")
            if text != "0":
                increments[name] = text
        return increments

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, str | Decimal | int]) -> Sums:
        """Read an item; attributes that are absent are zero, others than those of the sums are ignored.

        Raises:
            ValueError: a sum is negative, or a count is no integer: no reporter wrote this.
        """
        weighed = {name: float(attributes.get(name, 0)) for name in _WEIGHED}
        counts = {name: int(attributes.get(name, 0)) for name in _COUNTS}
        if min(*weighed.values(), *counts.values()) < 0:
            raise ValueError("a sum is negative")
        return cls(**weighed, **counts)  # type: ignore[arg-type] # names and types are the fields' own


_NAMES: Final = tuple(member.name for member in fields(Sums))
_WEIGHED: Final = tuple(name for name in _NAMES if name in _DECIMALS)
_COUNTS: Final = tuple(name for name in _NAMES if name not in _DECIMALS)


class OutcomeAccumulator:
    """Outcomes seen since the last flush. Not shared between threads."""

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self._sums: dict[SumsKey, list[float]] = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def add(self, generation: int, at_ms: int, *, latency_ms: float, error: bool, slow: bool) -> None:
        """Count one outcome.

        A late answer weighs as of when its request began: it tells of that time. Else a start of three
        seconds that is over would be held against the answers of those that began after it, and were fast.

        Args:
            generation: of the admission (``Admission.generation``).
            at_ms: when the request completed, Unix milliseconds.
            latency_ms: how long the protected system took.
            error: it failed (5xx, exception, timeout).
            slow: it took longer than the route's latency objective.
        """
        latency = min(max(latency_ms / 1000, 0.0), _MAX_LATENCY_S)
        late = slow and not error
        epoch, since_ms = divmod(at_ms - round(1000 * latency) if late else at_ms, self._config.epoch_ms)
        fast = math.exp(since_ms / self._config.fast_tau_ms)
        slow_weight = math.exp(since_ms / self._config.slow_tau_ms)
        key = SumsKey(generation, epoch)
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = [0.0] * len(_NAMES)
        sums[0] += fast
        sums[3] += fast * latency
        sums[4] += slow_weight
        sums[6] += slow_weight * latency
        sums[7] += slow_weight * latency * latency
        sums[8] += 1
        if error:
            sums[2] += fast
        if error or slow:
            sums[1] += fast
            sums[5] += slow_weight
            sums[9] += 1
            sums[10] += late

    def probed(self, generation: int, at_ms: int) -> None:
        """Count a request that is admitted while half open: an outcome of it is to come."""
        epoch, since_ms = divmod(at_ms, self._config.epoch_ms)
        sums = self._sums.setdefault(SumsKey(generation, epoch), [0.0] * len(_NAMES))
        sums[11] += 1
        sums[12] += since_ms

    def drain(self) -> dict[SumsKey, Sums]:
        """Return what is to be ADDed, by item, and start over."""
        drained = {}
        for key, sums in self._sums.items():
            # pairs of names and values: the counts are whole, the rest is not
            named = dict(zip(_NAMES, sums, strict=True))
            drained[key] = Sums(**named | {name: int(named[name]) for name in _COUNTS})  # type: ignore[arg-type] # as above
        self._sums = {}
        return drained


class ArrivalAccumulator:
    """Offered requests, admitted or not, since the last flush, in bins of fixed width.

    Gaps between arrivals cannot be merged over environments; counts per bin can.
    """

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self._bins: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._bins)

    def add(self, at_ms: int) -> None:
        """Count one offered request."""
        number = at_ms // self._config.bin_ms
        self._bins[number] = self._bins.get(number, 0) + 1

    def drain(self) -> dict[int, dict[str, str]]:
        """Return what is to be ADDed, by arrival epoch: attribute names and decimal strings; start over."""
        per_epoch = self._config.bins_per_epoch
        drained: dict[int, dict[str, str]] = {}
        for number, count in self._bins.items():
            epoch, place = divmod(number, per_epoch)
            drained.setdefault(epoch, {})[f"b{place:02d}"] = str(count)
        self._bins = {}
        return drained


def read_bins(
    items: Mapping[int, Mapping[str, str | Decimal | int]], config: EstimatorConfig
) -> dict[int, int]:
    """Return the arrivals per absolute bin number from the items of arrival epochs; only what is a count."""
    return {
        epoch * config.bins_per_epoch + int(name[1:]): int(count)
        for epoch, item in items.items()
        for name, count in item.items()
        if name[:1] == "b" and name[1:].isdecimal() and str(count).isdecimal()
    }
