# Tests of the rules; `signet policy check` runs them. Each rule test_… is one test: an array of cases. Each case has an
# input, the members that its answer must have, and the members of data.config that are replaced for it.
# (OPA's own form, "with input as", makes rego-cpp 1.5 abort.)
package signet_test

import rego.v1

request := {
	"route": "GET /protected",
	"principal": {"keyid": "caller-1", "roles": ["caller"]},
	"algorithm": "ed25519",
	"binding": {"type": "tls-exporter"},
	"evidence": null,
	"breaker": {"state": "closed", "level": "full"},
	"header_bytes": 400,
}

auditor := {"keyid": "auditor-1", "roles": ["auditor"]}

pack := {"route": "POST /compliance/pack", "principal": auditor}

changed(facts) := object.union(request, facts)

allowed(input_) := {"input": input_, "expect": {"action": "allow", "reasons": []}}

denied(input_, reasons) := {"input": input_, "expect": {"action": "deny", "reasons": reasons}}

too_weak := "the channel binding is too weak"

test_a_bound_caller_passes := [allowed(request)]

test_every_suite_passes := [allowed(changed({"algorithm": algorithm})) | some algorithm in data.config.algorithms]

test_a_client_certificate_is_as_strong_as_the_exporter := [allowed(changed({"binding": {"type": "tls-client-cert"}}))]

test_an_unbound_caller_is_refused_on_every_protected_route := [denied(unbound, [too_weak]) |
	data.config.routes[name].role == "caller"
	unbound := changed({"route": name, "binding": {"type": "none"}})
]

test_an_unknown_binding_is_refused := [denied(changed({"binding": {"type": "tls-unique"}}), [too_weak])]

test_a_route_that_is_not_listed_is_refused := [denied(changed({"route": "GET /elsewhere"}), [
	"no policy for this route",
	"the algorithm is not allowed here",
	"the client's roles do not include the route's",
])]

test_a_request_without_a_principal_is_refused := [denied(object.remove(request, ["principal"]), [
	"no verified principal",
	"the client's roles do not include the route's",
])]

test_a_missing_fact_is_refused := [{"input": object.remove(request, [fact]), "expect": {"action": "deny"}} |
	some fact in ["route", "principal", "algorithm", "binding"]
]

test_a_caller_gets_no_pack := [denied(changed({"route": "POST /compliance/pack"}), ["the client's roles do not include the route's"])]

test_an_auditor_gets_no_resource := [denied(changed({"principal": auditor}), ["the client's roles do not include the route's"])]

test_an_auditor_gets_a_pack_bound_or_not := [
	allowed(changed(pack)),
	allowed(object.union(changed(pack), {"binding": {"type": "none"}})),
]

test_an_unknown_algorithm_is_refused := [denied(changed({"algorithm": "hs256"}), ["the algorithm is not allowed here"])]

test_a_route_may_allow_fewer_algorithms := [
	object.union(denied(request, ["the algorithm is not allowed here"]), quantum_only),
	object.union(allowed(changed({"algorithm": "ml-dsa-65"})), quantum_only),
]

quantum_only := {"config": {"routes": {"GET /protected": {
	"role": "caller",
	"minimum_binding": "tls-exporter",
	"algorithms": ["ml-dsa-65"],
}}}}

test_the_budget_shrinks_with_the_level := [
	{"input": request, "expect": {"header_budget": 8192}},
	{"input": object.union(changed(pack), {"breaker": relaxed}), "expect": {"header_budget": 2048}},
]

test_the_budget_keeps_room_for_a_signature_over_the_exporter := [{
	"input": changed({"breaker": relaxed}),
	"expect": {"header_budget": 6656},
}]

relaxed := {"state": "closed", "level": "relax"}

test_an_unknown_level_gets_the_smallest_budget := [{
	"input": changed({"breaker": {"state": "closed", "level": "panic"}}),
	"expect": {"header_budget": 2048},
}]

challenge := {"route": "GET /pch/challenge", "breaker": {"state": "closed", "level": "full"}}

test_challenges_are_for_the_strongest_binding_in_use := [
	{"input": challenge, "expect": {"minimum_binding": "tls-exporter", "allowed_algorithms": data.config.algorithms}},
	{
		"input": challenge,
		"config": {"routes": {"GET /a": {"minimum_binding": "tls-client-cert"}, "GET /b": {"minimum_binding": "none"}}},
		"expect": {"minimum_binding": "tls-client-cert"},
	},
]

