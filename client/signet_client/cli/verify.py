"""``signet verify`` and ``signet prove``: check a compliance pack offline, take one receipt out of it."""

# ruff: noqa: PLC0415 - cryptography and rich are loaded when the command runs, not for --help

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet_client.cli.common import JsonOption, check_log_id
from signet_client.cli.verdicts import LogIdOption, Verdict, deliver, gaps_object, reading, remarks_object
from signet_client.files import writing
from signet_client.terminal import say, say_bytes

if TYPE_CHECKING:
    from signet.pack.report import Report

_LONG_PACK_BYTES = 4_000_000

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
    log_id: LogIdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a compliance pack, offline: exit 0 if it is good, 1 if it is not."""
    from signet.pack.verify import verify_pack

    if log_id is not None:
        check_log_id(log_id)
    with (
        pack.open("rb") as file,
        reading("checking receipts", long=pack.stat().st_size >= _LONG_PACK_BYTES) as progress,
    ):
        report = verify_pack(file, log_id=log_id, progress=progress)
    deliver(_verdict(report), _report_object(report), as_json=as_json)


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
        with writing(output):
            output.write_bytes(data)
        say(f"wrote {output}: receipt {receipt_id} is leaf {proof.leaf_index}", err=True)
    else:
        say_bytes(data)


def _verdict(report: Report) -> Verdict:
    return Verdict(
        good=report.good,
        sentence=f"every decision recorded on {report.date} is here, in order and unchanged."
        if report.good
        else "this pack does not prove what it claims.",
        passed=report.checks,
        failures=[f"{failure} [{failure.code}]" for failure in report.failures],
        facts=[
            ("log id", report.log_id + ("" if report.pinned else " (not pinned)")),
            ("receipts", report.receipts),
            ("tree size", report.tree_size),
            ("days in the chain of heads", report.heads),
            ("signing key sets", report.key_sets),
            *((f"decisions: {reason}", number) for reason, number in report.decisions.items()),
        ],
        gaps=report.gaps,
        gaps_in="in this day",
        remarks=report.notices,
    )


def _report_object(report: Report) -> dict[str, Any]:
    return {
        "date": report.date or None,
        "log_id": report.log_id or None,
        "log_id_pinned": report.pinned,
        "tree_size": report.tree_size,
        "receipts": report.receipts,
        "decisions": dict(report.decisions),
        "heads": report.heads,
        "key_sets": report.key_sets,
        "checks": list(report.checks),
        "gaps": gaps_object(report.gaps),
        "notices": remarks_object(report.notices),
        "failures": [
            {"code": failure.code, "file": failure.file, "line": failure.line, "reason": failure.reason}
            for failure in report.failures
        ],
    }
