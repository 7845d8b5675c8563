"""``signet redrive``: what the sink could not record goes back to its queue."""

# ruff: noqa: PLC0415 - AWS and rich are loaded when the command runs, not for --help

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import typer

from signet_client.cli.common import REFUSED, JsonOption, StackOption, print_facts, print_json
from signet_client.redrive import Progress, Redriven
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import animates, bar


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("redrive", short_help="Move dead-lettered receipts back to their queue.")(redrive)


def redrive(*, stack: StackOption = DEFAULT_STACK, as_json: JsonOption = False) -> None:
    """Move the messages of the dead-letter queue back to the receipt queue; doing it twice does no harm."""
    from signet_client import redrive as moving
    from signet_client.stack import aws, read_stack

    found = read_stack(stack)
    with _progress() as progress:
        done = moving.redrive(
            aws("sqs"), found.output("ReceiptDlqUrl"), found.output("ReceiptQueueUrl"), progress
        )
    if as_json:
        print_json(asdict(done))
    else:
        by = [("by", done.by)] if done.by else []
        print_facts([("moved", done.moved), ("left", done.left), *by, ("next", _next(done))])
    if done.left:
        raise typer.Exit(REFUSED)


def _next(done: Redriven) -> str:
    if done.left:
        return "messages are in the dead-letter queue still or again: look at them, then run this again"
    if not done.moved:
        return "nothing was there"
    return "the sink takes them within minutes; what is no receipt comes back after five tries"


@contextmanager
def _progress() -> Iterator[Progress]:
    if not animates():
        yield lambda _moved, _waiting: None
        return
    shown, task = bar("moving messages")
    with shown:
        yield lambda moved, waiting: shown.update(task, completed=moved, total=waiting)
