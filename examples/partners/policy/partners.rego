# A partner uses the routes of its grant, from its own networks, until the grant ends: partners.json says which.
# Nothing is written outside business hours in Berlin.
package signet

import rego.v1

of_stock if input.api == "stock"

grant := data.partners[input.principal.keyid]

reasons contains "the key has no grant" if {
	of_stock
	not grant
}

reasons contains "the grant does not name this route" if {
	of_stock
	grant
	not input.route in grant.routes
}

# Not in time is what is refused, so a grant without an end is one that has ended.
reasons contains "the grant is over" if {
	of_stock
	grant
	not in_time
}

in_time if input.time.rfc3339 < grant.until

reasons contains "the request comes from elsewhere" if {
	of_stock
	grant
	not from_home
}

from_home if {
	some network in grant.networks
	network in input.source.networks
}

berlin := input.time.zones["Europe/Berlin"]

business_hours if {
	not berlin.weekday in {"Saturday", "Sunday"}
	berlin.hour >= 8
	berlin.hour < 18
}

reasons contains "writes wait for business hours" if {
	of_stock
	input.method == "PUT"
	not business_hours
}
