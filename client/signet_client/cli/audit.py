"""``signet audit``: check a whole log, ours or any other of C2SP's tlog-tiles."""

# ruff: noqa: PLC0415 - cryptography, HTTP and AWS are loaded when the command runs, not for --help

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.core.errors import UsageError
from signet_client.cli.common import JsonOption, StackOption, check_log_id
from signet_client.cli.history import KnownOption, RememberOption, history
from signet_client.cli.verdicts import LogIdOption, Verdict, deliver, gaps_object, notices_object, reading
from signet_client.stack import DEFAULT_STACK

if TYPE_CHECKING:
    from signet.audit.evidence import Retention
    from signet.audit.report import AuditReport

#: What EvidenceRetentionDays is by default.
_SHIPPED_DAYS = 3653


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
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Read the evidence that allowed decisions name, too.")
    ] = False,
    evidence_days: Annotated[
        int | None,
        typer.Option(
            "--evidence-days",
            min=1,
            help="Days for which evidence is kept; by default as deployed, of a folder or URL 3653.",
        ),
    ] = None,
    packs: Annotated[bool, typer.Option("--packs", help="Verify every stored pack, too.")] = False,
    known: KnownOption = None,
    remember: RememberOption = True,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Recompute a log from its entries and compare everything: exit 0 if it is good, 1 if it is not.

    With --vkey any log of C2SP's tlog-tiles: checkpoint and tiles. Without, a Signet log: keys, heads,
    receipts, chains and emitters as well, and of the stack's own the lock register and what waits. With
    --evidence also that what allowed decisions name is still there for as long as it is kept, unchanged; with
    --packs also that every pack that waits to be handed out is this log's, of its day, and good. With --known
    the log has to go on from something else that it signed. With --log-id its heads are remembered on this
    machine, and the next audit holds it to them.
    """
    if log_id is not None:
        check_log_id(log_id)
    if vkey and (log is None or log_id is not None or days is not None or packs or known):
        raise UsageError(
            "--vkey audits the tiles of the LOG it is given with; leave out --log-id, --days, --packs and "
            "--known"
        )
    evidence = evidence or evidence_days is not None
    if evidence and (vkey or days is not None):
        raise UsageError("--evidence needs all receipts of a Signet log; leave out --vkey and --days")
    retention = _retention(log, evidence_days, stack) if evidence else None
    with reading("auditing") as progress, history(known, remember=remember) as seen:
        report = (
            _audit_tiles(log, vkey, progress)
            if log and vkey
            else _audit_log(
                log,
                stack,
                log_id=log_id,
                days=days,
                evidence=retention,
                packs=packs,
                earlier=seen.earlier,
                progress=progress,
            )
        )
        if report.good:
            seen.keep(report.log_id, report.trees, pinned=log_id is not None)
    deliver(_verdict(report), _report_object(report), as_json=as_json)


def _audit_tiles(log: str, vkeys: list[str], progress: Callable[[int, int], None]) -> AuditReport:
    from signet.audit.tiles import audit_tiles
    from signet.log.note import parse_vkey
    from signet_client.logsources import open_source

    keys = [parse_vkey(vkey) for vkey in vkeys]
    with open_source(log) as source:
        return audit_tiles(source, keys, progress=progress)


def _audit_log(log: str | None, stack: str, **asked: Any) -> AuditReport:
    from signet.audit.log import audit_log
    from signet_client.logsources import open_source, open_stack

    if log is None:
        with open_stack(stack) as (source, live):
            return audit_log(source, live=live, **asked)
    with open_source(log) as source:
        if source.get("keys.json") is None:
            raise UsageError(
                f"{log} has no keys.json: for a log that is not Signet's give its key with --vkey"
            )
        return audit_log(source, **asked)


def _retention(log: str | None, days: int | None, stack: str) -> Retention:
    """Return for how long evidence is kept: as given, as the stack was deployed, or as it would be."""
    from signet.audit.evidence import Retention
    from signet_client.stack import read_stack

    if days is None:
        days = int(read_stack(stack).parameter("EvidenceRetentionDays")) if log is None else _SHIPPED_DAYS
    return Retention(days, time.time_ns() // 1_000_000)


def _verdict(report: AuditReport) -> Verdict:
    found = [f"{failure.where}: {failure.reason} [{failure.code}]" for failure in report.failures]
    return Verdict(
        good=report.good,
        sentence="everything that was read follows from the entries, and is signed."
        if report.good
        else "what is stored is not what was signed, or contradicts itself.",
        passed=report.checks,
        failures=[*found, *([f"and {report.more_failures} more"] if report.more_failures else [])],
        facts=_facts(report),
        gaps=report.gaps,
        gaps_in="in the days read",
        notices=report.notices,
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
    if report.evidence is not None:
        facts += [
            ("evidence named", report.evidence.named),
            ("evidence there", report.evidence.whole),
            ("evidence dropped", f"{report.evidence.dropped} (its retention is over)"),
        ]
    if report.packs is not None:
        facts.append(("packs verified", report.packs.verified))
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
        "evidence": None if report.evidence is None else asdict(report.evidence),
        "packs": None if report.packs is None else asdict(report.packs),
        "checks": list(report.checks),
        "gaps": gaps_object(report.gaps),
        "remarks": notices_object(report.notices),
        "findings": [
            {"code": failure.code, "where": failure.where, "reason": failure.reason}
            for failure in report.failures
        ],
        "more_findings": report.more_failures,
    }
