"""A sample of ``make faults``, the same every time; and that each safety step is missed when it is taken out.

``make check`` tries two scenarios and one safety step, ``make tests-sweep`` all.

In processes of their own: a run is forked at each of its AWS calls, and only without threads can it be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.injector import Call, Fault, faults_of, flipped
from tests.faults.mutations import MUTATIONS
from tests.faults.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
#: One fault of so many.
SAMPLE = 60
#: Of two scenarios alone, in ``make check``.
FEW = 40
#: The safety step that is taken out in ``make check``: it tells soonest.
ONE_STEP = "read nothing back"


def enumerated(*arguments: str) -> dict[str, Any]:
    folders = ("functions/receipt_sink", "functions/sth_cron")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in folders)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--json", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    summary: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if summary["broken"] else 0)
    return summary


@pytest.mark.parametrize("scenario", ["a batch", "new receipts"])  # of the sink, of the log's writer
def test_a_few_faults_of_a_run_break_no_promise(scenario: str) -> None:
    summary = enumerated("--scenario", scenario, "--one-in", str(FEW))
    assert summary["broken"] == {}
    assert summary["ran"] > 3
    assert summary["found"] > 100


@pytest.mark.sweep
def test_a_sample_of_all_faults_breaks_no_promise() -> None:
    summary = enumerated("--one-in", str(SAMPLE))
    assert summary["broken"] == {}
    assert summary["ran"] > len(SCENARIOS) + 20
    assert summary["found"] > 2_000


@pytest.mark.parametrize(
    "mutation",
    [pytest.param(name, marks=() if name == ONE_STEP else pytest.mark.sweep, id=name) for name in MUTATIONS],
)
def test_without_a_safety_step_a_promise_breaks(mutation: str) -> None:
    broken = enumerated("--mutation", mutation)["broken"]
    assert any(MUTATIONS[mutation].cases in case for case in broken), broken


@pytest.mark.sweep
def test_the_cases_that_miss_a_step_are_clean_with_it() -> None:
    """What tells on a mutation is the mutation."""
    for mutation in ("read nothing back", "compare nothing"):
        asked = MUTATIONS[mutation]
        assert enumerated("--scenario", asked.scenario, "--case", asked.cases)["broken"] == {}


def test_an_operation_that_nobody_has_heard_of_meets_the_general_faults() -> None:
    call = Call(0, "kms", "Sign", conditional_put=False, key="")
    assert set(faults_of(call)) == {
        Fault.FAILS_BEFORE,
        Fault.REFUSED,
        Fault.FAILS_AFTER,
        Fault.REPEATED,
        Fault.KILLED_BEFORE,
        Fault.KILLED_AFTER,
    }


def test_a_flip_is_of_one_bit() -> None:
    damaged = flipped(bytes(9))
    assert sum(byte.bit_count() for byte in damaged) == 1
