"""How the demo speaks: one line per step, with its time, and a table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Narrator:
    """Tells a session step by step, to a terminal or a file."""

    def __init__(self, console: Console) -> None:
        """Write to a console."""
        self.console = console
        self._steps = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, then say how long it took; a failing step is marked and the error goes on."""
        self._steps += 1
        self.console.print(f"\n[bold]{self._steps}. {escape(title)}[/bold]")
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self.console.print(
                f"   [bold red]✘ failed[/bold red] [dim]after {time.monotonic() - started:.1f} s[/dim]"
            )
            raise
        self.console.print(f"   [dim]{time.monotonic() - started:.1f} s[/dim]")

    def say(self, text: str) -> None:
        """Say what is going on."""
        self.console.print(f"   [dim]{escape(text)}[/dim]", soft_wrap=True)

    def good(self, text: str, detail: str = "") -> None:
        """Say that something held."""
        more = f"  [dim]{escape(detail)}[/dim]" if detail else ""
        self.console.print(f"   [green]✔[/green] {escape(text)}{more}", soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Show a small table; all columns but the first are right-aligned."""
        table = Table(box=None, padding=(0, 3, 0, 3), header_style="dim")
        for n, heading in enumerate(headings):
            table.add_column(heading, justify="left" if n == 0 else "right")
        for row in rows:
            table.add_row(*map(escape, row))
        self.console.print(table)
