"""What a Rego module is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, boolean or null."""

    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class Var:
    """A name."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Ref:
    """``head.a["b"][c]``; a name behind a dot is a ``Scalar``."""

    head: Term
    path: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Call:
    """``name(args)``, and each infix operator under its own sign."""

    name: Term
    args: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Infix:
    """``left op right``; with ``in``, ``key`` may stand before the left."""

    op: str
    left: Term
    right: Term
    line: int
    key: Term | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """An array (``[``), a set (``{``) or a template string (``$``) by its expressions."""

    kind: str
    items: tuple[Term, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """An object."""

    pairs: tuple[tuple[Term, Term], ...]
    line: int


@dataclass(frozen=True, slots=True)
class Comprehension:
    """``[heads[0] | body]``, or with braces; of an object, key and value are its heads."""

    kind: str
    heads: tuple[Term, ...]
    body: Body
    line: int


Term: TypeAlias = Scalar | Var | Ref | Call | Infix | Items | Pairs | Comprehension


@dataclass(frozen=True, slots=True)
class Expr:
    """A statement: it holds if its term is neither undefined nor false."""

    term: Term
    line: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Some:
    """``some a, b``: names, before they are used."""

    names: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class SomeIn:
    """``some key, value in collection``."""

    patterns: tuple[Term, ...]
    collection: Term
    line: int


@dataclass(frozen=True, slots=True)
class Every:
    """``every key, value in collection { body }``."""

    names: tuple[str, ...]
    collection: Term
    body: Body
    line: int


Literal: TypeAlias = Expr | Some | SomeIn | Every
Body: TypeAlias = tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, or one branch of it.

    Attributes:
        name: its name's first part.
        path: what follows it in its head, such as a key in brackets.
        args: of a function; None if it is none.
        member: behind ``contains``.
        value: None if it is not written, so true.
        body: empty if it holds always.
        default: whether it is a ``default``.
        otherwise: the branch behind ``else``.
        old: whether a body stands there without ``if``, as before Rego v1.
        span: where its head begins, where its condition begins (behind ``if``; the head's place without one),
            and where it all ends, with what is behind ``else``: characters from the module's first on.
    """

    name: str
    path: tuple[Term, ...]
    line: int
    args: tuple[Term, ...] | None = None
    member: Term | None = None
    value: Term | None = None
    body: Body = ()
    default: bool = False
    otherwise: Rule | None = None
    old: bool = False
    span: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Module:
    """A file of rules.

    Attributes:
        package: the parts of its name.
        imports: name → path from ``data`` or ``input`` on.
        rules: in order.
        withs: lines with ``with``.
    """

    package: tuple[str, ...]
    imports: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    withs: tuple[int, ...] = ()


def children(term: Term) -> Iterator[Term]:
    """Yield the terms that stand in a term, but not what is in a comprehension's body."""
    if isinstance(term, Ref):
        yield term.head
        yield from term.path
    elif isinstance(term, Call):
        yield from term.args
    elif isinstance(term, Infix):
        yield from (part for part in (term.key, term.left, term.right) if part is not None)
    elif isinstance(term, Items):
        yield from term.items
    elif isinstance(term, Pairs):
        for pair in term.pairs:
            yield from pair
    elif isinstance(term, Comprehension):
        yield from term.heads


def branches(rule: Rule) -> Iterator[Rule]:
    """Yield a rule and what stands behind its ``else``."""
    branch: Rule | None = rule
    while branch is not None:
        yield branch
        branch = branch.otherwise


def terms_of(branch: Rule) -> Iterator[Term]:
    """Yield the terms of a branch's head: keys, arguments, member, value."""
    yield from branch.path
    yield from branch.args or ()
    yield from (term for term in (branch.member, branch.value) if term is not None)


def texts_of(rule: Rule) -> Iterator[str]:
    """Yield the texts in quotes of a rule, from every place in it."""
    for branch in branches(rule):
        for term in (*terms_of(branch), *_terms_in(branch.body)):
            yield from _texts_in(term)


def _terms_in(body: Body) -> Iterator[Term]:
    for literal in body:
        if isinstance(literal, Expr):
            yield literal.term
        elif isinstance(literal, SomeIn | Every):
            yield literal.collection
            yield from _terms_in(literal.body) if isinstance(literal, Every) else ()


def _texts_in(term: Term) -> Iterator[str]:
    if isinstance(term, Scalar) and isinstance(term.value, str):
        yield term.value
    if isinstance(term, Comprehension):
        for inner in _terms_in(term.body):
            yield from _texts_in(inner)
    for child in term.path if isinstance(term, Ref) and isinstance(term.head, Var) else children(term):
        yield from _texts_in(child)
