r"""The one place through which text reaches a terminal: nothing in it can steer the terminal or hide.

Names in a pack, a server's messages, bodies, URLs and errors are written by others. A terminal obeys what
stands in them: escape sequences clear the screen and rewrite lines that were printed, a line feed begins a
line that looks like ours, and characters that reorder or take no room show one thing and mean another
(CVE-2021-42574).

``say`` prints one line and ``say_block`` several; what is no visible character is printed as an escape such
as ``\x1b`` or ``\u202e``. ``console`` is Rich without its markup: ``[bold]`` in a name stays ``[bold]``.
Nothing else in the client, the demo tool and the embedded stack prints: a test of the architecture holds it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

if TYPE_CHECKING:
    from rich.console import Console

#: What Python calls printable and shows nothing all the same: Unicode's Default_Ignorable_Code_Point outside
#: of Cc, Cf and Cn (variation selectors, fillers, joiners; Unicode 16, DerivedCoreProperties.txt), and the
#: blank Braille pattern.
_INVISIBLE: Final = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def plain(value: object) -> str:
    """Return text that is one line of visible characters; everything else in it becomes an escape.

    Escaped are C0 and C1 controls, DEL, line feeds, line and paragraph separators, characters that change the
    direction of text, that take no room or only look like a space, and lone surrogates.
    """
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def plain_block(value: object) -> str:
    """Return text of several lines, each of visible characters; tabs become spaces."""
    lines = str(value).replace("\r\n", "\n").split("\n")
    return "\n".join(plain(line.expandtabs()) for line in lines)


def say(value: object = "", *, err: bool = False) -> None:
    """Print one line of untrusted text.

    Args:
        value: what to say; a line feed in it is escaped.
        err: whether it goes to standard error.

    Raises:
        OSError: the output cannot be written; it names which one.
    """
    _print(plain(value), err=err)


def say_row(cells: Iterable[object]) -> None:
    """Print the cells of a table's row, with tabs between them: a line for other programs."""
    _print("\t".join(map(plain, cells)), err=False)


def say_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for people; into a pipe or a file, a line for each row, the header's first."""
    if not is_terminal():
        for line in (header, *rows):
            say_row(line)
        return
    from rich.table import Table  # noqa: PLC0415 - seldom needed

    table = Table(*header, box=None)
    for row in rows:
        table.add_row(*map(plain, row))
    console().print(table)


def say_block(value: object, *, err: bool = False) -> None:
    """Print several lines of untrusted text; see ``say``."""
    _print(plain_block(value), err=err)


def say_bytes(content: bytes) -> None:
    """Write content to standard output: as it is into a pipe or a file, made visible on a terminal."""
    if is_terminal():
        say_block(content.decode(errors="surrogateescape").removesuffix("\n"))
        return
    with _named("standard output"):
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def say_malfunction() -> None:
    """Print the traceback of the error that is being handled: Python prints what errors quote as it is.

    A bar before each line: what an error quotes may have several, and none of them is ours.
    """
    import traceback  # noqa: PLC0415 - seldom needed

    for line in traceback.format_exc().splitlines():
        say(f"| {line}", err=True)


def is_terminal(*, err: bool = False) -> bool:
    """Tell whether standard output, or standard error, is a terminal."""
    stream = _stream(err=err)
    return stream is not None and stream.isatty()


def animates() -> bool:
    """Tell whether bars may be drawn on standard error: a terminal that can, and NO_COLOR is not set."""
    return is_terminal(err=True) and not _is_sober() and os.environ.get("TERM") != "dumb"


def console(*, err: bool = False) -> Console:
    """Return Rich's console for our own tables and bars; text in them is plain text, without markup.

    What others wrote has to go through ``plain`` before: Rich passes escape sequences on.
    """
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    colours: Literal["auto"] | None = None if _is_sober() else "auto"  # None: no escape sequence at all
    return Console(stderr=err, markup=False, emoji=False, highlight=False, color_system=colours)


def bar(what: str, *columns: Any, transient: bool = True) -> tuple[Any, Any]:
    """Return a progress bar of Rich on standard error and the id of its one task.

    Args:
        what: what is done meanwhile.
        columns: what stands beside it; Rich's own by default.
        transient: whether it is wiped in the end.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    shown = columns or (BarColumn(), TimeRemainingColumn())
    label = TextColumn("{task.description}", markup=False)
    made = Progress(label, *shown, console=console(err=True), transient=transient)
    return made, made.add_task(plain(what), total=None)


def _is_sober() -> bool:
    return bool(os.environ.get("NO_COLOR"))  # https://no-color.org: set and not empty


def _visible(character: str) -> str:
    if character.isprintable() and character not in _INVISIBLE:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte that was no UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


def _print(text: str, *, err: bool) -> None:
    stream = _stream(err=err)
    if stream is None:  # started without it
        return
    encoding = stream.encoding or "utf-8"
    with suppress(OSError) if err else _named("standard output"):  # where would one say it?
        # A terminal without UTF-8 gets escapes for what it cannot show.
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()


def _stream(*, err: bool) -> TextIO | None:
    return sys.stderr if err else sys.stdout


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of an output that cannot be written which one it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), name) from error
