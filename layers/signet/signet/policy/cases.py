"""A user's cases, ``*_cases.json``: requests, and what the policy has to answer to each.

    [{"name": "acme reads its own orders",
      "input": {"route": "GET /orders", "principal": {"keyid": "acme:ci", "roles": ["caller"]}},
      "expect": "allow"}]

What an input does not say is filled in: a request to the route with which nothing else is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from signet.core.apis import OWN_API
from signet.core.errors import PolicyError
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.policy.engine import PolicyEngine
from signet.policy.explore import ORDINARY, PROBE, filled
from signet.policy.finding import Finding
from signet.policy.places import lines_of
from signet.policy.rego import SourceError, parse_json
from signet.policy.routes import route_key
from signet.policy.stated import check_stated

SUFFIX: Final = "_cases.json"
_MEMBERS: Final = frozenset({"name", "input", "expect"})
_VERDICTS: Final = ("allow", "deny")
_PARAMETER: Final = re.compile(r"\{([^{}+]+)\+?\}")
#: The last moment that a case may state, Unix seconds: the end of 9998, since calendars end a year later.
_LAST: Final = 253_370_764_799


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
            listed = parse_json(file, content)
        except SourceError as error:
            findings.append(Finding(error.reason, file, error.line or 1))
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
        PolicyError: the policy has no answer for the route; the input states no route, or what no input has.
    """
    check_stated(stated)
    api, route = stated.get("api", OWN_API), stated.get("route")
    if route is None:
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
    if "path" not in stated and "path_parameters" in stated:
        found["path"] = _path(route, stated["path_parameters"])
    found["principal"] = {"keyid": PROBE, "roles": [], "labels": {}, **(stated.get("principal") or {})}
    if stated.get("principal", {}) is None:
        del found["principal"]
    if "ip" in (source := stated.get("source", {})):
        found["source"] = _source(engine, source)
    if (moment := _moment(stated.get("time", {}))) is not None:
        found["time"] = engine.wanted.moment(moment).document()
    return found


def _source(engine: PolicyEngine, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stated address as a request's is told: in its one form, with the networks that hold it."""
    networks = engine.wanted.networks
    address = networks.address(stated["ip"])
    if address is None:
        raise PolicyError(f"input.source.ip {stated['ip']!r} is no address")
    return {"networks": list(networks.holding(address)), **stated, "ip": str(address)}


def _moment(stated: Mapping[str, Any]) -> int | None:
    """Return the time that a case states by ``rfc3339`` or ``unix`` alone."""
    if stated.keys() == {"unix"}:
        moment = int(stated["unix"])
    elif stated.keys() == {"rfc3339"}:
        moment = _unix(stated["rfc3339"])
    else:
        return None
    if not 0 <= moment <= _LAST:
        raise PolicyError(f"its time {moment} lies outside 1970 to 9998")
    return moment


def _unix(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise PolicyError(f"its time {text!r} is none") from error
    if found.tzinfo is None:  # each machine would read it in its own zone
        raise PolicyError(f"its time {text!r} names no zone: write it in UTC, with a Z at its end")
    return (found - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1)


def _path(route: str, given: Mapping[str, str]) -> str:
    """Fill a resource in; what is not given stays as it is declared."""
    return _PARAMETER.sub(lambda found: given.get(found[1], found[0]), route.partition(" ")[2])


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
