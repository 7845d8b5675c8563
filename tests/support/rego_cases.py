"""Rules as people write them: ordinary ones that are good, and ones that could never fire as they were meant."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.support.world import policy_files

HEAD = "package signet\n\nimport rego.v1\n\n"
Files = dict[str, bytes]

# What the rules below read as data; a file holds what its rules name.
_DATA = {
    "partners": {
        "acme-1": {"until": "2027-01-01T00:00:00Z", "routes": ["GET /protected"], "rank": 2},
        "beta-2": {"until": "2026-12-01T00:00:00Z", "routes": ["PUT /protected"], "rank": 11, "note": "x"},
    },
    "patterns": ["acme:*", "beta:*"],
    "blocked": [],
}

# Each is a rule or a few; none has a name in common with another, so that one policy can hold them all. They read
# a client that no probe is, so that the routes stay open.
_ME = 'input.principal.keyid == "nobody-at-all"'
GOOD: tuple[str, ...] = tuple(
    text.replace("ME", _ME)
    for text in (
        # conditions
        'reasons contains "g01" if ME',
        'reasons contains "g02" if {\n\tME\n\tinput.route == "POST /protected"\n}',
        'reasons contains "g03" if { ME; not input.evidence.sha256 }',
        'reasons contains "g04" if { ME; input.evidence == null }',
        'reasons contains "g05" if { ME; startswith(input.route, "POST ") }',
        'reasons contains "g06" if { ME; endswith(input.route, "/{item}") }',
        'reasons contains "g07" if { ME; input.route != "GET /protected" }',
        'reasons contains "g08" if { ME; not input.principal.keyid in {"alice", "bob"} }',
        'reasons contains "g09" if { ME; input.route in ["POST /protected", "PUT /protected"] }',
        'reasons contains "g10" if { ME; "auditor" in input.principal.roles }',
        'reasons contains "g11" if { ME; count(input.principal.roles) > 1 }',
        'reasons contains "g12" if { ME; input.breaker.level in {"relax", "shed"} }',
        'reasons contains "g13" if { ME; input.breaker.state == "half_open" }',
        'reasons contains "g14" if { ME; input.header_bytes > 4096 }',
        'reasons contains "g15" if { ME; input.algorithm == "ml-dsa-65" }',
        'reasons contains "g16" if { ME; input.binding.type != "tls-exporter" }',
        'reasons contains "g17" if { ME; input["route"] == "PUT /protected" }',
        'reasons contains "g18" if { ME; input.principal["keyid"] != input.algorithm }',
        'reasons contains "p70" if { ME; input.path_parameters.item != input.principal.keyid }',
        'reasons contains "p71" if { ME; input.path_parameters["item"] == "7" }',
        'reasons contains "p72" if { ME; not startswith(input.principal.keyid, input.path_parameters.item) }',
        'reasons contains "p73" if { ME; input.method in {"PUT", "DELETE"} }',
        'reasons contains "p74" if { ME; input.path == "/protected/7" }',
        'reasons contains "p75" if { ME; split(input.path, "/")[1] != "protected" }',
        'reasons contains "p76" if { ME; input.api == "signet" }',
        'reasons contains "p77" if { ME; some name, part in input.path_parameters; part == name }',
        # texts
        'reasons contains "g19" if { ME; split(input.principal.keyid, ":")[0] == "acme" }',
        'reasons contains "g20" if { [tenant, _] := split(input.principal.keyid, ":"); tenant == "acme"; ME }',
        'reasons contains "g21" if { ME; regex.match(`^[a-z]+-\\d{2,3}$`, input.principal.keyid) }',
        'reasons contains "g22" if { ME; glob.match("acme:*", [":"], input.principal.keyid) }',
        'reasons contains "g23" if { ME; contains(input.principal.keyid, "test") }',
        'reasons contains "g24" if { ME; lower(input.principal.keyid) == "alice" }',
        'reasons contains "g25" if { ME; trim_prefix(input.principal.keyid, "x-") == "y" }',
        'reasons contains "g26" if { ME; substring(input.principal.keyid, 0, 3) == "abc" }',
        'reasons contains "g27" if { ME; replace(input.principal.keyid, "-", "") == "abc" }',
        'reasons contains "g28" if { ME; concat(",", sort(input.principal.roles)) == "auditor,caller" }',
        'reasons contains sprintf("g29: %s with %v", [input.principal.keyid, input.header_bytes]) if ME',
        'reasons contains sprintf("g30: %d roles, 100%%", [count(input.principal.roles)]) if ME',
        'reasons contains $"g31: {input.principal.keyid}" if ME',
        'reasons contains concat(" ", ["g32", input.algorithm]) if ME',
        'reasons contains "g33" if { ME; upper(input.algorithm) == "ED25519" }',
        # loops
        'reasons contains "g34" if { ME; some role in input.principal.roles; role == "auditor" }',
        'reasons contains "g35" if { ME; some i; input.principal.roles[i] == "auditor"; i > 0 }',
        'reasons contains "g36" if { ME; input.principal.roles[_] == "caller" }',
        'reasons contains "g37" if { ME; every role in input.principal.roles { role == "caller" } }',
        'reasons contains "g38" if { ME; every i, role in input.principal.roles { i >= 0; role != "auditor" } }',
        'reasons contains "g39" if { ME; count([r | some r in input.principal.roles; r != "caller"]) > 0 }',
        'reasons contains "g40" if { ME; {r | some r in input.principal.roles} & {"auditor"} == set() }',
        'reasons contains "g41" if { ME; m := {k: v | some k, v in data.partners}; count(m) > 7 }',
        'reasons contains "g42" if { ME; some name, entry in data.config.routes; entry.role == "auditor"; name != "" }',
        'reasons contains message if { ME; some n in numbers.range(1, 2); message := sprintf("g43 %v", [n]) }',
        'reasons contains "g44" if { ME; x := {"a": 1, "b": [2, {"c": 3}]}; x.b[1].c == 3 }',
        # helpers
        (
            'g45_write if startswith(input.route, "POST ")\n\ng45_write if startswith(input.route, "PUT ")\n\n'
            'reasons contains "g45" if { g45_write; ME }'
        ),
        (
            'default g46_limit := 10\n\ng46_limit := 5 if input.breaker.level == "relax"\n\n'
            'reasons contains "g46" if { input.header_bytes > g46_limit; ME }'
        ),
        (
            'g47_limit := 1 if input.breaker.level == "shed" else := 2 if input.breaker.level == "relax" else := 3\n\n'
            'reasons contains "g47" if { g47_limit == 2; ME }'
        ),
        (
            'g48_tenant(keyid) := split(keyid, ":")[0]\n\n'
            'reasons contains "g48" if { g48_tenant(input.principal.keyid) == "acme"; ME }'
        ),
        (
            'g49_weak(x) if x == "none"\n\ng49_weak(x) if x == "tls-client-cert"\n\n'
            'reasons contains "g49" if { g49_weak(input.binding.type); ME }'
        ),
        (
            'g50_writers := {"alice", "bob"}\n\n'
            'reasons contains "g50" if { not input.principal.keyid in g50_writers; ME }'
        ),
        (
            'g51_rank := {"none": 0, "tls-client-cert": 1}\n\n'
            'reasons contains "g51" if { g51_rank[input.binding.type] < 1; ME }'
        ),
        (
            "g52_seen contains role if some role in input.principal.roles\n\n"
            'reasons contains "g52" if { g52_seen["auditor"]; ME }'
        ),
        (
            "g53_by[name] := entry.role if some name, entry in data.config.routes\n\n"
            'reasons contains "g53" if { g53_by[input.route] == "auditor"; ME }'
        ),
        'g54(x, y) := z if { z := x + y; z > 1 }\n\nreasons contains "g54" if { g54(1, 2) == 3; ME }',
        # data
        (
            "g55 := data.partners[input.principal.keyid]\n\n"
            'reasons contains "g55" if { not g55; ME }\n\nreasons contains "g55b" if { not input.route in g55.routes; ME }'
        ),
        'reasons contains "g56" if { data.partners[input.principal.keyid].until < "2026-12-31T00:00:00Z"; ME }',
        'reasons contains "g57" if { object.get(data.partners, input.principal.keyid, {"rank": 0}).rank > 1; ME }',
        'reasons contains "g58" if { input.principal.keyid in object.keys(data.partners); ME }',
        'reasons contains "g59" if { object.get(input.principal, "keyid", "") == ""; ME }',
        'reasons contains "g60" if { some p in data.patterns; glob.match(p, [":"], input.principal.keyid); ME }',
        'reasons contains "g61" if { input.principal.keyid in data.blocked; ME }',
        'reasons contains "g62" if { data.partners["acme-1"].rank == 2; ME }',
        'reasons contains "g63" if { walk(data.partners, [path, "x"]); count(path) > 5; ME }',
        'reasons contains "g64" if { object.get(data.config.routes[input.route], "ladder", []) == ["full"]; ME }',
        # how it is written
        "reasons contains `g65` if {\n\t# a remark\n\tME\n\n\tinput.header_bytes >\n\t\t100\n}",
        'reasons contains "g66" if { ME; x := input.header_bytes * 2 - 1; x % 2 == 1; x / 2 > 1; x > -1 }',
        (
            'reasons contains "g67" if {\n\tME\n\trequest := {\n\t\t"a": input.route,\n\t\t"b": [1, 2,],\n\t}\n'
            '\trequest.a == "GET /protected"\n}'
        ),
        'reasons contains "g68" if { ME; ["a", x] = ["a", input.algorithm]; x == "ed25519" }',
        'reasons contains "g69" if { ME; {"keyid": k} = {"keyid": input.principal.keyid}; k != "" }',
        'reasons contains "g70" if { ME; (1 + 2) * 3 == 9; 1 in [1, 2]; not 3 in [1, 2] }',
        'reasons contains "g71" if { ME; "GET /protected", "x" in {"GET /protected": "x"} }',
        'reasons contains "g72" if { ME; [x | x := [1, 2][_]; not x in [y | y := [2][_]]] == [1] }',
        'g73 if { input.breaker.level == "full" }\n\nreasons contains "g73" if { not g73; ME }',
        'reasons contains "g74" if { ME; is_string(input.principal.keyid); type_name(input.evidence) == "null" }',
        'reasons contains "i01" if { ME; input.query.limit[0] == "5"; some v in input.query[_]; v == "a" }',
        'reasons contains "i02" if { ME; "content-digest" in input.covered; not input.content.digest }',
        'reasons contains "i03" if { ME; input.principal.labels.tenant == "acme"; not input.principal.labels.trial }',
        'reasons contains "i04" if { ME; "10.0.0.0/8" in input.source.networks; input.source.ip != "10.0.0.1" }',
        'reasons contains "i05" if { ME; input.time.rfc3339 > data.partners[input.principal.keyid].until }',
        'reasons contains "i06" if { ME; input.time.weekday in {"Saturday", "Sunday"}; input.time.hour < 8 }',
        'reasons contains "i07" if { ME; input.time.date == "2026-12-24"; input.time.unix > 1; input.time.minute < 9 }',
        'reasons contains "i08" if { ME; "write:orders" in input.principal.roles; input.content.type == "text/csv" }',
        'reasons contains "i09" if { ME; some name, value in input.principal.labels; name == value }',
        'reasons contains "g75" if { ME; p := input.principal; p.keyid == "a"; some r in p.roles; r == "caller" }',
    )
)


@dataclass(frozen=True)
class Mistake:
    """Rules with one mistake, what the finding says, and a piece of the line that it points to."""

    rules: str
    says: str
    line: str

    def files(self) -> Files:
        """Return the shipped policy with these rules in a file of their own."""
        return with_rules(self.rules)


def with_rules(rules: str) -> Files:
    """Return the shipped policy with some rules, and the data that they read."""
    data = {name: value for name, value in _DATA.items() if f"data.{name}" in rules}
    partners = {"partners.json": json.dumps(data, indent=1).encode()} if data else {}
    return {**policy_files(""), "own.rego": (HEAD + rules + "\n").encode(), **partners}


def _when(condition: str, says: str) -> Mistake:
    return Mistake(
        f'reasons contains "it is so" if {{\n\t{condition}\n}}', says, condition.rsplit("\n", maxsplit=1)[-1]
    )


MISTAKES: dict[str, Mistake] = {
    # members of the input that there are not
    "input_unknown": _when("input.times > 1", "there is no input.times; did you mean time?"),
    "input_misspelt": _when('input.rout == "GET /protected"', "input.rout; did you mean route?"),
    "input_deep": _when("not input.evidence.sha265", "input.evidence.sha265; did you mean sha256?"),
    "input_evidence_under_another_name": _when("not input.evidence.digest", "write input.evidence.sha256"),
    "input_in_brackets": _when('input["principal"]["role"] == "x"', "write input.principal.roles"),
    "input_by_a_variable": _when("p := input.principal\n\tnot p.tenant", "tenant; write input.principal.labels"),
    "input_by_a_rule": Mistake(
        'who := input.principal\n\nreasons contains "x" if who.tenant == "a"', "no input.principal.tenant", "who.tenant"
    ),
    "input_by_an_import": Mistake(
        'import input.principal as who\n\nreasons contains "x" if who.tenant == "a"',
        "no input.principal.tenant",
        "who.tenant",
    ),
    "input_in_a_loop": _when("some r in input.principal.roles; r.name == 1", "is a text and has no member 'name'"),
    "input_in_a_comprehension": _when("count([1 | input.principal.group]) > 0", "no input.principal.group"),
    "input_in_every": _when('every r in input.principal.role { r == "x" }', "write input.principal.roles"),
    "input_in_a_template": _when('$"{input.source_ip}" == "x"', "there is no input.source_ip; write input.source.ip"),
    "input_by_object_get": _when('object.get(input, "source_ip", "") == ""', "there is no input.source_ip"),
    "input_by_object_get_path": _when(
        'object.get(input, ["principal", "org"], "") == ""', "there is no input.principal.org"
    ),
    "input_below_a_text": _when("input.route.method == 1", "input.route is a text and has no member 'method'"),
    # the API and the path
    "path_parameter_unknown": _when('input.path_parameters.itme == "7"', "itme; did you mean item?"),
    "path_parameter_by_object_get": _when(
        'object.get(input, ["path_parameters", "id"], "") == ""', "there is no input.path_parameters.id; it has item"
    ),
    "path_parameter_is_a_number": _when("input.path_parameters.item == 7", "never 7: it is text"),
    "method_unknown": _when('input.method == "FETCH"', "input.method is never 'FETCH'; it is one of DELETE, GET"),
    "method_in_lower_case": _when('input.method in {"get", "PUT"}', "input.method is never 'get'"),
    "method_of_a_path": _when('input.path.method == "GET"', "input.path is a text and has no member 'method'"),
    "path_without_a_slash": _when('input.path == "protected/7"', "input.path never has this form: 'protected/7'"),
    "path_under_another_name": _when('input.resource == "/protected"', "write input.route"),
    "api_unknown": _when('input.api == "signed"', "input.api is never 'signed'; it is one of signet"),
    "null_counts_as_true": _when("not input.evidence", "write not input.evidence.sha256"),
    "null_always_holds": _when("input.evidence", "write input.evidence.sha256"),
    # data that there is not
    "data_unknown": _when("input.principal.keyid in data.confg.blocked", "data.confg.blocked; did you mean config?"),
    "data_deep": _when("input.principal.keyid in data.config.blockd", "no file defines data.config.blockd"),
    "data_of_an_entry": _when("data.partners[input.principal.keyid].till", "data.partners[_].till"),
    "data_by_a_rule": Mistake(
        'mine := data.partners[input.principal.keyid]\n\nreasons contains "x" if mine.untill < "2027"',
        "data.partners[_].untill; did you mean until?",
        "mine.untill",
    ),
    "data_of_no_package": _when("data.signed.reasons", "no file defines data.signed.reasons"),
    "data_of_no_rule": _when("data.lib.signet == 1", "no file defines data.lib.signet"),
    # variables without a value
    "variable_for_input": _when("inptu.principal", "inptu has no value here"),
    "variable_behind_not": _when("not data.partners[keyd]", "keyd has no value here"),
    "variable_in_an_index": _when("levels := [1]\n\tnot levels[i] == 1", "i has no value here"),
    "variable_compared": _when("x == 1", "x has no value here"),
    "variable_of_a_head": Mistake("reasons contains message if input.route", "message has no value here", "message"),
    "variable_of_a_function": Mistake(
        'f(a) := b if a\n\nreasons contains "x" if f(1)', "b has no value here", "f(a)"
    ),
    "variable_in_a_comprehension": _when("count([x | y := 1]) > 0", "x has no value here"),
    "variable_in_every": _when("every r in input.principal.roles { r == s }", "s has no value here"),
    "variable_of_a_call": _when("startswith(rout, input.route)", "rout has no value here"),
    "variable_of_an_else": Mistake(
        'g := 1 if input.breaker else := h\n\nreasons contains "x" if g == 1', "h has no value here", "else := h"
    ),
    "variable_used_above": _when('startswith(input.route, s); s := "GET"', "s has no value here"),
    "variable_without_a_name_behind_not": _when('not input.principal.roles[_] == "x"', "say which one is meant"),
    # functions
    "function_of_go": _when('strings.has_prefix(input.route, "GET")', "write startswith"),
    "function_unknown": _when("lenght(input.route) > 1", "there is no function lenght"),
    "function_lacking": _when(
        'net.cidr_contains("10.0.0.0/8", input.principal.keyid)', "the interpreter has no function net.cidr_contains"
    ),
    "function_differs": _when(
        'time.parse_rfc3339_ns("2027-01-01T00:00:00Z") > 1', "time.parse_rfc3339_ns answers otherwise than in OPA"
    ),
    "function_max": _when("max([3, 11]) == 11", "numbers are compared as texts"),
    "function_sort": _when("sort([3, 11])[0] == 3", "numbers are sorted as texts"),
    "function_pattern": _when("regex.match(`(?i)alice`, input.principal.keyid)", "only plain patterns"),
    "function_concat_of_a_set": Mistake(
        'g contains r if some r in input.principal.roles\n\nreasons contains concat(",", g) if input.route',
        "a set has no order here",
        "concat",
    ),
    "function_union_of_objects": _when(
        'object.union(data.partners, {"a": {"b": 1}}) == {}', "objects within are replaced"
    ),
    "function_format": Mistake(
        'reasons contains sprintf("%d bytes for %s", [input.principal.keyid]) if input.route', "as many of %s and %v", "sprintf"
    ),
    "function_semver": _when('semver.compare("2.0.0", "1.9.9") == 1', "it answers wrong"),
    "function_unmeasured": _when('io.jwt.verify_es256(input.route, "k")', "was not measured against OPA"),
    "function_of_the_clock": _when("time.now_ns() > 1", "time.now_ns is not allowed"),
    "function_with_too_few": _when("count() > 1", "count takes 1 arguments, not 0"),
    "function_of_ones_own_with_too_many": Mistake(
        'f(a) := a\n\nreasons contains "x" if f(1, 2, 3)', "f takes 1 arguments, not 3", "f(1"
    ),
    "function_that_is_a_rule": _when("bound(1)", "bound is a rule, not a function"),
    # values that cannot be
    "route_misspelt": _when('input.route == "POST /protectd"', "'POST /protectd'; did you mean POST /protected?"),
    "route_misspelt_behind_not": _when('input.route != "POST /protectd"', "lists no route 'POST /protectd'"),
    "route_in_a_set": _when('input.route in {"POST /protected", "PUT /x"}', "lists no route 'PUT /x'"),
    "route_in_a_rule": Mistake(
        'writes := {"POST /protectd"}\n\nreasons contains "x" if input.route in writes',
        "no route 'POST /protectd'",
        "writes := ",
    ),
    "route_by_a_variable": _when('r := input.route\n\tr == "GET /protected/7"', "no route 'GET /protected/7'"),
    "route_begins_with_nothing": _when('startswith(input.route, "POST /orders")', "startswith never holds"),
    "route_ends_with_nothing": _when('endswith(input.route, "/{id}")', "endswith never holds"),
    "route_in_an_object": _when('{"GET /orderz": 1}[input.route] == 1', "lists no route 'GET /orderz'"),
    "route_without_its_method": _when('input.route == "/protected"', "lists no route '/protected'"),
    "level_unknown": _when('input.breaker.level == "relaxed"', "is never 'relaxed'; it is one of"),
    "state_unknown": _when('input.breaker.state in ["half-open"]', "is never 'half-open'"),
    "binding_unknown": _when('input.binding.type == "mtls"', "input.binding.type is never 'mtls'"),
    "algorithm_unknown": _when('input.algorithm == "ES256"', "input.algorithm is never 'ES256'"),
    "role_of_no_form": _when('"an admin" in input.principal.roles', "never has this form: 'an admin'"),
    "label_of_no_form": _when('input.principal.labels.Tenant == "a"', "no member of input.principal.labels is called"),
    "header_not_named": _when('input.headers["x-region"].value == "eu"', "name it in config.input_headers"),
    "zone_not_named": _when('input.time.zones["Europe/Berlin"].hour < 8', "name it in config.time_zones"),
    "query_is_a_list": _when('input.query.limit == "5"', "never '5': it is array"),
    "weekday_unknown": _when('input.time.weekday == "Mon"', "input.time.weekday is never 'Mon'; it is one of"),
    "time_of_another_form": _when('input.time.rfc3339 > "2027-01-01"', "write a time in UTC, in whole seconds"),
    "time_of_another_form_in_data": Mistake(
        'reasons contains "x" if input.time.rfc3339 > data.partners["beta-2"].note',
        "does not compare with data.partners.beta-2.note has 'x'",
        "beta-2",
    ),
    "network_that_is_none": _when('"10.0.0/8" in input.source.networks', "input.source.networks[_] is never '10.0.0/8'"),
    "role_is_one_text": _when('input.principal.roles == "caller"', "is never 'caller': it is array"),
    "bytes_as_text": _when('input.header_bytes > "100"', "is never '100': it is number"),
    "keyid_in_a_text": _when('input.principal.keyid in "alice"', "nothing is in 'alice': it is text; write contains"),
    "keyid_of_no_form": _when('input.principal.keyid == "al ice"', "never has this form: 'al ice'"),
    "digest_in_upper_case": _when('input.evidence.sha256 == "ABCD"', "never has this form: 'ABCD'"),
    "lower_of_upper": _when('lower(input.principal.keyid) == "Alice"', "lower never gives 'Alice'"),
    "upper_of_lower": _when('"alice" == upper(input.principal.keyid)', "upper never gives 'alice'"),
    "pattern_that_is_none": _when('regex.match("[", input.route)', "regex.match answers otherwise than in OPA"),
    "never": _when("false", "this never holds, for any input"),
    "not_always": _when("not true", "this never holds, for any input"),
    "in_a_text": _when('"POST" in input.route', "write contains or startswith"),
    # rules as wholes
    "output_misspelt": Mistake('reason contains "x" if input.route', "did you mean reasons?", "reason contains"),
    "output_of_other_policies": Mistake("deny contains msg if msg := input.route", "write reasons", "deny"),
    "output_of_a_package_below": Mistake(
        "default allow := false\n\nallow if input.route", "write action", "allow"
    ),
    "default_twice": Mistake(
        'default g := 1\n\ndefault g := 2\n\nreasons contains "x" if g == 3', "a second default", "default g := 2"
    ),
    "kinds_mixed": Mistake('reasons["x"] := true if input.route', "reasons is a", "reasons"),
    "before_v1": Mistake("reasons[msg] { msg := input.route }", "write `reasons contains … if {`", "reasons"),
    "before_v1_without_if": Mistake(
        'g { input.route == "GET /protected" }\n\nreasons contains "x" if g', "write `g … if {`", "g {"
    ),
    "with": _when('bound with input as {"route": input.route}', "`with` makes the interpreter abort"),
}  # fmt: skip
