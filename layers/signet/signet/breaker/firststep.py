"""The first step of a ramp as a count over the fleet, also where the rate of requests is not known.

The share that the first step admits is made of the offered rate. After quiet there is none: a burst of 500
requests would be through, or 30 % of it, before any environment has read of it. So each probe is claimed
first. The claims of one second are one sum in the store, and the sum after an addition tells whether the
probe is among the first ``probe_rps``. Claims that come too late count in their own second only: however many
there are, the next second lets as many through. An environment that came too late claims no more in that
second, so that a burst costs few writes.

Only verified requests claim (``handshake.verifier``), so no stranger uses claims up. A copy of a proof fails
at its nonce and gives its claim back to the environment, which lets the next probe through without a new one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from signet.breaker.admission import Admission, Draw, is_first_probe, turned_down
from signet.breaker.config import BreakerConfig
from signet.breaker.patient import PatientStore
from signet.breaker.record import BreakerRecord
from signet.breaker.snapshot import KEPT_S
from signet.core.errors import UnavailableError

#: Member of an item of claims.
CLAIMED: Final = "claimed"
_SECOND_MS = 1000


class Turn(NamedTuple):
    """One second of the step of one generation; longer where fewer than one probe a second may go through."""

    generation: int
    number: int


def turn(record: BreakerRecord, now_ms: int, config: BreakerConfig) -> Turn:
    """Return whose turn it is; the clocks of a fleet agree to a part of a second."""
    length_ms = _SECOND_MS / min(1.0, config.probe_rps)
    return Turn(record.generation, int(max(0, now_ms - record.generation_since_ms) / length_ms))


def in_time(claimed: float, config: BreakerConfig) -> bool:
    """Tell whether a claim lets its probe through, by the sum of its turn."""
    return claimed <= max(1.0, config.probe_rps)


@dataclass(slots=True)
class Claims:
    """What one environment knows of the claims of one generation. Not shared between threads."""

    _generation: int = field(default=-1, init=False)
    _too_late: Turn | None = field(default=None, init=False)
    _unused: int = field(default=0, init=False)

    def known(self, now: Turn) -> bool | None:
        """Tell whether a probe goes through without asking; None if it has to be claimed."""
        if now.generation != self._generation:
            self._generation, self._unused = now.generation, 0
        if self._unused:
            self._unused -= 1
            return True
        return False if now == self._too_late else None

    def too_late(self, now: Turn) -> None:
        """Claim no more in this turn."""
        self._too_late = now

    def returned(self, generation: int) -> None:
        """Take back a claim whose request did not go through."""
        self._unused += generation == self._generation


@dataclass(slots=True)
class Probes:
    """The first steps of one breaker as one environment carries them out; safe to share between threads.

    Attributes:
        name: the breaker's.
        store: sums the claims.
        config: the breaker's numbers.
        draw: uniform from [0, 1), for Retry-After.
    """

    name: str
    store: PatientStore
    config: BreakerConfig
    draw: Draw
    _claims: Claims = field(default_factory=Claims, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def counted(self, admission: Admission, now_ms: int) -> Admission:
        """Return the admission, shed if it came too late; a claim that the store does not take is too late.

        Args:
            admission: of a verified request.
            now_ms: the fleet's time, Unix milliseconds.
        """
        view = admission.view
        if view is None or not is_first_probe(admission):
            return admission
        now = turn(view.record, now_ms, self.config)
        with self._lock:
            goes_through = self._claims.known(now)
        if goes_through is None:
            goes_through = self._claim(now, now_ms)
            if not goes_through:
                with self._lock:
                    self._claims.too_late(now)
        return admission if goes_through else turned_down(admission, now_ms, self.config, self.draw)

    def returned(self, admission: Admission) -> None:
        """Take back the claim of an admission that was counted, and whose request does not go through."""
        if admission.generation is not None and is_first_probe(admission):
            with self._lock:
                self._claims.returned(admission.generation)

    def _claim(self, now: Turn, now_ms: int) -> bool:
        item = f"{self.name}#claims#{now.generation}#{now.number}"
        try:
            claimed = self.store.claim(item, CLAIMED, expires_at=now_ms // 1000 + KEPT_S)
        except UnavailableError:
            return False
        return in_time(float(claimed), self.config)
