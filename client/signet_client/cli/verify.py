"""``signet verify`` and ``signet prove``: check a compliance pack offline, take one receipt out of it."""

# ruff: noqa: PLC0415 - cryptography and rich are loaded when the command runs, not for --help

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.core.errors import UsageError
from signet.core.instants import MS_PER_DAY
from signet.core.verification import Failure
from signet_client.cli.common import JsonOption, check_date, check_log_id
from signet_client.cli.history import KnownOption, RememberOption, history
from signet_client.cli.prove import prove
from signet_client.cli.verdicts import (
    LogIdOption,
    Verdict,
    deliver,
    failures_object,
    gaps_object,
    notices_object,
    reading_pack,
)

if TYPE_CHECKING:
    from signet.pack.callers import Callers
    from signet.pack.rejudge import Rejudge
    from signet.pack.report import PackReport

_MOST_APIS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.command("verify", short_help="Check a compliance pack, offline.")(verify)
    app.command("prove", short_help="Take the proof of one receipt out of a pack, or check it.")(prove)


def verify(
    *,
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="A compliance pack (signet pack).")],
    log_id: LogIdOption = None,
    date: Annotated[
        str | None, typer.Option("--date", help="The day (YYYY-MM-DD) that the pack has to be of.")
    ] = None,
    callers: Annotated[
        Path | None,
        typer.Option(
            "--callers",
            help="The callers' public keys, got from them: allows count as proven under these only.",
        ),
    ] = None,
    rejudge: Annotated[
        bool,
        typer.Option(
            "--rejudge",
            help="Judge decisions again by the pack's policy, which is run here; with --log-id.",
        ),
    ] = False,
    known: KnownOption = None,
    remember: RememberOption = True,
    as_json: JsonOption = False,
) -> None:
    """Check a compliance pack, offline: exit 0 if it is good, 1 if it is not.

    With --callers, and a pack with transcripts, it counts the allowed requests that carry their caller's own
    signature, and holds each to what the log recorded. With --known it has to be of the same history as
    something else that this log signed. With --log-id the day's heads are remembered on this machine, and the
    next pack is held to them.
    """
    from signet.pack.verify import verify_pack

    if log_id is not None:
        check_log_id(log_id)
    if date is not None:
        check_date(date)
    if rejudge and log_id is None:
        raise UsageError(
            "--rejudge runs the policy in the pack; give --log-id, so that it is a policy of a log you know"
        )
    if pack.is_dir():
        report = _of_a_folder()
    else:
        with (
            history(known, remember=remember) as seen,
            reading_pack(pack, "checking receipts") as (file, progress),
        ):
            report = verify_pack(
                file,
                log_id=log_id,
                date=date,
                earlier=seen.earlier,
                callers=_callers(callers),
                rejudge=_judge() if rejudge else None,
                progress=progress,
            )
            if report.good:
                seen.keep(report.log_id, report.trees, pinned=report.pinned)
    deliver(_verdict(report), _report_object(report), as_json=as_json)


def _judge() -> type[Rejudge]:
    from signet.pack.rejudge import Rejudge

    return Rejudge


def _callers(path: Path | None) -> Callers | None:
    from signet.pack.callers import MAX_CALLERS_BYTES, parse_callers

    if path is None:
        return None
    with path.open("rb") as file:
        return parse_callers(file.read(MAX_CALLERS_BYTES))


def _of_a_folder() -> PackReport:
    from signet.pack.kind import Kind
    from signet.pack.report import PackReport

    failure = Failure("zip_malformed", "zip", "is a folder")
    return PackReport(kind=Kind.NOT_A_PACK, failures=(failure,))


#: What the last line says of what is no pack, or was not left as it was: what it is, and what to do.
_INSTEAD = {
    "not_a_pack": (
        "NOT A PACK",
        (
            "this is no zip file: nothing was checked. It may be the error page of a server, or something "
            "unpacked; fetch the pack again, and give the file itself."
        ),
    ),
    "cut_short": (
        "CUT SHORT",
        (
            "this begins like a pack and does not end like one: nothing was checked. The download was cut, or"
            " something was added behind it; fetch the pack again."
        ),
    ),
    "packed_anew": (
        "PACKED ANEW",
        (
            "this zip has another form than a pack: nothing in it was checked. Some program unpacked and "
            "packed it again; ask for the original file."
        ),
    ),
}
_BAD = (None, "this pack does not prove what it claims.")

_WORD = "that the callers named really made these calls: who called is the operator's word"
_WORD_OF_OTHERS = (
    "that the callers of those not counted as proven really made these calls: that is the operator's word"
)
_UNJUDGED = "that the policy answers as recorded: it was not judged again"
_OBSERVED = (
    "that what only the operator saw is true (address, connection, breaker), and that decisions without "
    "transcript are what the policy answers: those were not judged again"
)
#: What no pack can show to any verifier.
_NOT_SHOWN = (
    "decisions that were lost before they reached the log, beyond the gaps told above",
    "that others were shown the same log: signet compare, with a pack or head of theirs, shows it",
)


