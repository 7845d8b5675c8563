"""The policy's own tests, in Rego: the shipped ones hold, and what does not hold is told with its line."""

from __future__ import annotations

import pytest

from signet.policy.rego import IMPURE, IMPURE_NAMESPACE
from signet.policy.selftest import run_tests
from tests.support.policies import rego
from tests.support.world import ROOT, policy_files

TESTS = {path.name: path.read_bytes() for path in sorted((ROOT / "policy").glob("*_test.rego"))}
HEAD = "package signet_test\n\nimport rego.v1\n\n"
REQUEST = '{"route": "GET /protected"}'


def test_the_shipped_policy_answers_as_its_cases_say() -> None:
    count, findings = run_tests(policy_files(""), TESTS)
    assert findings == ()
    assert count >= 20


def test_a_policy_without_a_rule_fails_the_tests_of_that_rule() -> None:
    files = policy_files("")
    rego('reasons contains "the channel binding is too weak" if not bound', "")(files)
    _, findings = run_tests(files, TESTS)
    assert {finding.message.split()[0] for finding in findings} == {
        "test_a_missing_fact_is_refused",
        "test_an_unbound_caller_is_refused_on_every_protected_route",
        "test_an_unknown_binding_is_refused",
        "test_equal_routes_of_two_apis_have_rules_of_their_own",
    }
    for finding in findings:
        line = TESTS[str(finding.file)].decode().splitlines()[(finding.line or 0) - 1]
        assert line.startswith(finding.message.split()[0])
    assert any('action is "allow", not "deny"' in finding.message for finding in findings)


def told(rules: str) -> list[tuple[int | None, str]]:
    _, findings = run_tests(policy_files(""), {"own_test.rego": (HEAD + rules + "\n").encode()})
    assert all(finding.file == "own_test.rego" for finding in findings)
    return [(finding.line, finding.message) for finding in findings]


@pytest.mark.parametrize(
    "rules",
    [
        "test_a if 1 == 1",
        "test_a := true",
        'test_a if data.signet.strength["tls-exporter"] == 1',
        "import data.signet\n\ntest_a if count(signet.bindings_in_use) == 2",
        f'test_a := [{{"input": {REQUEST}, "expect": {{"action": "deny", "header_budget": 2048}}}}]',
        'test_a := [{"input": {}, "expect": {"no_such_rule": null}}]',
        f'test_a := [{{"input": {REQUEST}, "config": {{"ladder": [1]}}, "expect": {{"ladder": [1]}}}}]',
        "test_a if true\n\ntodo_test_b if false",
    ],
)
def test_a_test_that_is_true_or_whose_cases_hold_holds(rules: str) -> None:
    assert told(rules) == []


@pytest.mark.parametrize(
    ("rules", "line", "message"),
    [
        ("test_a if false", 5, "does not hold"),
        ("test_a := false", 5, "does not hold"),
        ('test_a if data.signet.strenght["none"] == 0', 5, "does not hold"),
        ("helper := 1\n\ntest_a := 7", 7, "is neither true nor an array of cases"),
        ("test_a := []", 5, "has no cases"),
        ("test_a := [1]", 5, "is neither true nor"),
        (f'test_a := [{{"input": {REQUEST}, "expect": {{"action": "allow"}}}}]', 5, 'is "deny", not "allow"'),
        (f'test_a := [{{"input": {REQUEST}, "expects": {{"action": "deny"}}}}]', 5, "case (1) that is not"),
        (f'test_a := [{{"input": {REQUEST}, "expect": {{}}}}]', 5, "case (1) that is not"),
        (
            f'test_a := [{{"input": {REQUEST}, "expect": {{"action": "deny"}}, "config": 1}}]',
            5,
            "is an object",
        ),
        ("test_a := 1\n\ntest_a := 2", 5, "fails: "),
        ("allowed := 1", None, "holds no test"),
        ('test_a if data.signet.action == "deny" with input as {}', 5, "`with` makes the interpreter abort"),
        ("test_a if {", 6, "the check cannot read this"),
        ("test_a if every x in [1] { x > 0 }", 5, "does not compile"),
    ],
)
def test_what_does_not_hold_is_told_with_its_line(rules: str, line: int | None, message: str) -> None:
    [(at, said)] = told(rules)
    assert message in said
    assert at == line


def test_a_test_file_does_not_stand_for_a_file_of_the_policy() -> None:
    files = {**policy_files(""), "a_test.rego": b"package signet\n\nimport rego.v1\n"}
    _, [finding] = run_tests(files, {"a_test.rego": (HEAD + "test_a if true\n").encode()})
    assert "among the policy's too" in finding.message


def test_what_no_policy_may_call_is_never_remembered() -> None:
    """``print`` speaks, but answers the same."""
    assert len(IMPURE) > 1
    assert not [name for name in IMPURE - {"print"} if not IMPURE_NAMESPACE.search(f"{name}()")]
