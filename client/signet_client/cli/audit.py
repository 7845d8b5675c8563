"""``signet audit``: check a whole log, ours or any other of C2SP's tlog-tiles."""

# ruff: noqa: PLC0415 - cryptography, HTTP and AWS are loaded when the command runs, not for --help

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.errors import UsageError
from signet_client.cli.common import JsonOption, StackOption, check_log_id
from signet_client.cli.verdicts import LogIdOption, Verdict, deliver, gaps_object, reading, remarks_object
from signet_client.stack import DEFAULT_STACK

if TYPE_CHECKING:
    from signet.audit.report import AuditReport


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("audit", short_help="Check a whole log: the stack's, a folder or a URL.")(audit)


def audit(
    *,
    log: Annotated[
        str | None,
        typer.Argument(metavar="[LOG]", help="Folder or URL of a log; by default the stack's own."),
    ] = None,
    vkey: Annotated[
        list[str] | None,
        typer.Option("--vkey", help="Verifier key (name+id+key) that must have signed; may be repeated."),
    ] = None,
    log_id: LogIdOption = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="Read only that many closed days, and the open one.")
    ] = None,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Recompute a log from its entries and compare everything: exit 0 if it is good, 1 if it is not.

    With --vkey any log of C2SP's tlog-tiles: checkpoint and tiles. Without, a Signet log: keys, heads,
    receipts, chains and emitters as well, and of the stack's own the lock register and what waits.
    """
    if log_id is not None:
        check_log_id(log_id)
    if vkey and (log is None or log_id is not None or days is not None):
        raise UsageError("--vkey audits the tiles of the LOG it is given with; leave out --log-id and --days")
    with reading("reading the log") as progress:
        report = (
            _audit_tiles(log, vkey, progress)
            if log and vkey
            else _audit_log(log, log_id, days, stack, progress)
        )
    deliver(_verdict(report), _report_object(report), as_json=as_json)


def _audit_tiles(log: str, vkeys: list[str], progress: Callable[[int, int], None]) -> AuditReport:
    from signet.audit.tiles import audit_tiles
    from signet.log.note import parse_vkey
    from signet_client.logsources import open_source

    keys = [parse_vkey(vkey) for vkey in vkeys]
    with open_source(log) as source:
        return audit_tiles(source, keys, progress=progress)


def _audit_log(
    log: str | None, log_id: str | None, days: int | None, stack: str, progress: Callable[[int, int], None]
) -> AuditReport:
    from signet.audit.log import audit_log
    from signet_client.logsources import open_source, open_stack

    if log is None:
        with open_stack(stack) as (source, live):
            return audit_log(source, log_id=log_id, live=live, days=days, progress=progress)
    with open_source(log) as source:
        if source.get("keys.json") is None:
            raise UsageError(
                f"{log} has no keys.json: for a log that is not Signet's give its key with --vkey"
            )
        return audit_log(source, log_id=log_id, days=days, progress=progress)


def _verdict(report: AuditReport) -> Verdict:
    found = [f"{finding.where}: {finding.reason} [{finding.code}]" for finding in report.findings]
    return Verdict(
        good=report.good,
        sentence="everything that was read follows from the entries, and is signed."
        if report.good
        else "what is stored is not what was signed, or contradicts itself.",
        passed=report.checks,
        failures=[*found, *([f"and {report.more_findings} more"] if report.more_findings else [])],
        facts=_facts(report),
        gaps=report.gaps,
        gaps_in="in their day",
        remarks=report.remarks,
    )


def _facts(report: AuditReport) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [("log", report.origin)]
    if report.log_id:
        facts.append(("log id", report.log_id))
    facts += [("tree size", report.tree_size), ("root", report.root_hash.hex())]
    if report.first_leaf:
        facts.append(("read from leaf", report.first_leaf))
    facts.append(("tiles compared", report.objects))
    if report.log_id:
        facts.append(("closed days", report.days))
    return facts


def _report_object(report: AuditReport) -> dict[str, Any]:
    return {
        "origin": report.origin or None,
        "log_id": report.log_id or None,
        "tree_size": report.tree_size,
        "root_hash": report.root_hash.hex() or None,
        "first_leaf": report.first_leaf,
        "objects": report.objects,
        "days": report.days,
        "checks": list(report.checks),
        "gaps": gaps_object(report.gaps),
        "remarks": remarks_object(report.remarks),
        "findings": [
            {"code": finding.code, "where": finding.where, "reason": finding.reason}
            for finding in report.findings
        ],
        "more_findings": report.more_findings,
    }
