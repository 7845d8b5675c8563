"""What is looked up before the rules run is what they would find themselves, and only that is looked up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signet.policy.alike import ALL_APART, spelled, standing_for
from signet.policy.check import check
from signet.policy.engine import PolicyEngine
from signet.policy.indexed import FOUND, LEAST_MEMBERS, indexed
from signet.policy.rego import RegoProgram
from tests.support.policies import Files
from tests.support.world import policy_files

COUNT = LEAST_MEMBERS
GRANTS: dict[str, Any] = {
    f"client-{number}": {"until": number, "tenant": f"t{number}", "names": ["ä", '"', "\n"], "none": None}
    for number in range(COUNT)
}
DATA: dict[str, Any] = {
    "grants": GRANTS,
    "deep": {"of": {"things": GRANTS}},
    "listed": [[number] for number in range(COUNT)],
    "floats": {f"client-{number}": {"share": 0.1} for number in range(COUNT)},
    "large": {f"client-{number}": "x" * 5_000 for number in range(COUNT)},
    "few": {"client-1": {"until": 1}},
    "two": {f"tenant-{number}": {"client-1": number} for number in range(COUNT)},
}
HEAD = "package signet\n\nimport rego.v1\n\n"
KEYS: tuple[Any, ...] = (
    "client-1",
    f"client-{COUNT - 1}",
    "client-none",
    "",
    1,
    None,
    ["client-1"],
    {"a": 1},
)

FOUND_BEFORE = [
    "x := data.grants[input.k]",
    "x := data.grants[input.k].until",
    "x := data.grants[input.k].names[2]",
    'x := data["grants"][input.k]["tenant"]',
    "x := data.grants[input.who.k]",
    'x := data.grants[input["who"].k]',
    "x := data.deep.of.things[input.k].none",
    "x := data.two[input.t][input.k]",
    "x if not data.grants[input.k]",
    "x contains name if some name in data.grants[input.k].names",
    "x := {input.k: data.grants[input.k]}",
]
LEFT = [
    "x := data.grants[k] if k := input.k",
    'x := data.grants[concat("", [input.k])]',
    "x := count(data.grants)",
    "x := data.listed[input.n]",
    "x := data.floats[input.k]",
    "x := data.large[input.k]",
    "x := data.few[input.k]",
    "x := [data.grants[input.k], input]",
    "x := [data.grants[input.k], input[data.few]]",
    "x := [data.grants[input.k], data[input.k]]",
    'x := data.grants[input.k] with input as {"k": "client-2"}',
]
SEEN = ["x := [data.grants[input.k].until, count(data.grants)]"]


def answers(rule: str, least: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr("signet.policy.rego._LARGE_BYTES", least)
    files = {"a.rego": (HEAD + rule + "\n").encode(), "data.json": json.dumps(DATA).encode()}
    program = RegoProgram(files, ["data.signet.x"])
    return [
        program.evaluate("data.signet.x", {"k": key, "who": {"k": key}, "t": "tenant-3", "n": 3})
        for key in KEYS
        if key is not None
    ] + [program.evaluate("data.signet.x", {"n": 3})]


@pytest.mark.parametrize(
    "rule", [*FOUND_BEFORE, *SEEN, *(rule for rule in LEFT if " with " not in rule and "data[" not in rule)]
)
def test_rules_answer_alike_whether_data_is_looked_up_or_not(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answers(rule, 0, monkeypatch) == answers(rule, 1 << 40, monkeypatch)


@pytest.mark.parametrize("rule", FOUND_BEFORE)
def test_data_that_is_looked_up_is_not_loaded(rule: str) -> None:
    found = indexed({"a.rego": HEAD + rule}, DATA)
    assert FOUND in found.modules["a.rego"]
    assert not found.data
    assert found.modules["a.rego"].count("\n") == (HEAD + rule).count("\n")


@pytest.mark.parametrize("rule", LEFT)
def test_what_could_make_a_difference_stays_as_it_is(rule: str) -> None:
    found = indexed({"a.rego": HEAD + rule}, DATA)
    assert found.modules["a.rego"] == HEAD + rule
    assert found.data == DATA


@pytest.mark.parametrize("rule", SEEN)
def test_data_that_is_used_otherwise_too_is_loaded(rule: str) -> None:
    found = indexed({"a.rego": HEAD + rule}, DATA)
    assert FOUND in found.modules["a.rego"]
    assert found.data == {"grants": GRANTS}


def test_a_package_is_no_data() -> None:
    rules = {"a.rego": HEAD + "x := data.grants[input.k]", "b.rego": "package grants.more\n\ny := 1\n"}
    assert indexed(rules, DATA).modules == rules


def test_of_two_references_each_finds_its_own() -> None:
    text = HEAD + "x := [data.grants[input.k], data.two[input.t][input.k], data.grants[input.k].until]"
    found = indexed({"a.rego": text}, DATA)
    told = found.document({"k": "client-1", "t": "tenant-3"})[FOUND]
    assert told == {"r0": GRANTS["client-1"], "r1": 3}


def test_a_mistake_in_rules_beside_large_data_is_told_by_its_line() -> None:
    files = {
        "a.rego": (HEAD + "x := data.grants[input.k]\n\ny := [1\n").encode(),
        "data.json": json.dumps(DATA).encode(),
    }
    with pytest.raises(Exception, match=r"^a\.rego:[67]"):
        RegoProgram(files, ["data.signet.x"])


def many(count: int, role: str = "caller") -> dict[str, Any]:
    return {f"GET /things{number}": {"role": role, "minimum_binding": "none"} for number in range(count)}


def test_few_routes_stand_for_themselves() -> None:
    routes = many(ALL_APART)
    assert standing_for(routes, (), ()) == routes.keys()


def test_of_many_routes_two_of_a_kind_are_asked_about() -> None:
    routes = many(200) | {
        "GET /other/{id}": many(1)["GET /things0"],
        "POST /things0": many(1)["GET /things0"],
    }
    plain = standing_for(routes, (), ())
    assert plain == {"GET /things0", "GET /things1", "GET /other/{id}"}
    told = standing_for(routes, ("POST", "/things7", "x"), ["GET /things150"])
    assert told == plain | {"POST /things0", "GET /things7", "GET /things70", "GET /things150"}


def test_patterns_may_tell_any_two_routes_apart() -> None:
    for call in ('regex.match("7+$", input.route)', 'glob.match("GET /*7", [], input.route)'):
        assert spelled([f"x if {call}"], {}) is None
    assert standing_for(many(200), None, ()) == many(200).keys()
    assert spelled(['x if input.route == "GET /a"', "y := `b`"], {"a": {"/c": "d"}}) == ("GET /a", "b", "/c")


def big(rules: str) -> Files:
    files = policy_files("")
    document = json.loads(files["config.json"])
    document["config"]["routes"] |= many(150)
    return files | {"config.json": json.dumps(document).encode(), "own.rego": (HEAD + rules).encode()}


def open_where(condition: str) -> Files:
    """Return a policy of many routes that asks for no role where the condition does not hold."""
    files = big("")
    role = "not route.role in input.principal.roles"
    changed = files["signet.rego"].decode().replace(f"if {role}", f"if {{\n\t{role}\n\t{condition}\n}}")
    return files | {"signet.rego": changed.encode()}


@pytest.mark.parametrize(
    "condition",
    ['input.route != "GET /things77"', 'not endswith(input.route, concat("", ["gs", "77"]))'],
    ids=["spelled", "computed"],
)
def test_that_one_of_many_alike_routes_is_open_to_strangers_is_found(condition: str) -> None:
    found = [finding.message for finding in check(open_where(condition))]
    assert any("has no role" in message and "GET /things77" in message for message in found), found


def test_what_is_wrong_on_a_route_that_rules_spell_is_found_whole() -> None:
    condition = 'not startswith(input.route, "GET /things77")'
    found = [finding.message for finding in check(open_where(condition))]
    assert any("has not the role" in message and "GET /things77" in message for message in found), found


def test_routes_of_a_large_api_answer_as_those_of_a_small_one() -> None:
    small, large = policy_files(""), policy_files("")
    for files, count in ((small, 3), (large, 1_000)):
        document = json.loads(files["config.json"])
        document["config"]["apis"] = {"big": {"routes": many(count), "ladder": ["full", "shed"]}}
        files["config.json"] = json.dumps(document).encode()
    for route in ("big GET /things0", "big GET /things2", "GET /protected", "big GET /pch/challenge"):
        for level in ("full", "relax"):
            given = {"state": "closed", "level": level}
            assert PolicyEngine(small).requirements(route, **given) == PolicyEngine(large).requirements(
                route, **given
            )


def test_large_data_that_the_interpreter_would_have_to_load_is_refused() -> None:
    entries = {f"client-{number}": {"until": number} for number in range(20_000)}
    reading = 'reasons contains "no grant" if not data.grants[input.principal.keyid]\n'
    files = big(reading) | {"grants.json": json.dumps({"grants": entries | {"probe": {"until": 1}}}).encode()}
    assert not check(files)
    counting = reading + '\nreasons contains "too few" if count(data.grants) < 3\n'
    [found] = check(files | {"own.rego": (HEAD + counting).encode()})
    assert found.message.startswith("the interpreter would have to load ")
    assert found.file == "grants.json"
