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
from signet.receipts.table import Table
from signet.receipts.v1 import LEVELS, STATES, V1
from signet.receipts.v2 import MOST_PATH_BYTES, UNTRANSCRIBED, V2
from tools.schema_formats import Schema, exactly, formats, key_set, manifest_of_version_2, nullable

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "schema"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
#: What a schema says of itself that is not frozen yet.
DRAFT: Final = "A draft: it may change until a release freezes it (docs/adr/0015-formats-grow-by-version.md)."
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
    made = {
        f"{name}.v1.json": {"$schema": DIALECT, "title": f"{title}, version 1", **body}
        for name, (title, body) in {**titled, **formats(receipts)}.items()
    }
    drafts = {
        f"receipt.{kind}.v2.json": {
            "$schema": DIALECT,
            "title": f"Receipt of type {kind}, version 2 (draft)",
            "$comment": DRAFT,
            **body,
        }
        for kind, body in receipts_of_version_2().items()
    }
    manifest = {
        "$schema": DIALECT,
        "title": "Manifest of a compliance pack (manifest.json), version 2 (draft)",
    }
    drafts["manifest.v2.json"] = {**manifest, "$comment": DRAFT, **manifest_of_version_2()}
    return made | drafts


def receipts_of_version_1() -> dict[str, Schema]:
    """Return the schemas of the receipts in a log, by type."""
    decision = schema_of({**V1.closed[DECISION_TYPE], **V1.chain})
    rotation = schema_of({**V1.closed[ROTATION_TYPE], **V1.chain})
    rotation["properties"]["set"] = key_set(first=False)
    return {
        DECISION_TYPE: {**decision, "allOf": [*_reasons(V1), *_combinations(V1)]},
        ROTATION_TYPE: _of_type(ROTATION_TYPE, rotation),
        TRANSITION_TYPE: _of_type(TRANSITION_TYPE, _with(_transition())),
        POLICY_TYPE: _of_type(POLICY_TYPE, _with(_change())),
    }


def receipts_of_version_2() -> dict[str, Schema]:
    """Return the same of version 2; the rules that are about bytes and times have no form in a schema."""
    found = {kind: schema_of({**rules, **V2.chain}) for kind, rules in V2.closed.items()}
    found = {kind: _of_type(kind, schema) for kind, schema in found.items()}
    found[ROTATION_TYPE]["properties"]["set"] = key_set(first=False)
    found[DECISION_TYPE]["allOf"] = [*_reasons(V2), *_combinations(V2), *_combinations_of_version_2()]
    return found


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


def _reasons(table: Table) -> list[Schema]:
    reasons: dict[str, list[str]] = {}
    for reason, decision in table.decision_of.items():
        reasons.setdefault(decision, []).append(reason)
    return [
        {"if": _says("decision", {"const": decision}), "then": _says("reason", {"enum": found})}
        for decision, found in reasons.items()
    ]


def _combinations(table: Table) -> list[Schema]:
    """Return "What cannot stand together" of ``docs/formats.md``, row by row."""
    allowing = _reason(*table.words.allowing)
    whole = [_says(path, _NOT_NULL) for path in table.whole]
    whole += [
        _says("proof.created", {"minimum": 0}),
        _says("proof.alg", {"enum": sorted(table.words.suites)}),
    ]
    classical = [
        _says("breaker.level", {"const": "classical"}),
        _says("proof.alg", {"enum": sorted(table.words.hybrids)}),
    ]
    unbound = _says("proof.binding.type", {"const": "none"})
    rules: list[tuple[Schema, Schema]] = [
        (_reason(*table.words.verified), {"allOf": [*whole, _says("policy.action", {"const": "allow"})]}),
        (allowing, _says("breaker.level", {"not": {"const": "shed"}})),
        (_reason("policy_denied"), _says("policy.action", {"not": {"const": "allow"}})),
        (_reason("breaker_open"), _says("breaker.state", {"const": "open"})),
        (_reason("half_open_full"), _says("breaker.state", {"not": {"const": "open"}})),
        (_reason("ok_classical_fallback"), {"allOf": classical}),
        (unbound, _says("proof.binding.value_sha256", {"type": "null"})),
        ({"not": unbound}, _says("proof.binding.value_sha256", _NOT_NULL)),
    ]
    return [{"if": condition, "then": then} for condition, then in rules]


def _combinations_of_version_2() -> list[Schema]:
    """Return the rows that version 2 adds."""
    allowing, null, no_value = _reason(*V2.words.allowing), {"type": "null"}, "transcript_sha256"
    verified = _reason(*V2.words.verified)
    whole_path = {"anyOf": [verified, _says(no_value, _NOT_NULL)]}
    rules: list[tuple[Schema, Schema]] = [
        (allowing, _says(no_value, _NOT_NULL)),
        (_reason("unknown_api"), _says("api.name", null)),
        (_reason(*UNTRANSCRIBED), _says(no_value, null)),
        (_says(no_value, null), _says("request.query_sha256", null)),
        (_says("request.query_sha256", null), _says(no_value, null)),
        (_says("breaker.admission", {"const": "probe"}), _says("breaker.state", {"const": "half_open"})),
        (whole_path, _says("request.path_sha256", null)),
        (_says("request.path_sha256", _NOT_NULL), _says("request.path", {"type": "string"})),
        ({"not": whole_path}, _says("request.path", {"maxLength": MOST_PATH_BYTES})),
    ]
    return [{"if": condition, "then": then} for condition, then in rules]


def _reason(*words: str) -> Schema:
    return _says("reason", {"enum": sorted(words)})


def _says(path: str, schema: Schema) -> Schema:
    """Return the schema of an object in which the member at a dotted path has a schema."""
    found: dict[str, Any] = schema
    for name in reversed(path.split(".")):
        found = {"properties": {name: found}}
    return found


if __name__ == "__main__":
    main()
