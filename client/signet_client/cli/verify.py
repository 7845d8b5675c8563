"""``signet verify`` and ``signet prove``: check a compliance pack offline, take one receipt out of it."""

# ruff: noqa: PLC0415 - cryptography and rich are loaded when the command runs, not for --help

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.errors import UsageError
from signet_client.cli.common import REFUSED, JsonOption, print_facts, print_json

if TYPE_CHECKING:
    from signet.pack.report import Report

_LOG_ID = re.compile(r"[0-9a-f]{64}")
_LONG_PACK_BYTES = 4_000_000
_MOST_GAPS_SHOWN = 20

PackArgument = Annotated[Path, typer.Argument(metavar="PACK", help="A compliance pack (signet pack).")]


class ProofFormat(StrEnum):
    """How a proof is written."""

    JSON = "json"
    TLOG_PROOF = "tlog-proof"


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.command("verify", short_help="Check a compliance pack, offline.")(verify)
    app.command("prove", short_help="Take the proof of one receipt out of a pack.")(prove)


def verify(
    *,
    pack: PackArgument,
    log_id: Annotated[
        str | None,
        typer.Option("--log-id", envvar="SIGNET_LOG_ID", help="Id of the log, learnt from elsewhere."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a compliance pack, offline: exit 0 if it is good, 1 if it is not."""
    from signet.pack.verify import verify_pack

    if log_id is not None and _LOG_ID.fullmatch(log_id) is None:
        raise UsageError("--log-id must be 64 lower-case hex digits: log_id of the keys.json you trust")
    with pack.open("rb") as file, _progress(pack.stat().st_size) as progress:
        report = verify_pack(file, log_id=log_id, progress=progress)
    if as_json:
        print_json(_report_object(report))
    else:
        _print_report(report)
    if not report.good:
        raise typer.Exit(REFUSED)


def prove(
    *,
    pack: PackArgument,
    receipt_id: Annotated[str, typer.Argument(metavar="RECEIPT_ID", help="Id of the receipt (a UUID).")],
    form: Annotated[
        ProofFormat, typer.Option("--format", help="json, or C2SP tlog-proof.")
    ] = ProofFormat.JSON,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; else standard output.")
    ] = None,
) -> None:
    """Write the proof that one receipt is in the log, to hand on without the rest of the pack."""
    from signet.pack.prove import prove_receipt

    with pack.open("rb") as file:
        proof = prove_receipt(file, receipt_id)
    data = proof.to_json() + b"\n" if form is ProofFormat.JSON else proof.to_tlog_proof()
    if output is not None:
        output.write_bytes(data)
        typer.echo(f"wrote {output}: receipt {receipt_id} is leaf {proof.leaf_index}", err=True)
    else:
        sys.stdout.buffer.write(data)


@contextmanager
def _progress(size: int) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on standard error, if that is a terminal and the pack is long enough to wait for."""
    if size < _LONG_PACK_BYTES or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("checking receipts", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_report(report: Report) -> None:
    for check in report.checks:
        typer.echo(f"ok      {check}")
    for failure in report.failures:
        typer.echo(f"FAILED  {failure} [{failure.code}]")
    typer.echo("")
    if not report.good:
        typer.echo("BAD: this pack does not prove what it claims.")
        return
    typer.echo(f"GOOD: every decision recorded on {report.date} is here, in order and unchanged.")
    facts: list[tuple[str, object]] = [
        ("log id", report.log_id + ("" if report.pinned else " (not pinned)")),
        ("receipts", report.receipts),
        ("tree size", report.tree_size),
        ("days in the chain of heads", report.heads),
        ("signing key sets", report.key_sets),
        *((f"decisions: {reason}", number) for reason, number in report.decisions.items()),
    ]
    print_facts(facts)
    _print_remarks(report)


def _print_remarks(report: Report) -> None:
    for gap in report.gaps[:_MOST_GAPS_SHOWN]:
        typer.echo(f"FINDING emitter {gap.emitter}: decisions {gap.first} to {gap.last} are not in this day")
    if len(report.gaps) > _MOST_GAPS_SHOWN:
        typer.echo(f"FINDING {len(report.gaps) - _MOST_GAPS_SHOWN} more gaps; --json lists all")
    if report.gaps:
        typer.echo("        (lost before they reached the log, or recorded on a neighbouring day)")
    for notice in report.notices:
        kind = "WARNING" if notice.code in {"log_id_not_pinned", "other_checker"} else "note   "
        typer.echo(f"{kind} {notice.text}")


def _report_object(report: Report) -> dict[str, Any]:
    return {
        "good": report.good,
        "date": report.date or None,
        "log_id": report.log_id or None,
        "log_id_pinned": report.pinned,
        "tree_size": report.tree_size,
        "receipts": report.receipts,
        "decisions": dict(report.decisions),
        "heads": report.heads,
        "key_sets": report.key_sets,
        "checks": list(report.checks),
        "gaps": [{"emitter": gap.emitter, "first": gap.first, "last": gap.last} for gap in report.gaps],
        "notices": [{"code": notice.code, "text": notice.text} for notice in report.notices],
        "failures": [
            {"code": failure.code, "file": failure.file, "line": failure.line, "reason": failure.reason}
            for failure in report.failures
        ],
    }
