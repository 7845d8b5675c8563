"""The ``signet`` command, put together.

Each module of this package brings its subcommands through ``register(app)``. They import HTTP and AWS
libraries when they run, so that ``signet --help`` and offline work do not wait for them.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from signet_client.cli import (
    apis,
    attach,
    audit,
    breaker,
    call,
    callers,
    clients,
    close,
    compare,
    doctor,
    erase,
    fault,
    keygen,
    keys,
    pack,
    policy,
    redrive,
    verify,
)
from signet_client.cli.common import SentenceGroup
from signet_client.terminal import say

app = typer.Typer(
    name="signet",
    cls=SentenceGroup,
    help="Signet: verifiable API enforcement. Keys, clients, signed requests, log and compliance packs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain text: the same for people, pipes and screen readers
    pretty_exceptions_enable=False,  # a malfunction shows Python's own traceback, unabridged (main)
)

for _module in (
    keygen,
    clients,
    apis,
    attach,
    policy,
    call,
    breaker,
    fault,
    close,
    doctor,
    keys,
    redrive,
    pack,
    verify,
    audit,
    compare,
    callers,
    erase,
):
    _module.register(app)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer hands an option's value over like this
    if wanted:
        say(f"signet {version('signet-pch')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that go without a subcommand."""
