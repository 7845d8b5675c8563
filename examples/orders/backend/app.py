"""The orders API, as it was before Signet. It keeps its orders in the memory of one environment."""

import json
import uuid

ORDERS = {
    "1001": {"id": "1001", "item": "tea", "quantity": 2, "status": "open"},
    "1002": {"id": "1002", "item": "salt", "quantity": 1, "status": "shipped"},
    "1003": {"id": "1003", "item": "rice", "quantity": 5, "status": "open"},
}
MOST = 100


def handler(event, _context):
    match event["httpMethod"], event["resource"]:
        case "GET", "/orders":
            return list_orders(event.get("queryStringParameters") or {})
        case "POST", "/orders":
            return create_order(event.get("body"))
        case "GET", "/orders/{id}":
            order = ORDERS.get(event["pathParameters"]["id"])
            return answer(200, order) if order else answer(404, {"error": "there is no such order"})
    return answer(404, {"error": "there is no such route"})


def list_orders(query):
    limit = query.get("limit", "20")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:4]) <= MOST):
        return answer(400, {"error": f"limit is a number from 1 to {MOST}"})
    found = [order for order in ORDERS.values() if query.get("status") in {None, order["status"]}]
    return answer(200, {"orders": found[: int(limit)]})


def create_order(body):
    try:
        given = json.loads(body or "")
        item, quantity = given["item"], given["quantity"]
    except (ValueError, KeyError, TypeError):
        return answer(400, {"error": "an order has an item and a quantity"})
    if not (
        isinstance(item, str) and 0 < len(item) <= MOST and type(quantity) is int and 0 < quantity <= MOST
    ):
        return answer(400, {"error": f"item is a text, quantity a whole number, each of at most {MOST}"})
    if len(ORDERS) >= MOST:
        return answer(503, {"error": "the memory for orders is full"})
    order = {"id": str(uuid.uuid4()), "item": item, "quantity": quantity, "status": "open"}
    ORDERS[order["id"]] = order
    return answer(201, order)


def answer(status, body):
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
