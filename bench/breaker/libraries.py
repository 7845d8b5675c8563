"""The real libraries, driven directly: pybreaker and the circuit breaker of Powertools for AWS Lambda.

Only the clock and the store are simulated. A call begins when the library admits it and ends when the
simulation completes it; what the library does in between and after is its own code.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Generator
from typing import Any

import pybreaker
from aws_lambda_powertools.utilities.circuit_breaker import CircuitBreakerConfig, CircuitState
from aws_lambda_powertools.utilities.circuit_breaker import base as powertools
from aws_lambda_powertools.utilities.circuit_breaker.persistence import base as persistence
from aws_lambda_powertools.utilities.circuit_breaker.persistence.record import CircuitStateRecord

from bench.breaker.fleet import START_MS
from bench.breaker.plan import Request


class _FailedError(Exception):
    """The protected call failed."""


class _Clock(dt.datetime):
    """``datetime`` whose ``now`` is the simulation's."""

    simulated_s = 0.0

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> _Clock:
        """Return the simulated time."""
        return cls.fromtimestamp(START_MS / 1000 + cls.simulated_s, tz)


class _ClockModule:
    """Stands in for the module ``datetime`` where a library imported it whole."""

    datetime = _Clock
    timedelta = dt.timedelta
    timezone = dt.timezone


def _set_clock(at_s: float) -> None:
    _Clock.simulated_s = at_s


class _Trips(pybreaker.CircuitBreakerListener):
    """Counts closed → open."""

    def __init__(self) -> None:
        self.count = 0

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:  # noqa: ARG002 - the library's signature
        """Take note of a change of state."""
        if old_state.name == pybreaker.STATE_CLOSED and new_state.name == pybreaker.STATE_OPEN:
            self.count += 1


class PybreakerFleet:
    """One pybreaker per environment, with its defaults: 5 failures in a row, 60 s. A ``simulation.Fleet``."""

    def __init__(self, environments: int, seed: int) -> None:  # noqa: ARG002 - as all fleets are built
        vars(pybreaker)["datetime"] = _Clock
        self._listeners = [_Trips() for _ in range(environments)]
        self._breakers = [
            pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60, listeners=[listener])
            for listener in self._listeners
        ]

    def admit(self, environment: int, at_s: float, request: Request) -> Generator[None, None, None] | None:  # noqa: ARG002 - the protocol's
        """Begin a call; the library takes a generator as a call that ends later."""
        _set_clock(at_s)
        try:
            call: Generator[None, None, None] = self._breakers[environment].call(_protected)
            next(call)
        except pybreaker.CircuitBreakerError:
            return None
        return call

    def complete(
        self,
        environment: int,  # noqa: ARG002 - the protocol's signature
        at_s: float,
        token: Generator[None, None, None],
        *,
        error: bool,
        slow: bool,  # noqa: ARG002 - pybreaker knows errors only
        latency_s: float,  # noqa: ARG002 - as above
    ) -> None:
        """End the call."""
        _set_clock(at_s)
        try:
            if error:
                token.throw(_FailedError())
            else:
                next(token)
        except (StopIteration, _FailedError, pybreaker.CircuitBreakerError):
            pass

    def trips(self) -> list[int]:
        """Return the trips of each instance."""
        return [listener.count for listener in self._listeners]

    def open_share(self, at_s: float) -> float:  # noqa: ARG002 - the protocol's signature
        """Return the share of instances that are not closed."""
        states = [breaker.current_state != pybreaker.STATE_CLOSED for breaker in self._breakers]
        return sum(states) / len(states)


def _protected() -> Generator[None, None, None]:
    yield


class _SharedRecord(persistence.CircuitBreakerPersistenceLayer):
    """An environment's persistence layer: its own cache, one record for all, the library's conditions."""

    def __init__(self, shared: dict[str, CircuitStateRecord]) -> None:
        super().__init__()
        self._shared = shared

    def _get_record(self, name: str) -> CircuitStateRecord | None:
        found = self._shared.get("circuit")
        return None if found is None else _named(found, name)

    def _put_record(
        self, record: CircuitStateRecord, condition: str | None = None, expected_opened_at: int | None = None
    ) -> None:
        if condition == "half_open" and not self._may_probe(expected_opened_at):
            raise persistence.CircuitBreakerExistingLockError
        self._shared["circuit"] = record

    def _update_record(self, record: CircuitStateRecord) -> None:
        self._shared["circuit"] = record

    def _may_probe(self, expected_opened_at: int | None) -> bool:
        found = self._shared.get("circuit")
        if found is None:
            return False
        if found.state == CircuitState.OPEN:
            return found.half_open_owner is None and found.opened_at == expected_opened_at
        lease = found.probe_lease_expiry
        return found.state == CircuitState.HALF_OPEN and lease is not None and lease <= _now()


