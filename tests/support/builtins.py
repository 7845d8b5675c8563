"""Expressions with what OPA answers to them, as ``tests/interop/test_opa.py`` has it from OPA itself."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.support.world import ROOT


class Asked(NamedTuple):
    """An expression, and OPA's answer; ``defined`` is False where it has none, or an error."""

    expression: str
    answer: Any
    defined: bool

    @property
    def module(self) -> str:
        """A module whose rule ``x`` holds the answer, in an array so that false is not undefined."""
        return f"package t\n\nimport rego.v1\n\nx := [{self.expression}]\n"


ASKED: dict[str, list[Asked]] = {
    name: [Asked(*one) for one in asked]
    for name, asked in json.loads((ROOT / "tests/interop/opa/builtins.json").read_text()).items()
}
