"""One request, admitted or shed by the last state read.

A request is decided by a ``View`` at most a refresh interval old; if the view is older, the request in hand
refreshes it first. If the store cannot be reached, the last view stands for ``unread_ms``: an open interval
to its end, with probes from then on, or the ramp's share. After that, and without any view, requests are
admitted.
A request admitted while the store is down is verified in full, never with less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate
from signet.breaker.machine import probe_share
from signet.breaker.record import BreakerRecord
from signet.core.records import record
from signet.core.vocabulary import PPM, BreakerLevel, BreakerState
from signet.core.vocabulary import Admission as Why
from signet.receipts.model import BreakerFacts

#: A uniform draw from [0, 1).
Draw = Callable[[], float]


@dataclass(frozen=True, slots=True)
class View:
    """The state as an environment last read it.

    Attributes:
        record: the shared record.
        estimate: the evidence that was read with it.
        read_at_ms: when, on the clock of ages: milliseconds that have passed, by two clocks.
        reached: False if the last attempt to refresh found the store down; the record is then the last one.
    """

    record: BreakerRecord
    estimate: Estimate
    read_at_ms: int
    reached: bool = True

    @property
    def blind(self) -> bool:
        """Whether it closed because no outcome came, and none has come since."""
        return self.record.silent and self.estimate.count == 0

    def is_due(self, at_ms: int, interval_ms: int) -> bool:
        """Whether the request in hand must refresh it first; ``at_ms`` as in ``read_at_ms``."""
        return at_ms - self.read_at_ms >= interval_ms


@record
class Admission:
    """What becomes of a request.

    Attributes:
        level: ``rung``, or ``SHED`` if it is turned away.
        rung: the one in force for a request that is not turned away; ``FULL`` if the store is down.
        generation: to be reported with its outcome; None if the breaker is unknown (nothing is reported).
        retry_after_s: for a shed request, whole seconds, never less than the rest of the open interval.
        view: what it was decided by; None if the breaker is unknown.
        why: why it is let through; None if it is turned away, or if there is no breaker.
    """

    level: BreakerLevel
    rung: BreakerLevel
    generation: int | None
    retry_after_s: int | None
    view: View | None
    why: Why | None = None

    @property
    def admitted(self) -> bool:
        """Whether the request goes on to verification."""
        return self.level is not BreakerLevel.SHED

    @property
    def probing(self) -> bool:
        """Whether it is one of those whose outcomes decide how the ramp goes on."""
        return self.why is Why.PROBE

    @property
    def facts(self) -> BreakerFacts:
        """Return the facts for the receipt; without state or figures if the breaker is unknown."""
        if self.view is None:
            return BreakerFacts(level=self.level, admission=self.why)
        facts = self.view.estimate.facts(self.view.record.state, self.level)
        facts.admission = self.why
        return facts


def admit(
    view: View | None, now_ms: int, config: BreakerConfig, draw: Draw, *, at_ms: int | None = None
) -> Admission:
    """Admit one request, or shed it.

    Args:
        view: the last state read; None if there never was one.
        now_ms: the present moment, Unix milliseconds.
        config: the breaker's numbers.
        draw: uniform from [0, 1); used for the admitted share and for the jitter of Retry-After.
        at_ms: the present moment on the clock of ``View.read_at_ms``; ``now_ms`` where that is the same.
    """
    if view is None:
        return Admission(BreakerLevel.FULL, BreakerLevel.FULL, None, None, None, Why.FAIL_OPEN)
    record = view.record
    rung = record.rung if view.reached else BreakerLevel.FULL
    at_ms = now_ms if at_ms is None else at_ms
    if draw() < admitted_share(view, now_ms, config, at_ms):
        return Admission(rung, rung, record.generation, None, view, _why(view, config, at_ms))
    pause_s = retry_after_s(record, now_ms, config, draw)
    return Admission(BreakerLevel.SHED, rung, record.generation, pause_s, view)


def is_first_probe(admission: Admission) -> bool:
    """Tell whether it lets a request through on a ramp's first step, as the store has it."""
    view = admission.view
    return view is not None and view.reached and view.record.first_step and admission.probing


def turned_down(admission: Admission, now_ms: int, config: BreakerConfig, draw: Draw) -> Admission:
    """Return the admission of a request that was let through by its share, shed after all."""
    if admission.view is None:
        return admission
    pause_s = retry_after_s(admission.view.record, now_ms, config, draw)
    return Admission(BreakerLevel.SHED, admission.rung, admission.generation, pause_s, admission.view)


def admitted_share(view: View, now_ms: int, config: BreakerConfig, at_ms: int) -> float:
    """Return the share of offered requests the view admits: all if closed, none if open, else the ramp's.

    On the ramp's first step a surge since it began lowers the share, so that probes stay within their rate.
    An open interval that ended unread is over: the next state is half open, or begins with probes.
    """
    record = view.record
    if record.state is BreakerState.CLOSED or _expired(view, config, at_ms):
        return 1.0
    if record.state is BreakerState.OPEN:
        if view.reached or now_ms < record.open_until_ms:
            return 0.0
        return probe_share(view.estimate.load.offered_rps, config)
    share = record.admit_ppm / PPM
    return min(share, probe_share(view.estimate.load.offered_rps, config)) if record.first_step else share


def _why(view: View, config: BreakerConfig, at_ms: int) -> Why:
    """Return why a view lets a request through."""
    state = view.record.state
    # While open, only the end of an interval that could not be read lets one through.
    if state is BreakerState.OPEN or _expired(view, config, at_ms) or view.blind:
        return Why.FAIL_OPEN
    return Why.PROBE if state is BreakerState.HALF_OPEN else Why.NORMAL


def _expired(view: View, config: BreakerConfig, at_ms: int) -> bool:
    # By two clocks: an open interval that is not over by the wall clock may be so because that was set back.
    return not view.reached and at_ms >= view.read_at_ms + config.unread_ms


def retry_after_s(record: BreakerRecord, now_ms: int, config: BreakerConfig, draw: Draw) -> int:
    """Return Retry-After, in seconds: the rest of the open interval, or a pause, with jitter, rounded up."""
    rest_ms = (
        max(0, record.open_until_ms - now_ms) if record.state is BreakerState.OPEN else config.shed_retry_ms
    )
    return -(-(rest_ms + int(draw() * config.retry_jitter_ms)) // 1000) or 1
