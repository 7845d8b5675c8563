"""Waits for a pack that is being built, and shows how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from signet.core.errors import SignetError, UnavailableError
from signet_client.places import Places
from signet_client.terminal import animates, bar
from signet_client.web import make_client

_TIMEOUT = httpx.Timeout(30.0)
_DEFAULT_WAIT_S = 5.0
_LONGEST_WAIT_S = 60.0
#: A function runs for 15 minutes at most, and may be tried twice again.
_PATIENCE_S = 3 * 900.0


@dataclass(slots=True)
class Waiting:
    """How long to wait, and where one may look; the clock and the sleep are parameters for tests."""

    places: Places
    insecure: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _started: float | None = field(default=None, init=False)

    def wait(self, answer: httpx.Response) -> None:
        """Return when the pack may be asked for again.

        Args:
            answer: with status 202; its ``Location`` tells how far the pack is.

        Raises:
            SignetError: the pack cannot be built; with the reason's code.
            UnavailableError: the answer does not say where to look or names a place that no pack comes from,
                or it takes far too long.
        """
        if self._started is None:
            self._started = self.clock()
        location = answer.headers.get("location")
        if not location:
            raise UnavailableError("the pack is being built, but the server does not say where to wait")
        location = self.places.check(location)
        pause = _pause(answer)
        with _progress() as show:
            while True:
                self.sleep(pause)
                job = self._look(location)
                if job is None:  # the address has expired: the next answer names another
                    return
                show(job)
                if job.get("state") == "failed":
                    raise SignetError(str(job.get("message")), code=str(job.get("error")))
                if job.get("state") != "building":
                    return
                if self.clock() - self._started > _PATIENCE_S:
                    raise UnavailableError("the pack is still not built; look into the pack function's log")

    def _look(self, location: str) -> dict[str, Any] | None:
        with make_client(timeout=_TIMEOUT, verify=not self.insecure) as client:
            response = client.get(location)
        if not response.is_success:
            return None
        try:
            job = response.json()
        except (ValueError, RecursionError):
            job = None
        if not isinstance(job, dict):
            raise UnavailableError("the server does not say how far the pack is; try again")
        return job


def _pause(answer: httpx.Response) -> float:
    after = answer.headers.get("retry-after", "")
    return min(float(after), _LONGEST_WAIT_S) if after.isascii() and after.isdecimal() else _DEFAULT_WAIT_S


@contextmanager
def _progress() -> Iterator[Callable[[dict[str, Any]], None]]:
    if not animates():
        yield lambda _job: None
        return
    shown, task = bar("the pack is being built")
    with shown:
        yield lambda job: shown.update(task, completed=_number(job, "done"), total=_number(job, "receipts"))


def _number(job: dict[str, Any], name: str) -> int | None:
    value = job.get(name)
    return value if type(value) is int else None
