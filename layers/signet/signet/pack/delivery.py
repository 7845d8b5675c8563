"""Hands out packs: small ones are built while the caller waits, large ones apart from the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from signet.core.errors import MisconfiguredError, SignetError, UnavailableError
from signet.core.ports import PackOrders
from signet.pack.build import PackPlan
from signet.pack.jobs import Job, JobState, JobStore, Reporter
from signet.pack.store import PackStore, StoredPack

#: Each piece of evidence is an object to fetch, where one bundle has 256 receipts.
_EVIDENCE_COSTS_RECEIPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pack is asked for.

    Attributes:
        day: its day.
        evidence: whether it is to hold the evidence that the log still has.
        transcripts: whether it is to hold the transcripts that are still kept.
    """

    day: date
    evidence: bool
    transcripts: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """A pack that can be downloaded.

    Attributes:
        pack: the pack.
        url: where it can be downloaded.
        expires_at: when the URL ends.
    """

    pack: StoredPack
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """A pack that is being built.

    Attributes:
        job: how far it is.
        url: where the job can be read from now on.
        ordered: whether this call ordered it.
    """

    job: Job
    url: str
    ordered: bool


@dataclass(frozen=True, slots=True)
class PackDelivery:
    """Hands out packs, and builds those that were ordered.

    Attributes:
        packs: the packs, and the log they are built from.
        orders: takes orders for large packs.
        now: the clock, UTC.
        receipts_at_once: days of up to so many receipts are built while the caller waits, days of a tenth of
            them with evidence.
        url_ttl_s: lifetime of a URL, in seconds.
    """

    packs: PackStore
    orders: PackOrders
    now: Callable[[], datetime]
    receipts_at_once: int
    url_ttl_s: int

    def deliver(self, wanted: Wanted) -> Delivered | Pending:
        """Return the pack, built at once if that is quick; else have it built, and say where to wait.

        Raises:
            NotFoundError: the day is before the log's first or in the future.
            NotReadyError: the day is not closed yet.
            LogError: the log contradicts itself.
            UnavailableError: a store cannot be used, or the order was not taken.
        """
        plan = self._plan(wanted)
        cost = _EVIDENCE_COSTS_RECEIPTS if plan.evidence else 1 + plan.transcripts
        small = plan.receipts * cost <= self.receipts_at_once
        pack = self.packs.obtain(plan) if small else self.packs.find(plan)
        if pack is None:
            return self._pending(plan)
        url = self.packs.presign(pack, ttl_s=self.url_ttl_s)
        return Delivered(pack, url, self.now() + timedelta(seconds=self.url_ttl_s))

    def build(self, wanted: Wanted) -> StoredPack:
        """Build a pack however long it takes, and tell its job how far it is.

        Raises:
            LogError: the log contradicts itself, or the day is too large for a pack.
            UnavailableError: the store cannot be used; by the next call it may be.
        """
        plan = self._plan(wanted)
        reporter = Reporter(self._jobs, plan, self._now_ms())
        try:
            pack = self.packs.obtain(plan, lambda done, _total: reporter.progress(done, self._now_ms()))
        except SignetError as error:
            if isinstance(error, MisconfiguredError):  # no caller has to wait; the log says the rest
                reporter.failed(error.for_callers(), self._now_ms())
            elif not isinstance(error, UnavailableError):
                reporter.failed(error, self._now_ms())
            raise
        reporter.built(self._now_ms())
        return pack

    def _pending(self, plan: PackPlan) -> Pending:
        """Order the pack unless it is being built, and return how far it is."""
        jobs, job, ordered = self._jobs, self._jobs.read(plan), False
        if job is None or not job.runs(self._now_ms()):
            job, ordered = self._ordered(plan), True
        return Pending(job, self.packs.packs.url(jobs.key(plan), ttl_s=self.url_ttl_s), ordered)

    def _ordered(self, plan: PackPlan) -> Job:
        jobs, job = self._jobs, Job(JobState.BUILDING, plan.date, plan.receipts, 0, self._now_ms())
        jobs.write(plan, job)
        try:
            self.orders.order(plan.date, evidence=plan.evidence, transcripts=plan.transcripts)
        except UnavailableError as error:  # nothing builds it: the next call is to order again, not to wait
            told = error.for_callers() if isinstance(error, MisconfiguredError) else error
            jobs.write(plan, replace(job, state=JobState.FAILED, error=told.code, message=str(told)))
            raise
        return job

    def _plan(self, wanted: Wanted) -> PackPlan:
        return self.packs.plan(
            wanted.day.isoformat(),
            today=self.now().date(),
            evidence=wanted.evidence,
            transcripts=wanted.transcripts,
        )

    @property
    def _jobs(self) -> JobStore:
        return JobStore(self.packs.objects)

    def _now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)
