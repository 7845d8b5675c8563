"""The table of functions says what the installed interpreter does: held against OPA's stored answers."""

from __future__ import annotations

from typing import Any

import pytest
from regopy import Interpreter

from signet.core.errors import PolicyError
from signet.policy.lint import builtins
from signet.policy.rego import RegoProgram
from tests.support.builtins import ASKED, Asked

# Asking these would end the test's own process, or take all memory.
FATAL = {"yaml.unmarshal", "yaml.is_valid"}
ENDLESS = 'replace("abc", "", "-")'


def plain(value: Any) -> Any:
    """Return a value with whole floats as integers, as JSON does not tell them apart."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return value


def same(asked: Asked) -> bool:
    try:
        answer = RegoProgram({"t.rego": asked.module.encode()}, ["data.t.x"]).evaluate("data.t.x", {})
    except PolicyError:
        answer = None
    if answer is None or not asked.defined:
        return (answer is not None) == asked.defined
    return repr(plain(answer[0])) == repr(plain(asked.answer))


@pytest.mark.parametrize("name", builtins.SAME)
def test_what_the_table_calls_the_same_answers_like_opa(name: str) -> None:
    assert ASKED[name]
    assert [asked.expression for asked in ASKED[name] if not same(asked)] == []


@pytest.mark.parametrize("name", sorted(builtins.DIFFERS.keys() - FATAL))
def test_what_the_table_refuses_is_wrong_somewhere(name: str) -> None:
    """If this fails, a new interpreter has learned it: the table can let it pass."""
    asked = [one for one in ASKED[name] if one.expression != ENDLESS]
    assert not all(map(same, asked)) or len(asked) < len(ASKED[name])


def test_the_interpreter_has_what_the_table_says_and_lacks_what_it_says() -> None:
    interpreter = Interpreter()
    assert [name for name in builtins.ARITY if not interpreter.is_builtin(name)] == []
    assert [name for name in builtins.LACKING if interpreter.is_builtin(name)] == []


def test_no_function_stands_in_the_table_twice() -> None:
    tables = [builtins.SAME, builtins.DIFFERS, builtins.LACKING, builtins.UNMEASURED]
    names = [name for table in tables for name in table]
    assert len(names) == len(set(names))
