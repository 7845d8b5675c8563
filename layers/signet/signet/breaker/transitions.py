"""The receipts of a breaker's transitions: made with them, and with the state until they are in the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from signet.breaker.estimator import Estimate, whole
from signet.breaker.pause import MisconfigurationReporter, Report
from signet.breaker.record import BreakerRecord, Transition
from signet.core.errors import UnavailableError
from signet.core.ports import BreakerStore, ReceiptQueue, StoredBreaker
from signet.core.vocabulary import PPM, BreakerState
from signet.receipts.transition import TransitionRecord


def receipts_of(
    name: str, transition: Transition, now_ms: int, policy_bundle: str | None
) -> tuple[bytes, ...]:
    """Return the transition's receipt, if it has one: steps of the ramp have none.

    Args:
        name: the breaker's.
        transition: as it is to be written.
        now_ms: Unix milliseconds.
        policy_bundle: hex SHA-256 of the policy that set some of the numbers, if one did.
    """
    if not (transition.changes_state or transition.changes_level):
        return ()
    before, after = transition.before, transition.after
    record = TransitionRecord(
        breaker=name,
        version=after.version,
        decided_at_ms=now_ms,
        before=(before.state, before.level),
        after=(after.state, after.level),
        cause=transition.cause.value,
        policy_bundle=policy_bundle,
        figures=figures(transition.estimate, after),
    )
    return (record.encode(),)


@dataclass(slots=True)
class Sender:
    """Sends what is unsent; not safe to share between threads.

    Attributes:
        name: the breaker's.
        store: where they are until then.
        queue: takes them; None for one that only watches.
        clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``).
        report: is told what a person has to change before they can be sent, once per pause.
    """

    name: str
    store: BreakerStore
    queue: ReceiptQueue | None
    clock: Callable[[], float]
    report: Report
    _left_behind: int = field(default=0, init=False)
    _refused: MisconfigurationReporter = field(init=False)

    def __post_init__(self) -> None:
        self._refused = MisconfigurationReporter(self.report)

    def collect(self, stored: StoredBreaker) -> None:
        """Send what was left behind: a receipt still there at the next refresh has no sender any more."""
        if self._left_behind == stored.version:
            self.send(stored)
        self._left_behind = stored.version

    def send(self, stored: StoredBreaker) -> bool:
        """Send what is unsent; False if it stays with the state, for the next reader to send again."""
        if not stored.unsent or self.queue is None:
            return True
        try:
            for receipt in stored.unsent:
                self.queue.send(receipt)
            self.store.clear_unsent(self.name, version=stored.version)
        except UnavailableError as error:
            self._refused.failed(error, self.clock())
            return False
        self._refused.answered()
        return True


def figures(estimate: Estimate, after: BreakerRecord) -> dict[str, int]:
    """Return what a transition's receipt says was measured, in integers under names with their units."""
    found = {
        "bad_share_ppm": whole(estimate.bad_share * PPM),
        "bad_share_lower_ppm": whole(estimate.bad_share_lower * PPM),
        "error_ewma_ppm": whole(estimate.error_share * PPM),
        "latency_ewma_us": whole(estimate.latency_s * 1_000_000),
        "outcomes_milli": whole(estimate.count * 1000),
        "offered_rps_milli": whole(estimate.load.offered_rps * 1000),
        "admit_ppm": after.admit_ppm,
    }
    if estimate.rho is not None:
        found["rho_ppm"] = whole(estimate.rho * PPM)
    if estimate.wait_s is not None:
        found["kingman_wq_us"] = whole(estimate.wait_s * 1_000_000)
    if after.state is BreakerState.OPEN:
        found["open_ms"] = after.open_until_ms - after.state_since_ms
    return found
