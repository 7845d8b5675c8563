"""``signet compare``: two histories of one log, from two packs, heads or stores."""

# ruff: noqa: PLC0415 - cryptography and HTTP are loaded when the command runs, not for --help

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from signet.core.verification import Notice
from signet_client.cli.common import JsonOption
from signet_client.cli.verdicts import Verdict, deliver, failures_object

if TYPE_CHECKING:
    from signet.audit.compare import Comparison, Side
    from signet.log.keys import LogKeys

_MAX_KEYS_BYTES: Final = 8 << 20

#: Of each relation: whether it is good, the word of the last line, and the sentence.
_WORDS: Final = {
    "same": (True, "SAME", "{a} and {b} show one tree of {first} leaves."),
    "extends": (True, "EXTENDS", "{a} ({first} leaves) goes on from {b} ({second} leaves)."),
    "extended": (True, "EXTENDS", "{b} ({second} leaves) goes on from {a} ({first} leaves)."),
    "forked": (False, "FORK", "the log signed two histories: keep both files, they prove it."),
    "untold": (
        False,
        "CANNOT TELL",
        (
            "{a} ({first} leaves) and {b} ({second} leaves) do not contradict each other, and neither shows "
            "that the other is of its history. Compare with the log itself, or with the later day's pack."
        ),
    ),
    "not_good": (False, "NOT COMPARED", "one of them does not hold by itself."),
}


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("compare", short_help="Compare two histories of one log: packs, heads, logs.")(compare)


def compare(
    *,
    first: Annotated[
        str, typer.Argument(metavar="A", help="A pack, sth.json or checkpoint, or a log's folder or URL.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    keys: Annotated[
        Path | None, typer.Option("--keys", help="The log's keys.json, for two heads or checkpoints.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell whether two parties were shown one history: exit 0 if so, 1 if not, or if it cannot be told.

    Signatures are checked, and a pack is verified whole. Of a log's folder or URL the heads and the tiles
    that it takes are read; signet audit reads everything.
    """
    from signet.audit.compare import compare as compare_sides

    with ExitStack() as stack:
        found = compare_sides(_side(first, stack), _side(second, stack), _keys(keys))
    deliver(_verdict(found, first, second), _object(found), as_json=as_json)


def _side(name: str, stack: ExitStack) -> Side:
    from signet.audit.compare import side_of_file, side_of_log
    from signet.pack.known import KnownFile
    from signet_client.logsources import open_source

    if "://" in name or Path(name).is_dir():
        return side_of_log(name, stack.enter_context(open_source(name)))
    return side_of_file(KnownFile(name, stack.enter_context(Path(name).open("rb"))))


def _keys(path: Path | None) -> LogKeys | None:
    from signet.log.keys import parse_keys

    if path is None:
        return None
    with path.open("rb") as file:
        return parse_keys(file.read(_MAX_KEYS_BYTES).strip())


def _verdict(found: Comparison, first: str, second: str) -> Verdict:
    good, word, sentence = _WORDS[found.relation.value]
    text = "this does not show whose log it is: compare its id with the one you were given"
    return Verdict(
        good=good,
        sentence=sentence.format(a=first, b=second, first=found.sizes[0], second=found.sizes[1]),
        passed=(),
        failures=[f"{failure} [{failure.code}]" for failure in found.failures],
        facts=[("log id", found.log_id)],
        gaps=(),
        gaps_in="",
        notices=[Notice("log_id_not_pinned", text)],
        instead=word,
    )


def _object(found: Comparison) -> dict[str, object]:
    return {
        "relation": found.relation.value,
        "log_id": found.log_id,
        "sizes": list(found.sizes),
        "failures": failures_object(found.failures),
    }
