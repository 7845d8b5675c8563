"""What of a log was seen before: files that the user gives, and heads that are remembered."""

# ruff: noqa: PLC0415 - cryptography is loaded when the command runs, not for --help

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from signet_client.terminal import say

if TYPE_CHECKING:
    from signet.pack.known import Earlier, KnownFile, KnownTree
    from signet_client.remembered import Remembered

KnownOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--known",
        help="A pack, sth.json, checkpoint or keys.json of this log from elsewhere; may be repeated.",
    ),
]
RememberOption = Annotated[
    bool,
    typer.Option(
        "--remember/--no-remember",
        help="Hold the log to its heads that you saw before, and remember these; with --log-id only.",
    ),
]


class History:
    """What was seen of logs before, for one command.

    Attributes:
        earlier: the same for the library; None if there is nothing to hold a log to.
    """

    def __init__(self, files: Sequence[KnownFile], remembered: Remembered | None) -> None:
        from signet.pack.known import Earlier

        self._remembered = remembered
        self.earlier: Earlier | None = None
        if remembered is not None:
            self.earlier = Earlier(files, remembered.trees)
        elif files:
            self.earlier = Earlier(files)

    def keep(self, log_id: str, trees: Sequence[KnownTree], *, pinned: bool) -> None:
        """Remember what was found good. Of a log that was not pinned nothing new is remembered.

        A folder that cannot be written is told, and is no verdict.
        """
        if self._remembered is None or not (pinned or self._remembered.knows(log_id)):
            return
        try:
            self._remembered.add(log_id, trees)
        except OSError as error:
            say(f"signet: heads were not remembered ({error}); SIGNET_STATE names another folder", err=True)


@contextmanager
def history(known: Sequence[Path] | None, *, remember: bool) -> Iterator[History]:
    """Open what was seen before."""
    from signet.pack.known import KnownFile
    from signet_client.remembered import Remembered, state_folder

    with ExitStack() as stack:
        files = [KnownFile(str(path), stack.enter_context(path.open("rb"))) for path in known or ()]
        yield History(files, Remembered(state_folder()) if remember else None)
