"""What the names in a body stand for, as far as it can be told without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from signet.policy.lint.safety import declared
from signet.policy.lint.shapes import Known, Shape
from signet.policy.lint.syntax import (
    Body,
    Call,
    Every,
    Expr,
    Infix,
    Items,
    Module,
    Pairs,
    Ref,
    Scalar,
    SomeIn,
    Term,
    Var,
)
from signet.policy.lint.world import World, called, full
from signet.policy.teams import is_of_an_api
from signet.policy.wanted import INPUT_HEADERS, TIME_ZONES

#: What is known of a value; None if nothing is.
What = Shape | Known | None
#: Takes what is wrong about a step, and the line.
Tell = Callable[[str, int], None]
_MAX_STEPS: Final = 20
_NUMBERS: Final = frozenset({"+", "*", "/", "%"})
_WHOLE: Final = frozenset({"count", "ceil", "floor", "round", "strings.count"})


@dataclass(frozen=True, slots=True)
class Bound:
    """What a variable was bound to: a term (``:=``), or each member of one (``in``); None if not known."""

    term: Term | None = None
    member: bool = False


Names = Mapping[str, Bound]


def bindings(body: Body, outer: Names) -> Names:
    """Return what the variables of a body are bound to; those of the bodies around it stay known."""
    found: dict[str, Bound] = {**outer, **{name: Bound() for name in declared(body)}}
    times: dict[str, int] = {}
    for literal in body:
        for name, bound in _bound_by(literal):
            times[name] = times.get(name, 0) + 1
            found[name] = bound if times[name] == 1 else Bound()
    return found


def _bound_by(literal: object) -> Iterator[tuple[str, Bound]]:
    if isinstance(literal, Expr) and isinstance(literal.term, Infix) and literal.term.op == ":=":
        if isinstance(literal.term.left, Var):
            yield literal.term.left.name, Bound(literal.term.right)
    elif isinstance(literal, SomeIn) and isinstance(literal.patterns[-1], Var):
        yield literal.patterns[-1].name, Bound(literal.collection, member=True)


def inside_every(every: Every, outer: Names) -> Names:
    """Return what the variables of an ``every`` are bound to in its body."""
    names = {name: Bound() for name in every.names}
    return {**outer, **names, every.names[-1]: Bound(every.collection, member=True)}


class Reader:
    """Tells what a term can be, in one module.

    Attributes:
        world: the whole policy.
        module: the one that the terms stand in.
    """

    def __init__(self, world: World, module: Module) -> None:
        self.world, self.module = world, module

    def what(self, term: Term, names: Names, tell: Tell | None = None, depth: int = 0) -> What:
        """Return what is known of a term's value; ``tell`` hears of steps that lead nowhere."""
        if depth > _MAX_STEPS:
            return None
        if isinstance(term, Infix) and term.op in _NUMBERS:
            return Shape("number", path="this")
        if isinstance(term, Call):
            return Shape("number", path=called(term)) if called(term) in _WHOLE else None
        if not isinstance(term, Var | Ref):
            return None
        local = term.head if isinstance(term, Ref) else term
        if isinstance(local, Var) and local.name in names:
            path = term.path if isinstance(term, Ref) else ()
            return self._steps(self._local(names[local.name], names, depth), path, tell)
        return self._global(term, names, tell, depth)

    def _local(self, bound: Bound, names: Names, depth: int) -> What:
        if bound.term is None:
            return None
        what = self.what(bound.term, names, depth=depth + 1)
        if not bound.member:
            return what
        return what.any() if isinstance(what, Known) else what.items if isinstance(what, Shape) else None

    def _global(self, term: Term, names: Names, tell: Tell | None, depth: int) -> What:
        found = self.world.place(self.module, term)
        if found is not None:
            place, rest = found
            one = self.world.one_value(place)
            if one is None or one[1].value is None:
                return None
            file, rule = one
            reader = Reader(self.world, self.world.modules[file])
            return self._steps(
                reader.what(one[1].value, bindings(rule.body, {}), depth=depth + 1), rest, tell
            )
        head, path = full(self.module, term)
        if isinstance(head, Var) and head.name == "input":
            return self._steps(self.world.input, path, tell)
        if isinstance(head, Var) and head.name == "data":
            return self._data(path, term.line, tell)
        return (
            None
            if isinstance(head, Var)
            else self._steps(self.what(head, names, depth=depth + 1), path, tell)
        )

    def _data(self, path: tuple[Term, ...], line: int, tell: Tell | None) -> What:
        first = path[0] if path else None
        if not isinstance(first, Scalar) or first.value in self.world.data:
            return self._steps(self.world.known_data, path, tell) if path else None
        names = tuple(part.value for part in path if isinstance(part, Scalar))
        if any(package[: len(names)] == names for package in self.world.packages) or is_of_an_api(names):
            return None  # a package as a whole; of an API there need not be one
        if tell is not None:
            there = [*self.world.data, *(".".join(package) for package in self.world.packages)]
            tell(f"no file defines data.{'.'.join(map(str, names))}{nearest(str(names[0]), there)}", line)
        return None

    def _steps(self, what: What, path: tuple[Term, ...], tell: Tell | None) -> What:
        for part in path:
            if what is None:
                return None
            reason, what = _in_input(what, part) if isinstance(what, Shape) else self._in_data(what, part)
            if reason and tell is not None:
                tell(reason, part.line)
        return what

    def _in_data(self, known: Known, part: Term) -> tuple[str, What]:
        if isinstance(part, Scalar) and isinstance(part.value, str):
            found = known.member(part.value)
            if found is not None:
                return "", self.world.config(found)
            if known.optional(part.value) or not known.values:
                return "", None
            name = f"{known.path}.{part.value}"
            return f"no file defines {name}{nearest(part.value, known.names)}", None
        found = known.any()
        if not found.values and not any(isinstance(value, dict | list) for value in known.values):
            return f"{known.path} has no members", None
        return "", found if found.values else None


