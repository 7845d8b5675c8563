"""Reads a policy's rules for what could never fire, each with file, line and what to write instead."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from signet.policy.finding import Finding
from signet.policy.lint import rules
from signet.policy.lint.meaning import of_text
from signet.policy.lint.parser import parse
from signet.policy.lint.safety import unsafe
from signet.policy.lint.scope import nearest
from signet.policy.lint.shapes import CONFIG, ConfigMembers
from signet.policy.lint.syntax import Module, texts_of
from signet.policy.lint.walk import Walk
from signet.policy.lint.world import World
from signet.policy.places import Path
from signet.policy.tokens import Unreadable, tokens_of

_MARK: Final = "\ufeff"
_MAX_SPOKEN: Final = 64
#: The file of the shipped rules.
SHIPPED: Final = "signet.rego"
_QUOTED: Final = re.compile(r'`[^`\n]*`|#.*|("(?:[^"\\]|\\.)*")')
_ESCAPED: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u[0-9A-Fa-f]{4}")
InData = Callable[[Path, str], Finding]


def read(files: Mapping[str, bytes]) -> tuple[dict[str, Module], list[Finding]]:
    """Return the modules of a policy, and what could not be read: the interpreter may say more of it."""
    modules: dict[str, Module] = {}
    unreadable = []
    for name, content in files.items():
        if not name.endswith(".rego"):
            continue
        try:
            modules[name] = parse(content.decode().removeprefix(_MARK))
        except UnicodeDecodeError:
            continue  # the interpreter's reader says so
        except (Unreadable, RecursionError) as error:
            line = error.line if isinstance(error, Unreadable) else 1
            sentence = f"the check cannot read this ({error}); write it in a plainer way"
            unreadable.append(Finding(sentence, name, line))
    return modules, unreadable


def lint(
    modules: Mapping[str, Module],
    files: Mapping[str, bytes],
    data: Mapping[str, Any],
    routes: Mapping[str, Any],
    in_data: InData,
) -> Iterator[Finding]:
    """Yield what is wrong in a policy that could be read, in no order.

    Args:
        modules: file name → module.
        files: file name → bytes.
        data: what the JSON files hold.
        routes: the routes that it lists.
        in_data: makes a finding of the path to a member in a data file and what is wrong with it.
    """
    world = World(modules, data, routes, is_ascii=_is_ascii(files))
    walks = {name: Walk(world, module) for name, module in modules.items()}
    for name, walk in walks.items():
        walk.go()
        yield from (Finding(message, name, line) for line, message in walk.found)
        yield from _without_value(world, name)
        yield from of_text(name, files[name].decode())
    for file, line, message in (*rules.of_heads(world), *rules.unread(world, walks)):
        yield Finding(message, file, line)
    words = frozenset(word for walk in walks.values() for word in walk.words)
    yield from (in_data(path, message) for path, message in rules.unread_data(world, words))


def spoken(modules: Mapping[str, Module], data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return texts that rules may hold a key id against, without repetition, up to a bound.

    They are those in quotes, but for members of config.json, then names and texts of other data files. Those
    of the shipped rules, and sentences, come last: few values are like them.
    """
    shipped = modules.get(SHIPPED)
    own = [module for name, module in modules.items() if name != SHIPPED]
    words = {**_spoken(own, data), **_spoken([shipped] if shipped else [], {})}
    return tuple(sorted(words, key=lambda word: " " in word)[:_MAX_SPOKEN])


def _spoken(modules: Iterable[Module], data: Mapping[str, Any]) -> dict[str, None]:
    found: dict[str, None] = {}
    for module in modules:
        found.update(dict.fromkeys(word for rule in module.rules for word in texts_of(rule)))
    for member in _members(CONFIG):
        found.pop(member, None)
    for name, value in data.items():
        found.update(dict.fromkeys(_in_json(value, _MAX_SPOKEN) if name != "config" else ()))
    return found


def _members(table: ConfigMembers) -> Iterator[str]:
    for name, within in (*table.names.items(), ("", table.each)):
        yield name
        yield from _members(within) if within is not None else ()


def _in_json(value: Any, most: int) -> Iterator[str]:
    queue = deque([value])
    while queue and most:
        most -= 1
        value = queue.popleft()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from islice(value, _MAX_SPOKEN)
            queue.extend(islice(value.values(), _MAX_SPOKEN))
        elif isinstance(value, list):
            queue.extend(islice(value, _MAX_SPOKEN))


def _without_value(world: World, file: str) -> Iterator[Finding]:
    module = world.modules[file]
    known = world.names_in(module)
    for rule in module.rules:
        told: set[str] = set()
        for var in unsafe(rule, known, lambda name: world.arity(module, name)):
            if var.name not in told:
                told.add(var.name)
                hint = nearest(var.name, _candidates(world, module))
                if var.name == "_":
                    hint = "; say which one is meant, as with `some x in …`, or put it into a rule of its own"
                told_so = f"{var.name} has no value here, so this never holds, and behind `not` always{hint}"
                yield Finding(told_so, file, var.line)


def _candidates(world: World, module: Module) -> list[str]:
    return sorted({*world.names_in(module), *world.input.members, "keyid", "roles"})


def marked(files: Mapping[str, bytes]) -> Iterator[Finding]:
    """Yield the files that begin with a byte order mark."""
    for name, content in files.items():
        if content.startswith(_MARK.encode()):
            yield Finding("this begins with a byte order mark; save it as UTF-8 without one", name, 1)


def escaped(files: Mapping[str, bytes]) -> Iterator[Finding]:
    """Yield the texts in rules with a character written as an escape: to rego-cpp they are other texts."""
    for name, content in files.items():
        if not name.endswith(".rego"):
            continue
        for number, line in enumerate(content.decode(errors="replace").split("\n"), 1):
            if any(_ESCAPED.search(text) for text in _QUOTED.findall(line)):
                yield Finding(
                    "\\u in a text is read as six characters; write the character itself", name, number
                )


def _is_ascii(files: Mapping[str, bytes]) -> bool:
    for name, content in files.items():
        text = content.decode(errors="replace")
        if name.endswith(".json"):
            if not text.isascii() or "\\u" in text:
                return False
            continue
        try:
            if not all(token.text.isascii() for token in tokens_of(text) if token.kind == "string"):
                return False
        except Unreadable:
            return False
    return True
