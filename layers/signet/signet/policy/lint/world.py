"""A policy's modules together: which names stand for what in which of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from signet.policy.lint import builtins
from signet.policy.lint.shapes import CONFIG, Known, Shape, input_shape
from signet.policy.lint.syntax import Call, Module, Ref, Rule, Scalar, Term, Var, branches, texts_of

Package = tuple[str, ...]
_ROOTS: Final = frozenset({"input", "data"})


@dataclass(frozen=True, slots=True)
class Place:
    """A rule's name in its package."""

    package: Package
    name: str


class World:
    """What the modules of a policy and its data files define.

    Attributes:
        modules: file name → module.
        rules: place → (file name, rule), in order.
        data: what the JSON files hold.
        input: the input's shape.
        texts: all that stand in quotes in the rules.
        is_ascii: whether all texts in rules and data are ASCII.
    """

    def __init__(
        self,
        modules: Mapping[str, Module],
        data: Mapping[str, Any],
        routes: Mapping[str, Any],
        *,
        is_ascii: bool,
    ) -> None:
        self.modules, self.data, self.routes = modules, data, routes
        self.rules: dict[Place, list[tuple[str, Rule]]] = defaultdict(list)
        for file, module in modules.items():
            for rule in module.rules:
                self.rules[Place(module.package, rule.name)].append((file, rule))
        self.texts = {text for module in modules.values() for rule in module.rules for text in texts_of(rule)}
        self.packages = {module.package for module in modules.values()}
        self.input: Shape = input_shape(routes, data, self.texts)
        self.known_data = Known((data,), "data")
        self.is_ascii = is_ascii

    def names_in(self, module: Module) -> frozenset[str]:
        """Return the names that are no variables in a module."""
        own = {place.name for place in self.rules if place.package == module.package}
        return frozenset(own | module.imports.keys() | _ROOTS)

    def config(self, known: Known) -> Known:
        """Return what a path leads to, with the table of ``data.config`` where it is that."""
        return Known(known.values, known.path, CONFIG) if known.path == "data.config" else known

    def place(self, module: Module, term: Term) -> tuple[Place, tuple[Term, ...]] | None:
        """Return the rule that a term names, and what follows it; None if it names none."""
        head, path = full(module, term)
        if isinstance(head, Var) and head.name == "data":
            names = []
            for part in path:
                if not isinstance(part, Scalar) or not isinstance(part.value, str):
                    break
                names.append(part.value)
            for length in range(len(names) - 1, 0, -1):
                place = Place(tuple(names[:length]), names[length])
                if place in self.rules:
                    return place, path[length + 1 :]
            return None
        if isinstance(head, Var) and (place := Place(module.package, head.name)) in self.rules:
            return place, path
        return None

    def one_value(self, place: Place) -> tuple[str, Rule] | None:
        """Return the rule at a place if its value stands in one term, on any condition."""
        found = self.rules[place]
        if len(found) != 1:
            return None
        rule = found[0][1]
        plain = rule.value is not None and rule.otherwise is None and rule.member is None
        return found[0] if plain and rule.args is None and not rule.path and not rule.default else None

    def arity(self, module: Module, name: Term) -> int | None:
        """Return how many arguments a function takes."""
        found = self.place(module, name)
        if found is not None:
            rule = self.rules[found[0]][0][1]
            return None if rule.args is None else len(rule.args)
        return builtins.ARITY.get(dotted(name))


def full(module: Module, term: Term) -> tuple[Term, tuple[Term, ...]]:
    """Return head and path of a term, an import's name replaced by what was imported."""
    head, path = (term.head, term.path) if isinstance(term, Ref) else (term, ())
    if isinstance(head, Var) and head.name in module.imports:
        first, *rest = module.imports[head.name]
        return Var(first, head.line), (*(Scalar(part, head.line) for part in rest), *path)
    return head, path


def dotted(name: Term) -> str:
    """Return a function's name with its dots; empty if it is no name."""
    head, path = (name.head, name.path) if isinstance(name, Ref) else (name, ())
    parts = [part.value for part in path if isinstance(part, Scalar) and isinstance(part.value, str)]
    return ".".join([head.name, *parts]) if isinstance(head, Var) and len(parts) == len(path) else ""


def is_function(rule: Rule) -> bool:
    """Say whether a rule is a function."""
    return any(branch.args is not None for branch in branches(rule))


def called(term: Term) -> str:
    """Return the dotted name of the function that a term calls; empty if it is no call."""
    return dotted(term.name) if isinstance(term, Call) else ""
