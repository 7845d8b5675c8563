"""What rules find in the data by a member of the input, found before they run: pure.

The interpreter goes through the members of an object one by one, and takes seconds to load ten thousand of
them. So ``data.grants[input.principal.keyid]`` is looked up here, in a dictionary, and handed over with the
input; data that rules use in no other way is not loaded at all. Rules answer as before: what could make a
difference stays as it is (``_NotIndexableError``, ``_targets``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from signet.policy.tokens import Token, Unreadable, tokens_of

#: Member of the input that holds what was found; rules do not name it.
FOUND: Final = "found_in_data"
#: An object with fewer members is left to the interpreter.
LEAST_MEMBERS: Final = 64
#: What is larger as JSON costs more to hand over than to find.
_MOST_CHARACTERS: Final = 4096
_MAX_INTEGER: Final = 2**53
_ABSENT: Final = object()
# A member by its name, or by the text that a member of the input is, given by its path.
Step = str | tuple[str, ...]


class _NotIndexableError(Exception):
    """The rules use input or data in a way that may see what would be changed."""


class _AsItIsError(Exception):
    """What a reference may find is not the same when it is handed over, or too large for it."""


@dataclass(frozen=True, slots=True)
class _Reference:
    """``data`` with the steps behind it, up to the last by a member of the input; or all if there is none.

    Attributes:
        module: its file.
        start: place of its first character.
        end: place behind its last one.
        path: its steps.
    """

    module: str
    start: int
    end: int
    path: tuple[Step, ...]

    @property
    def by_input(self) -> bool:
        return any(isinstance(step, tuple) for step in self.path)


@dataclass(frozen=True, slots=True)
class Indexed:
    """A policy whose large data is looked up.

    Attributes:
        modules: file → Rego.
        data: what the interpreter has to load.
        lookups: name under ``FOUND`` → path in ``source``.
        source: all data.
    """

    modules: Mapping[str, str]
    data: Mapping[str, Any]
    lookups: Mapping[str, tuple[Step, ...]]
    source: Mapping[str, Any]

    def document(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the input with what it finds in the data."""
        if not self.lookups:
            return given
        found = {name: self._find(path, given) for name, path in self.lookups.items()}
        return {**given, FOUND: {name: value for name, value in found.items() if value is not _ABSENT}}

    def _find(self, path: Sequence[Step], given: Mapping[str, Any]) -> Any:
        node: Any = self.source
        for step in path:
            name = step if isinstance(step, str) else _member(given, step)
            if not isinstance(node, dict) or not isinstance(name, str) or name not in node:
                return _ABSENT
            node = node[name]
        return node


def indexed(modules: Mapping[str, str], data: Mapping[str, Any], *, least: int = LEAST_MEMBERS) -> Indexed:
    """Find the references that are looked up, and take them out of the rules.

    Args:
        modules: file → Rego, as it compiles.
        data: as rules see it.
        least: members of the objects that are looked up in.
    """
    as_it_is = Indexed(modules, data, {}, data)
    try:
        references, packages = _read(modules)
    except (_NotIndexableError, Unreadable):
        return as_it_is
    names: dict[tuple[Step, ...], str] = {}
    replaced, kept = [], set()
    for reference in references:
        first = reference.path[0]
        if reference.by_input and first not in packages and _is_worth_it(data, reference.path, least):
            names.setdefault(reference.path, f"r{len(names)}")
            replaced.append(reference)
        else:
            kept.add(first)
    if not replaced:
        return as_it_is
    texts = dict(modules)
    for reference in sorted(replaced, key=lambda one: one.start, reverse=True):
        text, name = texts[reference.module], names[reference.path]
        texts[reference.module] = f"{text[: reference.start]}input.{FOUND}.{name}{text[reference.end :]}"
    return replace(
        as_it_is,
        modules=texts,
        data={name: value for name, value in data.items() if name in kept},
        lookups={name: path for path, name in names.items()},
    )


def _member(document: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = document
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _is_worth_it(data: Mapping[str, Any], path: Sequence[Step], least: int) -> bool:
    """Tell whether a reference may find many things, and each is the same when it is handed over."""
    try:
        return sum(1 for _ in _targets(data, path)) >= least
    except _AsItIsError:
        return False


def _targets(node: Any, path: Sequence[Step]) -> Iterator[Any]:
    if not path:
        if len(json.dumps(node)) > _MOST_CHARACTERS or not _is_plain(node):
            raise _AsItIsError
        yield node
    elif not isinstance(node, dict):
        raise _AsItIsError  # an array has members by number
    elif isinstance(path[0], tuple):
        for member in node.values():
            yield from _targets(member, path[1:])
    elif path[0] in node:
        yield from _targets(node[path[0]], path[1:])


def _is_plain(value: Any) -> bool:
    """Tell whether the interpreter takes a value for the same as data and as input: no fractions."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, float) and not (type(value) is int and abs(value) > _MAX_INTEGER)


def _read(modules: Mapping[str, str]) -> tuple[list[_Reference], frozenset[str]]:
    """Return the references to data, and the first names of the packages, which are no data."""
    references, packages = [], set()
    for module, text in modules.items():
        tokens = tokens_of(text)
        for number, token in enumerate(tokens[:-1]):
            if token.kind == "template" or (token.kind == "name" and token.text == "with"):
                raise _NotIndexableError  # code in a text, and data or input that is replaced
            if token.kind != "name" or (number and _is(tokens[number - 1], ".")):
                continue
            if token.text == "package":
                packages.add(tokens[number + 1].text)
            elif token.text == "input":
                _names(tokens, number)
            elif token.text == "data":
                references.append(_reference(module, tokens, number))
    return references, frozenset(packages)


def _reference(module: str, tokens: Sequence[Token], number: int) -> _Reference:
    path: list[Step] = []
    end, last, place = 0, 0, number + 1
    while True:
        if (found := _static(tokens, place)) is not None:
            path.append(found[0])
            place = found[1]
        elif _is(tokens[place], "[") and not tokens[place].apart and tokens[place + 1].text == "input":
            names, place = _names(tokens, place + 1)
            if not _is(tokens[place], "]"):
                break  # the bracket holds more than a member of the input
            path.append(names)
            end, last, place = tokens[place].place + 1, len(path), place + 1
        else:
            break
    if not path or isinstance(path[0], tuple):
        raise _NotIndexableError  # all data, or a member of it by a variable
    return _Reference(module, tokens[number].place, end, tuple(path[:last] if last else path))


def _names(tokens: Sequence[Token], number: int) -> tuple[tuple[str, ...], int]:
    """Return the static names behind ``input``, and the number of the token behind them.

    Raises:
        _NotIndexableError: there is none: the rules see the whole input, or it is the name of a variable.
    """
    names: list[str] = []
    place = number + 1
    while (found := _static(tokens, place)) is not None:
        names.append(found[0])
        place = found[1]
    if not names:
        raise _NotIndexableError
    return tuple(names), place


def _static(tokens: Sequence[Token], place: int) -> tuple[str, int] | None:
    """Return a step by name, ``.name`` or ``["name"]``, and the number of the token behind it."""
    token = tokens[place]
    if token.apart:
        return None
    if _is(token, ".") and tokens[place + 1].kind == "name" and not tokens[place + 1].apart:
        return tokens[place + 1].text, place + 2
    if _is(token, "[") and tokens[place + 1].kind == "string" and _is(tokens[place + 2], "]"):
        return tokens[place + 1].text, place + 3
    return None


def _is(token: Token, mark: str) -> bool:
    return token.kind == "mark" and token.text == mark