class _Call(powertools.CircuitBreakerHandler):
    """The library's handler, with the protected call's end put off: ``handle`` returns how to end it."""

    def _call_closed(self) -> Any:
        return super()._call_closed

    def _call_probe(self) -> Any:
        return super()._call_probe


class PowertoolsFleet:
    """The circuit breaker of Powertools, with its defaults, on one shared record. A ``simulation.Fleet``."""

    def __init__(self, environments: int, seed: int) -> None:
        vars(powertools)["dt"] = vars(persistence)["dt"] = _ClockModule
        shared: dict[str, CircuitStateRecord] = {}
        self._shared = shared
        self._stores = [_SharedRecord(shared) for _ in range(environments)]
        self._names = [f"run {seed} environment {number}" for number in range(environments)]
        self._forget_other_runs()
        self._config = CircuitBreakerConfig()
        self._trips = 0
        self._is_open = False

    def _forget_other_runs(self) -> None:
        """Empty the counters that the library keeps per process, as a new environment finds them."""
        for counters in ("_LOCAL_FAILURES", "_LOCAL_SUCCESSES", "_LAST_OBSERVED_STATE"):
            getattr(powertools, counters).clear()

    def admit(
        self,
        environment: int,
        at_s: float,
        request: Request,  # noqa: ARG002 - the protocol's signature
    ) -> tuple[_Call, Callable[[], Any]] | None:
        """Begin a call."""
        self._enter(environment, at_s)
        call = _Call(
            function=lambda: None,
            name=self._names[environment],
            config=self._config,
            persistence_store=self._stores[environment],
            on_circuit_open=lambda circuit: None,  # noqa: ARG005 - the library's signature
            on_transition=self._watch,
        )
        end = call.handle()
        return None if end is None else (call, end)

    def complete(
        self,
        environment: int,
        at_s: float,
        token: tuple[_Call, Callable[[], Any]],
        *,
        error: bool,
        slow: bool,  # noqa: ARG002 - the library knows errors only
        latency_s: float,  # noqa: ARG002 - as above
    ) -> None:
        """End the call."""
        self._enter(environment, at_s)
        call, end = token
        if not error:
            end()
            return
        call.function = _fail
        try:
            end()
        except _FailedError:
            return

    def trips(self) -> list[int]:
        """Return the trips of the one circuit."""
        return [self._trips]

    def open_share(self, at_s: float) -> float:  # noqa: ARG002 - the protocol's signature
        """Return 1 unless the circuit is closed."""
        found = self._shared.get("circuit")
        return float(found is not None and found.state != CircuitState.CLOSED)

    def _enter(self, environment: int, at_s: float) -> None:
        _set_clock(at_s)
        owner = powertools._PROBE_OWNER  # noqa: SLF001 - a thread of this process plays many environments
        owner.id, owner.pid = self._names[environment], os.getpid()

    def _watch(self, transition: Any) -> None:
        # Environments that have not read the open record yet trip it again: that is one trip.
        opened = transition.from_state == CircuitState.CLOSED and transition.to_state == CircuitState.OPEN
        self._trips += opened and not self._is_open
        self._is_open = transition.to_state != CircuitState.CLOSED


def _fail() -> None:
    raise _FailedError


def _named(record: CircuitStateRecord, name: str) -> CircuitStateRecord:
    return CircuitStateRecord(
        name=name,
        state=record.state,
        failure_count=record.failure_count,
        opened_at=record.opened_at,
        half_open_owner=record.half_open_owner,
        probe_lease_expiry=record.probe_lease_expiry,
        expiry_timestamp=record.expiry_timestamp,
    )


def _now() -> int:
    return int(_Clock.now().timestamp())
