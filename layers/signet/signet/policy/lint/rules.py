"""Finds what is wrong with whole rules: unread ones, two defaults, kinds that do not mix, the old syntax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from signet.policy.lint.scope import nearest
from signet.policy.lint.shapes import CONFIG, ConfigMembers
from signet.policy.lint.syntax import Rule, branches
from signet.policy.lint.walk import Walk
from signet.policy.lint.world import World, is_function
from signet.policy.rego import PACKAGE

#: What the functions of the stack ask the policy for: rules of package ``signet``.
OUTPUTS: Final = frozenset(
    {
        "action", "reasons", "minimum_binding", "allowed_algorithms", "header_budget", "ladder",
        "classical_fallback", "latency_objective_ms", "availability_floor_ppm", "breaker",
        "required_components", "backend",
    }
)  # fmt: skip
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


def unread_data(world: World, words: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (member, message) for what stands in data files and is read by no rule."""
    for name, value in world.data.items():
        if name == "config" and isinstance(value, dict):
            yield from _config(value, CONFIG, "config", words)
        elif name not in words:
            yield name, f"no rule reads data.{name}{nearest(name, words)}"


def _config(
    value: Mapping[str, Any], table: ConfigMembers, path: str, words: frozenset[str]
) -> Iterator[tuple[str, str]]:
    for name, member in value.items():
        within = table.within(name)
        named = table.each is not None or name in table.names or (name in words and not table.closed)
        if not named:
            yield name, f"nothing reads the member {name!r} of {path}{nearest(name, table.names)}"
        if within is not None and isinstance(member, dict):
            yield from _config(
                member, within, f"{path}.{name}" if table.each is None else f"{path}[{name!r}]", words
            )
