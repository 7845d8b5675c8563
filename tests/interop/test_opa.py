"""What Signet's check believes of Rego is what OPA itself says: OPA runs here as a Go module.

It takes Go and, once, the module proxy; where either is missing this is skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from signet.policy.lint import builtins
from signet.policy.rego import merged_data
from tests.support.builtins import ASKED
from tests.support.rego_cases import GOOD, HEAD, MISTAKES, with_rules
from tests.support.rego_language import INPUT, cases
from tests.support.world import ROOT

SOURCE = ROOT / "tests" / "interop" / "opa"
Question = dict[str, Any]
Ask = Callable[[Sequence[Question]], list[dict[str, Any]]]
# OPA refuses these, and each for what the check says of it too.
REFUSED_BY_OPA = {
    name
    for name in MISTAKES
    if name.startswith(("variable_", "before_v1"))
    or name in {"default_twice", "kinds_mixed", "function_unknown"}
}
# Bodies about which it is not plain whether each variable has a value; ``d`` is an array, ``f`` a function.
BODIES = r"""
not d[i]
some i; d[i]; not d[i] == 2
not d[_] == 1
x = y; y = 1
[x, y] = [1, x]
[x, y] = [y, 1]
{"a": x} = {"a": 1}; x == 1
{x: 1} = {"a": 1}; x == "a"
x := [y | y = z]; z = 1; count(x) > 0
x := [y | y = z]; x != []
walk(d, [p, v]); p != v
walk(z, w); w
every x in d { x > y }
every x in z { x }
every i, v in d { i != v }
some [a, b] in [[1, 2]]; a < b
d[d[i]] == 1
f(d[i])
f(i); i = 1
f(i)
f(1, r); r == 1
f(q, r)
x := f(y); y = 2; x
x := _; x
f(_)
not f(_)
d[x] == 1
startswith(s, "a"); s = "b"
startswith(s, "a"); s := "b"
not x = 1
x == 1; x = 1
x in [1]
x + 1 = 2
x = $"{y}"; y = 1
x := [v | v := d[_]; not v in w]; x
p := [a | a := b; b := 1]; p
d[i] == 1; x := [i | i == 0]; x
some x; x = 1
some x; x == 1
[[x]] = [[1]]; x
x = {"a": [y]}; x.a[0] == 1; y = 1
every x in d { y := x; y == z }
x := {v | some v in d; some z in d; z > v}; x
""".strip().splitlines()


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go here")
    fetched = subprocess.run([go, "mod", "download"], cwd=SOURCE, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"OPA cannot be fetched: {fetched.stderr[-200:]}")
    program = tmp_path_factory.mktemp("opa") / "opa"
    subprocess.run([go, "build", "-mod=readonly", "-o", program, "."], cwd=SOURCE, check=True)

    def asked(questions: Sequence[Question]) -> list[dict[str, Any]]:
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(questions)
        return answers

    asked.program = program  # type: ignore[attr-defined]
    return asked


def _of(files: dict[str, bytes]) -> Question:
    modules = {name: body.decode() for name, body in files.items() if name.endswith(".rego")}
    return {"modules": modules, "data": merged_data(files), "query": "data.signet.strongest_binding"}


pytestmark = pytest.mark.timeout(900)  # the first build of OPA


def test_the_stored_answers_are_opa_s(ask: Ask) -> None:
    asked = [one for ones in ASKED.values() for one in ones]
    questions = [{"modules": {"t.rego": one.module}, "data": {}, "query": "data.t.x"} for one in asked]
    wrong = [
        (one.expression, answer)
        for one, answer in zip(asked, ask(questions), strict=True)
        if answer.get("value") != ([one.answer] if one.defined else None)
    ]
    assert wrong == []


def test_the_stored_answers_to_small_modules_are_opa_s(ask: Ask) -> None:
    stored = cases()
    answers = ask(
        [
            {"modules": {"t.rego": case.module}, "data": {}, "query": "data.signet.c", "input": INPUT}
            for case in stored.values()
        ]
    )
    by_opa = [
        None if "error" in answer else [answer["value"]] if "value" in answer else [] for answer in answers
    ]
    assert dict(zip(stored, by_opa, strict=True)) == {name: case.answer for name, case in stored.items()}


def test_the_table_names_opa_s_functions_and_their_arguments(ask: Ask) -> None:
    program: Path = ask.program  # type: ignore[attr-defined]
    listed = subprocess.run([program, "list"], capture_output=True, text=True, check=True).stdout.split()
    arity = {name: int(count) for name, _, count in (entry.partition("/") for entry in listed)}
    known = {**builtins.ARITY, **builtins.LACKING}
    assert {name: arity.get(name) for name in known} == known
    operators = {
        "and", "assign", "div", "eq", "equal", "gt", "gte", "lt", "lte", "minus", "mul", "neq", "or", "plus",
        "rem",
    }  # fmt: skip
    assert {name for name in arity.keys() - known if not name.startswith("internal.")} == operators


def test_rules_that_the_check_lets_pass_are_rego_to_opa(ask: Ask) -> None:
    answers = ask([_of(with_rules(rules)) for rules in GOOD])
    assert [rules for rules, answer in zip(GOOD, answers, strict=True) if "value" not in answer] == []


def test_what_opa_refuses_is_refused(ask: Ask) -> None:
    answers = ask([_of(mistake.files()) for mistake in MISTAKES.values()])
    refused = {name for name, answer in zip(MISTAKES, answers, strict=True) if "error" in answer}
    assert refused >= REFUSED_BY_OPA


def test_a_variable_has_a_value_where_opa_says_so(ask: Ask) -> None:
    from tests.unit.policy.test_policy_lint import without_value  # noqa: PLC0415 - one list of findings for both

    texts = [f"{HEAD}d := [1, 2]\n\nf(a) := a\n\nt if {{ {body} }}\n" for body in BODIES]
    answers = ask([{"modules": {"t.rego": text}, "data": {}, "query": "data.signet.t"} for text in texts])
    by_opa = {body: "error" in answer for body, answer in zip(BODIES, answers, strict=True)}
    assert {body: bool(without_value(text)) for body, text in zip(BODIES, texts, strict=True)} == by_opa
