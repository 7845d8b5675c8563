"""Write ``events/authorizer/``: one real gateway event per accepted or rejected case.

Run it after a case was added or changed: ``uv run tools/make_events.py``. The events are signed for the
fixed world beside them (``world.json``: clock, secrets, clients, and per case the binding its policy
demands, null for none); a live authorizer, which has another secret and clock, answers them
``created_out_of_window`` or ``nonce_invalid``, as it should.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.cases import CASES  # noqa: E402 - the path above has to come first
from tests.support.world import EDGE_KEYS, SECRET, World  # noqa: E402

FOLDER = ROOT / "events" / "authorizer"


def main() -> None:
    """Write all events, and the world in which they get their reasons."""
    argparse.ArgumentParser(description=__doc__).parse_args()  # --help ends here: nothing is written
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    world = World()
    cases = {}
    edges = {kid: base64.b64encode(key).decode() for kid, key in EDGE_KEYS.items()}
    for name, (reason, build) in CASES.items():
        if reason == "store_unavailable":
            continue  # an outage is no property of an event
        world.require_nothing()
        registered = dict(world.clients.entries)
        event = build(world)
        clients = [c for k, c in world.clients.entries.items() if k not in registered]
        (FOLDER / f"{name}.json").write_text(json.dumps(event, indent=1) + "\n")
        cases[name] = {
            "reason": reason,
            "minimum_binding": world.minimum_binding,
            "clients": [
                {
                    "keyid": c.keyid,
                    "alg": c.alg,
                    "public_key": base64.b64encode(c.public_key).decode(),
                    "status": c.status.value,
                    "routes": list(c.routes),
                    "not_before": c.not_before,
                    "not_after": c.not_after,
                }
                for c in clients
            ],
            "spent": [digest.hex() for digest in world.nonces.spent],
            "bundles": [
                {
                    "sha256": sha256.hex(),
                    "bundle": base64.b64encode(bundle).decode(),
                    "expires_at": expires_at,
                }
                for sha256, (bundle, expires_at) in world.bundles.stored.items()
            ],
        }
        world.nonces.spent.clear()
        world.bundles.stored.clear()
        for client in clients:
            del world.clients.entries[client.keyid]
    known_clients = [
        {"keyid": c.keyid, "alg": c.alg, "public_key": base64.b64encode(c.public_key).decode()}
        for c in world.clients.entries.values()
    ]
    document = {
        "now_ms": world.now_ms,
        "secret": SECRET.decode(),
        "edge_keys": edges,
        "clients": known_clients,
        "cases": cases,
    }
    (FOLDER / "world.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"wrote {len(cases)} events to {FOLDER.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
