"""What a measurement says: a figure, its limit, the verdict, and the report of a run. Pure."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.table import Table
from rich.text import Text

#: Unit of a ratio.
TIMES: Final = "×"  # noqa: RUF001 - it is the multiplication sign that is meant


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Attributes:
        what: what was measured.
        value: the figure, in ``unit``.
        unit: ``TIMES`` (a ratio), ``ms``, ``MiB``.
        limit: most it may be; None for a figure that only explains another.
        beside: what it stands beside: the peer of a ratio and both absolute values, or how it came about.
        at_least: the limit is the least it may be.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    beside: str = ""
    at_least: bool = False

    @property
    def held(self) -> bool | None:
        """Whether the limit holds; None without one."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def to_object(self) -> dict[str, Any]:
        """Return the figure for JSON; the value as measured, not rounded."""
        return {
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "limit": self.limit,
            "at_least": self.at_least,
            "held": self.held,
            "beside": self.beside,
        }


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one part of the system.

    Attributes:
        title: its name.
        figures: what was measured.
        notes: what a reader must know: scaled sizes, assumptions, what could not be measured.
        tables: further tables for JSON, such as where time or money goes.
    """

    title: str
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    tables: Mapping[str, Any] = field(default_factory=dict)


def ratio(what: str, measured: float, peer: float, *, limit: float | None, beside: str) -> Figure:
    """Return a measured value as a multiple of its peer's.

    Raises:
        ValueError: the peer took no time at all, so there is nothing to compare with.
    """
    if peer <= 0:
        raise ValueError(f"the peer of {what!r} took no time")
    return Figure(what, measured / peer, TIMES, limit, beside)


def missed(sections: Sequence[Section]) -> list[Figure]:
    """Return the figures beyond their limit."""
    return [figure for section in sections for figure in section.figures if figure.held is False]


def machine() -> dict[str, Any]:
    """Describe where a run takes place."""
    return {"python": platform.python_version(), "system": platform.platform(), "cpus": _cpus()}


def _cpus() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:  # noqa: PTH123 - a device, not a file
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{len(names)} {TIMES} {names[0]}" if names else platform.processor()


def to_object(sections: Sequence[Section], *, quick: bool) -> dict[str, Any]:
    """Return a run for JSON."""
    return {
        "machine": machine(),
        "quick": quick,
        "missed": [figure.what for figure in missed(sections)],
        "sections": [
            {
                "title": section.title,
                "figures": [figure.to_object() for figure in section.figures],
                "notes": list(section.notes),
                **section.tables,
            }
            for section in sections
        ],
    }


def show(value: float, unit: str) -> str:
    """Write a value with three significant places and its unit."""
    if unit == "$":
        return f"${value:.2f}"
    number = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three places
    return f"{number} {unit}".strip()


def table(section: Section) -> Table:
    """Return a section as a table for the terminal; a missed limit is marked in words and colour."""
    shown = Table(box=None, padding=(0, 2, 0, 2), header_style="dim", expand=True)
    shown.add_column(section.title, ratio=4)
    shown.add_column("", justify="right", no_wrap=True)
    shown.add_column("limit", justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    shown.add_column("", ratio=5, style="dim")
    verdicts = {True: Text("held", style="green"), False: Text("MISSED", style="bold red"), None: Text("")}
    for figure in section.figures:
        limit = "" if figure.limit is None else "≥ " * figure.at_least + show(figure.limit, figure.unit)
        value = show(figure.value, figure.unit)
        shown.add_row(figure.what, value, limit, verdicts[figure.held], figure.beside)
    return shown
