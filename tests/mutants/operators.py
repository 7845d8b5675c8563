"""Every mutant of a module: found in its syntax tree, written as one replacement of bytes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_COMPARE: dict[type[ast.cmpop], tuple[bytes, bytes]] = {
    ast.Lt: (b"<", b"<="),
    ast.LtE: (b"<=", b"<"),
    ast.Gt: (b">", b">="),
    ast.GtE: (b">=", b">"),
    ast.Eq: (b"==", b"!="),
    ast.NotEq: (b"!=", b"=="),
    ast.Is: (b"is", b"is not"),
    ast.IsNot: (b"is not", b"is"),
    ast.In: (b"in", b"not in"),
    ast.NotIn: (b"not in", b"in"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[bytes, bytes]] = {
    ast.Add: (b"+", b"-"),
    ast.Sub: (b"-", b"+"),
    ast.Mult: (b"*", b"+"),
    ast.FloorDiv: (b"//", b"*"),
    ast.Div: (b"/", b"*"),
    ast.Mod: (b"%", b"+"),
    ast.BitAnd: (b"&", b"|"),
    ast.BitOr: (b"|", b"&"),
    ast.LShift: (b"<<", b">>"),
    ast.RShift: (b">>", b"<<"),
    ast.BitXor: (b"^", b"|"),
}
# Of zip, it asserts what its callers have seen to; of a dataclass, it says how one is made.
_HOW_IT_IS_MADE = frozenset({"strict", "init", "slots"})
_LISTING = (ast.Tuple, ast.List)
# A text is behaviour where it is compared, looked up or handed on as a code; elsewhere it is for people.
_TELLING = (ast.Compare, ast.Dict, ast.Set, ast.Tuple, ast.List, ast.Subscript)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change.

    Attributes:
        module: path of the file, relative to the repository.
        start: first byte that is replaced.
        end: first byte that stays.
        text: what stands there instead.
        line: 1-based line of ``start``.
        before: that line as it is, stripped.
        after: that line as it becomes, stripped.
    """

    module: str
    start: int
    end: int
    text: bytes
    line: int
    before: str
    after: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.text + source[self.end :]

    def is_python(self, source: bytes) -> bool:
        """Whether the changed module still compiles. Asked of the drawn ones only: it takes time."""
        try:
            compile(self.apply(source), self.module, "exec")
        except SyntaxError:
            return False
        return True

    @property
    def name(self) -> str:
        return f"{self.module}:{self.line}  {self.before}  ->  {self.after}"


class _Finder(ast.NodeVisitor):
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.found: list[tuple[int, int, bytes]] = []
        self._parents: list[ast.AST] = []
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def generic_visit(self, node: ast.AST) -> None:
        self._parents.append(node)
        super().generic_visit(node)
        self._parents.pop()

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def _between(self, left: ast.expr, right: ast.expr, old: bytes, new: bytes) -> None:
        start, end = self._span(left)[1], self._span(right)[0]
        at = self.source.find(old, start, end)
        if at >= 0:
            self.found.append((at, at + len(old), new))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave them: places inside are not exact before Python 3.12, and most are messages."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._parents.append(node)
            self.visit(node.value)
            self._parents.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Annotations and decorators are no behaviour of the function's."""
        self._parents.append(node)
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self._parents.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """How a class is made (frozen, slots) is no behaviour either."""
        self._parents.append(node)
        for statement in node.body:
            self.visit(statement)
        self._parents.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for (left, right), operator in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
            self._between(left, right, *_COMPARE[type(operator)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        words = (b"and", b"or") if isinstance(node.op, ast.And) else (b"or", b"and")
        for left, right in pairwise(node.values):
            self._between(left, right, *words)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        swap = _ARITHMETIC.get(type(node.op))
        if swap is not None and not isinstance(node.right, ast.JoinedStr):
            self._between(node.left, node.right, *swap)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            start, _end = self._span(node)
            self.found.append((start, self._span(node.operand)[0], b""))
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        start, end = self._span(test)
        text = self.source[start:end]
        self.found.append((start, end, b"False and (" + text + b")"))
        self.found.append((start, end, b"True or (" + text + b")"))

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self._condition(node.test)
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.found.append((*self._span(node), b"None"))
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        start, end = self._span(node)
        parent = self._parents[-1]
        if isinstance(parent, ast.keyword) and parent.arg in _HOW_IT_IS_MADE:
            return
        if isinstance(node.value, bool):
            self.found.append((start, end, str(not node.value).encode()))
        elif isinstance(node.value, int):
            self.found.append((start, end, str(node.value + 1).encode()))
        elif isinstance(node.value, str) and node.value and self.source[start : start + 1] in {b'"', b"'"}:
            telling = isinstance(parent, _TELLING) or (
                isinstance(parent, ast.keyword) and parent.arg == "code"
            )
            if isinstance(parent, _LISTING) and " " in node.value:
                return  # a sentence beside its rule: it is for people
            if telling and self.source[end - 1 : end] in {b'"', b"'"} and node.lineno == node.end_lineno:
                self.found.append((end - 1, end - 1, b"~"))


def mutants(module: str, source: bytes) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of their places."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    lines = source.split(b"\n")
    for start, end, text in sorted(set(finder.found)):
        number = source.count(b"\n", 0, start)
        first = source.rfind(b"\n", 0, start) + 1
        last = source.find(b"\n", end)
        changed = source[first:start] + text + source[end:last]
        after = changed.split(b"\n")[0].decode().strip()
        yield Mutant(module, start, end, text, number + 1, lines[number].decode().strip(), after)
