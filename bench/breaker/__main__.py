"""One scenario against one breaker, or all of them: ``python -m bench.breaker --only "poison client"``.

A run is told in one line. The same seed gives the same requests to every breaker.
"""

from __future__ import annotations

import argparse
import secrets

from bench.breaker.runs import OURS, TRIALS, Job, Result, peers, run_all
from bench.breaker.scenarios import NAMES, scenario

_HEADER = (
    f"{'':18} {'N':>4} {'servers':>8} {'seed':>6} {'goodput':>8} {'bad':>6} {'good shed':>15} {'others':>7} "
    f"{'noticed':>8} {'recovered':>10} {'trips':>6} {'flaps':>6} {'swings':>7}"
)


_KNOWN = {"unknown": (False,), "known": (True,), "both": (False, True)}


def main() -> None:
    """Run what the arguments ask for."""
    given = _arguments()
    seeds = given.seed or [secrets.randbelow(100_000)]
    breakers = given.breaker or [OURS]
    if "all" in breakers:
        breakers = [OURS, *peers()]
    for name in given.only:
        jobs = [
            Job(breaker, name, seed, fleet, known=breaker == OURS and known)
            for breaker in breakers
            for seed in seeds
            for fleet in (given.n if breaker == OURS else given.n[:1])
            for known in _KNOWN[given.servers]
        ]
        print(f"\n{name}: {_said(name, seeds[0])}\n{_HEADER}")  # noqa: T201 - this is a command
        for result in run_all(jobs):
            print(_line(result))  # noqa: T201 - as above


def _arguments() -> argparse.Namespace:
    of = argparse.ArgumentParser(
        prog="python -m bench.breaker", description=(__doc__ or "").partition("\n")[0]
    )
    of.add_argument(
        "--only", action="append", choices=NAMES, required=True, metavar="NAME", help=", ".join(NAMES)
    )
    of.add_argument("--seed", type=int, action="append", help="drawn if it is not given; may be repeated")
    of.add_argument("--n", type=int, action="append", help="environments; may be repeated; 20 if not given")
    known = [
        OURS,
        *TRIALS,
        *peers(),
        *(f"{name} per client" for name in peers()),
        *(f"{name} per backend" for name in peers()),
    ]
    of.add_argument(
        "--breaker", action="append", choices=[*known, "all"], metavar="NAME",
        help=f"{OURS} if not given; all; {', '.join(peers())}, also 'per client' and 'per backend'",
    )  # fmt: skip
    of.add_argument("--servers", choices=_KNOWN, default="unknown")
    given = of.parse_args()
    given.n = given.n or [20]
    return given


def _said(name: str, seed: int) -> str:
    plan = scenario(name, seed)
    fault = (
        "no fault"
        if plan.fault_from_s is None
        else f"fault {plan.fault_from_s:.0f} to {plan.fault_to_s:.0f} s"
    )
    return f"{plan.length_s:.0f} s, {fault} (as seed {seed} has it)"


def _line(result: Result) -> str:
    job = result.job
    servers = "" if job.breaker != OURS else "known" if job.known else "unknown"
    recovery = "-" if result.recovery_s is None else f"{result.recovery_s:.0f} s"
    noticed = "-" if result.noticed_after is None else str(result.noticed_after)
    shed = f"{result.good_shed} {100 * result.good_shed_share:6.2f} %"
    others = f"{100 * result.bystanders_shed_share:5.1f} %"
    shown = (
        f"{job.breaker:18} {job.environments:4} {servers:>8} {job.seed:6}",
        f"{result.good:8} {result.bad:6} {shed:>15} {others} {noticed:>8} {recovery:>10}",
        f"{result.trips:6} {result.flaps:6.2g} {result.oscillations:7}",
    )
    return " ".join(shown)


if __name__ == "__main__":
    main()
