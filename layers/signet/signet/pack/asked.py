"""Holds what the policy was asked, as a transcript tells it, to the receipt of the decision. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from signet.core.instants import parse_utc_millis

#: Route of an HTTP API that declares no path.
_DEFAULT: Final = "$default"


def told_otherwise(asked: Any, receipt: Mapping[str, Any]) -> str | None:
    """Return the first member of the input that says something else than the receipt; None if none does.

    Args:
        asked: the input, of any form.
        receipt: members of a whole ``pch.decision`` of version 2.
    """
    proof, request = receipt["proof"], receipt["request"]
    said: dict[tuple[str, ...], Any] = {
        ("api",): receipt["api"]["name"],
        ("route",): receipt["route"],
        ("method",): request["method"],
        ("principal", "keyid"): proof["keyid"],
        ("algorithm",): proof["alg"],
        ("binding", "type"): proof["binding"]["type"],
        ("header_bytes",): proof["header_bytes"],
        ("evidence", "sha256"): proof["evidence_sha256"],
    }
    if _told(asked, "time", "unix") is not None:
        said["time", "unix"] = parse_utc_millis(receipt["decided_at"]) // 1000
    for place, recorded in said.items():
        given = _told(asked, *place)
        if type(given) is not type(recorded) or given != recorded:
            return f"input.{'.'.join(place)}"
    path = _told(asked, "path")
    if type(path) is not str or not request["path"].removesuffix("/").endswith(path.removesuffix("/")):
        return "input.path"
    method, _, resource = receipt["route"].partition(" ")
    filled = _filling(resource, path)
    if method != request["method"] or filled is None:
        return "input.path"
    return None if _told(asked, "path_parameters") == filled else "input.path_parameters"


def _told(asked: Any, *place: str) -> Any:
    """Return a member of the input; None where it is not there."""
    value = asked
    for name in place:
        value = value.get(name) if type(value) is dict else None
    return value


def _filling(resource: str, path: str) -> dict[str, str] | None:
    """Return the parameters that make a path of a declared resource; None if none do.

    They follow from the two, so nothing is filled in: a value with braces is no other parameter.
    """
    if resource == _DEFAULT:
        return {}
    declared = resource.split("/")
    given = path.split("/", len(declared) - 1 if resource.endswith("+}") else -1)
    if len(given) != len(declared):
        return None
    found = {}
    for segment, value in zip(declared, given, strict=True):
        if segment.startswith("{"):
            found[segment[1:-1].removesuffix("+")] = value
        elif segment != value and "%" not in value:
            return None
    return found
