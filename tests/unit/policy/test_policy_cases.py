"""A user's cases are run and tried as probes; refusals that never happen are found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signet.policy.bundle import read_folder, read_tests
from signet.policy.cases import read_cases, whole
from signet.policy.check import check
from signet.policy.engine import PolicyEngine
from signet.policy.lint.tracing import Tracer
from signet.policy.reach import unreached
from signet.policy.selftest import asked_in, run_tests
from tests.support.policies import config
from tests.support.rego_cases import HEAD
from tests.support.world import policy_files

ROUTE = "GET /protected"
WHO = {"keyid": "acme:ci", "roles": ["caller"], "labels": {"tenant": "acme"}}


def policy(rules: str, **members: Any) -> dict[str, bytes]:
    files = policy_files("")
    config(lambda c: c.update(members))(files)
    return {**files, "own.rego": (HEAD + rules + "\n").encode()}


def cases(*listed: Any) -> dict[str, bytes]:
    return {"own_cases.json": json.dumps(listed, indent=1).encode()}


def case(expect: Any = "allow", **facts: Any) -> dict[str, Any]:
    return {"input": {"route": ROUTE, "principal": WHO, **facts}, "expect": expect}


def told(rules: str, *listed: Any, **members: Any) -> list[str]:
    count, findings = run_tests(policy(rules, **members), cases(*listed))
    assert count == len(listed) or findings
    return [finding.message for finding in findings]


@pytest.mark.parametrize(
    ("rules", "listed"),
    [
        ("", case()),
        ("", case("deny", principal={"keyid": "a"})),
        (
            "",
            case(
                {"action": "deny", "reasons": ["the channel binding is too weak"]}, binding={"type": "none"}
            ),
        ),
        ("", case("deny", principal=None)),
        (
            'reasons contains "n" if not "10.0.0.0/8" in input.source.networks',
            case(source={"ip": "10.1.2.3"}),
        ),
        (
            'reasons contains "n" if not "10.0.0.0/8" in input.source.networks',
            case("deny", source={"ip": "11.1.2.3"}),
        ),
        ('reasons contains "t" if input.time.hour < 8', case(time={"rfc3339": "2026-11-25T08:00:00Z"})),
        (
            'reasons contains "t" if input.time.hour < 8',
            case("deny", time={"rfc3339": "2026-11-25T07:59:59Z"}),
        ),
        (
            'reasons contains "t" if input.time.weekday == "Sunday"',
            case("deny", time={"unix": 0 + 3 * 86_400}),
        ),
        ('reasons contains "q" if not input.query.a == ["1"]', case(query={"a": ["1"]})),
        (
            'reasons contains "p" if input.path != "/protected/7"',
            case(route="GET /protected/{item}", path_parameters={"item": "7"}),
        ),
    ],
)
def test_a_case_that_is_answered_as_expected_holds(rules: str, listed: dict[str, Any]) -> None:
    assert told(rules, listed) == []


def test_a_case_that_is_answered_otherwise_is_told_with_line_and_reasons() -> None:
    listed = [
        case(),
        {**case("deny"), "name": "acme is kept out"},
        case({"action": "deny", "reasons": ["x"]}),
    ]
    files = cases(*listed)
    _, findings = run_tests(policy('reasons contains "y" if input.time.hour < 24'), files)
    assert [finding.message for finding in findings] == [
        "'case 1': the policy says deny (y)",
        "'case 3': other reasons (y), not x",
    ]
    lines = files["own_cases.json"].decode().splitlines()
    assert [lines[(finding.line or 0) - 1].strip() for finding in findings] == ["{", "{"]
    assert findings[0].line == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{}", "is no array of cases"),
        ("[]", "is no array of cases"),
        ("[{", "is no JSON"),
        ("\xff", "is no UTF-8"),
        ("[" * 100_000, "nested too deeply"),
        (f"[{'1' * 5000}]", "a number that is too long"),
        ('[{"input": {"route": "\\ud800"}, "expect": "deny"}]', "half of a character"),
        ('[{"input": {}, "expect": "deny", "expect": "allow"}]', "'expect' stands twice in one object"),
        ("[1]", "case 1 is not {name, input, expect}"),
        ('[{"input": {}, "expects": "allow"}]', "case 1 is not"),
        ('[{"input": {}, "expect": "allowed"}]', "case 1 expects neither"),
        ('[{"input": {}, "expect": {"action": "deny", "reasons": "x"}}]', "no array of texts"),
        ('[{"input": {}, "expect": "deny"}]', "has no route"),
        ('[{"input": {"route": "GET /protected", "time": {"rfc3339": "now"}}, "expect": "deny"}]', "is none"),
    ],
)
def test_a_case_that_cannot_be_read_is_refused(body: str, says: str) -> None:
    _, findings = run_tests(policy(""), {"own_cases.json": body.encode("latin-1")})
    [found] = findings
    assert says in found.message
    assert found.file == "own_cases.json"


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        # Each of these held before, since a request in good order without the role is denied anyway.
        ({"princpal": {"keyid": "acme:ci"}}, "input has no member 'princpal'; did you mean principal?"),
        ({"principal": "acme:ci"}, "input.principal is no object"),
        ({"principal": {"role": ["caller"]}}, "input.principal has no member 'role'"),
        ({"principal": {"roles": "caller"}}, "input.principal.roles is no array"),
        ({"principal": {"labels": {"Tenant": "acme"}}}, "cannot have the member 'Tenant'"),
        ({"query": {"limit": "5"}}, "input.query.limit is no array"),
        ({"query": {"limit": [5]}}, "input.query.limit[_] is no text"),
        ({"headers": {"X-Region": {"value": "eu", "covered": True}}}, "name-in-lower-case"),
        ({"headers": {"x-region": {"value": "eu"}}}, "name-in-lower-case"),
        ({"headers": {"x-region": {"value": "eu", "covered": 1}}}, "covered is no boolean"),
        ({"header_bytes": 1.5}, "input.header_bytes is no whole number"),
        ({"header_bytes": -1}, "input.header_bytes is no whole number"),
        ({"header_bytes": True}, "input.header_bytes is no number"),
        ({"path_parameters": {"item": 7}}, "input.path_parameters.item is no text"),
        ({"breaker": None}, "input.breaker is no object"),
        ({"source": {"ip": "203.0.113"}}, "'203.0.113' is no address"),
        ({"time": {"unix": 10**15}}, "lies outside 1970 to 9998"),
        ({"time": {"rfc3339": "0001-01-01T00:00:00+23:59"}}, "lies outside 1970 to 9998"),
        ({"time": {"rfc3339": "2026-11-23T08:30:00"}}, "names no zone"),
    ],
)
def test_a_case_about_no_request_is_refused(facts: dict[str, Any], says: str) -> None:
    [found] = told("", {"input": {"route": ROUTE, **facts}, "expect": "deny"})
    assert says in found


def test_what_a_case_states_is_told_as_a_request_is() -> None:
    engine = PolicyEngine(policy('reasons contains "n" if "2001:db8::/32" in input.source.networks'))
    stated = {"route": "GET /a/{one}/{rest+}", "path_parameters": {"one": "{rest}", "rest": "b/c"}}
    found = whole(engine, {**stated, "source": {"ip": "2001:DB8:0::7"}})
    assert found["path"] == "/a/{rest}/b/c"
    assert found["source"] == {"ip": "2001:db8::7", "networks": ["2001:db8::/32"]}


def test_cases_are_no_part_of_the_bundle(tmp_path: Any) -> None:
    for name, body in {**policy(""), **cases(case())}.items():
        (tmp_path / name).write_bytes(body)
    assert "own_cases.json" not in read_folder(tmp_path)
    assert [*read_tests(tmp_path)] == ["own_cases.json"]


NEEDS = """reasons contains "not a partner" if not partner

