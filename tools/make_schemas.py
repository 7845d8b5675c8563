"""Write ``docs/schema/``: the formats of ``docs/formats.md`` as JSON Schema (2020-12), one file each.

Run it after a format's table changed: ``make schemas``. Receipts come from the table of their version; what
cannot stand together, and all other formats, are written here and in ``schema_formats.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from signet.receipts.rules import INTEGER, SHA256, TIME, schema_of
from signet.receipts.shape import DECISION_TYPE, POLICY_TYPE, ROTATION_TYPE, TRANSITION_TYPE
from signet.receipts.v1 import LEVELS, STATES, V1
from tools.schema_formats import Schema, exactly, formats, key_set, nullable

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "schema"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_CAUSES: Final = ("tripped", "interval_over", "probes_failed", "recovered", "rung_up", "rung_down")
_VERSION_NUMBER: Final[Schema] = {**INTEGER.schema, "minimum": 1}
_NOT_NULL: Final[Schema] = {"not": {"type": "null"}}


def main() -> None:
    """Write all schemas, and remove what is none of them."""
    argparse.ArgumentParser(description=__doc__).parse_args()  # a call for help writes nothing
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = schemas()
    for old in FOLDER.glob("*.json"):
        if old.name not in made:
            old.unlink()
    for name, schema in made.items():
        (FOLDER / name).write_text(written(schema))


def written(schema: Schema) -> str:
    """Return a schema as its file holds it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def schemas() -> dict[str, Schema]:
    """Return every schema by the name of its file."""
    receipts = receipts_of_version_1()
    titled = {f"receipt.{kind}": (f"Receipt of type {kind}", body) for kind, body in receipts.items()}
    return {
        f"{name}.v1.json": {"$schema": DIALECT, "title": f"{title}, version 1", **body}
        for name, (title, body) in {**titled, **formats(receipts)}.items()
    }


def receipts_of_version_1() -> dict[str, Schema]:
    """Return the schemas of the receipts in a log, by type."""
    decision = schema_of({**V1.closed[DECISION_TYPE], **V1.chain})
    rotation = schema_of({**V1.closed[ROTATION_TYPE], **V1.chain})
    rotation["properties"]["set"] = key_set(first=False)
    return {
        DECISION_TYPE: {**decision, "allOf": [*_reasons(), *_combinations()]},
        ROTATION_TYPE: _of_type(ROTATION_TYPE, rotation),
        TRANSITION_TYPE: _of_type(TRANSITION_TYPE, _with(_transition())),
        POLICY_TYPE: _of_type(POLICY_TYPE, _with(_change())),
    }


def _of_type(kind: str, schema: Schema) -> Schema:
    schema["properties"]["type"] = {"const": kind}
    return schema


def _with(members: dict[str, Schema]) -> Schema:
    """Return the common members with those of a type of which readers check the common ones only."""
    schema = schema_of({**V1.common, **V1.chain})
    schema["properties"] |= members
    schema["required"] += list(members)
    return schema


def _transition() -> dict[str, Schema]:
    place = exactly(state={"enum": [*STATES]}, level={"enum": [*LEVELS]})
    figures = {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]*_(?:ppm|us|ms|milli)$"},
        "additionalProperties": dict(INTEGER.schema),
    }
    return {
        "breaker": exactly(name={"type": "string"}, version=_VERSION_NUMBER),
        "from": place,
        "to": place,
        "cause": {"enum": [*_CAUSES]},
        "policy": exactly(bundle_sha256=nullable(dict(SHA256.schema))),
        "figures": figures,
    }


def _change() -> dict[str, Schema]:
    sha256, time = dict(SHA256.schema), dict(TIME.schema)
    change = {"n": _VERSION_NUMBER, "from": nullable(sha256), "to": sha256, "pushed_at": time}
    return {"change": exactly(**change)}


def _reasons() -> list[Schema]:
    reasons: dict[str, list[str]] = {}
    for reason, decision in V1.decision_of.items():
        reasons.setdefault(decision, []).append(reason)
    return [
        {"if": _says("decision", {"const": decision}), "then": _says("reason", {"enum": found})}
        for decision, found in reasons.items()
    ]


def _combinations() -> list[Schema]:
    """Return "What cannot stand together" of ``docs/formats.md``, row by row."""

    def reason(*words: str) -> Schema:
        # of the sets of reasons, those that this version has
        return _says("reason", {"enum": sorted(V1.decision_of.keys() & words)})

    allowing = reason(*V1.words.allowing)
    whole = [_says(path, _NOT_NULL) for path in V1.whole]
    whole += [_says("proof.created", {"minimum": 0}), _says("proof.alg", {"enum": sorted(V1.words.suites)})]
    classical = [
        _says("breaker.level", {"const": "classical"}),
        _says("proof.alg", {"enum": sorted(V1.words.hybrids)}),
    ]
    unbound = _says("proof.binding.type", {"const": "none"})
    rules: list[tuple[Schema, Schema]] = [
        (reason(*V1.words.verified), {"allOf": [*whole, _says("policy.action", {"const": "allow"})]}),
        (allowing, _says("breaker.level", {"not": {"const": "shed"}})),
        (reason("policy_denied"), _says("policy.action", {"not": {"const": "allow"}})),
        (reason("breaker_open"), _says("breaker.state", {"const": "open"})),
        (reason("half_open_full"), _says("breaker.state", {"not": {"const": "open"}})),
        (reason("ok_classical_fallback"), {"allOf": classical}),
        (unbound, _says("proof.binding.value_sha256", {"type": "null"})),
        ({"not": unbound}, _says("proof.binding.value_sha256", _NOT_NULL)),
    ]
    return [{"if": condition, "then": then} for condition, then in rules]


def _says(path: str, schema: Schema) -> Schema:
    """Return the schema of an object in which the member at a dotted path has a schema."""
    found: dict[str, Any] = schema
    for name in reversed(path.split(".")):
        found = {"properties": {name: found}}
    return found


if __name__ == "__main__":
    main()
