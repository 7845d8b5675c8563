"""How the demo speaks: numbered steps with their times, one line per thing that held, small tables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from signet_client.terminal import plain

_INDENT = 3


class Narrator:
    """Tells a session step by step, to a terminal or a file; nothing is wider than the terminal."""

    def __init__(self, console: Console, *, steps: int) -> None:
        """Write to a console; announce that there will be so many steps."""
        self.console = console
        self._announced = steps
        self._steps = 0
        spoken = console.encoding.startswith("utf")
        self._held, self._failed = ("✔", "✘") if spoken else ("ok", "FAILED")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, then say how long it took; a failing step is marked and the error goes on.

        A terminal shows a sign of life meanwhile.
        """
        self._steps += 1
        self.console.print(f"\n[bold]{self._steps}/{self._announced}  {escape(plain(title))}[/bold]")
        started = time.monotonic()
        try:
            with self.console.status(f"[dim]step {self._steps} …[/dim]"):
                yield
        except BaseException as error:
            told = "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
            self._write(Text(f"{self._failed} {told} after {time.monotonic() - started:.1f} s", "bold red"))
            raise
        self.say(f"took {time.monotonic() - started:.1f} s")

    def say(self, text: str) -> None:
        """Say what is going on."""
        self._write(Text(plain(text), "dim"))

    def good(self, text: str, detail: str = "") -> None:
        """Say that something held; a detail that does not fit beside goes below."""
        detail = plain(detail)
        line = Text.assemble((f"{self._held} ", "green"), plain(text))
        if detail and line.cell_len + 2 + cell_len(detail) + _INDENT <= self.console.width:
            self._write(line.append(f"  {detail}", "dim"))
            return
        self._write(line)
        if detail:
            self._write(Text(detail, "dim"), indent=_INDENT + cell_len(self._held) + 1)

    def table(
        self, headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
    ) -> None:
        """Show a small table; the columns named in ``numbers`` are right-aligned."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
        for heading in headings:
            table.add_column(heading, justify="right" if heading in numbers else "left")
        for row in rows:
            table.add_row(*(escape(plain(cell)) for cell in row))
        self._write(table)

    def _write(self, content: Text | Table, *, indent: int = _INDENT) -> None:
        self.console.print(Padding(content, (0, 0, 0, indent), expand=False))