partner := data.partners[input.principal.keyid]

reasons contains "from elsewhere" if {
	partner
	not at_home
}

at_home if {
	some network in partner.networks
	network in input.source.networks
}

reasons contains "the grant is over" if input.time.rfc3339 >= partner.until

reasons contains "another tenant's" if partner.tenant != input.principal.labels.tenant

reasons contains "at night" if input.time.zones["Europe/Berlin"].hour < 6

reasons contains "no evidence" if not input.evidence.sha256

reasons contains "no region" if {
	partner
	not input.headers["x-region"].value in {"eu", "us"}
}
"""
PARTNERS = {
    "partners": {
        "beta-2": {
            "networks": ["198.51.100.0/24", "2001:db8:7::/48"],
            "until": "2025-01-01T00:00:00Z",
            "tenant": "beta",
        }
    }
}


def test_a_client_that_needs_a_name_a_network_a_time_a_label_and_evidence_is_found() -> None:
    files = policy(NEEDS, time_zones=["Europe/Berlin"], input_headers=["x-region"])
    files["partners.json"] = json.dumps(PARTNERS).encode()
    config(lambda c: c.update(routes={ROUTE: c["routes"][ROUTE]}))(files)  # one is enough
    assert check(files) == ()


def test_a_route_that_needs_what_the_policy_does_not_name_is_shown_by_a_case() -> None:
    files = policy('reasons contains "few" if not count(input.query.id) == 3')
    config(lambda c: c.update(routes={ROUTE: c["routes"][ROUTE]}))(files)
    assert any("no request can use this route" in finding.message for finding in check(files))
    shown = [case(query={"id": ["a", "b", "c"]})]
    read, wrong = read_cases(cases(*shown))
    assert wrong == []
    assert check(files, read) == ()


def test_a_case_lets_no_policy_through_that_forgets_the_role() -> None:
    files = policy('reasons contains "few" if not count(input.query.id) == 3')
    files["signet.rego"] = files["signet.rego"].replace(
        b"not route.role in input.principal.roles", b"not route.role"
    )
    read, _ = read_cases(cases(case(query={"id": ["a", "b", "c"]})))
    said = [finding.message for finding in check(files, read)]
    assert any("allows a client that has no role (GET /protected and 5" in message for message in said)
    assert any("has not the role 'caller'" in message for message in said)


NEVER = """reasons contains "too many" if {
	count(input.query.id) > 100
}

