# A client of the shop reads and writes orders of its own tenant only. Which tenant that is, its registration says:
# `signet clients add --role read:orders --label tenant=acme`. A write brings evidence.
package signet

import rego.v1

of_shop if input.api == "shop"

reasons contains "the path is another tenant's" if {
	of_shop
	not own_tenant
}

own_tenant if input.path_parameters.tenant == input.principal.labels.tenant

reasons contains "a write needs evidence" if {
	of_shop
	input.method == "POST"
	not input.evidence.sha256
}

reasons contains "a suspended tenant does not write" if {
	of_shop
	input.method == "POST"
	input.principal.labels.tenant in data.tenants.suspended
}
