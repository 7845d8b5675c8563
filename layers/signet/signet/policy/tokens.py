"""Cuts a Rego module into tokens that know their line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

_PATTERN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<comment>\#[^\n]*)
      | (?P<template>\$["`])
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<raw>`[^`]*`)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<mark>:=|==|!=|<=|>=|[-+*/%&|<>=()\[\]{},;:.])
    """,
    re.VERBOSE | re.ASCII,
)
# A template's text: what is not code, with its escapes; a raw one has none but the brace's.
_TEXT: Final = {'"': re.compile(r'(?:[^"\\{\n]|\\.)*'), "`": re.compile(r"(?:[^`\\{]|\\.)*", re.DOTALL)}


class Unreadable(Exception):  # noqa: N818 - it is no error before the interpreter has taken the module
    """The module is no Rego as far as this reader goes.

    Attributes:
        line: 1-based.
    """

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a module.

    Attributes:
        kind: ``name``, ``mark``, ``number``, ``string``, ``template`` or ``end``.
        text: as it stands there; of a string, its value.
        line: 1-based.
        first: whether it is the first one in its line.
        apart: whether white space stands before it.
        parts: of a template, the tokens of each expression in it.
        place: how many characters stand before it in the module.
    """

    kind: str
    text: str
    line: int
    first: bool = False
    apart: bool = False
    parts: tuple[tuple[Token, ...], ...] = ()
    place: int = 0


def tokens_of(text: str) -> tuple[Token, ...]:
    """Return the tokens of a module, with one of the kind ``end`` behind them.

    Raises:
        Unreadable: something in it is no token.
    """
    return tuple(_Cutter(text).tokens(stop=""))


class _Cutter:
    def __init__(self, text: str) -> None:
        self.text, self.place, self.line = text, 0, 1

    def tokens(self, stop: str) -> Iterator[Token]:
        """Yield tokens up to the closing brace of a template's expression, or to the end."""
        first, apart, depth = True, True, 0
        while self.place < len(self.text):
            found = _PATTERN.match(self.text, self.place)
            if found is None:
                raise Unreadable(f"{self.text[self.place]!r} is no part of Rego", self.line)
            kind, piece, line, place = str(found.lastgroup), found[0], self.line, self.place
            if stop and piece == stop and not depth:
                break
            self._go(found.end())
            if kind in ("space", "comment"):
                first, apart = first or "\n" in piece, True
                continue
            depth += (piece == "{") - (piece == "}")
            if kind == "template":
                yield Token(kind, piece, line, first, apart, tuple(self._template(piece[1])), place)
            else:
                yield replace(_token(kind, piece, line, first, apart=apart), place=place)
            first = apart = False
        yield Token("end", "", self.line, first=True, apart=True, place=len(self.text))

    def _template(self, quote: str) -> Iterator[tuple[Token, ...]]:
        while True:
            found = _TEXT[quote].match(self.text, self.place)
            end = found.end() if found else self.place
            if end >= len(self.text) or self.text[end] not in (quote, "{"):
                raise Unreadable("this template string does not end", self.line)
            self._go(end + 1)
            if self.text[end] == quote:
                return
            yield tuple(self.tokens(stop="}"))
            if self.place >= len(self.text):
                raise Unreadable("this template string does not end", self.line)
            self._go(self.place + 1)

    def _go(self, place: int) -> None:
        self.line += self.text.count("\n", self.place, place)
        self.place = place


def _token(kind: str, piece: str, line: int, first: bool, *, apart: bool) -> Token:  # noqa: FBT001
    if kind == "string":
        try:
            return Token("string", json.loads(piece), line, first, apart)
        except ValueError as error:
            raise Unreadable("this string has an escape that JSON does not know", line) from error
    if kind == "raw":
        return Token("string", piece[1:-1].replace("\r", ""), line, first, apart)
    return Token(kind, piece, line, first, apart)