reasons contains "blocked" if input.principal.keyid in data.blocked

reasons contains "listed" if is_blocked

is_blocked if input.principal.keyid in data.blocked

reasons contains "always" if input.route
"""


def test_a_refusal_that_never_happens_is_found_unless_its_list_is_empty() -> None:
    files = {**policy(NEVER), "blocked.json": b'{"blocked": []}'}
    [found] = unreached(files)
    assert 'no probe brings this about: reasons contains "too many"' in found.message
    assert (found.file, found.line) == ("own.rego", 5)
    shown = case("deny", query={"id": ["x"] * 101})
    assert unreached(files, read_cases(cases(shown))[0]) == ()


def test_what_a_test_in_rego_asks_counts() -> None:
    files = {**policy(NEVER), "blocked.json": b'{"blocked": []}'}
    body = "package signet_test\n\nimport rego.v1\n\n"
    body += 'test_a := [{"input": INPUT, "expect": {"action": "deny"}}]\n'
    asked = {"route": ROUTE, "query": {"id": ["x"] * 101}}
    tests = {"own_test.rego": body.replace("INPUT", json.dumps(asked)).encode(), **cases(case("deny"))}
    assert unreached(files, (), asked_in(files, tests)) == ()


def test_the_rules_that_fire_are_told_with_file_line_and_head() -> None:
    tracer = Tracer(
        policy(
            'default grade := "a"\n\ngrade := "b" if input.breaker.level == "full" else := "c" if {\n'
            '\tinput.breaker.level == "shed" # one } more\n}\n\nreasons contains "x" if grade == "c"\n\n'
            "reasons contains message if {\n\tsome role in input.principal.roles\n\tmessage := role\n}"
        )
    )

    def fired(level: str, *roles: str) -> list[str]:
        numbers = tracer.fired({"breaker": {"level": level}, "principal": {"roles": list(roles)}})
        return [
            str(tracer.rules[number]) for number in sorted(numbers) if tracer.rules[number].file == "own.rego"
        ]

    assert fired("full") == ['own.rego:7: grade := "b"']
    assert fired("shed") == ['own.rego:7: grade := "b"', 'own.rego:11: reasons contains "x"']
    assert fired("relax", "r") == ["own.rego:13: reasons contains message"]


def test_an_escape_in_a_text_is_refused_with_its_line() -> None:
    rules = 'reasons contains "x" if {\n\tinput.principal.keyid == "a\\u00e4"\n\t# "\\u00e4"\n}'
    [found] = [finding for finding in check(policy(rules)) if "write the character itself" in finding.message]
    assert (found.file, found.line) == ("own.rego", 6)
