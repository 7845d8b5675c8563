"""Holds calls against the table of functions; lets pass what the interpreter's differences do not touch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from signet.policy.lint import builtins
from signet.policy.lint.scope import Names, Reader, bindings, nearest
from signet.policy.lint.shapes import Known, Shape
from signet.policy.lint.syntax import Call, Comprehension, Items, Pairs, Scalar, Term
from signet.policy.lint.world import called, dotted, is_function
from signet.policy.rego import IMPURE

# Patterns that std::regex and Go's RE2 read alike, as far as they were measured: no groups with options, no
# possessive or lazy-on-lazy marks, no anchors but ^ and $, no classes beyond \d \w \s \b and their opposites.
_PLAIN: Final = re.compile(
    r"(?:[^\\(?*+]|\\[dwsbDWSB.\-/+*?()\[\]{}^$|]|\((?!\?)|\(\?:|[?*+](?![+*]))*", re.ASCII
)
_FORMAT: Final = re.compile(r"%(.?)", re.DOTALL)
_Clear = Callable[[Reader, tuple[Term, ...], Names], bool]


def of_call(reader: Reader, call: Call, names: Names) -> Iterator[str]:
    """Yield what is wrong with the function that is called."""
    name = dotted(call.name)
    found = reader.world.place(reader.module, call.name)
    if found is not None:
        rule = reader.world.rules[found[0]][0][1]
        if found[1] or not is_function(rule):
            yield f"{name} is a rule, not a function"
        elif not len(rule.args or ()) <= len(call.args) <= len(rule.args or ()) + 1:
            yield f"{name} takes {len(rule.args or ())} arguments, not {len(call.args)}"
        return
    if name in {"set", ""} or name in IMPURE:  # refused in words of their own, before anything else is read
        return
    takes = builtins.ARITY.get(name)
    if name in builtins.LACKING or takes is None:
        yield _unknown(reader, name)
    elif not takes <= len(call.args) <= takes + 1:
        yield f"{name} takes {takes} arguments, not {len(call.args)}"
    elif name in builtins.UNMEASURED:
        yield f"{name} was not measured against OPA, so no policy uses it; write the facts into a data file"
    elif name in builtins.DIFFERS and not _ordinary(reader, name, call, names):
        yield f"{name} answers otherwise than in OPA: {builtins.DIFFERS[name][1]}"


def _unknown(reader: Reader, name: str) -> str:
    known = [*builtins.ARITY, *(place.name for place in reader.world.rules)]
    lacking = "the interpreter has no function" if name in builtins.LACKING else "there is no function"
    other = builtins.INSTEAD.get(name)
    return f"{lacking} {name}" + (f"; {other}" if other else nearest(name, known))


def _ordinary(reader: Reader, name: str, call: Call, names: Names) -> bool:
    """Say whether a call keeps clear of where the function differs."""
    clear = _CLEAR.get(name)
    return clear is not None and clear(reader, call.args, names)


def _pattern_at(place: int) -> _Clear:
    return lambda reader, args, names: _texts(reader, args[place], names, _is_plain)


def _not_empty_at(place: int) -> _Clear:
    return lambda reader, args, names: _texts(reader, args[place], names, bool)


def _is_replaced(reader: Reader, args: tuple[Term, ...], names: Names) -> bool:
    return _pattern_at(1)(reader, args, names) and _texts(reader, args[2], names, _is_replacement)


def _texts(reader: Reader, term: Term, names: Names, holds: Any) -> bool:
    """Say whether something holds for a text: for one in quotes, or for all that it can be."""
    if isinstance(term, Scalar):
        return isinstance(term.value, str) and bool(holds(term.value))
    what = reader.what(term, names)
    return isinstance(what, Known) and all(isinstance(value, str) and holds(value) for value in what.values)


def _is_plain(pattern: str) -> bool:
    if not pattern.isascii() or _PLAIN.fullmatch(pattern) is None:
        return False
    try:
        re.compile(pattern)  # what does not even compile here matches nothing there
    except re.error:
        return False
    return True


def _is_replacement(text: str) -> bool:
    return re.search(r"\$\{|\\", text) is None


def _in_order(reader: Reader, term: Term, names: Names) -> bool:
    if isinstance(term, Items):
        return term.kind == "["
    what = reader.what(term, names)
    if isinstance(what, Shape):
        return what.kind == "array"
    return called(term) in {"sort", "split"} or isinstance(what, Known)


def _holds_texts(reader: Reader, term: Term, names: Names) -> bool:
    if isinstance(term, Items):
        return all(isinstance(item, Scalar) and isinstance(item.value, str) for item in term.items)
    if isinstance(term, Comprehension):
        return _is_text(reader, term.heads[0], bindings(term.body, names))
    what = reader.what(term, names)
    if isinstance(what, Known):
        return all(isinstance(value, str) for value in what.any().values)
    if isinstance(what, Shape):
        return what.items is not None and what.items.kind == "text"
    return called(term) == "split" or _is_set_of_texts(reader, term)


def _is_set_of_texts(reader: Reader, term: Term) -> bool:
    """Say whether a term names a rule whose members are all texts in quotes or from the input."""
    found = reader.world.place(reader.module, term)
    if found is None or found[1]:
        return False
    for file, rule in reader.world.rules[found[0]]:
        inner = Reader(reader.world, reader.world.modules[file])
        if rule.member is None or not _is_text(inner, rule.member, bindings(rule.body, {})):
            return False
    return True


def _is_text(reader: Reader, term: Term, names: Names) -> bool:
    if isinstance(term, Scalar):
        return isinstance(term.value, str)
    what = reader.what(term, names)
    if isinstance(what, Known):
        return all(isinstance(value, str) for value in what.values)
    return isinstance(what, Shape) and what.kind == "text"


def _is_flat(term: Term) -> bool:
    """Say whether an object holds no objects, as far as it is written out."""
    return isinstance(term, Pairs) and all(isinstance(value, Scalar | Items) for _, value in term.pairs)


def _is_format(reader: Reader, args: tuple[Term, ...], names: Names) -> bool:
    form, values = args[0], args[1]
    if not isinstance(form, Scalar) or not isinstance(form.value, str) or not isinstance(values, Items):
        return False
    signs = [sign for sign in _FORMAT.findall(form.value) if sign != "%"]
    if values.kind != "[" or len(signs) != len(values.items) or not set(signs) <= set("svd"):
        return False
    return all(
        sign != "d" or _is_whole(reader, value, names)
        for sign, value in zip(signs, values.items, strict=True)
    )


def _is_whole(reader: Reader, term: Term, names: Names) -> bool:
    if isinstance(term, Scalar):
        return type(term.value) is int
    what = reader.what(term, names)
    if isinstance(what, Known):
        return all(type(value) is int for value in what.values)
    return isinstance(what, Shape) and what.kind == "number" and what.path != "this"


_CLEAR: Final[Mapping[str, _Clear]] = {
    "concat": lambda reader, args, names: _in_order(reader, args[1], names),
    "format_int": lambda _, args, __: isinstance(args[1], Scalar) and args[1].value == 10,  # noqa: PLR2004 - base
    "glob.match": lambda reader, args, names: _texts(reader, args[0], names, lambda text: "\\" not in text),
    "indexof": _not_empty_at(1),
    "object.union": lambda _, args, __: any(map(_is_flat, args[:2])),
    "regex.find_all_string_submatch_n": _pattern_at(0),
    "regex.find_n": _pattern_at(0),
    "regex.match": _pattern_at(0),
    "regex.replace": _is_replaced,
    "regex.split": _pattern_at(0),
    "replace": _not_empty_at(1),
    "sprintf": _is_format,
    **dict.fromkeys(("lower", "upper", "trim_space"), lambda reader, _, __: reader.world.is_ascii),
    **dict.fromkeys(("sort", "max", "min"), lambda reader, args, names: _holds_texts(reader, args[0], names)),
}