def _verdict(report: PackReport) -> Verdict:
    instead, refusal = _INSTEAD.get(report.kind, _BAD)
    return Verdict(
        good=report.good,
        sentence=f"every decision that the log recorded on {report.date} is here, in order and unchanged."
        if report.good
        else refusal,
        passed=report.checks,
        failures=[f"{failure} [{failure.code}]" for failure in report.failures],
        facts=[
            ("day", report.date),
            ("head signed", _signed(report) if report.good else ""),
            ("log id", report.log_id + ("" if report.pinned else " (not pinned)")),
            ("receipts", report.receipts),
            ("tree size", report.tree_size),
            ("days in the chain of heads", report.heads),
            ("signing key sets", report.key_sets),
            *((f"decisions: {reason}", number) for reason, number in report.decisions.items()),
            *((f"in summaries: {reason}", number) for reason, number in report.summarised.items()),
            *_apis(report),
            *((f"allowed, {_PROVEN[found]}", number) for found, number in report.proven.items()),
            *_judged_again(report),
        ],
        gaps=report.gaps,
        gaps_in="in this day",
        notices=report.notices,
        not_shown=_not_shown(report),
        instead=instead,
    )


#: What is told of allowed requests.
_PROVEN = {
    "proven": "proven by the caller's signature",
    "late": "signed, but recorded late",
    "unknown_key": "signed by a key not given with --callers",
    "erased": "transcript erased, on record",
    "no_transcript": "without transcript in this pack",
    "no_commitment": "of version 1, no signature on record",
}


_JUDGED = {
    "same": "the policy answers as recorded",
    "policy_absent": "the policy is not in the pack, or not whole",
}


def _judged_again(report: PackReport) -> list[tuple[str, object]]:
    found = report.rejudged or {}
    return [(f"judged again, {_JUDGED[what]}", number) for what, number in found.items()]


def _not_shown(report: PackReport) -> tuple[str, ...]:
    """Return what a good verdict does not say."""
    proven, allowed = report.proven.get("proven", 0), sum(report.proven.values())  # type: ignore[call-overload]
    calls = (_WORD,) if not proven else () if proven == allowed else (_WORD_OF_OTHERS,)
    judged = report.rejudged is not None and sum(report.rejudged.values()) > 0
    return *calls, *_NOT_SHOWN[:1], _OBSERVED if judged else _UNJUDGED, *_NOT_SHOWN[1:]


def _apis(report: PackReport) -> list[tuple[str, object]]:
    """Return a line for each API that decisions name, its decisions by reason."""
    lines: list[tuple[str, object]] = [
        (
            "no known API" if name is None else f"API {name}",
            ", ".join(f"{number} {reason}" for reason, number in found.items()),
        )
        for name, found in islice(report.apis.items(), _MOST_APIS_SHOWN)
    ]
    more = len(report.apis) - len(lines)
    return [*lines, *([("more APIs", f"{more}; --json lists all")] if more else [])]


def _signed(report: PackReport) -> str:
    """Return when the day's head was signed, and how long before or after the end of its day."""
    from signet.core.instants import day_start_ms, parse_date, utc_millis

    text = utc_millis(report.signed_at_ms)
    late_ms = report.signed_at_ms - day_start_ms(parse_date(report.date)) - MS_PER_DAY
    minutes = abs(late_ms) // 60_000
    apart = f"{minutes // 60} h {minutes % 60} min {'before' if late_ms < 0 else 'after'} the day's end"
    return f"{text[:10]} {text[11:19]} UTC, {apart}"


def _report_object(report: PackReport) -> dict[str, Any]:
    return {
        "kind": report.kind.value,
        "date": report.date or None,
        "head_timestamp": report.signed_at_ms if report.date else None,
        "log_id": report.log_id or None,
        "log_id_pinned": report.pinned,
        "tree_size": report.tree_size,
        "receipts": report.receipts,
        "decisions": dict(report.decisions),
        "summarised": dict(report.summarised),
        "apis": [{"name": name, "decisions": dict(found)} for name, found in report.apis.items()],
        "proven": {found.value: number for found, number in report.proven.items()},
        "rejudged": None
        if report.rejudged is None
        else {found.value: number for found, number in report.rejudged.items()},
        "heads": report.heads,
        "key_sets": report.key_sets,
        "checks": list(report.checks),
        "gaps": gaps_object(report.gaps),
        "notices": notices_object(report.notices),
        "failures": failures_object(report.failures),
    }
