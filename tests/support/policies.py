"""Policies with one mistake each, and what the check says of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from signet.policy.check import check
from signet.policy.finding import Finding
from tests.support.world import policy_files

Files = dict[str, bytes]


_LADDER = 'ladder := object.get(own, "ladder", ladder_of_all)'


@dataclass(frozen=True)
class Mistake:
    """How a good policy is spoilt; words of the finding; the file and a piece of the line it points to."""

    spoil: Callable[[Files], None]
    says: str
    file: str | None = None
    line: str | None = None

    def files(self) -> Files:
        """Return the spoilt policy."""
        files = policy_files("")
        self.spoil(files)
        return files


def rego(old: str, new: str) -> Callable[[Files], None]:
    """Replace a piece of the rules."""

    def spoil(files: Files) -> None:
        text = files["signet.rego"].decode()
        assert text.count(old) == 1, old
        files["signet.rego"] = text.replace(old, new).encode()

    return spoil


def config(change: Callable[[dict[str, Any]], object]) -> Callable[[Files], None]:
    """Change the configuration."""

    def spoil(files: Files) -> None:
        document = json.loads(files["config.json"])
        change(document["config"])
        files["config.json"] = json.dumps(document, indent=1).encode()

    return spoil


def text(old: str, new: str) -> Callable[[Files], None]:
    """Replace a piece of the configuration's text."""

    def spoil(files: Files) -> None:
        body = files["config.json"].decode()
        assert old in body, old
        files["config.json"] = body.replace(old, new, 1).encode()

    return spoil


def more(name: str, body: str) -> Callable[[Files], None]:
    """Add a file."""
    return lambda files: files.update({name: body.encode()})


