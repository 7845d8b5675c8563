"""``make faults``: enumerate, say how many cases ran and for how long, and name every promise that broke.

``python -m tests.faults [--one-in N] [--scenario NAME] [--case TEXT] [--mutation NAME] [--json]``

Exit code 1 if a promise broke.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.enumeration import Enumeration, Verdict


def main() -> int:
    """Run what is asked for."""
    given = _arguments()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the functions print their logs
    from tests.faults.enumeration import Enumeration, one_in  # noqa: PLC0415 - after stdout is moved
    from tests.faults.mutations import MUTATIONS  # noqa: PLC0415
    from tests.faults.scenarios import SCENARIOS  # noqa: PLC0415

    started = time.monotonic()
    sampled = one_in(given.one_in)

    def report(verdict: Verdict) -> None:
        count = len(enumeration.verdicts)
        if sys.stderr.isatty() or count % 100 == 0:
            spent = time.monotonic() - started
            end = "\r" if sys.stderr.isatty() else "\n"
            sys.stderr.write(f"{spent:5.0f} s  {count:,} cases  {scenario.name:<30}{end}")
        if verdict.violation and not given.json:
            out.write(f"BROKEN  {verdict.case}\n        {verdict.violation}\n")
            out.flush()

    only, cases = given.scenario, given.case
    if given.mutation is not None:
        mutation = MUTATIONS[given.mutation]
        mutation.apply()
        only, cases = only or mutation.scenario, cases or mutation.cases
    enumeration = Enumeration(
        wanted=lambda name: sampled(name) and cases in name,
        report=report,
        stop_at_first=given.mutation is not None,
    )
    interrupted = False
    try:
        for scenario in SCENARIOS:
            if only in {None, scenario.name}:
                enumeration.run(scenario)
    except KeyboardInterrupt:  # the summary says how far it came
        interrupted = True
    summary = _summary(enumeration, time.monotonic() - started)
    out.write(json.dumps(summary) if given.json else _report(summary))
    out.flush()
    return 1 if summary["broken"] or interrupted else 0


def _summary(enumeration: Enumeration, seconds: float) -> dict[str, Any]:
    return {
        "found": enumeration.found,
        "ran": len(enumeration.verdicts),
        "seconds": round(seconds, 1),
        "by_fault": Counter(verdict.fault for verdict in enumeration.verdicts),
        "broken": {one.case: one.violation for one in enumeration.verdicts if one.violation},
    }


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(prog="make faults", description="Every fault at every AWS call.")
    arguments.add_argument("--one-in", type=int, default=1, metavar="N", help="a sample: one case in N")
    arguments.add_argument("--scenario", help="one scenario")
    arguments.add_argument("--case", default="", metavar="TEXT", help="cases whose name holds TEXT")
    arguments.add_argument("--mutation", metavar="NAME", help="with this safety step taken out")
    arguments.add_argument("--json", action="store_true", help="print the summary as JSON")
    return arguments.parse_args()


def _report(summary: dict[str, Any]) -> str:
    lines = [f"{count:6,}  {fault}" for fault, count in summary["by_fault"].most_common()]
    verdict = f"{len(summary['broken'])} BROKEN" if summary["broken"] else "no promise broken"
    total = f"{summary['ran']:,} of {summary['found']:,} cases in {summary['seconds']} s: {verdict}"
    return "\n".join([*lines, total, ""])


if __name__ == "__main__":
    sys.exit(main())
