"""What the commands that judge share: a bar while they read, and how a verdict is told."""

# ruff: noqa: PLC0415 - rich is loaded when a command runs, not for --help

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import typer

if TYPE_CHECKING:
    from signet.pack.report import Gap

_MOST_GAPS_SHOWN = 20
_WARNINGS = frozenset({"log_id_not_pinned", "other_checker"})


class Remark(Protocol):
    """Something to know that is no fault."""

    @property
    def code(self) -> str:
        """A stable word for programs."""
        ...

    @property
    def text(self) -> str:
        """A sentence for people."""
        ...


@contextmanager
def reading(what: str, *, long: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error, if that is a terminal and there is something to wait for.

    Args:
        what: what is done meanwhile: "reading the log".
        long: whether it may take longer than anybody notices.
    """
    if not long or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_checks(passed: Sequence[str], failures: Iterable[str]) -> None:
    """Print what passed and what failed, a line each."""
    for check in passed:
        typer.echo(f"ok      {check}")
    for failure in failures:
        typer.echo(f"FAILED  {failure}")
    typer.echo("")


def print_gaps(gaps: Sequence[Gap], where: str) -> None:
    """Print which decisions of which emitter are missing.

    Args:
        gaps: what is missing.
        where: where they were looked for: "in this day".
    """
    for gap in gaps[:_MOST_GAPS_SHOWN]:
        typer.echo(f"FINDING emitter {gap.emitter}: decisions {gap.first} to {gap.last} are not {where}")
    if len(gaps) > _MOST_GAPS_SHOWN:
        typer.echo(f"FINDING {len(gaps) - _MOST_GAPS_SHOWN} more gaps; --json lists all")
    if gaps:
        typer.echo("        (lost before they reached the log, or recorded on a neighbouring day)")


def print_remarks(remarks: Iterable[Remark]) -> None:
    """Print what is worth knowing, warnings marked as such."""
    for remark in remarks:
        typer.echo(f"{'WARNING' if remark.code in _WARNINGS else 'note   '} {remark.text}")


def gaps_object(gaps: Iterable[Gap]) -> list[dict[str, Any]]:
    """Return gaps as JSON."""
    return [{"emitter": gap.emitter, "first": gap.first, "last": gap.last} for gap in gaps]


def remarks_object(remarks: Iterable[Remark]) -> list[dict[str, str]]:
    """Return remarks as JSON."""
    return [{"code": remark.code, "text": remark.text} for remark in remarks]
