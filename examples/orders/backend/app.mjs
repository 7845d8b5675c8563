// The orders API, as it was before Signet. It keeps its orders in the memory of one environment.
import { randomUUID } from "node:crypto";

const ORDERS = new Map([
  ["1001", { id: "1001", item: "tea", quantity: 2, status: "open" }],
  ["1002", { id: "1002", item: "salt", quantity: 1, status: "shipped" }],
  ["1003", { id: "1003", item: "rice", quantity: 5, status: "open" }],
]);
const MOST = 100;

export async function handler(event) {
  switch (`${event.httpMethod} ${event.resource}`) {
    case "GET /orders":
      return listOrders(event.queryStringParameters ?? {});
    case "POST /orders":
      return createOrder(event.body);
    case "GET /orders/{id}": {
      const order = ORDERS.get(event.pathParameters.id);
      return order ? answer(200, order) : answer(404, { error: "there is no such order" });
    }
  }
  return answer(404, { error: "there is no such route" });
}

function listOrders({ status, limit = "20" }) {
  if (!/^[0-9]+$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST) {
    return answer(400, { error: `limit is a number from 1 to ${MOST}` });
  }
  const found = [...ORDERS.values()].filter((order) => status === undefined || order.status === status);
  return answer(200, { orders: found.slice(0, Number(limit)) });
}

function createOrder(body) {
  let item, quantity;
  try {
    ({ item, quantity } = JSON.parse(body ?? ""));
  } catch {
    // told below
  }
  if (item === undefined || quantity === undefined) {
    return answer(400, { error: "an order has an item and a quantity" });
  }
  const isItem = typeof item === "string" && item.length > 0 && item.length <= MOST;
  if (!isItem || !Number.isInteger(quantity) || quantity < 1 || quantity > MOST) {
    return answer(400, { error: `item is a text, quantity a whole number, each of at most ${MOST}` });
  }
  if (ORDERS.size >= MOST) return answer(503, { error: "the memory for orders is full" });
  const order = { id: randomUUID(), item, quantity, status: "open" };
  ORDERS.set(order.id, order);
  return answer(201, order);
}

export function answer(statusCode, body) {
  return { statusCode, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}
