"""Tells which rules of a policy fire for a request: each rule's condition, asked for by itself.

The condition of each rule is put beside it, as a rule of a name that no policy has. So what is asked is the
policy's own text in its own package, and an answer of the policy is not changed by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from signet.policy.lint.lint import read
from signet.policy.lint.syntax import Rule
from signet.policy.rego import RegoProgram

_NAME: Final = "signet_fires_"


@dataclass(frozen=True, slots=True)
class Traced:
    """A rule with a condition.

    Attributes:
        file: where it stands.
        line: 1-based.
        package: that of its module.
        name: its name.
        head: what stands before ``if``, in one line.
        text: the whole rule.
    """

    file: str
    line: int
    package: tuple[str, ...]
    name: str
    head: str
    text: str

    def __str__(self) -> str:
        """Return ``file:line: head``."""
        return f"{self.file}:{self.line}: {self.head}"


class Tracer:
    """A policy, and which of its rules fire.

    Attributes:
        rules: those with a condition, in order; functions and defaults are none.
    """

    def __init__(self, files: Mapping[str, bytes], *, without: str = "") -> None:
        """Compile a policy together with its conditions.

        Args:
            files: name → bytes.
            without: name of a file whose rules are not asked for: fewer questions take less time.

        Raises:
            SourceError: a file does not compile.
        """
        modules, _ = read(files)
        traced: list[Traced] = []
        added: dict[str, list[str]] = {}
        for file, module in modules.items():
            text = files[file].decode().removeprefix("\ufeff")
            for rule in module.rules:
                if file == without or not _is_traced(rule):
                    continue
                begins, conditioned, ends = rule.span
                added.setdefault(file, []).append(f"{_NAME}{len(traced)} if {text[conditioned:ends]}")
                head = " ".join(text[begins:conditioned].split()).removesuffix(" if")
                whole = text[begins:ends]
                traced.append(Traced(file, rule.line, module.package, rule.name, head, whole))
        self.rules = tuple(traced)
        asked = (
            f'"{number}": [true | data.{".".join(rule.package)}.{_NAME}{number}]'
            for number, rule in enumerate(traced)
        )
        self._query = "{" + ", ".join(asked) + "}"
        body = {
            name: b"\n\n".join([files[name], *(t.encode() for t in more)]) for name, more in added.items()
        }
        self._program = RegoProgram({**files, **body}, [self._query])

    def fired(self, document: Mapping[str, Any]) -> frozenset[int]:
        """Return the numbers of the rules whose condition holds for an input.

        Raises:
            PolicyError: it cannot be evaluated.
        """
        answer = self._program.evaluate(self._query, document) or {}
        return frozenset(int(number) for number, held in answer.items() if held)


def _is_traced(rule: Rule) -> bool:
    return rule.args is None and not rule.default and bool(rule.body) and not rule.old
