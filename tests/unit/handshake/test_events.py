"""The stored events get the reasons that ``world.json`` states for them: they never go stale unnoticed."""

import base64
import json
from typing import Any

import pytest

from signet.core.client import Client, Status
from tests.support.cases import CASES
from tests.support.world import EDGE_KEYS, ROOT, SECRET, World

FOLDER = ROOT / "events" / "authorizer"
STORED = json.loads((FOLDER / "world.json").read_text())


def _client(stored: dict[str, Any]) -> Client:
    return Client(
        stored["keyid"],
        stored["alg"],
        base64.b64decode(stored["public_key"]),
        status=Status(stored.get("status", "active")),
        routes=tuple(stored.get("routes", ())),
        not_before=stored.get("not_before"),
        not_after=stored.get("not_after"),
    )


@pytest.mark.parametrize("name", STORED["cases"])
def test_stored_event_gets_its_reason(name: str) -> None:
    world = World()
    world.now_ms = STORED["now_ms"]
    case = STORED["cases"][name]
    if case["minimum_binding"]:
        world.require(case["minimum_binding"])
    clients = [*STORED["clients"], *case["clients"]]
    world.clients.entries = {c["keyid"]: _client(c) for c in clients}
    world.nonces.spent = dict.fromkeys(map(bytes.fromhex, case["spent"]), 0)
    world.bundles.stored = {
        bytes.fromhex(b["sha256"]): (base64.b64decode(b["bundle"]), b["expires_at"])
        for b in case.get("bundles", ())
    }
    assert world.reason(json.loads((FOLDER / f"{name}.json").read_text())) == case["reason"]


def test_every_case_is_stored_and_nothing_else() -> None:
    stored = {path.stem for path in FOLDER.glob("*.json")} - {"world"}
    wanted = {name for name, (reason, _) in CASES.items() if reason != "store_unavailable"}
    assert stored == wanted == STORED["cases"].keys()
    assert STORED["secret"] == SECRET.decode()
    assert {kid: base64.b64decode(key) for kid, key in STORED["edge_keys"].items()} == EDGE_KEYS
