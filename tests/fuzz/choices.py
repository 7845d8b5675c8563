"""Turns the bytes a fuzzer invents into choices: every driver, and a plain seed, drives one generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")

#: What separators, escapes, limits and other parsers' habits are made of.
TOKENS = (
    *"\";,=:()?&+%/\\'<>@.*-_~ \t\r\n\0\x7f",
    "\r\n",
    "  ",
    ", ",
    "é",
    "\u2028",
    "\ufffd",
    "\ud800",
    "\U0001f512",
    "%2f",
    "%2F",
    "%00",
    "//",
    "/../",
    "/./",
    "pch",
    "pch=",
    "pch=:AAAA:",
    "sig1=()",
    ";created=1",
    ";expires=99999999999",
    ";extra",
    ';alg="ed25519"',
    ";sf",
    ";req",
    ";bs",
    '"@method"',
    '"@target-uri"',
    '"host"',
    "sha-256=",
    ":AAAA:",
    "=:",
    "==",
    "-1",
    "0",
    "1.0",
    "9" * 15,
    "9" * 16,
    "?1",
    "tls-exporter",
    "none",
    "default",
    ":443",
    "A" * 300,
    "a, " * 40,
)
#: JSON values of every type, and the awkward ones.
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**63,
    float("nan"),
    "",
    "x",
    "\ud800",
    "9" * 20,
    "A" * 9000,
    [],
    {},
    [None],
    ["a", "b"],
    [[]],
    {"a": 1},
    {"": None},
    [{"a": []}],
)


class Choices:
    """A stream of decisions; when the bytes are used up, every further decision is the first option."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def below(self, limit: int) -> int:
        """A number from 0 up to below ``limit`` (at most 65,536)."""
        size = 1 if limit <= 256 else 2
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return int.from_bytes(taken, "little") % limit

    def pick(self, options: Sequence[_T]) -> _T:
        return options[self.below(len(options))]

    def edit(self, text: str) -> str:
        """Change a text at one place, as hostile clients do."""
        start = self.below(min(len(text) + 1, 65_536))
        end = min(start + self.below(9), len(text))
        edits: tuple[Callable[[], str], ...] = (
            lambda: text[:start] + self.pick(TOKENS) + text[start:],
            lambda: text[:start] + text[end:],
            lambda: text[:start] + self.pick(TOKENS) + text[end:],
            lambda: text[:start] + chr(self.below(128)) + text[start + 1 :],
            lambda: text[:end] + text[start:],
            lambda: text[:start] + text[start:end].swapcase() + text[end:],
            lambda: text[:start],
            lambda: text + text,
        )
        return self.pick(edits)()
