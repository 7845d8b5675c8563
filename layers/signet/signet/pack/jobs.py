"""How far the building of large packs is: one small object per pack, which the caller who waits reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from signet.core.errors import SignetError
from signet.core.ports import ObjectStore
from signet.log import object_keys
from signet.pack.build import PackPlan

_JSON: Final = "application/json"
#: Without news for so long a job is dead: longer than any function runs, its last retry included.
_DEAD_MS: Final = 15 * 60 * 1000
_WRITE_EVERY_MS: Final = 2000


class JobState(StrEnum):
    """Where a job is."""

    BUILDING = "building"
    BUILT = "built"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """The building of one pack.

    Attributes:
        state: where it is.
        date: day of the pack.
        receipts: receipts of the day.
        done: receipts that are in the pack so far.
        updated_at_ms: Unix milliseconds of the last news.
        error: code of what it failed with, or None.
        message: the same as a sentence, or None.
    """

    state: JobState
    date: str
    receipts: int
    done: int
    updated_at_ms: int
    error: str | None = None
    message: str | None = None

    def runs(self, now_ms: int) -> bool:
        """Tell whether it is being built."""
        return self.state is JobState.BUILDING and now_ms - self.updated_at_ms < _DEAD_MS


@dataclass(frozen=True, slots=True)
class JobStore:
    """Jobs by what they build. Only a hint: two builders of one pack waste work and harm nothing."""

    objects: ObjectStore

    def key(self, plan: PackPlan) -> str:
        """Return where the job of a plan is."""
        name = plan.key.rsplit("/", 1)[-1].removesuffix(".zip")
        return f"{object_keys.PACK_JOBS}{name}.json"

    def read(self, plan: PackPlan) -> Job | None:
        """Return the job, or None if there is none that can be read: then one is begun, and writes its own.

        Raises:
            UnavailableError: the store cannot be reached.
        """
        stored = self.objects.get(self.key(plan))
        if stored is None:
            return None
        try:
            found: dict[str, Any] = json.loads(stored)
            job = Job(**{**found, "state": JobState(found["state"])})
        except (ValueError, TypeError, KeyError):
            return None
        numbers = (job.receipts, job.done, job.updated_at_ms)
        return job if all(type(number) is int for number in numbers) else None

    def write(self, plan: PackPlan, job: Job) -> None:
        """Say where a job is.

        Raises:
            UnavailableError: the store cannot be reached.
        """
        self.objects.put(self.key(plan), json.dumps(asdict(job)).encode(), content_type=_JSON)


class Reporter:
    """Writes the progress of one job, not more often than a caller looks."""

    def __init__(self, jobs: JobStore, plan: PackPlan, now_ms: int) -> None:
        """Say that the job has begun."""
        self._jobs = jobs
        self._plan = plan
        self._job = Job(JobState.BUILDING, plan.date, plan.receipts, 0, now_ms)
        jobs.write(plan, self._job)

    def progress(self, done: int, now_ms: int) -> None:
        """Say how many receipts are done."""
        if now_ms - self._job.updated_at_ms >= _WRITE_EVERY_MS:
            self._say(replace(self._job, done=done, updated_at_ms=now_ms))

    def built(self, now_ms: int) -> None:
        """Say that the pack is there."""
        self._say(replace(self._job, state=JobState.BUILT, done=self._plan.receipts, updated_at_ms=now_ms))

    def failed(self, error: SignetError, now_ms: int) -> None:
        """Say that there will be none, and why."""
        failed = replace(self._job, state=JobState.FAILED, error=error.code, message=str(error))
        self._say(replace(failed, updated_at_ms=now_ms))

    def _say(self, job: Job) -> None:
        self._job = job
        self._jobs.write(self._plan, job)
