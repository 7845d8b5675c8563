"""``signet policy eval`` says which rules hold; ``diff`` finds what two policies decide otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.core.errors import PolicyError
from signet.policy.cases import Case
from signet.policy.explain import differences, explain
from signet_client.cli import app
from tests.support.policies import config
from tests.support.rego_cases import HEAD
from tests.support.world import policy_files

RUNNER = CliRunner()
OWN = 'reasons contains "not at night" if input.time.hour < 6\n'


def policy(rules: str, role: str = "caller") -> dict[str, bytes]:
    files = policy_files("")
    config(lambda c: c.update(routes={"GET /protected": {**c["routes"]["GET /protected"], "role": role}}))(
        files
    )
    return {**files, "own.rego": (HEAD + rules).encode()}


def test_a_verdict_is_told_with_its_reasons_and_the_rules_that_hold(tmp_path: Path) -> None:
    stated = {
        "route": "GET /protected",
        "principal": {"roles": ["caller"]},
        "time": {"rfc3339": "2026-11-25T05:59:59Z"},
    }
    found = explain(policy(OWN), stated)
    assert (found.action, found.reasons) == ("deny", ("not at night",))
    assert 'own.rego:5: reasons contains "not at night"' in found.fired
    assert not any(
        "own.rego" in rule for rule in explain(policy(OWN), {**stated, "time": {"unix": 43200}}).fired
    )
    for name, body in policy(OWN).items():
        (tmp_path / name).write_bytes(body)
    asked = tmp_path / "asked.txt"
    asked.write_text(json.dumps(stated))
    done = RUNNER.invoke(app, ["policy", "eval", str(tmp_path), "--input", str(asked)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[:2] == ["deny", "reason: not at night"]
    for wrong, says in (
        ("[]", "is no JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"route": "GET /protected", "path": "\\ud800"}', "half of a character"),
        ('{"route": "GET /protected", "route": "POST /protected"}', "stands twice"),
    ):
        asked.write_text(wrong)
        done = RUNNER.invoke(app, ["policy", "eval", str(tmp_path), "--input", str(asked)])
        assert done.exit_code == 2
        assert says in done.output


def test_cases_that_cannot_be_read_are_told_and_not_left_out(tmp_path: Path) -> None:
    for name, body in {**policy(""), "own_cases.json": b'[{"input": {}, "expects": "allow"}]'}.items():
        (tmp_path / name).write_bytes(body)
    done = RUNNER.invoke(app, ["policy", "diff", str(tmp_path), str(tmp_path)])
    assert done.exit_code == 2
    assert "own_cases.json:1: case 1 is not {name, input, expect}" in done.output


def test_what_two_policies_decide_otherwise_is_found() -> None:
    assert [*differences(policy(OWN), policy(OWN))] == []
    [found] = differences(policy(""), policy(OWN))
    assert (found.what, found.before, found.after) == ("GET /protected", "allow", "deny (not at night)")
    assert found.input is not None
    assert found.input["time"]["hour"] < 6
    back = [(one.before, one.after) for one in differences(policy(OWN), policy(""))]
    assert back == [("deny (not at night)", "allow")]


def test_a_role_and_what_a_route_requires_make_a_difference() -> None:
    one, other = policy(""), policy("", role="reader")
    config(lambda c: c.update(latency_objective_ms=700))(other)
    found = {(one.before, one.after) for one in differences(one, other)}
    assert ("latency_objective_ms 1000", "latency_objective_ms 700") in found
    assert ("allow", "deny (the client's roles do not include the route's)") in found


def test_a_case_that_names_no_route_is_told_and_not_taken_for_the_same() -> None:
    case = Case("own_cases.json", 1, "a case", {"principal": {"roles": ["caller"]}}, "deny", None)
    with pytest.raises(PolicyError, match="has no route"):
        [*differences(policy(""), policy(OWN), (case,))]
