"""Finds what is wrong with whole rules: unread ones, two defaults, kinds that do not mix, the old syntax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from signet.policy import requirements
from signet.policy.lint.scope import nearest
from signet.policy.lint.shapes import CONFIG, ConfigMembers
from signet.policy.lint.syntax import Rule, branches
from signet.policy.lint.walk import Walk
from signet.policy.lint.world import Place, World, is_function
from signet.policy.listing import CONFIG as CONFIG_NAME
from signet.policy.places import Path
from signet.policy.teams import DENY, PACKAGE, is_of_an_api

#: What the functions of the stack ask the policy for: rules of package ``signet``.
OUTPUTS: Final = frozenset({"action", "reasons", *requirements.OUTPUTS})
#: Names that other policies give to what is called otherwise here.
_OTHERWISE: Final = {"allow": "action", "deny": "reasons", "violation": "reasons", "violations": "reasons"}

#: (file, line, message)
Told = tuple[str, int, str]


def of_heads(world: World) -> Iterator[Told]:
    """Yield what is wrong with the heads of rules."""
    for place, found in world.rules.items():
        defaults = [(file, rule) for file, rule in found if rule.default]
        for file, rule in defaults[1:]:
            first = f"{defaults[0][0]}:{defaults[0][1].line}"
            yield file, rule.line, f"{place.name} has a second default; the first is at {first}"
        kinds: dict[str, str] = {}
        for file, rule in found:
            kind = "a function" if is_function(rule) else "a set" if rule.member is not None else "a value"
            kinds.setdefault(kind, f"{file}:{rule.line}")
            if len(kinds) > 1 and kind != next(iter(kinds)):
                was, where = next(iter(kinds.items()))
                yield file, rule.line, f"{place.name} is {kind} here and {was} at {where}"
                break
    for file, module in world.modules.items():
        for rule in module.rules:
            yield from ((file, branch.line, _rewritten(branch)) for branch in branches(rule) if branch.old)
        for line in module.withs:
            yield file, line, "`with` makes the interpreter abort; write the test as cases, or a function"


def _rewritten(rule: Rule) -> str:
    if rule.path and rule.value is None and rule.args is None:
        return f"this is Rego as before v1; write `{rule.name} contains … if {{`"
    return f"this is Rego as before v1; write `{rule.name} … if {{`"


def unread(world: World, walks: Mapping[str, Walk]) -> Iterator[Told]:
    """Yield the rules that nothing reads: a misspelt output is one."""
    reads = {place for walk in walks.values() for place, reader in walk.reads if place.name != reader}
    whole = {package for walk in walks.values() for package in walk.all_packages_read}
    used = {place.package for place in reads} | whole
    for place, found in world.rules.items():
        file, rule = found[0]
        if is_of_an_api(place.package) and place.package in whole:
            yield from _of_an_api(place, file, rule, is_read=place in reads)
            continue
        if place in reads or place.package in whole:
            continue
        if place.package == (PACKAGE,):
            if place.name not in OUTPUTS:
                other = _OTHERWISE.get(place.name)
                hint = f"; write {other}" if other else nearest(place.name, OUTPUTS)
                yield file, rule.line, f"no rule reads {place.name}, and it is no output of the policy{hint}"
        elif place.package not in used:
            name = ".".join(place.package)
            yield file, rule.line, f"no rule reads the package {name}; the policy is the package {PACKAGE}"
            used.add(place.package)


def _of_an_api(place: Place, file: str, rule: Rule, *, is_read: bool) -> Iterator[Told]:
    """Hold a rule of one API's own package against what the shipped rules ask it for: the set ``deny``."""
    if place.name == DENY:
        if rule.member is None:
            sentence = f'{DENY} is no set of reasons here; write `{DENY} contains "reason" if {{`'
            yield file, rule.line, sentence
    elif not is_read:
        hint = f"; write {DENY} contains" if place.name in {"reasons", *_OTHERWISE} else ""
        hint = hint or nearest(place.name, (DENY,))
        yield file, rule.line, f"no rule reads {place.name}; an API's own rules are asked for {DENY}{hint}"


def unread_data(world: World, words: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """Yield (path, message) for what stands in data files and is read by no rule."""
    for name, value in world.data.items():
        if name == CONFIG_NAME and isinstance(value, dict):
            yield from _config(value, CONFIG, (name,), words)
        elif name not in words:
            yield (name,), f"no rule reads data.{name}{nearest(name, words)}"


def _config(
    value: Mapping[str, Any], table: ConfigMembers, path: tuple[str, ...], words: frozenset[str]
) -> Iterator[tuple[Path, str]]:
    for name, member in value.items():
        within = table.within(name)
        named = table.each is not None or name in table.names or (name in words and not table.closed)
        if not named:
            told = f"nothing reads the member {name!r} of {_shown(path)}{nearest(name, table.names)}"
            yield (*path, name), told
        if within is not None and isinstance(member, dict):
            yield from _config(member, within, (*path, name), words)


def _shown(path: tuple[str, ...]) -> str:
    """Return a path as rules spell it: ``config.apis["my-orders"].routes["GET /x"]``."""
    return path[0] + "".join(f".{name}" if name.isidentifier() else f"[{name!r}]" for name in path[1:])
