"""No small module means something else here than in OPA: it is answered alike, or the check refuses it."""

from __future__ import annotations

import re

import pytest

from tests.support.rego_language import Case, cases
from tests.unit.policy.test_policy_builtins import plain

CASES = cases()


def test_the_table_is_whole() -> None:
    assert len(CASES) == 250


# One in five in make check, all in make tests-sweep.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.sweep] if number % 5 else [])
        for number, name in enumerate(CASES)
    ],
)
def test_a_case_is_answered_as_by_opa_or_refused_by_name(name: str) -> None:
    case = CASES[name]
    refusals = case.refusals()
    for refusal in refusals:
        assert re.match(r"own\.rego:\d+: .|policy: the policy does not compile", refusal)
    if not refusals:
        # What OPA's types refuse (null in the table) has no value here either.
        allowed = [None, []] if case.answer is None else [case.answer]
        assert repr(plain(case.here())) in [repr(plain(answer)) for answer in allowed]


@pytest.mark.parametrize(
    "rules",
    [
        'c := count("\\u0041")',
        'c := "a\\/b" == "a/b"',
        'c := 1 < "a"',
        "c := 1 - 0.9",
        "c := a if [a] = [1, 2]",
        "c := [v | some v in {3, 11, 2}]",
        "f(v) := v\n\nc := f(1, 2)",
    ],
)
def test_what_the_text_shows_to_mean_something_else_is_refused(rules: str) -> None:
    assert Case(rules, None).refusals() != []
