# Readers of orders may read, writers may write: orders.json lists their key ids. A key in both lists may do both.
package signet

import rego.v1

reads_orders if {
	input.api == "orders"
	input.route in {"GET /orders", "GET /orders/{id}"}
}

writes_orders if {
	input.api == "orders"
	input.route == "POST /orders"
}

reasons contains "the key is not one of the readers of orders" if {
	reads_orders
	not input.principal.keyid in data.orders.readers
}

reasons contains "the key is not one of the writers of orders" if {
	writes_orders
	not input.principal.keyid in data.orders.writers
}
