"""``signet close``: run the log's batch now instead of waiting for its schedule."""

# ruff: noqa: PLC0415 - AWS is loaded when the command runs, not for --help

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any

import typer

from signet.core.errors import LogError, SignetError, UsageError
from signet_client.cli.common import (
    JsonOption,
    StackOption,
    check_date,
    print_facts,
    print_json,
)
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import animates, console, plain

PATIENCE_S = 900  # the longest a Lambda function may run


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("close", short_help="Run the log's batch now, or close a day.")(close)


def close(
    *,
    date: Annotated[
        str | None,
        typer.Option("--date", help="Day to close (YYYY-MM-DD); without it what is due is integrated."),
    ] = None,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Integrate the receipts into the log and sign a tree head; with --date the day's final one."""
    from signet_client.stack import aws, read_stack

    event = {} if date is None else {"close": check_date(date)}
    function = read_stack(stack).output("SthCronFunction")
    with progress("integrating receipts and signing the tree head"):
        outcome = invoke(aws("lambda", patience_s=PATIENCE_S), function, event)
    if as_json:
        print_json(outcome)
    else:
        print_facts([(name.replace("_", " "), _shown(value)) for name, value in outcome.items()])


def invoke(client: Any, function: str, event: dict[str, Any]) -> dict[str, Any]:
    """Invoke a function and return its result.

    Raises:
        SignetError: it failed; with the function's own code and message, if it reports an error.
        UnavailableError: it cannot be invoked.
        LogError: it answered with something that is no JSON object.
    """
    from signet_client.stack import aws_errors

    with aws_errors(f"invoke {function}"):
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        payload = answer["Payload"].read()
    try:
        result = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise LogError(f"{function} answered with something that is no JSON; look into its log") from error
    if answer.get("FunctionError"):
        reason = result.get("errorMessage", "") if isinstance(result, dict) else ""
        raise SignetError(f"{function} failed ({reason or 'no reason given'}); look into its log")
    if not isinstance(result, dict):
        raise LogError(f"{function} answered with something that is no JSON object; look into its log")
    if "error" in result:
        raise reported(result)
    return result


def reported(result: dict[str, Any]) -> SignetError:
    """Return the error that a function reports as ``{"error": code, "message": sentence}``."""
    code, message = str(result["error"]), str(result.get("message") or result["error"])
    return UsageError(message) if code == UsageError.code else SignetError(message, code=code)


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else value


def progress(what: str) -> AbstractContextManager[object]:
    """Show on a terminal that something is under way."""
    if not animates():
        return nullcontext()
    return console(err=True).status(plain(what))
