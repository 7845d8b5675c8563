"""Reads the terms of Rego: the part of its grammar that nests."""

from __future__ import annotations

import json
from typing import Final

from signet.policy.lint.syntax import (
    Body,
    Call,
    Comprehension,
    Infix,
    Items,
    Pairs,
    Ref,
    Scalar,
    Term,
    Var,
)
from signet.policy.tokens import Token, Unreadable

#: Operators by how tightly they bind, loosest first; ``in`` binds looser than all of them.
_LEVELS: Final = (("==", "!=", "<", "<=", ">", ">="), ("|",), ("&",), ("+", "-"), ("*", "/", "%"))
_ABOVE_BAR: Final = 2
_WORDS: Final = {"true": True, "false": False, "null": None}
_KEYWORDS: Final = frozenset({"as", "default", "else", "import", "not", "package", "with"})
_MAX_DEPTH: Final = 100


class TermParser:
    """Reads terms from tokens; a subclass reads statements.

    Attributes:
        withs: lines on which ``with`` stands.
    """

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens, self._place, self._depth = tokens, 0, 0
        self.withs: list[int] = []

    def body(self, end: str) -> Body:
        """Read statements up to the mark that ends them."""
        raise NotImplementedError

    @property
    def token(self) -> Token:
        """The next one."""
        return self._tokens[self._place]

    def ahead(self, steps: int) -> Token:
        """Return a token behind the next one; the end, if there is none."""
        return self._tokens[min(self._place + steps, len(self._tokens) - 1)]

    def back(self, steps: int) -> Token:
        """Return a token that was read."""
        return self._tokens[self._place - steps]

    def advance(self) -> Token:
        """Read the next one."""
        token = self.token
        if token.kind == "end":
            raise Unreadable("the file ends in the middle of a rule", token.line)
        self._place += 1
        return token

    def unreadable(self) -> Unreadable:
        """Return what to raise about the next token."""
        return Unreadable(f"{self.token.text or 'the end'!r} is not understood here", self.token.line)

    def accept(self, text: str) -> bool:
        """Read the next token if it is this mark or word."""
        if self.token.kind in ("mark", "name") and self.token.text == text:
            self._place += 1
            return True
        return False

    word = accept

    def expect(self, text: str) -> None:
        """Read this mark or word.

        Raises:
            Unreadable: another one stands there.
        """
        if not self.accept(text):
            raise self.unreadable()

    def name(self) -> str:
        """Read a name."""
        if self.token.kind != "name":
            raise self.unreadable()
        return self.advance().text

    def expression(self) -> Term:
        """Read a statement's term: one, ``key, value in collection``, or two with ``:=`` or ``=`` between."""
        left = self.term()
        if self.token.text == "," and self.accept(","):
            return self._with_key(left)
        if self.token.kind == "mark" and self.token.text in (":=", "="):
            line, sign = self.token.line, self.advance().text
            return Infix(sign, left, self.term(), line)
        return left

    def term(self) -> Term:
        """Read a term with its operators, ``in`` among them."""
        return self._member_of(self.relation())

    def _member_of(self, left: Term) -> Term:
        while self.token.text == "in" and self.token.kind == "name":
            line = self.advance().line
            left = Infix("in", left, self.relation(), line)
        return left

    def _resumed(self, left: Term) -> Term:
        """Read on behind a term that was read with the tightest operators only."""
        for level in reversed(range(_ABOVE_BAR)):
            left = self._operators(left, level)
        return self._member_of(left)

    def relation(self, level: int = 0) -> Term:
        """Read a term with the operators from a level on."""
        if level == len(_LEVELS):
            return self._postfixed()
        return self._operators(self.relation(level + 1), level)

    def _operators(self, left: Term, level: int) -> Term:
        while self.token.kind == "mark" and self.token.text in _LEVELS[level]:
            line, sign = self.token.line, self.advance().text
            left = Infix(sign, left, self.relation(level + 1), line)
        return left

    def brackets(self) -> tuple[Term, ...]:
        """Read what follows a term without white space: ``.name`` and ``[term]``."""
        path: list[Term] = []
        while not self.token.apart and self.token.kind == "mark":
            line = self.token.line
            if self.accept("."):
                path.append(Scalar(self.name(), line))
            elif self.accept("["):
                path.append(self.term())
                self.expect("]")
            else:
                break
        return tuple(path)

    def arguments(self) -> tuple[Term, ...]:
        """Read ``(terms)``; ``key, value in collection`` counts as one of them."""
        self.expect("(")
        return self._sequence(")")

    def _sequence(self, end: str) -> tuple[Term, ...]:
        found: list[Term] = []
        while not self.accept(end):
            if found:
                self.expect(",")
                if self.accept(end):
                    break
            found.append(self.term())
        return tuple(found)

    def _postfixed(self) -> Term:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Unreadable("this is nested too deeply", self.token.line)
        line = self.token.line
        term = self._primary()
        while True:
            path = self.brackets()
            if path:
                term = Ref(term, path, line)
            elif self.token.text == "(" and self.token.kind == "mark" and not self.token.apart:
                term = Call(term, self.arguments(), line)
            else:
                break
        self._depth -= 1
        return term

    def _primary(self) -> Term:
        token = self.advance()
        if token.kind == "string":
            return Scalar(token.text, token.line)
        if token.kind == "number":
            return Scalar(json.loads(token.text), token.line)
        if token.kind == "template":
            return self._template(token)
        if token.kind == "name" and token.text not in _KEYWORDS:
            return (
                Scalar(_WORDS[token.text], token.line)
                if token.text in _WORDS
                else Var(token.text, token.line)
            )
        read = {"(": self._parenthesis, "[": self._array, "{": self._braces, "-": self._negative}
        if token.kind == "mark" and token.text in read:
            return read[token.text](token.line)
        self._place -= 1
        raise self.unreadable()

    def _template(self, token: Token) -> Term:
        terms = []
        for part in token.parts:
            inner = type(self)(part)
            terms.append(inner.term())
            if inner.token.kind != "end":
                raise inner.unreadable()
        return Items("$", tuple(terms), token.line)

    def _negative(self, line: int) -> Term:
        term = self._postfixed()
        return Infix("-", Scalar(0, line), term, line)

    def _parenthesis(self, _line: int) -> Term:
        first = self.term()
        if self.accept(","):
            first = self._with_key(first)
        self.expect(")")
        return first

    def _with_key(self, key: Term) -> Infix:
        pair = self.term()
        if not isinstance(pair, Infix) or pair.op != "in":
            raise self.unreadable()
        return Infix("in", pair.left, pair.right, pair.line, key=key)

    def _array(self, line: int) -> Term:
        if self.accept("]"):
            return Items("[", (), line)
        first = self.relation(_ABOVE_BAR)
        found = self._comprehension("[", (first,), line)
        return found or Items("[", (self._resumed(first), *self._rest("]")), line)

    def _braces(self, line: int) -> Term:
        if self.accept("}"):
            return Pairs((), line)
        first = self.relation(_ABOVE_BAR)
        if self.accept(":"):
            return self._object(first, line)
        found = self._comprehension("{", (first,), line)
        return found or Items("{", (self._resumed(first), *self._rest("}")), line)

    def _object(self, key: Term, line: int) -> Term:
        value = self.relation(_ABOVE_BAR)
        found = self._comprehension("{", (key, value), line)
        if found is not None:
            return found
        pairs = [(key, self._resumed(value))]
        while not self.accept("}"):
            self.expect(",")
            if self.accept("}"):
                break
            key = self.term()
            self.expect(":")
            pairs.append((key, self.term()))
        return Pairs(tuple(pairs), line)

    def _comprehension(self, kind: str, heads: tuple[Term, ...], line: int) -> Comprehension | None:
        """Read ``| body]`` behind what may be the head of a comprehension, or nothing: it is a union then."""
        start, depth, withs = self._place, self._depth, len(self.withs)
        if not self.accept("|"):
            return None
        try:
            return Comprehension(kind, heads, self.body("]" if kind == "[" else "}"), line)
        except Unreadable:
            self._place, self._depth = start, depth
            del self.withs[withs:]
            return None

    def _rest(self, end: str) -> tuple[Term, ...]:
        if self.accept(end):
            return ()
        self.expect(",")
        return self._sequence(end)
