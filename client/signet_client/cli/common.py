"""What all subcommands share: options, output, and one sentence for each error."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from signet.core.errors import UsageError
from signet_client.cli.explaining import REFUSED, USAGE, explain
from signet_client.terminal import say, say_block

__all__ = ["REFUSED", "USAGE", "explain"]

_LOG_ID = re.compile(r"[0-9a-f]{64}")

_INTERRUPTED = 128 + 2  # what a shell says of a program that SIGINT or SIGPIPE ended
_NOBODY_READS = 128 + 13

StackOption = Annotated[
    str, typer.Option("--stack", envvar="SIGNET_STACK", help="Name of the CloudFormation stack.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
KeyOption = Annotated[
    Path | None, typer.Option("--key", envvar="SIGNET_KEY", help="Private key file (signet keygen).")
]
KeyIdOption = Annotated[
    str | None,
    typer.Option("--keyid", envvar="SIGNET_KEYID", help="Key id it is registered under; by default its own."),
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar="SIGNET_URL", help="Base URL of the API; by default the stack's ApiUrl."),
]
BindingOption = Annotated[
    str, typer.Option("--binding", help="Channel binding: tls-exporter, tls-client-cert or none.")
]
CertOption = Annotated[
    Path | None, typer.Option("--cert", help="TLS client certificate (PEM), with tls-client-cert.")
]
CertKeyOption = Annotated[
    Path | None, typer.Option("--cert-key", help="Its private key, if it is in another file.")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Do not check the server's TLS certificate (local tests only).")
]


class SentenceGroup(TyperGroup):
    """The command: every foreseeable error ends as one sentence and an exit code."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read the command line, and answer what asks for no subcommand, such as ``--help``."""
        with _explained():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand; see ``explain`` for what becomes of its errors."""
        with _explained():
            return super().invoke(ctx)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say("signet: interrupted", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    except BrokenPipeError:  # `signet … | head` has read enough
        _give_output_up()
        raise typer.Exit(_NOBODY_READS) from None
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        if isinstance(error, OSError) and error.filename in {None, "standard output"}:
            _give_output_up()
        sentence, code = explained
        say(f"signet: {sentence}", err=True)
        raise typer.Exit(code) from None


def _give_output_up() -> None:
    """Point standard output nowhere: Python would try to write what it holds once more at its end."""
    with suppress(OSError, ValueError):  # it has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def check_date(text: str) -> str:
    """Return a ``YYYY-MM-DD`` date unchanged.

    Raises:
        UsageError: it is none.
    """
    try:
        canonical = date.fromisoformat(text).isoformat()
    except ValueError:
        canonical = None
    if text != canonical:  # also for 20260131 and 2026-W05-6
        raise UsageError(f"{text!r} is no date; give one such as 2026-01-31")
    return text


def check_log_id(text: str) -> str:
    """Return a log id unchanged.

    Raises:
        UsageError: it is none.
    """
    if _LOG_ID.fullmatch(text) is None:
        raise UsageError("--log-id must be 64 lower-case hex digits: log_id of the keys.json you trust")
    return text


def check_output(path: Path) -> None:
    """Refuse a path that no file can be written to, before anything is asked for.

    Raises:
        UsageError: it is a folder or a device, or its folder does not exist or cannot be written to.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file to write")
    if path.exists() and not path.is_file():  # the new file takes the old one's place, so /dev/null's
        raise UsageError(f"{path} is no ordinary file; name one to write")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into the folder {path.parent}; choose another")


def required(value: Any, option: str, variable: str) -> Any:
    """Return an option's value.

    Raises:
        UsageError: neither the option nor its environment variable is set.
    """
    if value is None:
        raise UsageError(f"{option} is missing; give it, or set {variable}")
    return value


def places(api_ids: list[str], stages: list[str]) -> list[tuple[str, str]]:
    """Return API and stage, one with the other.

    Raises:
        UsageError: there are not as many of the one as of the other.
    """
    if len(api_ids) != len(stages):
        raise UsageError(
            f"there are {len(api_ids)} --api-id and {len(stages)} --stage; give one stage for each API"
        )
    return list(zip(api_ids, stages, strict=True))


def print_json(value: object) -> None:
    """Print a value as JSON on standard output: indented, and always in ASCII."""
    say_block(json.dumps(value, indent=2))


def print_line(value: object) -> None:
    """Print a value as JSON in one line on standard output, at once: for what goes on."""
    say(json.dumps(value))
    sys.stdout.flush()


def print_facts(facts: list[tuple[str, object]]) -> None:
    """Print labelled values in two columns; plain text that also pipes well."""
    width = max(len(label) for label, _ in facts)
    for label, value in facts:
        say(f"{label:<{width}}  {value}")
