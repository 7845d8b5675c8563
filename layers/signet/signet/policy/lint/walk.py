"""Goes through every term of a module; holds it against the input, the data, the routes and the functions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any, Final

from signet.core.client import KEYID, LABEL_VALUE, ROLE
from signet.core.vocabulary import FIELD_NAME, METHOD_NAMES
from signet.policy.lint.meaning import of_term
from signet.policy.lint.safety import terms, variables
from signet.policy.lint.scope import Bound, Names, Reader, bindings, constants, inside_every, nearest
from signet.policy.lint.shapes import Known, Shape, kind_of
from signet.policy.lint.syntax import (
    Body,
    Call,
    Comprehension,
    Every,
    Expr,
    Infix,
    Items,
    Module,
    Ref,
    Rule,
    Scalar,
    Some,
    Term,
    Var,
    branches,
    children,
)
from signet.policy.lint.uses import of_call
from signet.policy.lint.world import Place, World, called, dotted, full

_COMPARED: Final = frozenset({"==", "!=", "=", "<", "<=", ">", ">="})
_EQUAL: Final = frozenset({"==", "!=", "="})
_ROUTE: Final = re.compile(rf"(?:{'|'.join(METHOD_NAMES)}|ANY) /\S*")
_CASES: Final[dict[str, Callable[[str], str]]] = {"lower": str.lower, "upper": str.upper}
# What the authorizer lets through at all.
_FORMS: Final = {
    "input.principal.keyid": KEYID,
    "input.principal.roles[_]": ROLE,
    "input.principal.labels[_]": LABEL_VALUE,
    "input.evidence.sha256": re.compile(r"[0-9a-f]{64}"),
    "input.path": re.compile(r"/\S*"),
    "input.source.ip": re.compile(r"[0-9a-f.:]+"),
    "input.covered[_]": re.compile(rf"@[a-z-]+|{FIELD_NAME.pattern}"),
}
# Texts that are ordered as what they say, if both sides have this form.
_ORDERED: Final = {
    "input.time.rfc3339": (
        re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        "a time in UTC, in whole seconds, as in 2027-01-01T00:00:00Z",
    ),
    "input.time.date": (re.compile(r"\d{4}-\d\d-\d\d"), "a date as in 2027-01-01"),
}
_PART_OF: Final[dict[str, Callable[[str, str], bool]]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
    "strings.any_prefix_match": str.startswith,
    "strings.any_suffix_match": str.endswith,
}


class Walk:
    """One module's terms.

    Attributes:
        found: (line, message), in order.
        reads: places of the rules that were named, each with the name of the rule that names it.
        words: names and texts in the module that may name a member of the data.
    """

    def __init__(self, world: World, module: Module) -> None:
        self.world, self.module, self.reader = world, module, Reader(world, module)
        self.found: dict[tuple[int, str], None] = {}
        self.reads: set[tuple[Place, str]] = set()
        self.words: set[str] = set()
        self.all_packages_read: set[tuple[str, ...]] = set()
        self._told: set[int] = set()
        self._rule = ""

    def go(self) -> None:
        """Go through all rules."""
        for rule in self.module.rules:
            self._rule = rule.name
            for branch in branches(rule):
                self._branch(branch)

    def tell(self, message: str, line: int) -> None:
        """Take down what is wrong."""
        self.found.setdefault((line, message))

    def _branch(self, branch: Rule) -> None:
        given = {var.name: Bound() for arg in branch.args or () for var in variables(arg)}
        names = bindings(branch.body, given)
        self._body(branch.body, names)
        for arg in branch.args or ():
            self._words(arg)
        for head in (*branch.path, branch.member, branch.value):
            if head is not None:
                self._as_value(head)
                self._term(head, names)

    def _body(self, body: Body, names: Names) -> None:
        for literal in body:
            if isinstance(literal, Some):
                continue
            for term in terms(literal):
                self._term(term, names)
            if isinstance(literal, Every):
                inner = bindings(literal.body, inside_every(literal, names))
                self._body(literal.body, inner)
            if isinstance(literal, Expr):
                self._statement(literal, names)

    def _statement(self, literal: Expr, names: Names) -> None:
        """Find what always holds, or never: null counts as true."""
        if isinstance(literal.term, Scalar) and (literal.term.value is False) != literal.negated:
            self.tell("this never holds, for any input; take the rule out instead", literal.line)
        what = self.reader.what(literal.term, names)
        if isinstance(what, Shape) and what.nullable:
            member = next(iter(what.members), "")
            better = (
                f"write {'not ' * literal.negated}{what.path}.{member}" if member else "compare it with null"
            )
            always = "never" if literal.negated else "always"
            self.tell(
                f"{what.path} can be null, which counts as true, so this {always} holds; {better}",
                literal.line,
            )

    def _term(self, term: Term, names: Names) -> None:
        self._meant(term)
        if isinstance(term, Infix) and term.op in _COMPARED:
            self._compared(term.op, term.left, term.right, names)
            self._compared(term.op, term.right, term.left, names)
        elif isinstance(term, Infix) and term.op == "in":
            self._member(term, names)
        elif isinstance(term, Call):
            self._call(term, names)
        if isinstance(term, Var | Ref):
            self._read(term, names)
            self.reader.what(term, names, self.tell)
        if isinstance(term, Comprehension):
            inner = bindings(term.body, names)
            self._body(term.body, inner)
            for head in term.heads:
                self._term(head, inner)
            return
        self._literal(term)
        for child in self._parts(term):
            self._term(child, names)

    def _meant(self, term: Term) -> None:
        """Find what the language means otherwise here than in OPA."""
        for message in of_term(term):
            self.tell(message, term.line)
        for part in term.heads if isinstance(term, Comprehension) else children(term):
            self._as_value(part)

    def _as_value(self, term: Term) -> None:
        """Find a call whose value is asked, with one argument too many: it would take the value."""
        takes = self.world.arity(self.module, term.name) if isinstance(term, Call) else None
        if isinstance(term, Call) and takes is not None and len(term.args) > takes:
            self.tell(f"{dotted(term.name)} takes {takes} arguments, not {len(term.args)}", term.line)

    def _parts(self, term: Term) -> Iterable[Term]:
        """Return the terms within one that are looked at for themselves."""
        if isinstance(term, Ref):
            within = term.head if not isinstance(term.head, Var) else None
            return (*((within,) if within is not None else ()), *self._steps_of(term))
        if called(term) == "concat" and isinstance(term, Call) and called(term.args[-1]) == "sort":
            return (*term.args[:-1], *children(term.args[-1]))  # what is joined are texts, and those it sorts
        return tuple(children(term))

    def _steps_of(self, term: Ref) -> Iterable[Term]:
        """Return the path of a reference; names of the input are left out: they read nothing in the data."""
        head, _ = full(self.module, term)
        if isinstance(head, Var) and head.name == "input":
            return (part for part in term.path if not isinstance(part, Scalar))
        return term.path

    def _read(self, term: Term, names: Names) -> None:
        local = term.head if isinstance(term, Ref) else term
        if isinstance(local, Var) and local.name in names:
            self._words(term)
            return
        found = self.world.place(self.module, term)
        if found is not None:
            self.reads.add((found[0], self._rule))
        head, path = full(self.module, term)
        if isinstance(head, Var) and head.name == "data" and found is None:
            known = takewhile(lambda part: isinstance(part, Scalar), path)
            start = tuple(part.value for part in known if isinstance(part, Scalar))
            self.all_packages_read |= {name for name in self.world.packages if name[: len(start)] == start}
        if not (isinstance(head, Var) and head.name == "input"):
            for part in path:
                self._words(part)

    def _words(self, term: Term) -> None:
        if isinstance(term, Scalar) and isinstance(term.value, str):
            self.words.add(term.value)
        for child in children(term):
            self._words(child)

    def _literal(self, term: Term) -> None:
        if not isinstance(term, Scalar) or not isinstance(term.value, str):
            return
        self.words.add(term.value)
        if id(term) in self._told or not _ROUTE.fullmatch(term.value):
            return
        routes = self.world.input.members["route"].values or ()
        if not any(route.startswith(term.value) for route in routes):
            self.tell(_no_route(term.value, routes), term.line)

    def _compared(self, op: str, left: Term, right: Term, names: Names) -> None:
        what = self.reader.what(left, names)
        if op in _EQUAL and called(left) in _CASES:
            self._cased(called(left), constants(self.reader, right, names, each=False))
        if not isinstance(what, Shape):
            return
        for constant in constants(self.reader, right, names, each=False):
            self._one(what, constant, right, equal=op in _EQUAL)
        self._ordered(what, right, names)

    def _ordered(self, what: Shape, right: Term, names: Names) -> None:
        """Find texts of another form than those of the input that they are held against."""
        start, zones, rest = what.path.partition(".zones")
        place = f"{start}.{rest.rpartition('.')[2]}" if zones else start
        if place not in _ORDERED:
            return
        form, better = _ORDERED[place]
        known = self.reader.what(right, names)
        values = [constant.value for constant in constants(self.reader, right, names, each=False)]
        values += known.values if isinstance(known, Known) else ()
        for value in values:
            if not isinstance(value, str) or not form.fullmatch(value):
                named = f"{known.path} has {_shown(value)}" if isinstance(known, Known) else _shown(value)
                self.tell(f"{what.path} does not compare with {named}: write {better}", right.line)

    def _cased(self, name: str, compared: Iterable[Scalar]) -> None:
        """Find texts that ``lower`` or ``upper`` never gives."""
        for constant in compared:
            if isinstance(constant.value, str) and _CASES[name](constant.value) != constant.value:
                self.tell(f"{name} never gives {constant.value!r}", constant.line)

    def _one(self, what: Shape, constant: Scalar, told: Term, *, equal: bool) -> None:
        kind = kind_of(constant.value)
        if kind != what.kind and not (kind == "null" and what.nullable):
            within = f"; hold {_one_of(what)} against it" if what.members else ""
            self.tell(
                f"{what.path} is never {_shown(constant.value)}: it is {what.kind}{within}", constant.line
            )
            return
        form = _FORMS.get(what.path) if equal and isinstance(constant.value, str) else None
        if form is not None and not form.fullmatch(constant.value):
            self.tell(f"{what.path} never has this form: {constant.value!r}", constant.line)
        other = what.values is not None and constant.value not in {*what.values, None}
        if equal and other and not self._is_told(what, constant.value):
            self._told |= {id(told), id(constant)}
            self.tell(_never(what, constant.value), constant.line)

    def _is_told(self, what: Shape, value: Any) -> bool:
        """Say whether a route is found where it is written, since it cannot even be the beginning of one."""
        return (
            what.path == "input.route"
            and _ROUTE.fullmatch(value) is not None
            and value in self.world.texts
            and not any(route.startswith(value) for route in what.values or ())
        )

    def _member(self, term: Infix, names: Names) -> None:
        for constant in constants(self.reader, term.right, names, each=False):
            kind = kind_of(constant.value)
            hint = "; write contains or startswith, or the texts in braces" if kind == "text" else ""
            self.tell(f"nothing is in {_shown(constant.value)}: it is {kind}{hint}", constant.line)
        within, left = self.reader.what(term.right, names), self.reader.what(term.left, names)
        if isinstance(within, Shape):
            if within.kind != "array":
                hint = "; write contains or startswith" if within.kind == "text" else ""
                self.tell(f"nothing is in {within.path}: it is {within.kind}{hint}", term.line)
            elif within.items is not None:
                for constant in constants(self.reader, term.left, names, each=False):
                    self._one(within.items, constant, term.left, equal=True)
        if isinstance(left, Shape) and left.kind in {"text", "number"}:
            for constant in constants(self.reader, term.right, names, each=True):
                self._one(left, constant, term.right, equal=True)

    def _call(self, call: Call, names: Names) -> None:
        head = call.name.head if isinstance(call.name, Ref) else call.name
        if isinstance(head, Var) and head.name in names:
            return
        for message in of_call(self.reader, call, names):
            self.tell(message, call.line)
        found = self.world.place(self.module, call.name)
        if found is not None:
            self.reads.add((found[0], self._rule))
        name = called(call)
        if name in _PART_OF and len(call.args) > 1:
            self._part_of(name, call, names)
        if name == "object.get" and len(call.args) > 1:
            self._got(call, names)

    def _part_of(self, name: str, call: Call, names: Names) -> None:
        """Find what no value that can stand there begins with, ends with or holds."""
        what = self.reader.what(call.args[0], names)
        if not isinstance(what, Shape) or what.values is None:
            return
        parts = constants(self.reader, call.args[1], names, each=False)
        for part in parts or constants(self.reader, call.args[1], names, each=True):
            if isinstance(part.value, str) and not any(_PART_OF[name](v, part.value) for v in what.values):
                self._told.add(id(part))
                self.tell(
                    f"{name} never holds: no {what.path.rpartition('.')[2]} is like {part.value!r}", part.line
                )

    def _got(self, call: Call, names: Names) -> None:
        """Follow the path of ``object.get`` through the input."""
        what = self.reader.what(call.args[0], names)
        path = call.args[1]
        parts = path.items if isinstance(path, Items) and path.kind == "[" else (path,)
        if isinstance(what, Shape):
            self.reader._steps(what, tuple(parts), self.tell)  # noqa: SLF001 - its own step, from another head


def _one_of(what: Shape) -> str:
    """Return the first member of an object that is likely meant, in full."""
    return f"{what.path}.{next(iter(what.members))}"


def _never(what: Shape, value: Any) -> str:
    if what.path == "input.route":
        return _no_route(str(value), what.values or ())
    there = sorted(what.values or ())
    return f"{what.path} is never {value!r}; it is one of {', '.join(there)}"


def _no_route(value: str, routes: Iterable[str]) -> str:
    return f"config.json lists no route {value!r}{nearest(value, routes)}"


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else json.dumps(value)
