"""The policy's own tests, in Rego: each rule ``test_…`` of ``policy/*_test.rego`` is a test here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from signet.policy.rego import RegoProgram
from tests.support.policies import config, rego
from tests.support.world import ROOT, policy_files

TESTS = {path.name: path.read_bytes() for path in sorted((ROOT / "policy").glob("*_test.rego"))}
QUERY = "data.signet"
_PACKAGE = re.compile(r"^package ([\w.]+)$", re.MULTILINE)
_RULE = re.compile(r"^(test_\w+)\b", re.MULTILINE)


def _names() -> Iterator[str]:
    for body in TESTS.values():
        text = body.decode()
        package = _PACKAGE.search(text)
        assert package is not None
        for rule in dict.fromkeys(_RULE.findall(text)):
            yield f"data.{package[1]}.{rule}"


NAMES = list(_names())


@pytest.fixture(scope="module")
def tests() -> RegoProgram:
    return RegoProgram({**policy_files(""), **TESTS}, NAMES)


@pytest.fixture(scope="module")
def shipped() -> RegoProgram:
    return RegoProgram(policy_files(""), [QUERY])


def answers(case: dict[str, Any], policy: RegoProgram) -> dict[str, Any]:
    """Return what the rules answer, of the members that the case is about."""
    if "config" in case:
        files = policy_files("")
        config(lambda c: c.update(case["config"]))(files)
        policy = RegoProgram(files, [QUERY])
    answer = policy.evaluate(QUERY, case["input"])
    return {name: answer.get(name) for name in case["expect"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_policy_answers_as_its_cases_say(
    name: str, tests: RegoProgram, shipped: RegoProgram
) -> None:
    cases = tests.evaluate(name, {})
    assert cases, "a test without cases shows nothing"
    for case in cases:
        assert answers(case, shipped) == case["expect"], json.dumps(case["input"])


def test_a_policy_without_a_rule_fails_the_tests_of_that_rule(tests: RegoProgram) -> None:
    files = policy_files("")
    rego('reasons contains "the channel binding is too weak" if not bound', "")(files)
    spoilt = RegoProgram(files, [QUERY])
    failed = {
        name.rpartition(".")[2]
        for name in NAMES
        if any(
            answers(case, spoilt) != case["expect"]
            for case in tests.evaluate(name, {})
            if "config" not in case
        )
    }
    assert failed == {
        "test_a_missing_fact_is_refused",
        "test_an_unbound_caller_is_refused_on_every_protected_route",
        "test_an_unknown_binding_is_refused",
    }
