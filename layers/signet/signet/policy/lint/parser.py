"""Reads the tokens of a Rego module: the grammar of openpolicyagent.org/docs/policy-reference#grammar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from signet.policy.lint.syntax import (
    Body,
    Every,
    Expr,
    Literal,
    Module,
    Rule,
    Some,
    SomeIn,
    Term,
    Var,
)
from signet.policy.lint.terms import TermParser
from signet.policy.tokens import tokens_of

_ASSIGN: Final = (":=", "=")
_Part = TypeVar("_Part")


def parse(text: str) -> Module:
    """Return a module's parts.

    Raises:
        Unreadable: it is no Rego as far as this reader goes.
    """
    return _Parser(tokens_of(text)).module()


class _Parser(TermParser):
    def module(self) -> Module:
        self.expect("package")
        package = self._path()
        imports: dict[str, tuple[str, ...]] = {}
        while self.accept("import"):
            path = self._path()
            name = self.name() if self.accept("as") else path[-1]
            if path[0] in ("data", "input"):
                imports[name] = path
        rules = []
        while self.token.kind != "end":
            rules.append(self._rule())
            self.accept(";")
        return Module(package, imports, tuple(rules), tuple(self.withs))

    def _path(self) -> tuple[str, ...]:
        parts = [self.name()]
        while True:
            if self.accept("."):
                parts.append(self.name())
            elif self.token.text == "[" and not self.token.apart:
                self.expect("[")
                parts.append(self.advance().text)
                self.expect("]")
            else:
                return tuple(parts)

    def _rule(self) -> Rule:
        default = self.token.text == "default" and self.ahead(1).kind == "name" and self.accept("default")
        line, begins = self.token.line, self.token.place
        name = self.name()
        path = self.brackets()
        args = self.arguments() if self.token.text == "(" and not self.token.apart else None
        member = self.term() if self.token.text == "contains" and self.accept("contains") else None
        value = self._value()
        conditioned = self.ahead(1).place if self.token.text == "if" else begins
        body, old = ((), False) if default else self._rule_body()
        otherwise = None if default else self._otherwise(name, args, line)
        span = (begins, conditioned, self.token.place)
        return Rule(name, path, line, args, member, value, body, bool(default), otherwise, old, span)

    def _value(self) -> Term | None:
        if self.token.kind == "mark" and self.token.text in _ASSIGN:
            self.advance()
            return self.term()
        return None

    def _rule_body(self) -> tuple[Body, bool]:
        if self.word("if"):
            return (self.block() if self.token.text == "{" else (self._literal(),)), False
        if self.token.text == "{" and self.token.kind == "mark" and not self.token.first:
            return self.block(), True
        return (), False

    def _otherwise(self, name: str, args: tuple[Term, ...] | None, line: int) -> Rule | None:
        if not self.word("else"):
            return None
        value = self._value()
        body, old = self._rule_body()
        return Rule(
            name, (), line, args, None, value, body, otherwise=self._otherwise(name, args, line), old=old
        )

    def block(self) -> Body:
        """Read ``{ statements }``."""
        self.expect("{")
        return self.body("}")

    def body(self, end: str) -> Body:
        """Read statements up to the mark that ends them."""
        found: list[Literal] = []
        while not self.accept(end):
            if found and not self.accept(";") and not self.token.first:
                raise self.unreadable()
            if self.accept(end):
                break
            found.append(self._literal())
        return tuple(found)

    def _literal(self) -> Literal:
        literal = self._statement()
        while self.word("with"):
            self.withs.append(self.back(1).line)
            self.term()
            self.expect("as")
            self.term()
        return literal

    def _statement(self) -> Literal:
        line = self.token.line
        if self.token.text == "some" and self.ahead(1).kind != "mark" and self.word("some"):
            return self._some(line)
        if self.token.text == "some" and self.ahead(1).text in ("[", "{") and self.word("some"):
            return self._some(line)
        if self.token.text == "every" and self.ahead(1).kind == "name" and self.word("every"):
            names = self.listed(self.name)
            self.expect("in")
            return Every(names, self.term(), self.block(), line)
        negated = self.word("not")
        return Expr(self.expression(), line, negated)

    def _some(self, line: int) -> Literal:
        patterns = self.listed(self.relation)
        if self.word("in"):
            return SomeIn(patterns, self.term(), line)
        names = [term.name for term in patterns if isinstance(term, Var)]
        if len(names) != len(patterns):
            raise self.unreadable()
        return Some(tuple(names), line)

    def listed(self, read: Callable[[], _Part]) -> tuple[_Part, ...]:
        found = [read()]
        while self.accept(","):
            found.append(read())
        return tuple(found)
