"""``make mutants``: draw mutants, run the tests that have to notice each, name those that nothing noticed.

Exit code 1 if fewer than ``GOAL`` of the drawn ones were noticed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.covering import Covering, record
from tests.mutants.equivalent import is_equivalent
from tests.mutants.modules import ROOT, critical, files_for
from tests.mutants.operators import Mutant, mutants
from tests.mutants.runner import Copy, Outcome

GOAL = 0.97


def main() -> int:
    """Run what is asked for."""
    given = _arguments()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    modules = [name for name in critical() if given.module in name]
    everything = [
        one
        for name in modules
        for one in mutants(name, (ROOT / name).read_bytes())
        if not given.line or one.line in given.line
    ]
    rest = [one for one in everything if not is_equivalent(one)]
    drawn = _draw(rest, given.sample, random.Random(seed))
    print(
        f"{len(everything):,} mutants of {len(modules)} modules; {len(drawn)} drawn, seed {seed}",
        file=sys.stderr,
    )
    started = time.monotonic()
    if not given.covering.exists():
        print("which tests run which lines? All are run once, to find out", file=sys.stderr)
        record(given.covering)
    tests_for = _tests(Covering(given.covering), given.budget, confirm=given.confirm)
    outcomes = _run(drawn, tests_for, jobs=given.jobs, timeout_s=given.timeout)
    found = {outcome: [one.name for one, what in outcomes if what is outcome] for outcome in Outcome}
    noticed, survived = len(found[Outcome.NOTICED]), len(found[Outcome.SURVIVED])
    share = noticed / (noticed + survived) if noticed + survived else 1.0
    if given.json:
        print(json.dumps({"seed": seed, "share": share, "equivalent": len(everything) - len(rest), **found}))
    else:
        for outcome in (Outcome.SURVIVED, Outcome.UNDECIDED):
            for name in found[outcome]:
                print(f"{outcome:<9} {name}")
        print(
            f"{noticed} of {noticed + survived} noticed ({share:.1%}; goal {GOAL:.0%}), "
            f"{len(found[Outcome.UNDECIDED])} undecided, seed {seed}, {time.monotonic() - started:.0f} s; "
            f"{len(everything) - len(rest)} named as equivalent were not drawn"
        )
    return 0 if share >= GOAL else 1


def _draw(candidates: list[Mutant], count: int, chance: random.Random) -> list[Mutant]:
    """Return some that still are Python, each as likely as any other."""
    drawn: list[Mutant] = []
    for one in chance.sample(candidates, len(candidates)):
        if len(drawn) == count:
            break
        if one.is_python((ROOT / one.module).read_bytes()):
            drawn.append(one)
    return drawn


def _tests(covering: Covering, budget_s: float, *, confirm: bool) -> Callable[[Mutant], list[list[str]]]:
    """Return what says which tests to run: those that ran the line, then all that have to hold the module.

    So what is known of the lines may be old: it makes the search quick, and decides nothing.
    """

    def tests_for(mutant: Mutant) -> list[list[str]]:
        last = mutant.line + (ROOT / mutant.module).read_bytes()[mutant.start : mutant.end].count(b"\n")
        quick = covering.tests_for(mutant.module, mutant.line, last, budget_s=budget_s)
        return [*quick, files_for(mutant.module)] if confirm or not quick else quick

    return tests_for


def _run(
    drawn: list[Mutant], tests_for: Callable[[Mutant], list[list[str]]], *, jobs: int, timeout_s: float
) -> list[tuple[Mutant, Outcome]]:
    """Return the drawn mutants, in order, and what became of each."""
    with tempfile.TemporaryDirectory(prefix="signet-mutants-") as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            copies.put(Copy(Path(folder) / str(number)))

        def judge(mutant: Mutant) -> Outcome:
            copy = copies.get()
            try:
                outcome = copy.judge(mutant, tests_for(mutant), timeout_s=timeout_s)
            finally:
                copies.put(copy)
            print(f"{outcome:<9} {mutant.name}", file=sys.stderr)
            return outcome

        with ThreadPoolExecutor(jobs) as pool:
            outcomes = list(zip(drawn, pool.map(judge, drawn), strict=True))
        for _number in range(jobs):
            copies.get().close()
        return outcomes


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(
        prog="make mutants", description="Small changes that a test must notice."
    )
    arguments.add_argument(
        "--sample", type=int, default=60, metavar="N", help="how many are drawn (default 60)"
    )
    arguments.add_argument("--seed", type=int, help="draw the same again (default: a new one, printed)")
    arguments.add_argument("--module", default="", metavar="TEXT", help="modules whose path has this in it")
    arguments.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at once (default 2)")
    arguments.add_argument(
        "--timeout", type=float, default=600, metavar="S", help="for one mutant (default 600)"
    )
    arguments.add_argument(
        "--line", type=int, action="append", metavar="N", help="only mutants of this line (with --module)"
    )
    arguments.add_argument(
        "--covering",
        type=Path,
        default=ROOT / ".local" / "mutants" / "covering.json",
        metavar="FILE",
        help="which tests run which lines; written if it is not there (default .local/mutants/covering.json)",
    )
    arguments.add_argument(
        "--budget", type=float, default=20, metavar="S", help="of tests that ran a mutant's line (default 20)"
    )
    arguments.add_argument(
        "--no-confirm",
        dest="confirm",
        action="store_false",
        help="call a mutant survived though not all tests of its module were run: quick, and too strict",
    )
    arguments.add_argument("--json", action="store_true", help="print JSON")
    return arguments.parse_args()


if __name__ == "__main__":
    sys.exit(main())
