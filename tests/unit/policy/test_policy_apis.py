"""Several APIs in one policy: their routes, rules, files and backends stay apart."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import PolicyError
from signet.policy.check import check
from signet.policy.engine import PolicyEngine
from signet.policy.loading import load
from signet.policy.places import lines_of
from signet.policy.selftest import run_tests
from tests.support.policies import API_MISTAKES, GOOD_TEAM, apis, both, more
from tests.support.world import ROOT, policy_files

OF_ONE = """package signet.apis.bulk_orders

import rego.v1

deny contains "other tenant" if input.path_parameters.id != input.principal.keyid

limit := 1 if input.route

limit := 2 if input.route

deny contains "no limit" if limit > 2
"""


def request(api: str, **facts: Any) -> dict[str, Any]:
    return {
        "api": api,
        "route": "GET /orders/{id}",
        "method": "GET",
        "path": "/orders/7",
        "path_parameters": {"id": "7"},
        "principal": {"keyid": "7", "roles": ["caller"]},
        "algorithm": "ed25519",
        "binding": {"type": "none"},
        "evidence": None,
        "breaker": {"state": "closed", "level": "full"},
        "header_bytes": 400,
        **facts,
    }


def policy(*changes: Any) -> dict[str, bytes]:
    files = policy_files("")
    both(*changes)(files)
    return files


def test_an_api_with_files_of_its_own_is_good_and_its_rules_are_added() -> None:
    files = policy(GOOD_TEAM)
    assert check(files) == ()
    engine = load(files)
    assert engine.lists("bulk-orders GET /orders/{id}")
    assert engine.at_rest("bulk-orders GET /orders/{id}").latency_objective_ms == 500
    assert engine.at_rest("orders GET /orders/{id}").latency_objective_ms == 1000
    other = {"id": "8"}
    assert engine.decide(request("bulk-orders")).allowed
    assert engine.decide(request("bulk-orders", path_parameters=other)).reasons == ("not yours",)
    assert engine.decide(request("orders", path_parameters=other)).allowed


def test_what_is_wrong_with_the_rules_of_one_api_is_wrong_for_that_one_only() -> None:
    files = policy(apis(), more("bulk-orders.api.rego", OF_ONE))
    assert any("two values at once" in finding.message for finding in check(files))
    engine = PolicyEngine(files)
    for api in ("orders", "bulk-orders"):  # what a route requires is not asked of the API's own rules
        assert engine.at_rest(f"{api} GET /orders/{{id}}").backend == api
    assert engine.decide(request("orders")).allowed
    with pytest.raises(PolicyError):
        engine.decide(request("bulk-orders"))


@pytest.mark.parametrize("name", ["file_says_more", "file_of_another_api", "api_in_two_files"])
def test_an_environment_loads_no_policy_with_such_a_file(name: str) -> None:
    with pytest.raises(PolicyError):
        load(API_MISTAKES[name].files())


def test_a_file_of_its_own_and_config_json_say_the_same() -> None:
    in_one, in_two = PolicyEngine(policy(apis())), PolicyEngine(policy(GOOD_TEAM))
    assert set(in_one.routes) == set(in_two.routes)
    for route in in_one.routes:
        assert in_one.at_rest(route) == in_two.at_rest(route)


def test_a_team_may_name_breakers_that_begin_with_its_name() -> None:
    files = policy(apis(lambda a: a.pop("bulk-orders")))
    entry = {"role": "caller", "minimum_binding": "none", "backend": "bulk-orders-search"}
    said = {"config": {"apis": {"bulk-orders": {"routes": {"GET /a": entry}}}}}
    files["bulk-orders.api.json"] = json.dumps(said).encode()
    assert check(files) == ()
    assert PolicyEngine(files).controls("bulk-orders-search")


def test_a_case_without_an_api_is_about_signets_own() -> None:
    files = policy(
        apis(), more("own.rego", 'package signet\n\nreasons contains "x" if input.api == "signet"\n')
    )
    shown = """package t
test_a := [
	{"input": {"route": "GET /orders/{id}"}, "expect": {"backend": "backend"}},
	{"input": {"route": "GET /orders/{id}", "api": "orders"}, "expect": {"backend": "orders"}},
]
"""
    assert run_tests(files, {"a_test.rego": shown.encode()}) == (1, ())


def test_the_pages_examples_are_good_and_refuse_what_they_say() -> None:
    page = (ROOT / "docs/policy.md").read_text()
    section = page.split("## Several APIs")[1].split("## What has to be signed")[0]
    [in_config, of_team] = map(json.loads, re.findall(r"```json\n(.*?)```", section, re.DOTALL))
    [team_rules, own_rules, facts_rules] = re.findall(r"```rego\n(.*?)```", section, re.DOTALL)
    files = policy(apis(lambda a: a.update(in_config["config"]["apis"], stock=a.pop("bulk-orders"))))
    files |= {"my-orders.api.json": json.dumps(of_team).encode(), "my-orders.api.rego": team_rules.encode()}
    files["own.rego"] = own_rules.encode()
    assert check(files) == ()
    engine = load(files)
    route = "GET /tenants/{tenant}/orders"

    def verdict(api: str, keyid: str, route: str, method: str = "GET", **parameters: str) -> tuple[str, ...]:
        principal = {"keyid": keyid, "roles": ["caller"]}
        asked = request(api, route=route, method=method, principal=principal, path_parameters=parameters)
        return engine.decide(asked).reasons

    assert verdict("orders", "acme:ci-7", route, tenant="acme") == ()
    assert verdict("orders", "acme:ci-7", route, tenant="beta") == ("the path is another tenant's",)
    assert verdict("orders", "acme:ci-7", route) == ("the path is another tenant's",)
    assert verdict("stock", "acme:ci-7", "GET /orders/{id}", "PUT", id="1") == (
        "writes need the role auditor",
    )
    assert verdict("my-orders", "test-1", "GET /orders/{id}", id="1") == ("test keys read test orders only",)
    assert verdict("my-orders", "test-1", "GET /orders/{id}", id="test-1") == ()
    assert verdict("stock", "test-1", "GET /orders/{id}", id="1") == ()

    grants = {"grants": {"acme:ci-7": {"until": "2999-01-01T00:00:00Z"}}}
    config = json.loads(files["config.json"])
    config["config"]["time_zones"] = ["Europe/Berlin"]
    files |= {"config.json": json.dumps(config).encode(), "grants.json": json.dumps(grants).encode()}
    assert check(files | {"own.rego": facts_rules.encode()}) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def _paths(value: Any, way: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path for name, member in members for path in ((*way, name), *_paths(member, (*way, name)))]


@given(JSON)
def test_every_member_has_its_line(value: Any) -> None:
    text = json.dumps(value, indent=1)  # one member or element a line
    lines = lines_of(text)
    assert list(lines) == _paths(value)
    numbers = list(lines.values())
    assert numbers == sorted(set(numbers))
    for path, number in lines.items():
        if isinstance(path[-1], str):
            assert text.split("\n")[number - 1].strip().startswith(json.dumps(path[-1]))
