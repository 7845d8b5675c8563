"""Small modules, one feature of Rego each, with the answer that OPA gave (``tests/interop/test_opa.py``)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from signet.core.errors import PolicyError
from signet.policy.check import in_the_text
from signet.policy.lint.lint import read
from signet.policy.rego import RegoProgram, merged_data
from tests.support.rego_cases import HEAD
from tests.support.world import ROOT, policy_files

STORED = ROOT / "tests" / "interop" / "opa" / "language.json"
INPUT: dict[str, Any] = {
    "route": "GET /protected",
    "principal": {"keyid": "alice", "roles": ["auditor", "caller"]},
    "evidence": None,
}
# The check wants each rule to be read, and its routes to stay open.
_READER = '\n\nreasons contains "c" if { input.principal.keyid == "no-such-client"; _ = c }\n'


class Case(NamedTuple):
    """Rules whose ``c`` is the answer; ``answer`` is an array with it; empty: undefined, None: an error."""

    rules: str
    answer: list[Any] | None

    @property
    def module(self) -> str:
        """The rules as a module."""
        return HEAD + self.rules + "\n"

    def refusals(self) -> list[str]:
        """Return what the check says of the shipped policy with these rules, as ``file:line: reason``."""
        files = {**policy_files(""), "own.rego": (HEAD + self.rules + _READER).encode()}
        modules, unreadable = read(files)
        found = [*unreadable, *in_the_text(files, modules, merged_data(files))]
        refused = [f"{one.file}:{one.line}: {one.message}" for one in found]
        if any(module.withs for module in modules.values()):
            return refused  # to run it would end the process, so the check does not
        try:
            RegoProgram(files, ["data.signet.c"])
        except PolicyError as error:
            refused.append(str(error))
        return refused

    def here(self) -> list[Any] | None:
        """Return the engine's answer in the form of ``answer``."""
        try:
            program = RegoProgram({"t.rego": self.module.encode()}, ["data.signet"])
            answered = program.evaluate("data.signet", INPUT) or {}
        except PolicyError:
            return None
        return [answered["c"]] if "c" in answered else []


def cases() -> dict[str, Case]:
    """Return feature → case."""
    return {name: Case(*one) for name, one in json.loads(STORED.read_text()).items()}
