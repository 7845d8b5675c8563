"""A rule that can never fire as it is meant is refused with its line; ordinary Rego is let pass."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.policy.check import check, in_the_text
from signet.policy.engine import PolicyEngine
from signet.policy.facts import Facts
from signet.policy.finding import Finding
from signet.policy.lint.lint import read
from signet.policy.lint.parser import parse
from signet.policy.lint.shapes import INPUT, Shape
from signet.policy.rego import merged_data
from signet.policy.tokens import Unreadable
from tests.support.policies import Files, config, found_by_reading, more
from tests.support.policies import Mistake as Spoilt
from tests.support.rego_cases import GOOD, HEAD, MISTAKES, with_rules
from tests.support.world import ROOT, policy_files


def read_only(files: dict[str, bytes]) -> tuple[Finding, ...]:
    """Return what is found without running the rules, in the rules themselves."""
    modules, unreadable = read(files)
    return (*unreadable, *in_the_text(files, modules, merged_data(files)))


def without_value(text: str) -> list[Finding]:
    """Return the findings about variables without a value in a module alone."""
    files = {"t.rego": text.encode(), "config.json": policy_files("")["config.json"]}
    return [finding for finding in read_only(files) if "has no value here" in finding.message]


@pytest.mark.parametrize("rules", GOOD)
def test_ordinary_rules_are_let_pass(rules: str) -> None:
    assert read_only(with_rules(rules)) == ()


def test_a_policy_of_all_ordinary_rules_is_good() -> None:
    assert len(GOOD) >= 60
    assert check(with_rules("\n\n".join(GOOD))) == ()


@pytest.mark.parametrize("name", sorted(MISTAKES.keys() - {"function_of_the_clock"}))
def test_a_rule_that_cannot_fire_as_meant_is_found_with_its_line(name: str) -> None:
    mistake = MISTAKES[name]
    files = mistake.files()
    [found] = [finding for finding in read_only(files) if mistake.says in finding.message]
    assert found.file == "own.rego"
    assert found.line is not None
    assert mistake.line in files["own.rego"].decode().splitlines()[found.line - 1]
    assert "\n" not in found.message


@pytest.mark.parametrize("name", ["variable_behind_not", "function_of_the_clock", "default_twice", "with"])
def test_the_check_says_so_whatever_the_interpreter_says(name: str) -> None:
    mistake = MISTAKES[name]
    assert [finding for finding in check(mistake.files()) if mistake.says in finding.message]


def _placed(spoilt: Spoilt, look: Callable[[Files], Sequence[Finding]]) -> None:
    files = spoilt.files()
    [found] = [finding for finding in look(files) if spoilt.says in finding.message]
    assert found.file == spoilt.file
    assert found.line is not None
    assert spoilt.line is not None
    assert spoilt.line in files[str(found.file)].decode().splitlines()[found.line - 1]


_ROUTE = "GET /protected"


UNREAD = pytest.mark.parametrize(
    "spoilt",
    [
        Spoilt(config(lambda c: c.update(blockd=[])), "reads the member 'blockd'", "config.json", "blockd"),
        Spoilt(
            config(lambda c: c["routes"][_ROUTE].update(minimum_bindng="none")),
            "'minimum_bindng' of config.routes['GET /protected']; did you mean minimum_binding?",
            "config.json",
            "minimum_bindng",
        ),
        Spoilt(  # the input has a member of that name, which reads nothing in the data
            config(lambda c: c["routes"][_ROUTE].update(algorithm=["ml-dsa-65"])),
            "'algorithm' of config.routes['GET /protected']; did you mean algorithms?",
            "config.json",
            '"algorithm":',
        ),
        Spoilt(
            config(lambda c: c["header_budget"].update(classic=2048)), "'classic'", "config.json", "classic"
        ),
        Spoilt(more("more.json", '{\n"partnrs": {}}'), "no rule reads data.partnrs", "more.json", "partnrs"),
        Spoilt(
            config(lambda c: c["routes"].update({"ANY /protected/x": c["routes"][_ROUTE]})),
            "write one entry for each, as in 'GET /protected/x'",
            "config.json",
            "ANY /protected/x",
        ),
        Spoilt(
            config(lambda c: c["routes"].update({"FETCH /x": c["routes"][_ROUTE]})),
            "has no method of API Gateway",
            "config.json",
            "FETCH /x",
        ),
        Spoilt(
            config(lambda c: c["routes"].update({"GET /x/": c["routes"][_ROUTE]})),
            "has an empty segment",
            "config.json",
            "GET /x/",
        ),
        Spoilt(
            config(lambda c: c["routes"].update({"GET /{all+}/x": c["routes"][_ROUTE]})),
            "goes on behind {all+}",
            "config.json",
            "GET /{all+}/x",
        ),
        Spoilt(
            config(lambda c: c["routes"].update({"GET /x{id}": c["routes"][_ROUTE]})),
            "has a segment 'x{id}'",
            "config.json",
            "GET /x{id}",
        ),
        Spoilt(
            config(lambda c: c["routes"][_ROUTE].update(role="read orders")),
            "no client has the role 'read orders'",
            "config.json",
            "read orders",
        ),
        Spoilt(
            more("bom.rego", "\ufeffpackage signet\n\nimport rego.v1\n"),
            "byte order mark",
            "bom.rego",
            "package",
        ),
        Spoilt(more("bom.json", "\ufeff{}"), "begins with a byte order mark", "bom.json", "{}"),
        Spoilt(
            more("sub.rego", "package orders\n\nimport rego.v1\n\nreasons contains 1\n"),
            "no rule reads the package orders",
            "sub.rego",
            "reasons",
        ),
    ],
    ids=lambda spoilt: spoilt.says[:30],
)


@UNREAD
def test_what_nothing_reads_and_no_request_has_is_found(spoilt: Spoilt) -> None:
    _placed(spoilt, found_by_reading)


@pytest.mark.sweep
@UNREAD
def test_what_nothing_reads_is_found_once_whatever_else_is_asked(spoilt: Spoilt) -> None:
    _placed(spoilt, check)


def test_routes_that_api_gateway_takes_are_let_pass() -> None:
    files = policy_files("")
    for route in ("GET /", "PATCH /a/{id}/b", "OPTIONS /{proxy+}", "HEAD /v1.0/a_b-c:d"):
        config(lambda c, route=route: c["routes"].update({route: c["routes"][_ROUTE]}))(files)
    assert check(files) == ()


def test_a_member_that_a_rule_of_ones_own_reads_is_let_pass() -> None:
    files = with_rules(
        'reasons contains "frozen" if data.config.routes[input.route].frozen\n\n'
        'reasons contains "late" if input.principal.keyid in data.config.late\n\n'
        'reasons contains "no partner" if { data.partners["acme-1"]; data.patterns; data.blocked[_] == "x" }'
    )
    config(lambda c: (c.update(late=[]), c["routes"][_ROUTE].update(frozen=False)))(files)
    assert check(files) == ()


@pytest.mark.parametrize(
    "rules",
    [
        'reasons contains "no evidence" if { input.route == "POST /protected"; not input.evidence.sha256 }',
        (
            'reasons contains "not a writer" if {\n\tinput.route == "POST /protected"\n'
            '\tnot input.principal.keyid in {"alice", "bob"}\n}'
        ),
        'reasons contains "another tenant" if split(input.principal.keyid, ":")[0] != "acme"',
        (
            'reasons contains "no partner" if { not data.partners[input.principal.keyid] }\n\n'
            'reasons contains "x" if data.patterns[_] == input.principal.keyid\n\n'
            'reasons contains "y" if input.principal.keyid in data.blocked'
        ),
    ],
)
def test_a_route_that_only_some_clients_or_evidence_open_is_usable(rules: str) -> None:
    assert check(with_rules(rules)) == ()


def _members(shape: Shape, path: str = "") -> list[str]:
    found = []
    for name, member in shape.members.items():
        found += [f"{path}{name}", *_members(member, f"{path}{name}.")]
    return found


def test_the_documented_input_is_the_table_s() -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    table = text.split("<!-- input -->")[1].split("<!-- /input -->")[0]
    assert re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE) == _members(INPUT)
    for name, kind in re.findall(r"^\| `([\w.]+)` \| (\w+)", table, re.MULTILINE):
        shape: Shape = INPUT
        for part in name.split("."):
            shape = shape.members[part]
        assert shape.kind == kind


@given(st.text(alphabet='ab"`$\\{}[]()|:=, .\n\t_1#', max_size=40))
def test_any_text_is_read_or_refused_in_short_order(text: str) -> None:
    started = time.process_time()
    with contextlib.suppress(Unreadable):
        parse(HEAD + text)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("opening", ["[", "{", "(", "[a | ", "{a | ", '{"a": ', "f(", "x[", "-", '$"{'])
def test_deep_nesting_ends(opening: str) -> None:
    started = time.process_time()
    with pytest.raises((Unreadable, RecursionError)):
        parse(HEAD + "x := " + opening * 5000)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("rule", "passes", "is_refused"),
    [
        ("not input.evidence.sha256", {"evidence_sha256": bytes(32)}, {"evidence_sha256": None}),
        ('not input.principal.keyid in {"alice", "bob"}', {"keyid": "bob"}, {"keyid": "mallory"}),
    ],
)
def test_a_rule_that_is_good_is_in_force_as_it_is_meant(
    rule: str, passes: dict[str, Any], is_refused: dict[str, Any]
) -> None:
    rules = f'reasons contains "own" if {{ input.route == "POST /protected"; {rule} }}'
    engine = PolicyEngine(with_rules(rules))
    facts = Facts(
        "POST /protected",
        "/protected",
        (),
        "alice",
        frozenset({"caller"}),
        "ed25519",
        "tls-exporter",
        None,
        "closed",
        "full",
        1,
    )
    assert engine.evaluate(facts._replace(**passes)).allowed
    assert engine.evaluate(facts._replace(**is_refused)).reasons == ("own",)
    assert engine.evaluate(facts._replace(route="GET /protected", **is_refused)).allowed


def test_mistakes_are_told_in_the_order_of_their_lines() -> None:
    rules = """reasons contains "a" if input.routee == "x"

allow := true

reasons contains "b" if data.confg.x == 1

reason contains "c" if input.route == "POST /protectd"
"""
    found = check({**policy_files(""), "own.rego": (HEAD + rules).encode()})
    lines = [finding.line for finding in found]
    assert len(set(lines)) == 4
    assert lines == sorted(lines)
