"""What ``signet policy eval`` and ``diff`` take out of a pack with transcripts: the requests of a day."""

# ruff: noqa: PLC0415 - Rego and cryptography are loaded when a command runs, not for --help

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.core.errors import NotFoundError
from signet_client.cli.verdicts import reading_pack
from signet_client.terminal import say

if TYPE_CHECKING:
    from signet.pack.past import Otherwise
    from signet.pack.report import PackReport
    from signet.pack.transcripts import Decided

PackOption = Annotated[
    Path | None,
    typer.Option(
        "--pack",
        exists=True,
        dir_okay=False,
        help="Pack with transcripts (signet pack --include-transcripts): its requests are asked about.",
    ),
]


def asked_about(pack: Path, receipt_id: str) -> Mapping[str, Any]:
    """Return what the policy was asked about a request on record.

    Raises:
        NotFoundError: the pack has no transcript of it.
        PackError: the pack is not good.
    """
    from signet.pack.past import OneReceipt

    sought = OneReceipt(receipt_id)
    _read(pack, sought.take)
    if sought.asked is None:
        raise NotFoundError(
            f"the pack has no transcript of a receipt {receipt_id}; fetch it with --include-transcripts, and "
            "give the id of a request whose signature was verified",
            code="no_transcript",
        )
    return sought.asked


def decided_otherwise(
    pack: Path, before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> tuple[Otherwise, int]:
    """Return what two policies say of the requests in a pack, and how many decisions have no transcript.

    Raises:
        PackError: the pack is not good.
        PolicyError: a policy does not compile.
    """
    from signet.pack.past import Otherwise

    found = Otherwise(before, after)
    report = _read(pack, found.take)
    return found, max(0, sum(report.decisions.values()) - found.asked)


def tell(found: Otherwise, unasked: int) -> None:
    """Print which requests of a day two policies decide otherwise."""
    for (route, before, after), kind in found.kinds.items():
        say(f"{route}: {before} → {after}: {kind.requests} requests on record, first {kind.receipt_id}")
    if found.more:
        say(f"and {found.more} requests in other ways, too many to list")
    otherwise = sum(kind.requests for kind in found.kinds.values()) + found.more
    say(f"of {found.asked} requests on record {otherwise} would be decided otherwise")
    if unasked:
        say(f"  not asked about: {unasked} decisions without a transcript here")
    if found.asked:
        say("  what the rules of that day did not read is not on record: the two were told ordinary values")


def told(found: Otherwise, unasked: int) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "asked": found.asked,
        "without_transcript": unasked,
        "more": found.more,
        "otherwise": [
            {
                "what": route,
                "before": before,
                "after": after,
                "requests": kind.requests,
                "first": kind.receipt_id,
            }
            for (route, before, after), kind in found.kinds.items()
        ],
    }


def _read(pack: Path, decided: Decided) -> PackReport:
    from signet.pack.past import read_past

    with reading_pack(pack, "reading receipts") as (file, progress):
        return read_past(file, decided, progress=progress)
