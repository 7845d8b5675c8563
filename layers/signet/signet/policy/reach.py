"""Finds refusals that no probe, test or case brings about: a rule that never fires refuses no request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from signet.core.errors import PolicyError
from signet.core.vocabulary import BINDING_TYPES, BreakerLevel, BreakerState
from signet.crypto.suites import NAMES
from signet.policy.cases import Case, whole
from signet.policy.engine import PolicyEngine
from signet.policy.explore import Facts, Hints, changed, hints_of, search
from signet.policy.finding import Finding
from signet.policy.lint.lint import SHIPPED, read, spoken
from signet.policy.lint.tracing import Traced, Tracer
from signet.policy.listing import listed_routes
from signet.policy.probes import UNKNOWN_ROUTE
from signet.policy.rego import code_of, merged_data
from signet.policy.routes import api_and_route
from signet.policy.teams import DENY

_REFUSING: Final = frozenset({"reasons", DENY})
_MOST_QUESTIONS: Final = 1_500
_MOST_ROUTES: Final = 64
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_DATA: Final = re.compile(r"\bdata((?:\.[A-Za-z_]\w*)+)")


def unreached(
    files: Mapping[str, bytes], cases: Iterable[Case] = (), asked: Iterable[Mapping[str, Any]] = ()
) -> tuple[Finding, ...]:
    """Return the refusals of a policy that fire for no probe and no case.

    Args:
        files: the policy, name → bytes, which has no findings.
        cases: a user's.
        asked: inputs of its other tests.
    """
    # Which of the shipped rules can fire depends on the configuration.
    tracer, engine = Tracer(files, without=SHIPPED), PolicyEngine(files)
    data = merged_data(files)
    empty = _read_nothing(tracer.rules, data)
    left = {
        number for number, rule in enumerate(tracer.rules) if rule.name in _REFUSING and number not in empty
    }
    hints = hints_of(files, data, spoken(read(files)[0], data))
    search_for = _Search(tracer, engine, hints, left)
    search_for.ask_all((*_whole(engine, cases), *asked))
    routes = listed_routes(data)
    looked_at = [*list(routes)[:_MOST_ROUTES], UNKNOWN_ROUTE]
    for asks in (search_for.plainly, search_for.thoroughly):
        for route in looked_at:
            if search_for.left:
                asks(route, routes.get(route))
    return tuple(_finding(tracer.rules[number]) for number in sorted(search_for.left))


def _finding(rule: Traced) -> Finding:
    told = (
        f"no probe brings this about: {rule.head}; look for what it compares, "
        "or show a request that it refuses: a case in NAME_cases.json"
    )
    return Finding(told, rule.file, rule.line)


def _whole(engine: PolicyEngine, cases: Iterable[Case]) -> Iterator[dict[str, Any]]:
    for case in cases:
        yield whole(engine, case.input)


@dataclass(slots=True)
class _Search:
    """Looks for requests that bring rules about.

    Attributes:
        tracer: says which fire.
        engine: says what routes demand.
        hints: what the policy names.
        left: numbers of those refusals that have not fired so far.
        questions: how many may still be asked.
    """

    tracer: Tracer
    engine: PolicyEngine
    hints: Hints
    left: set[int]
    questions: int = _MOST_QUESTIONS

    def ask(self, document: Mapping[str, Any]) -> frozenset[int]:
        self.questions -= 1
        fired = self.tracer.fired(document)
        self.left -= fired
        return fired

    def ask_all(self, documents: Iterable[Mapping[str, Any]]) -> None:
        for document in documents:
            self.ask(document)

    def plainly(self, route: str, entry: Any) -> None:
        """Ask about requests for one route that differ in what each probe has of its own."""
        if (request := self._request(route, entry)) is not None:
            self.ask_all((request, *_unusual(request)))

    def thoroughly(self, route: str, entry: Any) -> None:
        """Ask about requests for one route with all that the policy names."""
        request = self._request(route, entry)
        if request is None:
            return

        def ask(facts: Facts) -> frozenset[int]:
            return self.ask(changed(request, facts))

        for _ in search(ask, request["route"], self.hints, most=max(0, self.questions)):
            if not self.left:
                return

    def _request(self, route: str, entry: Any) -> dict[str, Any] | None:
        api, declared = api_and_route(route)
        role = entry.get("role") if isinstance(entry, dict) else None
        who = {"roles": [role] if isinstance(role, str) else []}
        try:
            return whole(self.engine, {"api": api, "route": declared, "principal": who})
        except PolicyError:
            return None


def _unusual(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield requests that differ in what each probe has of its own."""
    for level in BreakerLevel:
        yield {**request, "breaker": {**request["breaker"], "level": level.value}}
    for state in BreakerState:
        yield {**request, "breaker": {**request["breaker"], "state": state.value}}
    for algorithm in NAMES:
        yield {**request, "algorithm": algorithm}
    for bound in BINDING_TYPES:
        yield {**request, "binding": {"type": bound}}
    for size in (0, 1_000, 2_000, 4_000, 6_000, 8_000, 10_240):
        yield {**request, "header_bytes": size}
    yield {**request, "principal": {**request["principal"], "roles": []}}
    yield {**request, "principal": {**request["principal"], "roles": ["auditor", "caller"]}}


def _read_nothing(rules: tuple[Traced, ...], data: Mapping[str, Any]) -> set[int]:
    """Return the rules that read an empty list of the data, or a rule that does: that is no mistake."""
    code = [code_of(rule.text) for rule in rules]
    found = {
        number
        for number, text in enumerate(code)
        if any(_is_empty(data, path) for path in _DATA.findall(text))
    }
    while True:
        names = {rules[number].name for number in found} - _REFUSING
        more = {n for n, text in enumerate(code) if names.intersection(_WORD.findall(text))} - found
        if not more:
            return found
        found |= more


def _is_empty(data: Mapping[str, Any], path: str) -> bool:
    value: Any = data
    for name in path.removeprefix(".").split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return value in ([], {})
