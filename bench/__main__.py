"""Measure and show; the exit code is always 0, a missed figure is marked.

``python -m bench [--quick] [--json FILE] [--only N] [--seed S]``.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from bench import (
    authorizer,
    coldstart,
    cost,
    freshness,
    handler,
    merkle,
    mixed,
    packs,
    page,
    policies,
    proof,
    refusals,
    relaxed,
    sessions,
    sink,
    strangers,
)
from bench.breaker import properties
from bench.figures import Section, machine, missed, table, to_object
from bench.timing import MeasurementError, Report

_WIDTH = 150
Measure = Callable[..., Section | tuple[Section, ...]]
_PARTS: dict[str, Measure] = {
    "0": handler.measure,
    "1": lambda report, *, quick: (
        authorizer.measure(report, quick=quick),
        mixed.measure(report, quick=quick),
        refusals.measure(report, quick=quick),
    ),
    "2,7": cost.measure,
    "3": coldstart.measure,
    "4": sink.measure,
    "5": merkle.measure,
    "6": packs.measure,
    "8": relaxed.measure,
    "9": properties.measure,
    "10": page.measure,
    "11": sessions.measure,
    "12": freshness.measure_decisions,
    "13": freshness.measure_history,
    "14": proof.measure,
    "15": policies.measure,
    "16": strangers.measure,
}


def main() -> None:
    """Run the measurements."""
    arguments = argparse.ArgumentParser(
        prog="make bench", description="Measure what Signet costs, beside limits and peers."
    )
    arguments.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    arguments.add_argument(
        "--only", choices=sorted({n for part in _PARTS for n in part.split(",")}, key=int), help="one part"
    )
    arguments.add_argument(
        "--seed", type=int, help="first seed of the breaker's runs; drawn if it is not given"
    )
    given = arguments.parse_args()
    progress = Console(stderr=True)
    started = time.monotonic()

    def report(text: str) -> None:
        progress.print(f"[dim]{time.monotonic() - started:5.0f} s  {text}[/dim]", highlight=False)

    sections = run(report, quick=given.quick, only=given.only, seed=given.seed)
    show(sections)
    if given.json is not None:
        given.json.write_text(json.dumps(to_object(sections, quick=given.quick), indent=2) + "\n")


def run(report: Report, *, quick: bool, only: str | None = None, seed: int | None = None) -> list[Section]:
    """Measure all parts (or one), in the order of their numbers; a part that fails says so in its section."""
    sections: list[Section] = []
    parts: dict[str, Measure] = {**_PARTS, "9": partial(properties.measure, seed=seed)}
    for numbers, measure in parts.items():
        if only is not None and only not in numbers.split(","):
            continue
        try:
            found = measure(report, quick=quick)
        except MeasurementError as error:
            found = Section(f"{numbers}. not measured", notes=[str(error)])
        sections += found if isinstance(found, tuple) else [found]
    return sorted(sections, key=_number)


def _number(section: Section) -> list[int]:
    return [int(number) for number in re.findall("[0-9]+", section.title.partition(" ")[0])]


def show(sections: Sequence[Section]) -> None:
    """Print the tables and what was missed."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    about = machine()
    console.print(f"\n{about['cpus']}, Python {about['python']}, {about['system']}")
    for section in sections:
        console.print()
        console.print(table(section))
        for note in section.notes:
            console.print(f"  [dim]{note}[/dim]", soft_wrap=True)
    above = missed(sections)
    held = sum(figure.held is True for section in sections for figure in section.figures)
    console.print(f"\n{held} figures within their limit, {len(above)} beyond it.")
    for figure in above:
        console.print(f"  [bold red]MISSED[/bold red] {figure.what}")


if __name__ == "__main__":
    main()
