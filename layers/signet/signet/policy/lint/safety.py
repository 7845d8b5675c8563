"""Finds variables that never get a value: the safety of openpolicyagent.org/docs/policy-language#safety.

rego-cpp takes them, and what holds one is undefined: the rule never fires, and behind ``not`` it always does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from signet.policy.lint.syntax import (
    Body,
    Call,
    Comprehension,
    Every,
    Expr,
    Infix,
    Items,
    Literal,
    Pairs,
    Ref,
    Rule,
    Some,
    SomeIn,
    Term,
    Var,
    branches,
    children,
)

_WILDCARD: Final = "_"
#: How many arguments a call's name takes, if that is known: one more is where its answer goes.
Arity = Callable[[Term], int | None]


def unsafe(rule: Rule, known: frozenset[str], arity: Arity) -> Iterator[Var]:
    """Yield each variable of a rule that no statement gives a value, once per body.

    Args:
        rule: with its branches.
        known: names that are no variables: rules of the package, imports, ``input`` and ``data``.
        arity: see ``Arity``.
    """
    for branch in branches(rule):
        given = {var.name for arg in branch.args or () for var in variables(arg)}
        heads = [*branch.path, *(part for part in (branch.member, branch.value) if part is not None)]
        body = (*branch.body, *(Expr(head, head.line) for head in heads))
        yield from _Scope(body, known, frozenset(given), arity).unsafe()


def variables(term: Term) -> Iterator[Var]:
    """Yield the variables of a term, not those in its comprehensions, nor names of functions."""
    if isinstance(term, Var):
        if term.name != _WILDCARD:
            yield term
    elif not isinstance(term, Comprehension):
        for child in children(term):
            yield from variables(child)


def _wildcards(term: Term) -> Iterator[Var]:
    if isinstance(term, Var) and term.name == _WILDCARD:
        yield term
    elif not isinstance(term, Comprehension):
        for child in children(term):
            yield from _wildcards(child)


def declared(body: Body) -> frozenset[str]:
    """Return the names that a body makes variables of its own, also where a rule has the same name."""
    found: set[str] = set()
    for literal in body:
        if isinstance(literal, Some):
            found |= set(literal.names)
        elif isinstance(literal, SomeIn):
            found |= {var.name for pattern in literal.patterns for var in _pattern(pattern)}
        elif isinstance(literal, Expr) and isinstance(literal.term, Infix) and literal.term.op == ":=":
            found |= {var.name for var in _pattern(literal.term.left)}
    return frozenset(found)


def closures(term: Term) -> Iterator[Comprehension]:
    """Yield the comprehensions in a term, not those within them."""
    if isinstance(term, Comprehension):
        yield term
    else:
        for child in children(term):
            yield from closures(child)


def terms(literal: Literal) -> tuple[Term, ...]:
    """Return the terms that stand in a statement itself."""
    if isinstance(literal, Expr):
        return (literal.term,)
    if isinstance(literal, SomeIn):
        return (*literal.patterns, literal.collection)
    return (literal.collection,) if isinstance(literal, Every) else ()


def _pattern(term: Term) -> Iterator[Var]:
    """Yield the variables of a term that take a value where it is held against one."""
    if isinstance(term, Var):
        yield from variables(term)
    elif isinstance(term, Items) and term.kind == "[":
        for item in term.items:
            yield from _pattern(item)
    elif isinstance(term, Pairs):
        for _, value in term.pairs:
            yield from _pattern(value)


def _paired(left: Term, right: Term) -> list[tuple[Term, Term]]:
    """Return the elements of two arrays of one length side by side; nothing for other terms."""
    if not isinstance(left, Items) or not isinstance(right, Items) or not left.kind == right.kind == "[":
        return []
    return list(zip(left.items, right.items, strict=True)) if len(left.items) == len(right.items) else []


def _inside(body: Body) -> Iterator[tuple[tuple[Term, ...], Body, frozenset[str]]]:
    """Yield what has a body of its own in a body: its heads, the body, and the names it brings along."""
    for literal in body:
        for term in terms(literal):
            for found in closures(term):
                yield found.heads, found.body, frozenset()
        if isinstance(literal, Every):
            yield (), literal.body, frozenset(literal.names)


def _all_in(body: Iterable[Literal]) -> Iterator[str]:
    """Yield the names of all variables in a body and in the bodies within."""
    for literal in body:
        for term in terms(literal):
            yield from (var.name for var in variables(term))
            yield from _in_closures(term)
        if isinstance(literal, Every):
            yield from set(_all_in(literal.body)) - set(literal.names)


def _in_closures(term: Term) -> Iterator[str]:
    for found in closures(term):
        within = set(_all_in((*found.body, *(Expr(head, head.line) for head in found.heads))))
        yield from within - declared(found.body)


class _Scope:
    """A body, its variables, and which of them have a value so far."""

    def __init__(self, body: Body, known: frozenset[str], given: frozenset[str], arity: Arity) -> None:
        own = declared(body) - given
        self.body, self.known, self.arity = body, known - own - given, arity
        self.safe = set(given)
        self.outer = {var.name for literal in body for term in terms(literal) for var in variables(term)}
        self.outer |= own | given

    def unsafe(self) -> Iterator[Var]:
        pending = list(self.body)
        while True:
            before = len(self.safe)
            left = [literal for literal in pending if not self._bind(literal)]
            if len(left) == len(pending) and len(self.safe) == before:
                break
            pending = left
        seen: set[str] = set()
        for _, missing in (*self._early(), *((literal, self._missing(literal)) for literal in pending)):
            for var in missing:
                if var.name not in seen:
                    seen.add(var.name)
                    yield var
        for heads, body, brought in _inside(self.body):
            own = declared(body)
            given = frozenset((self.safe | self.outer) - own) | brought
            inner = (*body, *(Expr(head, head.line) for head in heads))
            yield from _Scope(inner, self.known, given, self.arity).unsafe()

    def _early(self) -> Iterator[tuple[Literal, list[Var]]]:
        """Yield statements with the variables that only one below them declares: they are undefined."""
        below: frozenset[str] = frozenset()
        found: list[tuple[Literal, list[Var]]] = []
        for literal in reversed(self.body):
            early = sorted(below & set(_all_in((literal,))))
            found.append((literal, [Var(name, literal.line) for name in early]))
            below |= declared((literal,))
        yield from reversed(found)

    def _bind(self, literal: Literal) -> bool:
        """Bind the variables a statement gives a value, if all that it needs has one."""
        if isinstance(literal, Some):
            return True
        term = literal.term if isinstance(literal, Expr) and not literal.negated else None
        if isinstance(term, Infix) and term.op in (":=", "="):
            return self._equation(term.left, term.right, term.op == "=")
        if self._missing(literal):
            return False
        if isinstance(literal, Expr) and literal.negated:
            return True
        if isinstance(literal, SomeIn):
            self.safe |= {var.name for pattern in literal.patterns for var in _pattern(pattern)}
            self.safe |= {var.name for var in self._gives(literal.collection)}
            return True
        self.safe |= {var.name for term in terms(literal) for var in self._gives(term)}
        return True

    def _equation(self, left: Term, right: Term, both: bool) -> bool:  # noqa: FBT001
        pairs = _paired(left, right)
        if pairs:
            settled = [self._equation(*pair, both) for pair in pairs]
            return all(settled)
        for pattern, value in ((left, right), (right, left))[: 1 + both]:
            if not self._lacks(self._needs(value)):
                taken = {var.name for var in _pattern(pattern)}
                self.safe |= {var.name for var in self._gives(value)}
                rest = [var for var in self._needs(pattern) if var.name not in taken | {_WILDCARD}]
                if not self._lacks(rest):
                    self.safe |= taken | {var.name for var in self._gives(pattern)}
                    return True
        return False

    def _missing(self, literal: Literal) -> list[Var]:
        if isinstance(literal, Expr):
            if isinstance(literal.term, Infix) and literal.term.op in (":=", "=") and not literal.negated:
                sides = (*self._needs(literal.term.left), *self._needs(literal.term.right))
                return self._lacks(var for var in sides if var.name != _WILDCARD) or self._lacks(sides)
            needed = [*self._needs(literal.term)]
            if literal.negated:  # it binds no variable: all in it have a value before
                needed += (*self._gives(literal.term), *_wildcards(literal.term))
            return self._lacks(needed)
        if isinstance(literal, SomeIn):
            taken = {var.name for pattern in literal.patterns for var in _pattern(pattern)}
            taken.add(_WILDCARD)
            rest = [v for pattern in literal.patterns for v in self._needs(pattern) if v.name not in taken]
            return self._lacks([*rest, *self._needs(literal.collection)])
        if isinstance(literal, Every):
            shared = set(_all_in(literal.body)) - set(literal.names) - declared(literal.body)
            within = [Var(name, literal.line) for name in sorted(shared & self.outer)]
            return self._lacks([*self._needs(literal.collection), *within])
        return []

    def _lacks(self, needed: Iterable[Var]) -> list[Var]:
        return [var for var in needed if var.name not in self.safe and var.name not in self.known]

    def _needs(self, term: Term) -> Iterator[Var]:
        """Yield the variables that need a value before the term has one."""
        if isinstance(term, Var):
            yield term
        elif isinstance(term, Comprehension):
            shared = set(_in_closures(term)) & self.outer
            yield from (Var(name, term.line) for name in sorted(shared))
        elif isinstance(term, Ref):
            yield from self._needs(term.head)
            for part in term.path:
                looked_up = {var.name for var in _pattern(part)} | {_WILDCARD}
                yield from (var for var in self._needs(part) if var.name not in looked_up)
        elif isinstance(term, Call):
            for arg in self._arguments(term):
                yield from self._needs(arg)
        else:
            for child in children(term):
                yield from self._needs(child)

    def _gives(self, term: Term) -> Iterator[Var]:
        """Yield the variables that a term goes through the values of."""
        if isinstance(term, Ref):
            for part in term.path:
                yield from _pattern(part)
        if isinstance(term, Call):
            for answer in term.args[len(self._arguments(term)) :]:
                yield from _pattern(answer)
        if not isinstance(term, Comprehension):
            for child in children(term):
                yield from self._gives(child)

    def _arguments(self, call: Call) -> tuple[Term, ...]:
        takes = self.arity(call.name)
        return call.args if takes is None or len(call.args) != takes + 1 else call.args[:takes]
