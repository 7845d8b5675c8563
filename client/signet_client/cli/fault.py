"""``signet fault``: order a fault from the demo backend, to watch the breaker find it and let go of it."""

# ruff: noqa: PLC0415 - AWS is loaded when the command runs, not for --help

from __future__ import annotations

import time
from typing import Annotated

import typer

from signet.core.errors import UsageError
from signet_client.cli.common import JsonOption, StackOption, print_json
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say

_LONGEST_S = 3600


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("fault", short_help="Make the demo backend slow or let it fail, for a while.")(fault)


def fault(
    *,
    latency_ms: Annotated[
        int, typer.Option("--latency-ms", min=0, help="Added to every request, milliseconds.")
    ] = 0,
    error_rate: Annotated[
        float, typer.Option("--error-rate", min=0, max=1, help="Share of requests that fail, 0 to 1.")
    ] = 0.0,
    silent: Annotated[
        bool, typer.Option("--silent", help="Report no outcome to the breaker meanwhile.")
    ] = False,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="Only requests of this breaker; else all.")
    ] = None,
    seconds: Annotated[
        float, typer.Option("--for", min=0, max=_LONGEST_S, help="Seconds it lasts; 0 ends one that is on.")
    ] = 20.0,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Order a fault from the demo backend; it ends by itself."""
    from signet.aws.faults import DynamoFaultStore
    from signet.breaker.fault import Fault
    from signet_client.stack import aws, read_stack

    if seconds and not (latency_ms or error_rate or silent):
        raise UsageError(
            "say what shall go wrong: --latency-ms, --error-rate or --silent (or --for 0 to end a fault)"
        )
    deployed = read_stack(stack)
    if deployed.output("FaultSessions") != "true":
        raise UsageError(f"the stack {stack!r} allows no fault sessions; deploy it with FaultSessions=true")
    until_ms = time.time_ns() // 1_000_000 + round(seconds * 1000)
    ordered = Fault(latency_ms, round(error_rate * 1_000_000), until_ms, backend, silent)
    DynamoFaultStore(aws("dynamodb"), deployed.output("BreakersTable")).order(ordered)
    if as_json:
        print_json(
            {
                "latency_ms": latency_ms,
                "error_rate": error_rate,
                "silent": silent,
                "backend": backend,
                "until_ms": until_ms,
            }
        )
    elif seconds:
        what = [f"{latency_ms} ms slower"] * bool(latency_ms) + [f"{error_rate:.0%} errors"] * bool(
            error_rate
        )
        what += ["no outcome reported"] * silent
        say(f"for {seconds:g} s: {', '.join(what)}; watch with signet breaker watch --stack {stack}")
    else:
        say("the fault is over")
