"""The policy decides as documented; a broken or contradictory one allows nothing."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from signet.core.errors import PolicyError
from signet.crypto import suites
from signet.policy import engine as engine_module
from signet.policy.engine import PolicyEngine, Verdict
from signet.policy.facts import Facts
from tests.support.world import policy_files

REQUEST = {
    "api": "signet",
    "route": "GET /protected",
    "method": "GET",
    "path": "/protected",
    "path_parameters": {},
    "principal": {"keyid": "caller-1", "roles": ["caller"], "labels": {}},
    "algorithm": "ed25519",
    "binding": {"type": "none"},
    "evidence": None,
    "breaker": {"state": "closed", "level": "full"},
    "header_bytes": 400,
}
FACTS = Facts(
    "GET /protected",
    "/protected",
    (),
    "caller-1",
    frozenset({"caller"}),
    "ed25519",
    "none",
    None,
    "closed",
    "full",
    400,
)


class Counting(PolicyEngine):
    """Counts evaluations."""

    evaluations = 0

    def decide(self, request: Mapping[str, Any]) -> Verdict:
        self.evaluations += 1
        return super().decide(request)


def engine_with(routes: dict[str, Any]) -> PolicyEngine:
    files = policy_files()
    config = json.loads(files["config.json"])
    config["config"]["routes"] = routes
    return PolicyEngine({**files, "config.json": json.dumps(config).encode()})


def test_shipped_policy_allows_a_caller_on_a_bound_connection_and_no_other() -> None:
    shipped = PolicyEngine(policy_files(""))
    assert shipped.decide({**REQUEST, "binding": {"type": "tls-exporter"}}).allowed
    unbound = shipped.decide(REQUEST)
    assert not unbound.allowed
    assert unbound.reasons == ("the channel binding is too weak",)


def test_shipped_policy_keeps_the_one_pagers_promise() -> None:
    shipped = PolicyEngine(policy_files(""))
    needs = shipped.requirements("GET /protected", state="closed", level="full")
    assert needs.minimum_binding == "tls-exporter"
    assert needs.ladder == ("full", "relax", "shed")  # no rung "classical"
    assert needs.availability_floor_ppm == 100_000
    assert needs.allowed_algorithms == suites.NAMES
    challenge = shipped.requirements("GET /pch/challenge", state="closed", level="full")
    assert challenge.minimum_binding == "tls-exporter"


def test_all_that_is_demanded_anywhere_is_announced_in_one_order_and_once() -> None:
    names = ["if-match", "a9", "a10", "authorization"]
    routes = {
        f"GET /{place}": {"role": "caller", "minimum_binding": "none", "required_components": [name, "a9"]}
        for place, name in enumerate(names)
        if name != "a9"
    }
    challenge = engine_with(routes).requirements("GET /pch/challenge", state="closed", level="full")
    assert challenge.required_components == tuple(sorted(names))


def test_development_policy_allows_a_caller_without_binding() -> None:
    verdict = PolicyEngine(policy_files()).decide(REQUEST)
    assert verdict.allowed
    assert verdict.reasons == ()


@pytest.mark.parametrize(
    "change",
    [
        {"route": "GET /elsewhere"},
        {"route": "POST /compliance/pack"},
        {"principal": {"keyid": "x", "roles": ["auditor"]}},
        {"principal": {}},
        {"algorithm": "rsa-pss-sha512"},
        {"binding": {"type": "made-up"}},
    ],
)
def test_shipped_policy_denies_with_a_reason(change: dict[str, Any]) -> None:
    verdict = PolicyEngine(policy_files()).decide({**REQUEST, **change})
    assert not verdict.allowed
    assert verdict.reasons


@pytest.mark.parametrize("missing", REQUEST)
def test_request_with_a_missing_fact_is_denied(missing: str) -> None:
    request = {key: value for key, value in REQUEST.items() if key != missing}
    verdict = PolicyEngine(policy_files()).decide(request)
    # No shipped rule needs evidence or looks into a path; the size of header fields is held by code.
    unread = {"evidence", "breaker", "method", "path", "path_parameters", "header_bytes"}
    assert verdict.allowed == (missing in unread)


def test_binding_weaker_than_the_routes_is_denied() -> None:
    engine = engine_with({"GET /protected": {"role": "caller", "minimum_binding": "tls-exporter"}})
    assert not engine.decide(REQUEST).allowed
    assert engine.decide({**REQUEST, "binding": {"type": "tls-client-cert"}}).allowed


@pytest.mark.parametrize(
    ("bindings", "announced"),
    [
        (["none", "none"], "none"),
        (["none", "tls-client-cert"], "tls-client-cert"),
        (["tls-client-cert", "tls-exporter"], "tls-exporter"),
    ],
)
def test_challenges_are_announced_for_the_strongest_binding_in_use(
    bindings: list[str], announced: str
) -> None:
    routes = {f"GET /{n}": {"role": "caller", "minimum_binding": b} for n, b in enumerate(bindings)}
    needs = engine_with(routes).requirements("GET /pch/challenge", state="closed", level="full")
    assert needs.minimum_binding == announced
    assert needs.allowed_algorithms


def test_header_budget_steps_down_with_the_level() -> None:
    engine = PolicyEngine(policy_files())
    budgets = [
        engine.requirements("GET /protected", state="open", level=level).header_budget
        for level in ("full", "relax")
    ]
    assert budgets == [8192, 2048]


@pytest.mark.parametrize(
    "source",
    [
        "package signet\nallow {",
        "not rego at all",
    ],
)
def test_policy_that_does_not_compile_is_refused(source: str) -> None:
    with pytest.raises(PolicyError):
        PolicyEngine({"signet.rego": source.encode()})


@pytest.mark.parametrize(
    "source",
    [
        'package other\nimport rego.v1\naction := "allow"\nreasons := []\n',
        'package signet\nimport rego.v1\naction := "allow"\n',
        "package signet\nimport rego.v1\naction := true\nreasons := []\n",
        "package signet\nimport rego.v1\nreasons := []\n",
    ],
)
def test_policy_that_answers_in_another_shape_decides_nothing(source: str) -> None:
    with pytest.raises(PolicyError):
        PolicyEngine({"signet.rego": source.encode()}).decide(REQUEST)


def test_policy_that_contradicts_itself_allows_nothing() -> None:
    source = b'package signet\nimport rego.v1\naction := "allow"\nreasons := ["but"]\n'
    assert not PolicyEngine({"signet.rego": source}).decide(REQUEST).allowed


def test_facts_are_the_documented_input() -> None:
    assert FACTS.document() == REQUEST
    assert FACTS._replace(evidence_sha256=bytes(32)).document()["evidence"] == {"sha256": "00" * 32}


def test_equal_facts_are_evaluated_once() -> None:
    policy = Counting(policy_files())
    assert policy.evaluate(FACTS) == policy.evaluate(FACTS._replace()) == policy.decide(REQUEST)
    assert policy.evaluations == 2  # the first, and the one that was asked for in so many words


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"route": "POST /compliance/pack"}, False),
        ({"roles": frozenset({"auditor"})}, False),
        ({"algorithm": "rsa"}, False),
        ({"binding": "tls-exporter"}, True),
        ({"level": "relax"}, True),
    ],
)
def test_no_verdict_is_remembered_for_other_facts(change: dict[str, Any], *, allowed: bool) -> None:
    policy = Counting(policy_files())
    assert policy.evaluate(FACTS).allowed
    assert policy.evaluate(FACTS._replace(**change)).allowed is allowed
    assert policy.evaluations == 2


UNREAD = [
    {"keyid": "caller-2"},
    {"evidence_sha256": bytes(32)},
    {"header_bytes": 9000},
    {"path": "/protected/2"},
    {"path_parameters": (("id", "2"),)},
    {"labels": (("tenant", "a"),)},
]


@pytest.mark.parametrize("change", UNREAD)
def test_what_no_rule_reads_keeps_no_verdict_from_being_remembered(change: dict[str, Any]) -> None:
    policy = Counting(policy_files())
    assert policy.evaluate(FACTS) == policy.evaluate(FACTS._replace(**change))
    assert policy.evaluations == 1


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("input.header_bytes < 9", {"header_bytes": 9000}),
        ('input.principal.keyid != "x"', {"keyid": "caller-2"}),
        ('input.principal.labels.tenant == "a"', {"labels": (("tenant", "a"),)}),
        ('startswith(input.path, "/")', {"path": "/protected/2"}),
        ("input.evidence != null", {"evidence_sha256": bytes(32)}),
        ('input.path_parameters.id == "2"', {"path_parameters": (("id", "2"),)}),
        ("count(input.principal) > 1", {"keyid": "caller-2"}),
    ],
)
def test_what_a_rule_reads_is_asked_anew(rule: str, change: dict[str, Any]) -> None:
    source = policy_files()["signet.rego"] + f"\nfurther if {{ {rule} }}\n".encode()
    policy = Counting({**policy_files(), "signet.rego": source})
    policy.evaluate(FACTS)
    policy.evaluate(FACTS._replace(**change))
    assert policy.evaluations == 2


@pytest.mark.parametrize("change", UNREAD)
@pytest.mark.parametrize(
    "rule",
    [
        "all := input; all != {}",
        'input[name] != null; some name in ["x"]',
        "count([x | some x in input]) > 0",
        'object.get(input, "path", "") != ""',
        '$"{input}" != ""',
        "walk(input, [_, _])",
    ],
)
def test_a_rule_that_may_read_anything_reads_everything(rule: str, change: dict[str, Any]) -> None:
    source = policy_files()["signet.rego"] + f"\nfurther if {{ {rule} }}\n".encode()
    policy = Counting({**policy_files(), "signet.rego": source})
    policy.evaluate(FACTS)
    policy.evaluate(FACTS._replace(**change))
    assert policy.evaluations == 2


@pytest.mark.parametrize(
    ("rule", "evaluations"),
    [
        ("time.now_ns() > 0", 2),
        ("time.clock(0) != [1]", 2),
        ('$"{time.now_ns()}" != ""', 2),
        ('[$"", time.now_ns(), ""] != []', 2),
        ("$`{time.now_ns()}` != ``", 2),
        ('"time.now_ns" != "$"', 1),
    ],
)
def test_policy_that_may_answer_differently_later_is_asked_each_time(rule: str, evaluations: int) -> None:
    rules = policy_files()["signet.rego"] + f"\n# time.now_ns() in words\nnow if {rule}\n".encode()
    policy = Counting({**policy_files(), "signet.rego": rules})
    assert policy.evaluate(FACTS) == policy.evaluate(FACTS)
    assert policy.evaluations == evaluations


def test_verdict_that_could_not_be_had_is_asked_for_again() -> None:
    policy = Counting({"signet.rego": b'package signet\nimport rego.v1\naction := "allow"\n'})
    for _ in range(2):
        with pytest.raises(PolicyError):
            policy.evaluate(FACTS)
    assert policy.evaluations == 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_MAX_VERDICTS", 2)
    policy = Counting(policy_files())
    for binding in ("none", "tls-client-cert", "tls-exporter", "none", "tls-client-cert", "tls-exporter"):
        assert policy.evaluate(FACTS._replace(binding=binding)).allowed
    assert policy.evaluations in {4, 5, 6}


def test_requirements_in_another_shape_are_refused() -> None:
    source = b'package signet\nimport rego.v1\nminimum_binding := "none"\nallowed_algorithms := "all"\n'
    with pytest.raises(PolicyError):
        PolicyEngine({"signet.rego": source}).requirements("GET /", state="closed", level="full")


def test_requirements_follow_the_breaker_s_state_and_level() -> None:
    source = b"""package signet
import rego.v1
minimum_binding := "none"
allowed_algorithms := ["ed25519"]
ladder := ["full"]
classical_fallback := false
availability_floor_ppm := 100000
latency_objective_ms := 1000
breaker := {
	"trip_bad_share_ppm": 300000, "step_bad_share_ppm": 150000,
	"close_bad_share_ppm": 100000, "down_bad_share_ppm": 50000,
}
budgets := {"closed": 8192, "open": 2048}
header_budget := budgets[input.breaker.state]
"""
    engine = PolicyEngine({"signet.rego": source})
    found = [
        engine.requirements("GET /", state=state, level="full").header_budget
        for state in ("closed", "open", "closed")
    ]
    assert found == [8192, 2048, 8192]


def test_only_listed_routes_have_a_rule() -> None:
    engine = PolicyEngine(policy_files())
    assert engine.lists("GET /protected")
    assert not any(map(engine.lists, ("GET /elsewhere", "GET /pch/challenge", "PATCH /protected", "")))
