"""``signet doctor``: what is wrong with a deployment, and the line that mends it."""

# ruff: noqa: PLC0415 - AWS is loaded when the command runs, not for --help

from __future__ import annotations

import time
from typing import Annotated

import typer

from signet_client.cli.common import JsonOption, StackOption, places, print_json
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("doctor", short_help="Say what is wrong with a deployment, and what mends it.")(doctor)


def doctor(
    *,
    api_id: Annotated[
        list[str] | None,
        typer.Option(
            "--api-id", help="REST or HTTP API to look at beside those that are registered; may be repeated."
        ),
    ] = None,
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="Its stage; one for each --api-id, in that order.")
    ] = None,
    open_route: Annotated[
        list[str] | None,
        typer.Option("--open", metavar="ROUTE", help='Route that is open on purpose: "GET /health".'),
    ] = None,
    api: Annotated[
        list[str] | None,
        typer.Option(
            "--api",
            metavar="NAME",
            help="Registered API to look at, and no other; by default all in the account. May be repeated.",
        ),
    ] = None,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Read a deployment and say what is wrong with it: 0 healthy, 1 mistakes, 2 it could not be seen whole.

    It only reads. Of an API it sees how it is set up: a stage serves what was last deployed to it.
    """
    from dataclasses import replace

    from signet_client.doctor.asking import Asking
    from signet_client.doctor.checks import find
    from signet_client.doctor.reading import read_deployment
    from signet_client.doctor.report import as_object, exit_code, lines
    from signet_client.stack import aws, aws_errors, read_stack

    named = places(api_id or [], stage or [])
    found = read_stack(stack)
    with aws_errors(f"look at the stack {stack!r}"):
        seen = read_deployment(found, named, Asking(aws, time.time), time.time, only=api or ())
    seen = replace(seen, open_routes=frozenset(open_route or ()))
    findings = find(seen)
    if as_json:
        print_json(as_object(seen, findings))
    else:
        for line in lines(seen, findings):
            say(line)
    if code := exit_code(seen, findings):
        raise typer.Exit(code)
