"""Every fault that can happen at every call of a run: the run is forked at each call, once per fault.

The forked process carries the fault out, goes on, lets happen what happens by itself, and judges. moto
lives in the process, so each fork has a deployment of its own, exactly as it was at that call; and the calls
are those of the run itself: none has to be listed anywhere.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import tempfile
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3

from signet.core.errors import SignetError
from tests.faults.deployment import BUCKET, LogDeployment, deployed
from tests.faults.injector import Call, Fault, Injected, faults_of
from tests.faults.judge import Violation, check, judge
from tests.faults.scenarios import Scenario

_PATIENCE_S = 120  # a case takes less than one
#: Faults after which refusing loudly is right: what was read or found is not what was written.
_DAMAGE = frozenset({Fault.FLIPPED, Fault.OCCUPIED, Fault.ROTTEN})


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one call of a scenario; ``other`` names the instance that runs in between."""

    scenario: str
    call: Call
    fault: Fault
    other: str = ""

    @property
    def name(self) -> str:
        """Return what it is called; equal from run to run while the code stays the same."""
        at = f"{self.call.service}.{self.call.operation}"
        return f"{self.scenario} / {self.call.number:03} {at} / {self.other or self.fault.value}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case: ``violation`` is empty if every promise held."""

    case: str
    fault: str
    violation: str


@dataclass
class Enumeration:
    """Runs cases.

    Attributes:
        wanted: by name, whether a case is to be run.
        jobs: processes at a time.
        report: told each verdict.
        stop_at_first: end a scenario at its first violation.
        found: the number of cases there are, wanted or not.
        verdicts: what became of those that ran.
    """

    wanted: Callable[[str], bool] = lambda _name: True
    jobs: int = os.cpu_count() or 1
    report: Callable[[Verdict], None] = lambda _verdict: None
    stop_at_first: bool = False
    found: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    _running: dict[int, tuple[int, Case]] = field(default_factory=dict)  # by pipe: process, case
    _case: Case | None = None  # in a forked process: its own
    _out: int = -1

    def run(self, scenario: Scenario) -> None:
        """Run a scenario once, and all its cases beside it."""
        with (
            tempfile.TemporaryDirectory() as folder,
            deployed(Path(folder), scenario.chains, scenario.rotation_days) as world,
        ):
            scenario.prepare(world)
            check(holds=not world.failures, promise=f"{scenario.name} can be prepared: {world.failures}")
            gc.freeze()  # a forked process then copies no page only because it counts references
            try:
                with world.injector.watching(partial(self._decide, scenario, world)):
                    scenario.act(world)
            finally:
                if self._case is not None:  # a forked process never gets past this line
                    self._finish(world)
            while self._running:
                self._collect()
            self.found += 1
            self._note(Verdict(f"{scenario.name} / undisturbed", "nothing", _violation(world, None)))

    def _decide(self, scenario: Scenario, world: LogDeployment, call: Call) -> Injected | None:
        """In the run itself: fork each wanted case of a call. In a fork: the fault, once."""
        if self._case is not None:
            return None
        cases = [Case(scenario.name, call, fault) for fault in faults_of(call)]
        cases += [Case(scenario.name, call, Fault.INTERLEAVED, other) for other in scenario.others]
        self.found += len(cases)
        for case in cases:
            if not self.wanted(case.name) or (self.stop_at_first and self._violated()):
                continue
            if self._fork(case):
                before: Callable[[], object] | None = None
                if case.fault is Fault.INTERLEAVED:
                    before = partial(scenario.others[case.other], world)
                if case.fault is Fault.OCCUPIED:
                    before = partial(_occupy, call.key)
                return Injected(case.fault, before)
        return None

    def _fork(self, case: Case) -> bool:
        """Return True in the new process."""
        while len(self._running) >= self.jobs:
            self._collect()
        read, write = os.pipe()
        process = os.fork()
        if process:
            os.close(write)
            self._running[read] = process, case
            return False
        os.close(read)
        signal.alarm(_PATIENCE_S)
        self._case, self._out = case, write
        return True

    def _finish(self, world: LogDeployment) -> None:
        """In a forked process: judge, say so, and end without any of the run's own ends."""
        crash = sys.exception()
        violation = _violation(world, self._case) if crash is None else f"it crashed: {crash!r}"
        os.write(self._out, violation.encode()[:60_000] or b"\0")
        os._exit(0)

    def _collect(self) -> None:
        """Wait for a process to end, and take its verdict."""
        ready, _, _ = select.select(list(self._running), [], [])
        for read in ready:
            process, case = self._running.pop(read)
            with os.fdopen(read, "rb") as pipe:
                said = pipe.read()
            os.waitpid(process, 0)
            violation = said.decode().strip("\0") if said else "it ended without a verdict"
            self._note(Verdict(case.name, case.other or case.fault.value, violation))

    def _note(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        self.report(verdict)

    def _violated(self) -> bool:
        return any(verdict.violation for verdict in self.verdicts)


def _violation(world: LogDeployment, case: Case | None) -> str:
    """Let the world settle and judge it; return what is wrong, empty if nothing is."""
    try:
        if case is None or case.fault not in _DAMAGE:
            check(
                holds=not world.contradictions, promise=f"nothing contradicts itself: {world.contradictions}"
            )
        if case is not None and case.fault is Fault.OCCUPIED:
            _clear_away(world, case.call.key)
        world.failures.clear()
        world.settle()
        check(holds=not world.failures, promise=f"the next runs converge: {world.failures}")
        judge(world)
    except (Violation, SignetError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - with any exception the case is not clean
        return traceback.format_exc()
    return ""


def _occupy(key: str) -> None:
    """Put something else where the run is about to write."""
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"something else")


def _clear_away(world: LogDeployment, key: str) -> None:
    """Do what a person does about a refusal: take away what does not belong there. Without one, nothing."""
    if not world.contradictions:
        world.integrate()
    if not world.contradictions:
        return
    s3: Any = boto3.client("s3")
    for version in s3.list_object_versions(Bucket=BUCKET, Prefix=key).get("Versions", []):
        if version["Key"] == key:
            s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])


def one_in(share: int) -> Callable[[str], bool]:
    """Return a sample of the cases: the same ones every time, spread over all of them."""
    return lambda name: zlib.crc32(name.encode()) % share == 0
