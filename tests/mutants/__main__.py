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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.equivalent import EQUIVALENT
from tests.mutants.modules import ROOT, critical, files_for
from tests.mutants.operators import Mutant, mutants
from tests.mutants.runner import Copy, Outcome

GOAL = 0.97


def main() -> int:
    """Run what is asked for."""
    given = _arguments()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    modules = [name for name in critical() if given.module in name]
    everything = [one for name in modules for one in mutants(name, (ROOT / name).read_bytes())]
    rest = [one for one in everything if (one.module, one.before, one.after) not in EQUIVALENT]
    drawn = _draw(rest, given.sample, random.Random(seed))
    print(
        f"{len(everything):,} mutants of {len(modules)} modules; {len(drawn)} drawn, seed {seed}",
        file=sys.stderr,
    )
    started = time.monotonic()
    outcomes = _run(drawn, jobs=given.jobs, timeout_s=given.timeout)
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


def _run(drawn: list[Mutant], *, jobs: int, timeout_s: float) -> list[tuple[Mutant, Outcome]]:
    """Return the drawn mutants, in order, and what became of each."""
    with tempfile.TemporaryDirectory(prefix="signet-mutants-") as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            copies.put(Copy(Path(folder) / str(number)))

        def judge(mutant: Mutant) -> Outcome:
            copy = copies.get()
            try:
                outcome = copy.judge(mutant, files_for(mutant.module), timeout_s=timeout_s)
            finally:
                copies.put(copy)
            print(f"{outcome:<9} {mutant.name}", file=sys.stderr)
            return outcome

        with ThreadPoolExecutor(jobs) as pool:
            return list(zip(drawn, pool.map(judge, drawn), strict=True))


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
    arguments.add_argument("--json", action="store_true", help="print JSON")
    return arguments.parse_args()


if __name__ == "__main__":
    sys.exit(main())
