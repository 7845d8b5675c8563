"""Two attached APIs, a policy with rules for both, and their events."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from signet.core.apis import Api
from signet.core.vocabulary import PayloadKind
from signet.policy.engine import PolicyEngine
from tests.support.world import World, policy_files

ORDERS = Api("orders", "ord3rs1d00", "v1", PayloadKind.REST_V1, "123456789012")
BILLING = Api("billing", "b1ll1ng1d0", "v1", PayloadKind.REST_V1, "210987654321")
RULES: dict[str, dict[str, Any]] = {
    "orders": {"GET /orders/{id}": {"role": "caller", "minimum_binding": "none"}},
    "billing": {
        "GET /orders/{id}": {"role": "auditor", "minimum_binding": "none"},
        "GET /invoices": {"role": "caller", "minimum_binding": "none", "backend": "ledger"},
    },
}


def files() -> dict[str, bytes]:
    """The policy with rules for both."""
    found = policy_files()
    document = json.loads(found["config.json"])
    document["config"]["apis"] = {name: {"routes": routes} for name, routes in RULES.items()}
    return {**found, "config.json": json.dumps(document).encode()}


@cache
def engine() -> PolicyEngine:
    """The same, compiled."""
    return PolicyEngine(files())


def world_of(api: Api) -> World:
    """A world whose events are of an attached API."""
    world = World()
    world.api, world.__dict__["policy"] = api, engine()
    return world


def event_of(
    world: World, path: str = "/orders/7", resource: str = "/orders/{id}", **more: Any
) -> dict[str, Any]:
    """An unsigned event of the world's API, as REST APIs send them."""
    event = world.event(path=path, resource=resource, **more)
    text = json.dumps(event).replace("a1b2c3d4e5", world.api.api_id)
    event = json.loads(text.replace('"prod"', f'"{world.api.stage}"').replace("prod/", f"{world.api.stage}/"))
    event["requestContext"]["path"] = f"/{world.api.stage}{path}"
    return event


def signed(
    world: World, path: str = "/orders/7", resource: str = "/orders/{id}", **how: Any
) -> dict[str, Any]:
    """The same, signed."""
    return world.sign(event_of(world, path, resource), **how)
