"""Figure 0, the handler in a process that does nothing else: its first decision, and instructions of one."""

from __future__ import annotations

import marshal
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

from bench.figures import Figure, ratio
from bench.standin import last_line, python
from bench.timing import ROOT, MeasurementError, Report

#: Millions of instructions of one allowed decision.
INSTRUCTIONS_LIMIT: Final = 3.5
NO_VALGRIND: Final = "instructions of a decision: skipped: no valgrind"
#: Variable that names the folder in which the policy's layer is.
PLACE: Final = "SIGNET_BENCH_PLACE"
_COUNTED: Final = ("ed25519", "ecdsa-p256-sha256")
_LIVES_S: Final = 280  # under callgrind a handler takes half a minute to load
_COLLECTED: Final = re.compile(r"^==\d+== Collected : (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Alone:
    """Starts processes that decide and do nothing else.

    Attributes:
        world: signs events.
        variables: of the handler.
    """

    world: Any
    variables: Mapping[str, str]

    def events(self, alg: str, count: int, folder: Path) -> Path:
        """Sign fresh events into a file."""
        signed = [self.world.sign(self.world.event(), alg, lives_s=_LIVES_S) for _ in range(count)]
        file = folder / "events"
        file.write_bytes(marshal.dumps(signed))
        return file

    def run(self, what: str, events: Path, count: int, through: Sequence[str] = ()) -> CompletedProcess[str]:
        """Run ``bench/decide.py`` on as many of the events, through another program if one is given."""
        places = (ROOT / "layers/signet", ROOT / "functions/authorizer", self.variables[PLACE])
        return python(
            ["-P", str(ROOT / "bench" / "decide.py"), what, str(events), str(count)],
            "direct",
            through=through,
            more={**self.variables, "PYTHONPATH": os.pathsep.join(map(str, places))},
        )


def first_decision(report: Report, alone: Alone, *, rounds: int) -> Figure:
    """Measure import and first decision together: what is put off at import is paid for there."""
    report("import and first decision")
    taken: dict[str, list[float]] = {"handler": [], "boto3": []}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(rounds):
            for what, times in taken.items():
                events = alone.events("ed25519", 1, Path(scratch))
                times.append(float(last_line(alone.run(what, events, 1))))
    own, peer = min(taken["handler"]), min(taken["boto3"])
    beside = f"{own:.0f} ms beside {peer:.0f} ms of CPU; the peer makes the same two calls by boto3"
    return ratio("import and first decision, to boto3's", own, peer, limit=None, beside=beside)


def instructions(report: Report, alone: Alone, *, decisions: int) -> tuple[list[Figure], list[str]]:
    """Count the instructions of one allowed decision under callgrind, without its start.

    Two runs load the same events; one decides twice as many as the other. Their difference counts.

    Returns:
        Figures in millions, and notes: that it was skipped where there is no valgrind.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        report(NO_VALGRIND)
        return [], [NO_VALGRIND]
    figures = []
    for alg in _COUNTED:
        report(f"instructions, {alg}: {decisions} and {2 * decisions} decisions under callgrind")
        fewer, more = (
            _counted(valgrind, alone, alg, decided, 2 * decisions) for decided in (decisions, 2 * decisions)
        )
        beside = f"under callgrind: {2 * decisions} decisions less {decisions}"
        each = (more - fewer) / decisions / 1e6
        figures.append(Figure(f"{alg}: instructions", each, "M", INSTRUCTIONS_LIMIT, beside))
    return figures, []


def _counted(valgrind: str, alone: Alone, alg: str, decided: int, prepared: int) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        events = alone.events(alg, prepared, Path(scratch))
        # The policy's library reserves more addresses than valgrind has, so its answers are played back. A
        # warm decision asks it nothing, which the process sees to.
        alone.run("record", events, 1)
        through = [valgrind, "--tool=callgrind", f"--callgrind-out-file={scratch}/out"]
        return collected(alone.run("replay", events, decided, through).stderr)


def collected(said: str) -> int:
    """Return the instructions that callgrind says it counted.

    Raises:
        MeasurementError: it says none.
    """
    found = _COLLECTED.search(said)
    if found is None:
        raise MeasurementError(f"callgrind counted nothing: {said[-300:]}")
    return int(found[1])