def found_by_reading(files: Files) -> tuple[Finding, ...]:
    """Return what the check finds before it asks the rules about requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signet.policy.check.probe", lambda *_asked: ())
        return check(files)


def _allow_all(files: Files) -> None:
    rules = files["signet.rego"].decode()
    rules = re.sub(r"^reasons contains .*\n", "", rules, flags=re.MULTILINE)
    rules = rules.replace('action := "allow" if count(reasons) == 0', 'action := "allow" if true')
    files["signet.rego"] = (rules + "\nreasons := []\n").encode()


def _unlisted_allowed(files: Files) -> None:
    rego('reasons contains "no policy for this route" if not route', "")(files)
    rego("if not route.role in input.principal.roles", 'if not "caller" in input.principal.roles')(files)
    rego("default allowed_algorithms := []", "default allowed_algorithms := data.config.algorithms")(files)


_ROUTE = "GET /protected"
_ALLOW = 'action := "allow" if count(reasons) == 0'
_BINDING = 'reasons contains "the channel binding is too weak" if not bound'
_ALGORITHM = (
    'reasons contains "the algorithm is not allowed here" if not input.algorithm in allowed_algorithms'
)

MISTAKES: dict[str, Mistake] = {
    "syntax_error": Mistake(
        rego(_ALLOW, 'action := "allow" if {'), "does not compile", "signet.rego", "if {"
    ),
    "unknown_function": Mistake(
        rego(_ALLOW, 'action := "allow" if no_such_function(reasons)'),
        "Function not found: no_such_function",
    ),
    "another_package": Mistake(rego("package signet", "package signed"), "no file has the package 'signet'"),
    "missing_rule": Mistake(rego(_LADDER, ""), "needs a rule of that name (type: array)", "config.json"),
    "undefined_action": Mistake(
        rego('default action := "deny"', ""), "without an action or reasons", "signet.rego", "action :="
    ),
    "wrong_type": Mistake(
        config(lambda c: c["header_budget"].update(full="8192")),
        "header_budget is text instead of integer",
        "config.json",
        '"header_budget"',
    ),
    "action_is_a_boolean": Mistake(
        rego(_ALLOW, "action := true if count(reasons) == 0"),
        "in the wrong shape",
        "signet.rego",
        "action := true",
    ),
    "two_values_at_once": Mistake(
        rego(_ALLOW, f'{_ALLOW}\n\naction := "deny" if input.route'), "two values at once", "signet.rego"
    ),
    "allow_all": Mistake(
        _allow_all, "allows a request that has no verified principal", "signet.rego", "action"
    ),
    "unlisted_route_allowed": Mistake(
        _unlisted_allowed, "allows a route that is not listed", "signet.rego", "action"
    ),
    "binding_not_asked_for": Mistake(
        rego(_BINDING, ""), "allows the binding 'none' where minimum_binding demands 'tls-exporter'"
    ),
    "algorithm_not_asked_for": Mistake(
        rego(_ALGORITHM, ""), "an algorithm that is not among allowed_algorithms"
    ),
    "roles_not_asked_for": Mistake(
        rego(
            "reasons contains \"the client's roles do not include the route's\" "
            "if not route.role in input.principal.roles",
            "",
        ),
        "allows a client that has no role",
    ),
    "weaker_under_load": Mistake(
        rego(
            "minimum_binding := route.minimum_binding if input.route != challenge_route",
            "minimum_binding := route.minimum_binding if {\n\tinput.route != challenge_route\n"
            '\tinput.breaker.level != "relax"\n}\n\n'
            'minimum_binding := "none" if {\n\tinput.route != challenge_route\n'
            '\tinput.breaker.level == "relax"\n}',
        ),
        "minimum_binding is weaker at the level relax than at full",
    ),
    "budget_rises_under_load": Mistake(
        config(lambda c: c["header_budget"].update(relax=9000)),
        "header_budget rises from 8192 at the level full to 9000 at relax",
        "config.json",
        '"header_budget"',
    ),
    "negative_budget": Mistake(config(lambda c: c["header_budget"].update(relax=-1)), "header_budget is -1"),
    "budget_above_the_gateways": Mistake(
        config(lambda c: c["header_budget"].update(full=20_000)), "between 0 and 10240"
    ),
    "closes_above_where_it_opens": Mistake(
        config(lambda c: c["breaker"].update(close_bad_share_ppm=400_000)),
        "breaker contradicts itself",
        "config.json",
        '"breaker"',
    ),
    "threshold_misspelt": Mistake(
        config(lambda c: c["breaker"].update(trip_share_ppm=c["breaker"].pop("trip_bad_share_ppm"))),
        "breaker has exactly the members",
    ),
    "floor_out_of_range": Mistake(
        config(lambda c: c.update(availability_floor_ppm=2_000_000)), "availability_floor_ppm is 2000000"
    ),
    "floor_above_the_trip": Mistake(
        config(lambda c: c.update(availability_floor_ppm=400_000)), "not above trip_bad_share_ppm (300000)"
    ),
    "floor_of_one_state": Mistake(
        rego(
            "availability_floor_ppm := data.config.apis[input.api].availability_floor_ppm "
            'if input.api != "signet"\n\n'
            "else := data.config.availability_floor_ppm",
            "default availability_floor_ppm := 100000\n\n"
            'availability_floor_ppm := 200000 if input.breaker.state == "open"',
        ),
        "availability_floor_ppm differs by route, level or state",
        "config.json",
    ),
    "no_latency_passes": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(latency_objective_ms=0)), "latency_objective_ms is 0"
    ),
    "unknown_algorithm": Mistake(
        config(lambda c: c["algorithms"].append("hs256")), "allowed_algorithms names 'hs256'"
    ),
    "unknown_binding": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(minimum_binding="tls-unique")),
        "minimum_binding is 'tls-unique'",
        "config.json",
    ),
    "unknown_rung": Mistake(config(lambda c: c.update(ladder=["full", "panic"])), "ladder names 'panic'"),
    "ladder_without_full": Mistake(
        config(lambda c: c.update(ladder=["relax", "shed"])), "ladder does not begin with 'full'"
    ),
    "classical_before_relax": Mistake(
        config(lambda c: c.update(ladder=["full", "classical", "relax"], classical_fallback=True)),
        "ladder is not in the order full, relax, classical, shed",
    ),
    "classical_without_consent": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(ladder=["full", "relax", "classical"])),
        "classical_fallback is off",
    ),
    "component_in_upper_case": Mistake(
        config(
            lambda c: c["routes"]["PUT /protected"].update(required_components=["if-match", "Content-Type"])
        ),
        "'Content-Type' is no name of a header field in lower case",
        "config.json",
        '"Content-Type"',
    ),
    "component_that_is_derived_and_unknown": Mistake(
        config(lambda c: c.update(required_components=["@target-uri"])),
        "'@target-uri' cannot be rebuilt by the authorizer",
        "config.json",
        '"@target-uri"',
    ),
    "component_of_the_way": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(required_components=["x-forwarded-for"])),
        "'x-forwarded-for' says the way",
        "config.json",
        '"x-forwarded-for"',
    ),
    "component_that_no_event_shows": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(required_components=["content-length"])),
        "'content-length' says the way, not the caller, or cannot be signed",
        "config.json",
        '"content-length"',
    ),
    "component_that_is_no_text": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(required_components=[7])),
        "7 is no text",
        "config.json",
        "7",
    ),
    "components_that_are_no_array": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(required_components="if-match")),
        "required_components is no array",
        "config.json",
        '"required_components"',
    ),
    "components_that_are_null": Mistake(
        config(lambda c: c.update(required_components=None)),
        "required_components is no array",
        "config.json",
        '"required_components"',
    ),
    "component_named_twice": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(required_components=["if-match", "if-match"])),
        "required_components names something twice",
        "config.json",
        '"required_components"',
    ),
    "fewer_components_under_load": Mistake(
        rego(
            "required_components := demanded_by(route) if input.route != challenge_route",
            'required_components := ["if-match"] if {\n\tinput.route != challenge_route\n'
            '\tinput.breaker.level == "full"\n}',
        ),
        "required_components lacks some at the level relax of those at full",
        "signet.rego",
        "required_components",
    ),
    "weaker_in_a_state": Mistake(
        rego(
            "minimum_binding := route.minimum_binding if input.route != challenge_route",
            "minimum_binding := route.minimum_binding if {\n\tinput.route != challenge_route\n"
            '\tinput.breaker.state != "open"\n}\n\n'
            'minimum_binding := "none" if {\n\tinput.route != challenge_route\n'
            '\tinput.breaker.state == "open"\n}',
        ),
        "minimum_binding is weaker in the breaker's state open than at rest",
    ),
    "fewer_components_in_a_state": Mistake(
        rego(
            "required_components := demanded_by(route) if input.route != challenge_route",
            'required_components := ["if-match"] if {\n\tinput.route != challenge_route\n'
            '\tinput.breaker.state == "closed"\n}',
        ),
        "required_components lacks some in the breaker's state open of those at rest",
    ),
    "ladder_without_its_last_rung_under_load": Mistake(
        rego(
            _LADDER,
            f'{_LADDER} if input.breaker.level != "shed"\n\n'
            'ladder := ["full", "relax"] if input.breaker.level == "shed"',
        ),
        "ladder is another one at the level shed than at full",
    ),
    "any_role_in_a_state": Mistake(
        rego(
            "if not route.role in input.principal.roles",
            'if {\n\tnot route.role in input.principal.roles\n\tinput.breaker.state != "half_open"\n}',
        ),
        "allows a client that has not the role 'caller'",
    ),
    "nobody_has_the_role": Mistake(
        config(lambda c: c["routes"][_ROUTE].update(role="calller")),
        "is a slip away from 'caller'",
        "config.json",
    ),
    "no_routes": Mistake(config(lambda c: c.update(routes={})), "data.config.routes names no route"),
    "route_misspelt": Mistake(
        config(lambda c: c["routes"].update({"get protected": c["routes"][_ROUTE]})),
        "'get protected' is no route",
    ),
    "route_with_a_star": Mistake(
        config(lambda c: c["routes"].update({"GET /x/*": c["routes"][_ROUTE]})),
        "which is no wildcard",
        "config.json",
    ),
    "route_with_a_colon": Mistake(
        config(lambda c: c["routes"].update({"GET /x/:id": c["routes"][_ROUTE]})),
        "which is no wildcard",
        "config.json",
    ),
    "entry_is_no_object": Mistake(
        config(lambda c: c["routes"].update({_ROUTE: "caller"})), "is no object with a role", "config.json"
    ),
    "challenge_announces_less": Mistake(
        rego('strongest_binding := "tls-exporter" if "tls-exporter" in bindings_in_use', ""),
        "is 'none' for GET /pch/challenge",
    ),
    "asks_the_network": Mistake(
        rego(_ALLOW, f'{_ALLOW}\n\nlater := http.send({{"method": "get", "url": "https://example.com"}})'),
        "http.send is not allowed",
        "signet.rego",
        "http.send",
    ),
    "asks_the_clock": Mistake(
        rego(_ALLOW, f"{_ALLOW}\n\nlater := time.now_ns()"),
        "time.now_ns is not allowed",
        "signet.rego",
        "now_ns",
    ),
    "asks_the_clock_in_a_template": Mistake(
        rego(_ALLOW, f'{_ALLOW}\n\nlater := $"at {{time.now_ns()}}"'),
        "time.now_ns is not allowed",
        "signet.rego",
        "now_ns",
    ),
    "asks_the_clock_whether_a_token_expired": Mistake(
        rego(_ALLOW, f'{_ALLOW}\n\nlater := io.jwt.decode_verify(input.route, {{"secret": "s"}})'),
        "io.jwt.decode_verify is not allowed",
        "signet.rego",
        "io.jwt",
    ),
    "json_syntax": Mistake(text('"config": {', '"config": {,'), "this is no JSON", "config.json", "{,"),
    "name_twice": Mistake(
        text('"ladder": [', '"ladder": ["full"],\n    "ladder": ['), "'ladder' stands twice", "config.json"
    ),
    "data_is_an_array": Mistake(more("more.json", "[1]"), "one JSON object", "more.json"),
    "data_in_two_files": Mistake(
        more("more.json", '{"config": {}}'), "in another data file already", "more.json"
    ),
    "data_replaces_the_rules": Mistake(
        more("more.json", '{"signet": {"action": "allow", "reasons": []}}'),
        "would replace the rules",
        "more.json",
    ),
    "name_for_no_pack": Mistake(more("a b.json", "{}"), "cannot stand in a compliance pack", "a b.json"),
    "no_rules": Mistake(lambda files: files.pop("signet.rego"), "there is no .rego file"),
    "too_large": Mistake(
        more("more.json", json.dumps({"x": "x" * 4_200_000})), "a bundle has at most 4194304"
    ),
}

_ENTRY: dict[str, Any] = {"role": "caller", "minimum_binding": "none"}
_TWO: dict[str, Any] = {
    "orders": {"routes": {"GET /protected": _ENTRY, "GET /orders/{id}": _ENTRY}},
    "bulk-orders": {"latency_objective_ms": 500, "routes": {"GET /orders/{id}": _ENTRY}},
}


def apis(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Callable[[Files], None]:
    """Attach two APIs with equal routes, then change what is said of them."""

    def attach(document: dict[str, Any]) -> None:
        document["apis"] = json.loads(json.dumps(_TWO))
        change(document["apis"])

    return config(attach)


def both(*spoils: Callable[[Files], None]) -> Callable[[Files], None]:
    """Do one after the other."""

    def spoil(files: Files) -> None:
        for one in spoils:
            one(files)

    return spoil


def of_team(document: Any = None, *, name: str = "bulk-orders.api.json") -> Callable[[Files], None]:
    """Attach an API by a file of its own, beside ``orders`` in config.json."""
    said = {"config": {"apis": {"bulk-orders": _TWO["bulk-orders"]}}} if document is None else document
    return both(apis(lambda a: a.pop("bulk-orders")), more(name, json.dumps(said, indent=1)))


def team_rules(body: str, name: str = "bulk-orders.api.rego") -> Callable[[Files], None]:
    """Attach two APIs, and give one rules of its own."""
    return both(apis(), more(name, body))


_DENY = 'deny contains "not yours" if input.path_parameters.id != "7"'
_OWN = f"# ours\npackage signet.apis.bulk_orders\n\nimport rego.v1\n\n{_DENY}\n"
_OF_TWO = "GET /orders/{id}"

#: Mistakes about attached APIs. Both have the route of which most are: the line is that of the one meant.
API_MISTAKES: dict[str, Mistake] = {
    "role": Mistake(
        apis(lambda a: a["bulk-orders"]["routes"][_OF_TWO].update(role="calller")),
        "the role 'calller' is a slip away from 'caller'",
        "config.json",
        '"role": "calller"',
    ),
    "entry": Mistake(
        apis(lambda a: a["bulk-orders"]["routes"].update({_OF_TWO: "bulk"})),
        "the entry of 'GET /orders/{id}' is no object",
        "config.json",
        '"GET /orders/{id}": "bulk"',
    ),
    "route": Mistake(
        apis(lambda a: a["orders"]["routes"].update({"GET /x/*": _ENTRY})),
        "which is no wildcard",
        "config.json",
        "GET /x/*",
    ),
    "route_of_another_api": Mistake(
        config(lambda c: c["routes"].update({"orders GET /x": _ENTRY})),
        "'orders GET /x' is no route",
        "config.json",
        "orders GET /x",
    ),
    "component": Mistake(
        apis(lambda a: a["bulk-orders"]["routes"][_OF_TWO].update(required_components=["host"])),
        "'host' says the way",
        "config.json",
        '"host"',
    ),
    "components_of_an_api": Mistake(
        apis(lambda a: a["bulk-orders"].update(required_components="if-match")),
        "required_components is no array",
        "config.json",
        '"required_components": "if-match"',
    ),
    "setting_unread": Mistake(
        apis(lambda a: a["bulk-orders"].update(latency_objektive_ms=1)),
        "nothing reads the member 'latency_objektive_ms' of config.apis['bulk-orders']; did you mean",
        "config.json",
        "latency_objektive_ms",
    ),
    "member_of_a_route_unread": Mistake(
        apis(lambda a: a["orders"]["routes"]["GET /protected"].update(rolle="caller")),
        "nothing reads the member 'rolle' of config.apis.orders.routes['GET /protected']",
        "config.json",
        '"rolle"',
    ),
    "threshold_unread": Mistake(
        apis(lambda a: a["orders"].update(header_budget={"ful": 1})),
        "nothing reads the member 'ful' of config.apis.orders.header_budget; did you mean full?",
        "config.json",
        '"ful"',
    ),
    "setting_of_a_wrong_kind": Mistake(
        apis(lambda a: a["bulk-orders"].update(latency_objective_ms="500")),
        "latency_objective_ms is text instead of integer (bulk-orders GET /orders/{id} and 1 more route)",
        "config.json",
        '"latency_objective_ms": "500"',
    ),
    "route_setting_of_a_wrong_kind": Mistake(
        apis(lambda a: a["bulk-orders"]["routes"][_OF_TWO].update(ladder=[])),
        "ladder does not begin with 'full'",
        "config.json",
        '"ladder": []',
    ),
    "backend": Mistake(
        apis(lambda a: a["bulk-orders"]["routes"][_OF_TWO].update(backend="Bulk")),
        "backend is 'Bulk'; it is up to 32",
        "config.json",
        '"backend": "Bulk"',
    ),
    "binding": Mistake(
        apis(lambda a: a["bulk-orders"]["routes"][_OF_TWO].update(minimum_binding="tls")),
        "minimum_binding is 'tls'",
        "config.json",
        '"minimum_binding": "tls"',
    ),
    "called_signet": Mistake(
        apis(lambda a: a.update(signet=a["orders"])),
        "no API can be called 'signet'",
        "config.json",
        '"signet"',
    ),
    "called_backend": Mistake(
        apis(lambda a: a.update(backend=a["orders"])),
        "no API can be called 'backend'",
        "config.json",
        '"backend"',
    ),
    "bad_name": Mistake(
        apis(lambda a: a.update({"Orders_2": a["orders"]})),
        "'Orders_2' is no name of an API",
        "config.json",
        '"Orders_2"',
    ),
    "no_routes": Mistake(
        apis(lambda a: a["bulk-orders"].pop("routes")),
        "the API 'bulk-orders' lists no route",
        "config.json",
        '"bulk-orders"',
    ),
    "routes_are_an_array": Mistake(
        apis(lambda a: a["bulk-orders"].update(routes=[])),
        "the API 'bulk-orders' lists no route",
        "config.json",
        '"routes": []',
    ),
    "api_is_no_object": Mistake(
        apis(lambda a: a.update(third=[])), "the API 'third' is no object", "config.json", '"third"'
    ),
    "apis_are_no_object": Mistake(
        config(lambda c: c.update(apis=["orders"])), "config.apis is no object", "config.json", '"apis"'
    ),
    # files of one API
    "file_says_more_of_config": Mistake(
        of_team({"config": {"apis": {"bulk-orders": _TWO["bulk-orders"]}, "ladder": ["full"]}}),
        "and nothing else",
        "bulk-orders.api.json",
        '"ladder"',
    ),
    "file_says_more": Mistake(
        of_team({"config": {"apis": {"bulk-orders": _TWO["bulk-orders"]}}, "partners": []}),
        "and nothing else",
        "bulk-orders.api.json",
        '"partners"',
    ),
    "file_of_another_api": Mistake(
        of_team({"config": {"apis": {"orders": _TWO["bulk-orders"]}}}),
        'holds {"config": {"apis": {"bulk-orders": {…}}}} and nothing else',
        "bulk-orders.api.json",
        '"orders"',
    ),
    "file_of_two_apis": Mistake(
        of_team({"config": {"apis": {"bulk-orders": _TWO["bulk-orders"], "third": {}}}}),
        "and nothing else",
        "bulk-orders.api.json",
        '"third"',
    ),
    "file_without_its_api": Mistake(
        of_team({"config": {"apis": {}}}), "and nothing else", "bulk-orders.api.json", '"apis"'
    ),
    "api_in_two_files": Mistake(
        both(of_team(), apis()),
        "config.apis.bulk-orders stands in another data file already",
        "bulk-orders.api.json",
        '"bulk-orders"',
    ),
    "breaker_of_another_api": Mistake(
        of_team({"config": {"apis": {"bulk-orders": {**_TWO["bulk-orders"], "backend": "orders"}}}}),
        "names breakers of its own only",
        "bulk-orders.api.json",
        '"backend": "orders"',
    ),
    "breaker_of_another_api_for_a_route": Mistake(
        of_team(
            {"config": {"apis": {"bulk-orders": {"routes": {_OF_TWO: {**_ENTRY, "backend": "backend"}}}}}}
        ),
        "names breakers of its own only",
        "bulk-orders.api.json",
        '"backend": "backend"',
    ),
    "rules_in_the_whole_policys_package": Mistake(
        team_rules(_OWN.replace("package signet.apis.bulk_orders", "package signet")),
        "this is the package signet; a file of this name holds rules of that API only: write `package "
        "signet.apis.bulk_orders`",
        "bulk-orders.api.rego",
        "package signet",
    ),
    "rules_in_another_apis_package": Mistake(
        team_rules(_OWN.replace("bulk_orders", "orders")),
        "this is the package signet.apis.orders",
        "bulk-orders.api.rego",
        "package signet.apis.orders",
    ),
    "rules_for_all_apis": Mistake(
        team_rules(_OWN.replace(".bulk_orders", "").replace("deny contains", "orders.deny contains")),
        "this is the package signet.apis;",
        "bulk-orders.api.rego",
        "package signet.apis",
    ),
    "package_with_a_dash": Mistake(
        team_rules(_OWN.replace(".bulk_orders", '["bulk-orders"]')),
        "write `package signet.apis.bulk_orders`",
        "bulk-orders.api.rego",
        "package",
    ),
    "rules_of_an_api_elsewhere": Mistake(
        team_rules(_OWN, "own.rego"), "stand in a file of their own, NAME.api.rego", "own.rego", "package"
    ),
    "rules_of_an_unknown_api": Mistake(
        team_rules(_OWN.replace("bulk_orders", "bulk_order"), "bulk-order.api.rego"),
        "config.apis has no API 'bulk-order'; did you mean bulk-orders?",
        "bulk-order.api.rego",
        "package",
    ),
    "deny_misspelt": Mistake(
        team_rules(_OWN.replace("deny contains", "denny contains")),
        "no rule reads denny; an API's own rules are asked for deny; did you mean deny?",
        "bulk-orders.api.rego",
        "denny",
    ),
    "reasons_for_deny": Mistake(
        team_rules(_OWN.replace("deny contains", "reasons contains")),
        "no rule reads reasons; an API's own rules are asked for deny; write deny contains",
        "bulk-orders.api.rego",
        "reasons contains",
    ),
    "deny_is_a_value": Mistake(
        team_rules(_OWN.replace('deny contains "not yours"', 'deny := "not yours"')),
        'deny is no set of reasons here; write `deny contains "reason" if {`',
        "bulk-orders.api.rego",
        "deny :=",
    ),
    "rules_nobody_asks": Mistake(
        both(team_rules(_OWN), rego("some reason in data.signet.apis", "some reason in data.config.apis")),
        "no rule reads the package signet.apis.bulk_orders",
        "bulk-orders.api.rego",
        "deny",
    ),
}
#: An API with data and rules in files of its own.
GOOD_TEAM: Callable[[Files], None] = both(of_team(), more("bulk-orders.api.rego", _OWN))
