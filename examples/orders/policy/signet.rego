# What may pass, for whom, how strongly bound, and what the API may give up under load.
#
# Input:  route       "METHOD /resource", as declared in the API
#         principal   {"keyid", "roles"}, absent while only the route's requirements are asked for
#         algorithm   suite the signature was verified with
#         binding     {"type"}: channel binding that was observed to match, or "none"
#         evidence    {"sha256"}, or null
#         breaker     {"state", "level"}
#         header_bytes
# Output: action, reasons, minimum_binding, allowed_algorithms, required_components, ladder, classical_fallback,
#         header_budget, availability_floor_ppm, latency_objective_ms, breaker
#
# What no policy can switch off stands in code as well: nothing passes without a verified proof,
# and a binding that does not match never passes.
package signet

import rego.v1

route := data.config.routes[input.route]

default minimum_binding := "tls-exporter"

minimum_binding := route.minimum_binding if input.route != challenge_route

# Whoever asks for a challenge has not said yet what for: a nonce for the strongest binding in use is good
# on every route.
minimum_binding := strongest_binding if input.route == challenge_route

challenge_route := "GET /pch/challenge"

bindings_in_use contains entry.minimum_binding if some entry in data.config.routes

default strongest_binding := "none"

strongest_binding := "tls-client-cert" if {
	"tls-client-cert" in bindings_in_use
	not "tls-exporter" in bindings_in_use
}

strongest_binding := "tls-exporter" if "tls-exporter" in bindings_in_use

default allowed_algorithms := []

allowed_algorithms := object.get(route, "algorithms", data.config.algorithms)

allowed_algorithms := data.config.algorithms if input.route == challenge_route

# What signatures have to cover beside what each covers. Whoever asks for a challenge has not said what for: told are all.
demanded_by(entry) := object.get(entry, "required_components", object.get(data.config, "required_components", []))

default required_components := []

required_components := demanded_by(route) if input.route != challenge_route

required_components := [name | some name in demanded_anywhere] if input.route == challenge_route

demanded_anywhere := {name | some entry in data.config.routes; some name in demanded_by(entry)}

# What a route says for itself, and what holds for all others.
own(name) := object.get(object.get(data.config.routes, input.route, {}), name, data.config[name])

# The rungs a route may be taken down under load.
ladder := own("ladder")

# Verifying only the classical half of a hybrid key is a downgrade that load, and so an attacker, can bring about:
# a ladder with the rung "classical" counts only together with this.
classical_fallback := own("classical_fallback")

# An outcome is bad if it is an error or slower than this.
latency_objective_ms := own("latency_objective_ms")

# From which share of bad ones on the breaker opens, below which it closes, and above which the ladder may leave
# its first rung, is the same for all routes: they share what they call.
breaker := data.config.breaker

availability_floor_ppm := data.config.availability_floor_ppm

default header_budget := 2048

header_budget := data.config.header_budget[input.breaker.level] if not cramped

# A signature over the exporter is made when its connection is there, too late for a bundle. Where it is demanded, load
# leaves room for the largest suite's, or it would turn away everybody whose signature is not a small one.
header_budget := data.config.exporter_header_budget if cramped

cramped if {
	minimum_binding == "tls-exporter"
	input.breaker.level != "full"
	data.config.header_budget[input.breaker.level] < data.config.exporter_header_budget
}

strength := {"none": 0, "tls-client-cert": 1, "tls-exporter": 1}

reasons contains "no policy for this route" if not route

reasons contains "no verified principal" if not input.principal.keyid

reasons contains "the client's roles do not include the route's" if not route.role in input.principal.roles

reasons contains "the algorithm is not allowed here" if not input.algorithm in allowed_algorithms

reasons contains "the channel binding is too weak" if not bound

reasons contains "more header bytes than the budget" if not within_budget

# Asked for positively, so that a fact that is missing denies.
within_budget if input.header_bytes <= header_budget

bound if strength[input.binding.type] >= strength[minimum_binding]

default action := "deny"

action := "allow" if count(reasons) == 0