def _in_input(shape: Shape, part: Term) -> tuple[str, What]:
    if shape.kind == "array" and (not isinstance(part, Scalar) or type(part.value) is int):
        return "", shape.items
    if shape.kind == "object" and not isinstance(part, Scalar):
        return "", shape.each
    asked = part.value if isinstance(part, Scalar) else "[…]"
    if shape.kind != "object":
        return f"{shape.path} is {_a(shape.kind)} and has no member {asked!r}", None
    if not isinstance(asked, str):
        return f"there is no {shape.path}.{asked}{instead(shape, str(asked))}", None
    return _member(shape, asked)


def _member(shape: Shape, asked: str) -> tuple[str, What]:
    if asked in shape.members:
        return "", shape.members[asked]
    if shape.each is None:
        return f"there is no {shape.path}.{asked}{instead(shape, asked)}", None
    if shape.names is not None and not shape.names.fullmatch(asked):
        return f"no member of {shape.path} is called {asked!r}: such names are in lower case", None
    return "", shape.each


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeio" else f"a {kind}"


def instead(shape: Shape, asked: str) -> str:
    """Return what to write for a member that an object of the input has not."""
    from signet.policy.lint.shapes import ELSEWHERE  # noqa: PLC0415

    there = sorted(shape.members)
    hint = ELSEWHERE.get(asked, "")
    if hint.partition(".")[0] in shape.members:
        return f"; write {shape.path}.{hint}"
    if shape.path == "input.headers":
        return f"; name it in config.{INPUT_HEADERS}, in lower case" + nearest(asked, there)
    if shape.path == "input.time.zones":
        return f"; name it in config.{TIME_ZONES}" + nearest(asked, there)
    if not there:
        return "; no route that the policy lists has any"
    return nearest(asked, there) or f"; it has {', '.join(there)}"


def nearest(word: str, there: object) -> str:
    """Return ``; did you mean …?`` if one of the names is like the word."""
    from difflib import get_close_matches  # noqa: PLC0415

    found = get_close_matches(word, list(there), n=1)  # type: ignore[call-overload]
    return f"; did you mean {found[0]}?" if found else ""


def constants(reader: Reader, term: Term, names: Names, *, each: bool) -> list[Scalar]:
    """Return the constants that a term is, or of which it is a collection (``each``).

    They come from the term itself, from a rule that is no more than that, and of a collection from the data.
    None are returned if it is not known.
    """
    if isinstance(term, Scalar):
        return [] if each else [term]
    items: tuple[Term, ...] = ()
    if each and isinstance(term, Items):
        items = term.items
    elif each and isinstance(term, Pairs):
        items = tuple(value for _, value in term.pairs)
    elif isinstance(term, Var | Ref) and not (isinstance(term, Var) and term.name in names):
        found = reader.world.place(reader.module, term)
        one = reader.world.one_value(found[0]) if found is not None and not found[1] else None
        if one is not None and not one[1].body and one[1].value is not None:
            inner = Reader(reader.world, reader.world.modules[one[0]])
            return [Scalar(c.value, term.line) for c in constants(inner, one[1].value, {}, each=each)]
        what = reader.what(term, names)
        if each and isinstance(what, Known):
            values = what.any().values
            return [Scalar(value, term.line) for value in values if not isinstance(value, dict | list)]
    return [item for item in items if isinstance(item, Scalar)]