test_a_route_that_does_not_say_demands_the_exporter := [{
	"input": request,
	"config": {"routes": {"GET /protected": {"role": "caller"}}},
	"expect": {"minimum_binding": "tls-exporter"},
}]

test_no_route_falls_back_to_the_classical_half := [{
	"input": changed({"route": name}),
	"expect": {"classical_fallback": false, "ladder": object.get(route, "ladder", ["full", "relax", "shed"])},
} |
	route := data.config.routes[name]
	not "classical" in object.get(route, "ladder", [])
]

test_a_route_may_have_a_ladder_and_objective_of_its_own := [{
	"input": request,
	"config": {"routes": {"GET /protected": own}},
	"expect": own,
}]

own := {"ladder": ["full"], "latency_objective_ms": 250, "classical_fallback": true}

test_all_routes_share_one_floor := [{
	"input": request,
	"config": {"routes": {"GET /protected": {"role": "caller", "availability_floor_ppm": 200000}}},
	"expect": {"availability_floor_ppm": data.config.availability_floor_ppm},
}]

test_nothing_more_is_to_be_covered_unless_a_route_says_so := [
	{"input": request, "expect": {"required_components": []}},
	{"input": request, "config": {"required_components": ["if-match"]}, "expect": {"required_components": ["if-match"]}},
	object.union({"input": request, "expect": {"required_components": ["idempotency-key", "content-digest"]}}, orders),
	object.union({"input": changed({"route": "DELETE /protected"}), "expect": {"required_components": []}}, orders),
]

test_challenges_name_once_what_any_route_wants_covered := [
	{"input": challenge, "expect": {"required_components": []}},
	{
		"input": challenge,
		"config": {"routes": {
			"GET /protected": {"role": "caller", "required_components": ["if-match"]},
			"PUT /protected": {"role": "caller", "required_components": ["if-match"]},
		}},
		"expect": {"required_components": ["if-match"]},
	},
]

orders := {"config": {"routes": {
	"GET /protected": {"role": "caller", "required_components": ["idempotency-key", "content-digest"]},
	"PUT /protected": {"role": "caller", "required_components": ["if-match"]},
	"DELETE /protected": {"role": "caller"},
}}}

# Two APIs that declare the same route: each has rules of its own, and neither has the other's.
two_apis := {
	"orders": {"routes": {"GET /items/{id}": {"role": "caller", "minimum_binding": "none"}}},
	"stock": {
		"algorithms": ["ml-dsa-65"],
		"required_components": ["if-match"],
		"routes": {"GET /items/{id}": {"role": "auditor", "minimum_binding": "tls-client-cert", "backend": "warehouse"}},
	},
}

of_api(name, facts) := {
	"input": object.union(changed({"api": name, "route": "GET /items/{id}", "binding": {"type": "none"}}), facts),
	"config": {"apis": two_apis},
}

test_equal_routes_of_two_apis_have_rules_of_their_own := [
	object.union(of_api("orders", {}), {"expect": {
		"action": "allow",
		"minimum_binding": "none",
		"backend": "orders",
		"allowed_algorithms": data.config.algorithms,
		"required_components": [],
	}}),
	object.union(of_api("stock", {}), {"expect": {
		"action": "deny",
		"reasons": [
			"the algorithm is not allowed here",
			"the channel binding is too weak",
			"the client's roles do not include the route's",
		],
		"minimum_binding": "tls-client-cert",
		"backend": "warehouse",
		"allowed_algorithms": ["ml-dsa-65"],
		"required_components": ["if-match"],
	}}),
	object.union(of_api("orders", {"principal": auditor}), {"expect": {"action": "deny"}}),
	object.union(
		of_api("stock", {"principal": auditor, "algorithm": "ml-dsa-65", "binding": {"type": "tls-client-cert"}}),
		{"expect": {"action": "allow", "reasons": []}},
	),
]

test_a_route_of_one_api_is_none_of_another_or_of_signets_own := [
	object.union(of_api("signet", {}), {"expect": {"action": "deny"}}),
	object.union(of_api("unknown", {}), {"expect": {"action": "deny"}}),
	object.union(of_api("orders", {"route": "GET /protected"}), {"expect": {"action": "deny"}}),
]

test_challenges_of_two_apis_announce_what_each_demands := [
	object.union(of_api("orders", challenge), {"expect": {"minimum_binding": "none", "required_components": []}}),
	object.union(of_api("stock", challenge), {"expect": {
		"minimum_binding": "tls-client-cert",
		"allowed_algorithms": ["ml-dsa-65"],
		"required_components": ["if-match"],
	}}),
]
