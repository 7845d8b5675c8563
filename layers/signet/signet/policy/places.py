"""Where a member stands in JSON text, by the whole way to it: two members of one name are told apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Names of members and numbers of elements on the way to a value.
Path = tuple[str | int, ...]
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


@dataclass(slots=True)
class _Within:
    """An object or array that is being read: name or number of the member at hand, and what comes next."""

    at: str | int | None
    named: bool


def lines_of(text: str) -> dict[Path, int]:
    """Return the 1-based line of every member and element of a JSON text."""
    found: dict[Path, int] = {}
    for path, line in _members(text):
        found.setdefault(path, line)
    return found


def _members(text: str) -> Iterator[tuple[Path, int]]:
    stack: list[_Within] = []
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        line, counted = line + text.count("\n", counted, token.start()), token.start()
        mark, here = token[0], stack[-1] if stack else None
        if mark in "}]":
            del stack[-1:]
        elif mark == ",":
            if here is not None:
                here.named, here.at = False, here.at + 1 if isinstance(here.at, int) else here.at
        elif mark != ":":
            if here is not None and not here.named:
                if not isinstance(here.at, int) and mark[0] == '"':
                    here.at = json.loads(mark)
                here.named = True
                yield tuple(one.at for one in stack if one.at is not None), line
            if mark in "{[":
                stack.append(_Within(0 if mark == "[" else None, named=False))
