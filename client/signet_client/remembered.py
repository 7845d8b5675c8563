"""Which signed trees of which logs this user has seen: a log that shows another history later is found out.

One file per log in the user's state folder, ``heads-<log id>.jsonl``: a line for each tree. Only logs whose
id the user gave are remembered, so no stranger's pack makes a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from signet.core.errors import UnavailableError
from signet.pack.known import KnownTree

#: Of trees that close no day so many are kept, the largest; each audit of an open day sees another one.
_MOST_OPEN: Final = 100
_MAX_BYTES: Final = 64 << 20


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where this user's programs keep what they remember: ``SIGNET_STATE``, or as XDG has it."""
    if given := environment.get("SIGNET_STATE"):
        return Path(given)
    base = environment.get("XDG_STATE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / "signet"
    try:
        return Path.home() / ".local" / "state" / "signet"
    except RuntimeError:  # a user without a home: nothing is there, and nothing can be written
        return Path(os.devnull) / "signet"


class Remembered:
    """The trees that were seen before, by log."""

    def __init__(self, folder: Path, today: Callable[[], date] = lambda: datetime.now(UTC).date()) -> None:
        """Use this folder; it is made when there is something to remember."""
        self._folder = folder
        self._today = today

    def knows(self, log_id: str) -> bool:
        """Tell whether trees of this log are remembered."""
        return self._path(log_id).is_file()

    def trees(self, log_id: str) -> list[KnownTree]:
        """Return what was seen of a log.

        Raises:
            UnavailableError: the file is damaged.
        """
        return [_tree(line) for line in self._lines(log_id)]

    def add(self, log_id: str, trees: Iterable[KnownTree]) -> int:
        """Remember trees; return how many are new.

        Raises:
            OSError: the file cannot be written.
            UnavailableError: it is damaged.
        """
        lines = self._lines(log_id)
        known = {_key(line) for line in lines}
        seen = self._today().isoformat()
        new = [line for line in (_line(tree, seen) for tree in trees) if _key(line) not in known]
        if new:
            self._write(log_id, [*lines, *new])
        return len(new)

    def _lines(self, log_id: str) -> list[dict[str, Any]]:
        path = self._path(log_id)
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            lines = [json.loads(line) for line in data.splitlines()]
            for line in lines:
                _tree(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnavailableError(
                f"{path} is damaged: it remembers which heads of this log you have seen. Put a copy of it "
                "back, or delete it to begin anew; --no-remember goes on without it"
            ) from error
        return lines

    def _write(self, log_id: str, lines: Sequence[dict[str, Any]]) -> None:
        closed = [line for line in lines if line["day"] is not None]
        others = sorted(
            (line for line in lines if line["day"] is None), key=lambda line: int(line["tree_size"])
        )
        kept = sorted([*closed, *others[-_MOST_OPEN:]], key=lambda line: int(line["tree_size"]))
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".heads-")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.writelines(json.dumps(line, sort_keys=True) + "\n" for line in kept)
            Path(name).replace(self._path(log_id))
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _path(self, log_id: str) -> Path:
        return self._folder / f"heads-{log_id}.jsonl"


def _line(tree: KnownTree, seen: str) -> dict[str, Any]:
    return {
        "day": tree.day.isoformat() if tree.day else None,
        "root_hash": tree.root_hash.hex(),
        "seen": seen,
        "sth_sha256": tree.sth_sha256,
        "tree_size": tree.tree_size,
    }


def _tree(line: Mapping[str, Any]) -> KnownTree:
    size, root, day = line["tree_size"], bytes.fromhex(line["root_hash"]), line["day"]
    seen = date.fromisoformat(line["seen"])
    if type(size) is not int:
        raise ValueError("tree_size is no number")
    closes = date.fromisoformat(day) if day else None
    return KnownTree(f"what you saw on {seen}", size, root, closes, line["sth_sha256"], remembered=True)


def _key(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return line["day"], line["tree_size"], line["root_hash"], line["sth_sha256"]
