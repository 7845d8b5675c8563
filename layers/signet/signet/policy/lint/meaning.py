"""What the language itself, not a function, means otherwise here than in OPA: told where the text shows it.

Measured with ``tests/interop/opa/language.json``: ``regopy`` 1.5.2 beside OPA 1.22 run as a Go module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from signet.policy.finding import Finding
from signet.policy.lint.syntax import Comprehension, Infix, Items, Pairs, Scalar, SomeIn, Term
from signet.policy.lint.world import called

_ORDER: Final = frozenset({"<", "<=", ">", ">="})
_QUOTED: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|#[^\n]*')
_KEPT: Final = re.compile(r"(?<!\\)(?:\\\\)*(\\[u/])")
_UNIFIED: Final = frozenset({"=", ":="})


def of_term(term: Term) -> Iterator[str]:
    """Yield what a term, without those within it, means otherwise than in OPA."""
    if isinstance(term, Infix):
        yield from _of_infix(term)
    elif isinstance(term, Comprehension):
        yield from _of_comprehension(term)


def _of_infix(term: Infix) -> Iterator[str]:
    """Yield what an operator between two terms means otherwise than in OPA."""
    sides = (term.left, term.right)
    if term.op in _ORDER:
        kinds = {kind for side in sides if (kind := _kind(side))}
        if kinds - {"number", "text"} or len(kinds) > 1:
            yield "only numbers and texts have an order here; compare two numbers, or two texts"
    if term.op in _UNIFIED and all(isinstance(side, Items) and side.kind == "[" for side in sides):
        lengths = {len(side.items) for side in sides if isinstance(side, Items)}
        if len(lengths) > 1:
            yield "arrays of two lengths are taken for equal here; write as many members on both sides"
    if term.op in {"+", "-"} and any(isinstance(getattr(side, "value", None), float) for side in sides):
        yield "fractions are added in binary here, so 1 - 0.9 is not 0.1; count in a smaller unit"


def _of_comprehension(term: Comprehension) -> Iterator[str]:
    """Yield what is wrong with an array of a set's members: they stand as in the text, not in OPA's order."""
    for step in term.body if term.kind == "[" else ():
        within = step.collection if isinstance(step, SomeIn) else None
        is_set = isinstance(within, Items | Comprehension) and within.kind == "{"
        if is_set and not (isinstance(within, Comprehension) and len(within.heads) > 1):
            yield "a set has no order here; make a set of its members, or write an array in brackets"


def _kind(term: Term) -> str:
    if (isinstance(term, Items | Pairs) and getattr(term, "kind", "") != "$") or called(term) == "set":
        return "collection"
    if not isinstance(term, Scalar):
        return ""
    if isinstance(term.value, str):
        return "text"
    return "other" if term.value is None or isinstance(term.value, bool) else "number"


def of_text(name: str, text: str) -> Iterator[Finding]:
    r"""Yield texts with an escape that the interpreter leaves as it stands: ``\\u`` and ``\\/``."""
    for quoted in _QUOTED.finditer(text):
        escape = quoted[0].startswith('"') and _KEPT.search(quoted[0])
        if escape:
            line = text.count("\n", 0, quoted.start()) + 1
            yield Finding(f"{escape[1]} is not one letter here; write the letter itself", name, line)
