"""A user's cases, ``*_cases.json``: requests, and what the policy has to answer to each.

    [{"name": "acme reads its own orders",
      "input": {"route": "GET /orders", "principal": {"keyid": "acme:ci", "roles": ["caller"]}},
      "expect": "allow"}]

What an input does not say is filled in: a request to the route with which nothing else is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from signet.core.apis import OWN_API
from signet.core.errors import PolicyError
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.policy.engine import PolicyEngine
from signet.policy.explore import ORDINARY, PROBE, filled
from signet.policy.finding import Finding
from signet.policy.places import lines_of
from signet.policy.routes import route_key

SUFFIX: Final = "_cases.json"
_MEMBERS: Final = frozenset({"name", "input", "expect"})
_VERDICTS: Final = ("allow", "deny")


@dataclass(frozen=True, slots=True)
class Case:
    """A request and the answer that it must have.

    Attributes:
        file: where it stands.
        line: 1-based.
        name: what it is called, or its number.
        input: members of the input that it states.
        action: ``allow`` or ``deny``.
        reasons: all reasons, or None if it does not say.
    """

    file: str
    line: int
    name: str
    input: Mapping[str, Any]
    action: str
    reasons: frozenset[str] | None


def read_cases(tests: Mapping[str, bytes]) -> tuple[list[Case], list[Finding]]:
    """Return the cases among a policy's tests (name → bytes), and what is wrong with the files."""
    cases: list[Case] = []
    findings: list[Finding] = []
    for file, content in tests.items():
        if not file.endswith(SUFFIX):
            continue
        try:
            listed = json.loads(content.decode())
        except (ValueError, RecursionError) as error:  # no UTF-8 is a ValueError too
            findings.append(Finding(f"this is no JSON: {error}", file, getattr(error, "lineno", 1)))
            continue
        if not isinstance(listed, list) or not listed:
            findings.append(Finding("this file is no array of cases: [{name, input, expect}]", file, 1))
            continue
        lines = lines_of(content.decode())
        for number, case in enumerate(listed):
            read = _read(file, lines.get((number,), 1), number + 1, case)
            (cases if isinstance(read, Case) else findings).append(read)  # type: ignore[arg-type]
    return cases, findings


def _read(file: str, line: int, number: int, case: Any) -> Case | Finding:
    if not isinstance(case, dict) or case.keys() - _MEMBERS or not isinstance(case.get("input"), dict):
        return Finding(f"case {number} is not {{name, input, expect}}", file, line)
    expect = case.get("expect")
    told = expect if isinstance(expect, dict) else {"action": expect}
    action, reasons = told.get("action"), told.get("reasons")
    if action not in _VERDICTS or told.keys() - {"action", "reasons"}:
        wrong = 'expects neither "allow" nor "deny", nor {"action": "deny", "reasons": […]}'
        return Finding(f"case {number} {wrong}", file, line)
    if reasons is not None and not (
        isinstance(reasons, list) and all(isinstance(one, str) for one in reasons)
    ):
        return Finding(f"case {number} has reasons that are no array of texts", file, line)
    name = str(case.get("name") or f"case {number}")
    return Case(file, line, name, case["input"], action, None if reasons is None else frozenset(reasons))


def whole(engine: PolicyEngine, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input of a case, whole: what it does not state is that of a request in good order.

    ``networks`` of a stated ``source.ip`` are found, and ``path`` is filled in from ``path_parameters``.

    Raises:
        PolicyError: the policy has no answer for the route; the input states no text as its route.
    """
    api, route = stated.get("api", OWN_API), stated.get("route")
    if not isinstance(api, str) or not isinstance(route, str):
        raise PolicyError('its input has no route: write one, as in {"route": "GET /orders"}')
    needs = engine.at_rest(route_key(api, route))
    found: dict[str, Any] = {
        "api": api,
        "method": route.partition(" ")[0],
        **filled(route, PROBE),
        **ORDINARY,
        "algorithm": next(iter(needs.allowed_algorithms), ""),
        "binding": {"type": needs.minimum_binding},
        "evidence": None,
        "breaker": {"state": BreakerState.CLOSED.value, "level": BreakerLevel.FULL.value},
        "header_bytes": 400,
        **stated,
    }
    if "path" not in stated and isinstance(given := stated.get("path_parameters"), dict):
        found["path"] = _path(route, given)
    found["principal"] = {"keyid": PROBE, "roles": [], "labels": {}, **_object(stated, "principal")}
    if stated.get("principal", {}) is None:
        del found["principal"]
    if (ip := _object(stated, "source").get("ip")) and "networks" not in stated["source"]:
        address = engine.wanted.networks.address(str(ip))
        held = engine.wanted.networks.holding(address) if address else ()
        found["source"] = {"ip": ip, "networks": list(held)}
    if (moment := _moment(_object(stated, "time"))) is not None:
        found["time"] = engine.wanted.moment(moment).document()
    return found


def _moment(stated: Mapping[str, Any]) -> int | None:
    """Return the time that a case states by ``rfc3339`` or ``unix`` alone."""
    if stated.keys() == {"unix"} and type(stated["unix"]) is int:
        return int(stated["unix"])
    if stated.keys() == {"rfc3339"}:
        try:
            return int(datetime.fromisoformat(str(stated["rfc3339"])).timestamp())
        except ValueError as error:
            raise PolicyError(f"its time {stated['rfc3339']!r} is none") from error
    return None


def _object(stated: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = stated.get(name)
    return value if isinstance(value, dict) else {}


def _path(route: str, given: Mapping[str, Any]) -> str:
    path = route.partition(" ")[2]
    for name, value in given.items():
        path = path.replace(f"{{{name}}}", str(value)).replace(f"{{{name}+}}", str(value))
    return path


def run_cases(engine: PolicyEngine, cases: list[Case]) -> Iterator[Finding]:
    """Yield the cases to which the policy answers otherwise."""
    for case in cases:
        try:
            verdict = engine.decide(whole(engine, case.input))
        except PolicyError as error:
            yield Finding(f"{case.name!r} fails: {error}", case.file, case.line)
            continue
        action = "allow" if verdict.allowed else "deny"
        because = f" ({'; '.join(verdict.reasons)})" if verdict.reasons else ""
        if action != case.action:
            yield Finding(f"{case.name!r}: the policy says {action}{because}", case.file, case.line)
        elif case.reasons is not None and set(verdict.reasons) != case.reasons:
            wanted = "; ".join(sorted(case.reasons)) or "no reason"
            yield Finding(f"{case.name!r}: other reasons{because}, not {wanted}", case.file, case.line)
