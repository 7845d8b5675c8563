# Which requests may pass, how strongly they are bound, and what the API may give up under load.
#
# Input:  api         name of the API, as registered; "signet" for Signet's own
#         route       "METHOD /resource", as declared in the API
#         method      the route's
#         path        the API's own path: its resource, filled in
#         path_parameters  {name: value}, as the path spells them
#         principal   {"keyid", "roles", "labels"}, absent while only the route's requirements are asked for
#         algorithm   suite the signature was verified with
#         binding     {"type"}: channel binding that was observed to match, or "none"
#         evidence    {"sha256"}, or null
#         breaker     {"state", "level"}
#         header_bytes
#         and what is told to rules that read it: query, headers, covered, content, source, time (docs/policy.md)
# Output: action, reasons, backend, minimum_binding, allowed_algorithms, required_components, ladder, classical_fallback,
#         header_budget, availability_floor_ppm, latency_objective_ms, breaker, rate_limit, rate_limit_group
#
# Two rules stand in code, and no policy can switch them off: no request passes without a verified proof, and a binding
# that does not match never passes.
package signet

import rego.v1

# What the API says of the route. Written out, so that it is found in a dictionary, however many routes there are.
route := data.config.routes[input.route] if input.api == "signet"

route := data.config.apis[input.api].routes[input.route] if input.api != "signet"

# The same, and empty where there is no such route.
default own := {}

own := route

# All routes of the API; only a challenge needs them.
routes := data.config.routes if input.api == "signet"

routes := data.config.apis[input.api].routes if input.api != "signet"

# For the API if it says so, else for all; Signet's own settings are those of config itself. Each is written out: a name
# that is a variable makes the interpreter copy all routes.
algorithms_of_all := data.config.apis[input.api].algorithms if input.api != "signet"

else := data.config.algorithms

ladder_of_all := data.config.apis[input.api].ladder if input.api != "signet"

else := data.config.ladder

classical_fallback_of_all := data.config.apis[input.api].classical_fallback if input.api != "signet"

else := data.config.classical_fallback

latency_objective_ms_of_all := data.config.apis[input.api].latency_objective_ms if input.api != "signet"

else := data.config.latency_objective_ms

header_budgets := data.config.apis[input.api].header_budget if input.api != "signet"

else := data.config.header_budget

exporter_header_budget := data.config.apis[input.api].exporter_header_budget if input.api != "signet"

else := data.config.exporter_header_budget

default minimum_binding := "tls-exporter"

minimum_binding := route.minimum_binding if input.route != challenge_route

# A request for a challenge does not say for which route. A nonce for the strongest binding in use is good on
# every route.
minimum_binding := strongest_binding if input.route == challenge_route

challenge_route := "GET /pch/challenge"

bindings_in_use contains entry.minimum_binding if some entry in routes

default strongest_binding := "none"

strongest_binding := "tls-client-cert" if {
	"tls-client-cert" in bindings_in_use
	not "tls-exporter" in bindings_in_use
}

strongest_binding := "tls-exporter" if "tls-exporter" in bindings_in_use

default allowed_algorithms := []

allowed_algorithms := object.get(route, "algorithms", algorithms_of_all)

allowed_algorithms := algorithms_of_all if input.route == challenge_route

# Components that signatures have to cover beside those that every signature covers. A request for a challenge does not
# say for which route, so its answer names the components of all routes of the API.
demanded_by(entry) := object.get(entry, "required_components", demanded_by_all)

default demanded_by_all := []

demanded_by_all := data.config.apis[input.api].required_components if input.api != "signet"

else := data.config.required_components

default required_components := []

required_components := demanded_by(route) if input.route != challenge_route

required_components := [name | some name in demanded_anywhere] if input.route == challenge_route

demanded_anywhere := {name | some entry in routes; some name in demanded_by(entry)}

# The rungs a route may be taken down under load. Like some that follow, a route's own, or that of all routes.
ladder := object.get(own, "ladder", ladder_of_all)

# Verifying only the classical half of a hybrid key is a downgrade that load, and so an attacker, can bring about:
# a ladder with the rung "classical" counts only together with this.
classical_fallback := object.get(own, "classical_fallback", classical_fallback_of_all)

# An outcome is bad if it is an error or slower than this.
latency_objective_ms := object.get(own, "latency_objective_ms", latency_objective_ms_of_all)

# What the route calls. Each backend has a breaker of its own.
default backend := "backend"

backend := object.get(own, "backend", backend_of_all)

backend_of_all := data.config.apis[input.api].backend if input.api != "signet"

else := input.api if input.api != "signet"

else := "backend"

# The shares of bad outcomes at which the breaker opens, at which it closes, and at which the ladder may leave its first
# rung are the same for all routes that call one backend.
breaker := data.config.apis[input.api].breaker if input.api != "signet"

else := data.config.breaker

availability_floor_ppm := data.config.apis[input.api].availability_floor_ppm if input.api != "signet"

else := data.config.availability_floor_ppm

# How fast one client may call: {"per_second" or "per_minute", "burst"}, or null for no limit.
default rate_limit := null

rate_limit := object.get(own, "rate_limit", rate_limit_of_all)

default rate_limit_of_all := null

rate_limit_of_all := data.config.apis[input.api].rate_limit if input.api != "signet"

else := data.config.rate_limit

# All routes of an API share a client's tokens, but a route with a limit of its own.
default rate_limit_group := ""

rate_limit_group := input.route if route.rate_limit

default header_budget := 2048

header_budget := header_budgets[input.breaker.level] if not cramped

# A client signs over the exporter when the connection is there, and that is too late for a bundle. On a route that
# demands the exporter, load leaves room for the largest suite's signature. With less, it would turn away every client
# whose signature is not small.
header_budget := exporter_header_budget if cramped

cramped if {
	minimum_binding == "tls-exporter"
	input.breaker.level != "full"
	header_budgets[input.breaker.level] < exporter_header_budget
}

strength := {"none": 0, "tls-client-cert": 1, "tls-exporter": 1}

reasons contains "no policy for this route" if not route

reasons contains "no verified principal" if not input.principal.roles

reasons contains "the client's roles do not include the route's" if not route.role in input.principal.roles

reasons contains "the algorithm is not allowed here" if not input.algorithm in allowed_algorithms

reasons contains "the channel binding is too weak" if not bound

# What the file of one API, NAME.api.rego, has against requests of that API. Its rules are in a package of their own.
reasons contains reason if some reason in data.signet.apis[replace(input.api, "-", "_")].deny

bound if strength[input.binding.type] >= strength[minimum_binding]

default action := "deny"

action := "allow" if count(reasons) == 0
