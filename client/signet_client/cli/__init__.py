"""The ``signet`` command: exit 0 good, 1 verdict bad or request refused, 2 usage; 130 interrupted.

The subcommands are in ``commands``, which is loaded when the command runs: an interrupt (Ctrl-C) while Python
reads it ends in one sentence, too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signet_client.cli.commands import app

__all__ = ["app", "main"]

_MALFUNCTION = 1
_INTERRUPTED = 128 + 2  # what a shell says of a program that SIGINT ended


def __getattr__(name: str) -> Any:
    if name == "app":
        from signet_client.cli.commands import app  # noqa: PLC0415 - typer takes 0.2 s to load

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command; the entry point of the package."""
    try:
        from signet_client.cli.commands import app  # noqa: PLC0415 - in here, or Ctrl-C shows a traceback

        app()
    except KeyboardInterrupt:
        sys.stderr.write("signet: interrupted\n")
        sys.exit(_INTERRUPTED)
    except Exception:  # noqa: BLE001 - a malfunction of our own: its traceback helps, what it quotes must not steer
        from signet_client.terminal import say_malfunction  # noqa: PLC0415

        say_malfunction()
        sys.exit(_MALFUNCTION)
