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

# What an attached API says for itself; nothing for Signet's own, whose settings are those of config itself.
settings := object.get(data.config, ["apis", input.api], {}) if input.api != "signet"

settings := {} if input.api == "signet"

routes := data.config.routes if input.api == "signet"

routes := object.get(settings, "routes", {}) if input.api != "signet"

route := routes[input.route]

# For the API if it says so, else for all.
general(name) := object.get(settings, name, data.config[name])

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

allowed_algorithms := object.get(route, "algorithms", general("algorithms"))

allowed_algorithms := general("algorithms") if input.route == challenge_route

# Components that signatures have to cover beside those that every signature covers. A request for a challenge does not
# say for which route, so its answer names the components of all routes of the API.
demanded_by(entry) := object.get(entry, "required_components", demanded_by_all)

demanded_by_all := object.get(settings, "required_components", object.get(data.config, "required_components", []))

default required_components := []

required_components := demanded_by(route) if input.route != challenge_route

required_components := [name | some name in demanded_anywhere] if input.route == challenge_route

demanded_anywhere := {name | some entry in routes; some name in demanded_by(entry)}

# A route's own value, or the one that holds for all other routes.
own(name) := object.get(object.get(routes, input.route, {}), name, general(name))

# The rungs a route may be taken down under load.
ladder := own("ladder")

# Verifying only the classical half of a hybrid key is a downgrade that load, and so an attacker, can bring about:
# a ladder with the rung "classical" counts only together with this.
classical_fallback := own("classical_fallback")

# An outcome is bad if it is an error or slower than this.
latency_objective_ms := own("latency_objective_ms")

# What the route calls. Each backend has a breaker of its own.
default backend := "backend"

backend := object.get(object.get(routes, input.route, {}), "backend", backend_of_all)

backend_of_all := object.get(settings, "backend", input.api) if input.api != "signet"

backend_of_all := "backend" if input.api == "signet"

# The shares of bad outcomes at which the breaker opens, at which it closes, and at which the ladder may leave its first
# rung are the same for all routes that call one backend.
breaker := general("breaker")

availability_floor_ppm := general("availability_floor_ppm")

# How fast one client may call: {"per_second" or "per_minute", "burst"}, or null for no limit.
default rate_limit := null

rate_limit := object.get(object.get(routes, input.route, {}), "rate_limit", rate_limit_of_all)

rate_limit_of_all := object.get(settings, "rate_limit", object.get(data.config, "rate_limit", null))

# All routes of an API share a client's tokens, but a route with a limit of its own.
default rate_limit_group := ""

rate_limit_group := input.route if route.rate_limit

default header_budget := 2048

header_budget := general("header_budget")[input.breaker.level] if not cramped

# A client signs over the exporter when the connection is there, and that is too late for a bundle. On a route that
# demands the exporter, load leaves room for the largest suite's signature. With less, it would turn away every client
# whose signature is not small.
header_budget := general("exporter_header_budget") if cramped

cramped if {
	minimum_binding == "tls-exporter"
	input.breaker.level != "full"
	general("header_budget")[input.breaker.level] < general("exporter_header_budget")
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
