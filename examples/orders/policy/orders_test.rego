# Tests of the rules for orders; `signet policy check` runs them.
package signet_test

import rego.v1

asked(api, route, keyid, roles) := {
	"api": api,
	"route": route,
	"principal": {"keyid": keyid, "roles": roles},
	"algorithm": "ed25519",
	"binding": {"type": "none"},
	"evidence": null,
	"breaker": {"state": "closed", "level": "full"},
	"header_bytes": 400,
}

allowed(route, keyid) := {
	"input": asked("orders", route, keyid, ["caller"]),
	"expect": {"action": "allow", "reasons": []},
}

denied(route, keyid, reasons) := {
	"input": asked("orders", route, keyid, ["caller"]),
	"expect": {"action": "deny", "reasons": reasons},
}

no_reader := "the key is not one of the readers of orders"

no_writer := "the key is not one of the writers of orders"

reads := ["GET /orders", "GET /orders/{id}"]

test_readers_read := [allowed(route, keyid) | some route in reads; some keyid in data.orders.readers]

test_readers_do_not_write := [denied("POST /orders", "orders-reader", [no_writer])]

test_writers_write := [allowed("POST /orders", keyid) | some keyid in data.orders.writers]

test_writers_do_not_read := [denied(route, "orders-writer", [no_reader]) | some route in reads]

test_other_callers_do_neither := array.concat(
	[denied(route, "another", [no_reader]) | some route in reads],
	[denied("POST /orders", "another", [no_writer])],
)

test_a_listed_key_without_the_role_is_refused := [{
	"input": asked("orders", "GET /orders", "orders-reader", ["auditor"]),
	"expect": {"action": "deny", "reasons": ["the client's roles do not include the route's"]},
}]

test_a_route_that_is_not_listed_is_refused := [{
	"input": asked("orders", "DELETE /orders/{id}", "orders-writer", ["caller"]),
	"expect": {"action": "deny"},
}]

test_a_route_of_another_api_is_another_route := [{
	"input": asked("signet", "GET /orders", "orders-reader", ["caller"]),
	"expect": {"action": "deny"},
}]

test_signet_s_own_routes_are_as_they_were := [
	{
		"input": asked("signet", "GET /protected", "caller-1", ["caller"]),
		"expect": {"action": "allow", "reasons": []},
	},
	{
		"input": asked("signet", "POST /compliance/pack", "auditor-1", ["auditor"]),
		"expect": {"action": "allow", "reasons": []},
	},
]
