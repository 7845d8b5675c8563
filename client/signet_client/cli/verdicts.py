"""What the commands that verify share: a bar while they read, and how a verdict is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from signet.core.verification import Failure, Gap, Notice
from signet_client.cli.common import REFUSED, print_facts, print_json
from signet_client.terminal import animates, bar, say

_MOST_GAPS_SHOWN = 20
_LONG_PACK_BYTES = 4_000_000
_WARNINGS = frozenset({"log_id_not_pinned", "other_checker"})

LogIdOption = Annotated[
    str | None,
    typer.Option("--log-id", envvar="SIGNET_LOG_ID", help="Id of the log, learnt from elsewhere."),
]


@contextmanager
def reading(what: str, *, long: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error, if that is a terminal and there is something to wait for.

    Args:
        what: what is done meanwhile: "reading the log".
        long: whether it may take long enough to be noticed.
    """
    if not long or not animates():
        yield lambda _done, _total: None
        return
    shown, task = bar(what)
    with shown:
        yield lambda done, total: shown.update(task, completed=done, total=total)


@contextmanager
def reading_pack(path: Path, what: str) -> Iterator[tuple[BinaryIO, Callable[[int, int], None]]]:
    """Open a pack; show a bar as ``reading`` does if it is large."""
    with path.open("rb") as file, reading(what, long=path.stat().st_size >= _LONG_PACK_BYTES) as progress:
        yield file, progress


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict as people are told it.

    Attributes:
        good: whether nothing failed.
        sentence: what that means.
        passed: titles of the checks that passed.
        failures: what failed, a line each.
        facts: what was looked at; told of what is good.
        gaps: decisions that are missing.
        gaps_in: where they were looked for: "in this day".
        notices: what is worth knowing.
        not_shown: what a good verdict does not say, a sentence each.
        instead: another word than "GOOD" or "BAD", where neither says what it is.
    """

    good: bool
    sentence: str
    passed: Sequence[str]
    failures: Sequence[str]
    facts: list[tuple[str, object]]
    gaps: Sequence[Gap]
    gaps_in: str
    notices: Sequence[Notice]
    not_shown: Sequence[str] = ()
    instead: str | None = None

    @property
    def word(self) -> str:
        """What the last line of a verdict begins with."""
        return self.instead or ("GOOD" if self.good else "BAD")


def deliver(verdict: Verdict, as_object: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a verdict.

    Args:
        verdict: for people.
        as_object: the same for programs.
        as_json: whether a program asks.

    Raises:
        typer.Exit: ``REFUSED``, if it is not good.
    """
    if as_json:
        print_json({"good": verdict.good, **as_object})
    else:
        _print(verdict)
    if not verdict.good:
        raise typer.Exit(REFUSED)


def gaps_object(gaps: Iterable[Gap]) -> list[dict[str, Any]]:
    """Return gaps as JSON."""
    return [{"emitter": gap.emitter, "first": gap.first, "last": gap.last} for gap in gaps]


def notices_object(notices: Iterable[Notice]) -> list[dict[str, str]]:
    """Return notices as JSON."""
    return [{"code": notice.code, "text": notice.text} for notice in notices]


def failures_object(failures: Iterable[Failure]) -> list[dict[str, Any]]:
    """Return failures as JSON."""
    return [
        {"code": failure.code, "file": failure.where, "line": failure.line, "reason": failure.reason}
        for failure in failures
    ]


def _print(verdict: Verdict) -> None:
    for check in verdict.passed:
        say(f"ok      {check}")
    for failure in verdict.failures:
        say(f"FAILED  {failure}")
    if verdict.passed or verdict.failures:
        say()
    say(f"{verdict.word}: {verdict.sentence}")
    if not verdict.good:
        return
    print_facts(verdict.facts)
    _print_gaps(verdict.gaps, verdict.gaps_in)
    for notice in verdict.notices:
        say(f"{'WARNING' if notice.code in _WARNINGS else 'note   '} {notice.text}")
    if verdict.not_shown:
        say()
        say("Not shown by this:")
    for sentence in verdict.not_shown:
        say(f"- {sentence}")


def _print_gaps(gaps: Sequence[Gap], where: str) -> None:
    for gap in gaps[:_MOST_GAPS_SHOWN]:
        say(f"FINDING emitter {gap.emitter}: decisions {gap.first} to {gap.last} are not {where}")
    if len(gaps) > _MOST_GAPS_SHOWN:
        say(f"FINDING {len(gaps) - _MOST_GAPS_SHOWN} more gaps; --json lists all")
    if gaps:
        say("        (lost before they reached the log, or recorded on a neighbouring day)")
