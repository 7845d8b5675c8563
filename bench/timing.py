"""How things are timed: own CPU time, peer and measured thing in turns, the median of several rounds."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_KIB = 1024

Report = Callable[[str], None]


class MeasurementError(Exception):
    """A measurement could not be made; the message says why."""


def in_turns(rounds: int, runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Run each once per round, in turns, and return the median of each one's CPU seconds.

    Turns, because a noisy machine then disturbs all alike; the first round warms up and does not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started = time.process_time_ns()
            run()
            spent = (time.process_time_ns() - started) / 1e9
            if number:
                taken[name].append(spent)
    return {name: statistics.median(values) for name, values in taken.items()}


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of one run; for what is large enough to be measured once."""
    started = time.process_time_ns()
    run()
    return (time.process_time_ns() - started) / 1e9


def peak_rss_mib() -> float:
    """Return the most memory this process has had resident, MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what the parent had before exec
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / _KIB
    import resource  # noqa: PLC0415 - only where there is no /proc

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _KIB**2 if sys.platform == "darwin" else peak / _KIB


def in_subprocess(module: str, *arguments: str) -> dict[str, Any]:
    """Run ``python -m module`` and return the JSON object it prints: own memory, own imports.

    Raises:
        MeasurementError: it failed; holds the end of what it said.
    """
    done = subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MeasurementError(f"{module} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
