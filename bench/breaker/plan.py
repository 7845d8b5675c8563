"""What a scenario is made of: the protected system, what goes wrong with it over time, and one request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

OverTime = Callable[[float], float]

#: Requests a second of most scenarios.
RPS: Final = 120.0
#: Share of requests that fail though all is well.
BASE_ERROR: Final = 0.001


@dataclass(frozen=True, slots=True)
class System:
    """A protected system: a FIFO queue in front of ``servers``, and its clients' timeout.

    Attributes:
        servers: requests worked on at once.
        service_s: mean service time; lognormal.
        service_scv: squared coefficient of variation of the service time.
        slow_s: latency objective.
        timeout_s: a client gives up; the work is done all the same.
        backlog_s: a request that would wait longer fails at once.
        cold_start_s: if not zero, there is no queue but a serverless function: a request that finds no idle
            instance starts one, which takes so long.
    """

    servers: int = 8
    service_s: float = 0.040
    service_scv: float = 1.0
    slow_s: float = 0.200
    timeout_s: float = 1.0
    backlog_s: float = 5.0
    cold_start_s: float = 0.0


SYSTEM: Final = System()


def constant(value: float) -> OverTime:
    """Return a value that does not change."""
    return lambda _: value


_AS_EVER: Final = constant(1.0)
_BASE_ERRORS: Final = constant(BASE_ERROR)
_USUAL: Final = constant(RPS)


def during(begin_s: float, end_s: float, value: float, otherwise: float) -> OverTime:
    """Return one value between two times and another outside."""
    return lambda at_s: value if begin_s <= at_s < end_s else otherwise


def ramp(at_s: float, begin_s: float, end_s: float, first: float, last: float) -> float:
    """Return a value that goes from one to another in a straight line."""
    done = min(1.0, max(0.0, (at_s - begin_s) / (end_s - begin_s)))
    return first + done * (last - first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A fault over time. Seconds count from the start of the run.

    Attributes:
        name: as in the tables.
        stream: what the random numbers are drawn for; scenarios of one stream see the same requests.
        length_s: of the run.
        fault_from_s: when the fault begins; None if there is none.
        fault_to_s: when it ends.
        system: what is protected.
        slowdown: factor on the service time.
        error_share: share of requests that fail in every case.
        offered_rps: rate of requests.
        peak_rps: its maximum.
        bursts: further requests: when they begin, over how many seconds they are spread, how many they are.
        servers_lost: servers that are away during the fault.
        backends: shares of the traffic; each has a system of its own, and the fault is the first one's.
        offender_share: share of the requests that come from client 0; the others come from nine more.
        offender_fails: its requests fail, at any state of the system.
        offender_work_s: each of its requests takes so long to serve; 0 if as long as all others.
        retries: how often a client tries again, at once but for a growing pause, what failed or was shed.
        delayed_share: share of answers that come ``delay_s`` later, without a server's being busy for it.
        delay_s: how much later; also what an answer takes that is not in the cache.
        cache_keys: different answers that are cached; the cache is emptied as the fault begins, and each
            answer that is served fills it. 0 if there is no cache.
        deploys: times at which all instances of a serverless system are replaced.
        silent_from_s: from when on no outcome is reported; None if all are.
        deployed: with our breaker's keeper and reporter, on a store that can fail, with clocks that differ.
        store_fails: share of the calls of the store that fail.
        clock_skew_s: an environment's clock differs from the true time by at most so much.
    """

    name: str
    stream: str
    length_s: float
    fault_from_s: float | None
    fault_to_s: float | None
    system: System = SYSTEM
    slowdown: OverTime = _AS_EVER
    error_share: OverTime = _BASE_ERRORS
    offered_rps: OverTime = _USUAL
    peak_rps: float = RPS
    bursts: tuple[tuple[float, float, int], ...] = ()
    servers_lost: int = 0
    backends: tuple[float, ...] = (1.0,)
    offender_share: OverTime | None = None
    offender_fails: bool = False
    offender_work_s: float = 0.0
    retries: int = 0
    delayed_share: float = 0.0
    delay_s: float = 0.0
    cache_keys: int = 0
    deploys: tuple[float, ...] = ()
    silent_from_s: float | None = None
    deployed: bool = False
    store_fails: float = 0.0
    clock_skew_s: float = 0.0

    @property
    def has_bystanders(self) -> bool:
        """Whether some requests have no part in the fault: other backends', other clients'."""
        return len(self.backends) > 1 or self.offender_share is not None


class Request(NamedTuple):
    """One offered request.

    Attributes:
        at_s: when it arrives.
        service_s: how long a healthy server works on it.
        luck: uniform; it fails where ``luck < error_share``.
        route: uniform; which environment takes it.
        draw: uniform; for breakers that throw dice.
        backend: which one it is for.
        client: who sends it.
        delayed: its answer comes later.
        key: of its answer in the cache.
        tries: how often it was tried before.
    """

    at_s: float
    service_s: float
    luck: float
    route: float
    draw: float
    backend: int = 0
    client: int = 1
    delayed: bool = False
    key: int = 0
    tries: int = 0


def plan(
    name: str,
    length_s: float,
    fault: tuple[float, float] | None,
    *,
    stream: str | None = None,
    peak_rps: float = RPS,
    offered_rps: OverTime | None = None,
    **rest: Any,
) -> Scenario:
    """Return a scenario; what is not said is as in a healthy system under its usual load."""
    begin_s, end_s = fault or (None, None)
    return Scenario(
        name=name,
        stream=stream or name,
        length_s=length_s,
        fault_from_s=begin_s,
        fault_to_s=end_s,
        peak_rps=peak_rps,
        offered_rps=offered_rps or constant(peak_rps),
        **rest,
    )
