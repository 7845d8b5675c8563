"""``signet erase``: take what callers signed out of what is kept, and put that on record."""

# ruff: noqa: PLC0415 - cryptography and AWS are loaded when the command runs, not for --help

from __future__ import annotations

import os
import time
from typing import Annotated, Any

import typer

from signet.core.errors import UsageError
from signet.core.instants import UUID7_RANDOM_BYTES, utc_millis, uuid7
from signet.receipts.erasure import Cause, erased
from signet_client.cli.common import JsonOption, StackOption, print_facts, print_json
from signet_client.cli.verdicts import reading
from signet_client.stack import DEFAULT_STACK

#: What one receipt names; more are more receipts.
_AT_ONCE = 1000


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("erase", short_help="Erase what a caller signed, and put that on record.")(erase)


def erase(
    *,
    receipt_ids: Annotated[
        list[str], typer.Argument(metavar="RECEIPT_ID…", help="Decisions whose transcripts have to go.")
    ],
    cause: Annotated[Cause, typer.Option("--cause", help="Why, as it stands on record.")] = Cause.DEMAND,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Erase the transcripts of decisions: what was signed, with query and header fields, and policy input.

    First a receipt goes to the log that says which, then the transcripts go, then the packs of these days
    that hold them. Given again after a failure it goes on. The receipts of the decisions stay: they hold
    method, path and hashes, and no query or header field. Packs that were downloaded are out of reach.
    """
    if len(receipt_ids) > _AT_ONCE:
        raise UsageError(f"at most {_AT_ONCE} decisions at once; split the list")
    done = _erase(receipt_ids, cause, stack)
    if as_json:
        print_json(done)
    else:
        print_facts(list(done.items()))


def _erase(receipt_ids: list[str], cause: Cause, stack: str) -> dict[str, Any]:
    from signet.aws.objects import S3ObjectStore
    from signet.aws.permanent import TRANSCRIPTS_BUCKET
    from signet.aws.queue import SqsReceiptQueue
    from signet.aws.transcripts import S3TranscriptStore
    from signet_client.stack import aws, read_stack

    found = read_stack(stack)
    log = S3ObjectStore(aws("s3"), found.output("LogBucket"))
    bucket = S3ObjectStore(aws("s3"), found.output("TranscriptsBucket"), TRANSCRIPTS_BUCKET)
    store = S3TranscriptStore(bucket)
    places = _places(log, dict.fromkeys(receipt_ids))
    made = uuid7(time.time_ns() // 1_000_000, os.urandom(UUID7_RANDOM_BYTES))
    queue = SqsReceiptQueue(aws("sqs"), found.output("ReceiptQueueUrl"))
    queue.send(erased(list(places), cause, made))
    by_name: dict[str, list[str]] = {}
    for receipt_id, (name, _day) in places.items():
        by_name.setdefault(name, []).append(receipt_id)
    gone = sum(store.erase(name, ids) for name, ids in by_name.items())
    packs = sum(store.drop_packs(day) for day in sorted({day for _name, day in places.values()}))
    return {"receipt": made, "decisions": len(places), "erased now": gone, "packs dropped": packs}


def _places(log: Any, receipt_ids: dict[str, None]) -> dict[str, tuple[str, str]]:
    """Return the object and the day of each decision's transcript, as the log has them.

    Raises:
        NotFoundError: the log has no such receipt (yet).
        UsageError: it has no transcript.
    """
    from signet.pack.now import prove_now
    from signet.receipts.reading import read_receipt
    from signet.receipts.transcripts import transcripts_of

    found: dict[str, tuple[str, str]] = {}
    with reading("looking the decisions up") as progress:
        for number, receipt_id in enumerate(receipt_ids):
            receipt = read_receipt(prove_now(log.get, receipt_id).receipt, chained=True)
            name = transcripts_of(receipt)
            if name is None or receipt.link is None:
                raise UsageError(
                    f"{receipt_id} is no decision whose transcript was kept: there is nothing to erase"
                )
            found[receipt_id] = name, utc_millis(receipt.link.recorded_at_ms)[:10]
            progress(number + 1, len(receipt_ids))
    return found
