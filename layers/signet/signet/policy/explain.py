"""Says why a policy decides as it does, and what two policies decide otherwise: for operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from signet.core.errors import PolicyError
from signet.policy.cases import Case, whole
from signet.policy.engine import PolicyEngine, Verdict
from signet.policy.explore import Facts, changed, hints_of, search
from signet.policy.lint.lint import read, spoken
from signet.policy.lint.tracing import Tracer
from signet.policy.listing import as_object, listed_routes
from signet.policy.rego import merged_data
from signet.policy.routes import api_and_route

_MOST_QUESTIONS: Final = 2_000
_LEAST_QUESTIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Explained:
    """A verdict and what led to it.

    Attributes:
        action: ``allow`` or ``deny``.
        reasons: why not.
        fired: the rules whose condition holds, ``file:line: head``, in order.
        input: all that the policy was asked, with what was filled in.
    """

    action: str
    reasons: tuple[str, ...]
    fired: tuple[str, ...]
    input: Mapping[str, Any]


def explain(files: Mapping[str, bytes], stated: Mapping[str, Any]) -> Explained:
    """Return what a policy says of a request.

    Args:
        files: name → bytes.
        stated: members of the input; the others are filled in (``signet.policy.cases``).

    Raises:
        PolicyError: the policy does not compile or evaluate, or the input states no route.
    """
    engine, tracer = PolicyEngine(files), Tracer(files)
    asked = whole(engine, stated)
    verdict = engine.decide(asked)
    fired = tuple(str(tracer.rules[number]) for number in sorted(tracer.fired(asked)))
    return Explained("allow" if verdict.allowed else "deny", verdict.reasons, fired, asked)


@dataclass(frozen=True, slots=True)
class Difference:
    """A request, or a route, of which two policies say different things.

    Attributes:
        what: key of the route, or name of a case.
        before: what the first says.
        after: what the second says.
        input: what was asked; None where the difference is in what the route requires.
    """

    what: str
    before: str
    after: str
    input: Mapping[str, Any] | None = None


def differences(
    before: Mapping[str, bytes], after: Mapping[str, bytes], cases: tuple[Case, ...] = ()
) -> Iterator[Difference]:
    """Yield what two policies decide otherwise: in a user's cases, then route by route.

    Args:
        before: the first policy, name → bytes.
        after: the second.
        cases: requests that are asked of both; what they expect does not count.

    Raises:
        PolicyError: one of the policies does not compile.
    """
    one, other = PolicyEngine(before), PolicyEngine(after)
    for case in cases:
        was, is_now = (_said(engine, whole(engine, case.input)) for engine in (one, other))
        if was != is_now:
            yield Difference(case.name, was, is_now, case.input)
    left = _MOST_QUESTIONS
    for route in dict.fromkeys((*one.routes, *other.routes)):
        if one.lists(route) != other.lists(route):
            was, is_now = ("listed" if engine.lists(route) else "not listed" for engine in (one, other))
            yield Difference(route, was, is_now)
            continue
        yield from _required(one, other, route)
        pair = _Pair(one, other, before, after)
        yield from pair.on(route, max(left, _LEAST_QUESTIONS))
        left -= pair.asked


def answer(engine: PolicyEngine, stated: Mapping[str, Any]) -> str:
    """Return what a policy says of a request, in words; a deny with its reasons, and one that has no answer.

    Args:
        engine: the policy.
        stated: members of the input; the others are filled in (``signet.policy.cases``).
    """
    try:
        request = whole(engine, stated)
    except PolicyError as error:
        return f"deny ({error})"
    return _said(engine, request)


def _said(engine: PolicyEngine, request: Mapping[str, Any]) -> str:
    try:
        return _told(engine.decide(request))
    except PolicyError as error:
        return f"deny ({error})"


def _told(verdict: Verdict) -> str:
    return "allow" if verdict.allowed else f"deny ({'; '.join(sorted(verdict.reasons))})"


def _required(one: PolicyEngine, other: PolicyEngine, route: str) -> Iterator[Difference]:
    needs, others = asdict(one.at_rest(route)), asdict(other.at_rest(route))
    for name, value in needs.items():
        if value != others[name]:
            yield Difference(route, f"{name} {value}", f"{name} {others[name]}")


class _Pair:
    """Two policies that are asked about the same requests."""

    def __init__(
        self, one: PolicyEngine, other: PolicyEngine, before: Mapping[str, bytes], after: Mapping[str, bytes]
    ) -> None:
        self.one, self.other, self.files, self.asked = one, other, (before, after), 0

    def on(self, route: str, most: int) -> Iterator[Difference]:
        """Yield one request for each pair of verdicts that are not the same."""
        api, declared = api_and_route(route)
        for files in self.files:
            data = merged_data(files)
            hints = hints_of(files, data, spoken(read(files)[0], data))
            role = as_object(listed_routes(data).get(route)).get("role")
            request = whole(self.one, {"api": api, "route": declared, "principal": {"roles": [role]}})
            yield from self._told(route, request, search(self._ask(request), declared, hints, most=most // 2))

    def _ask(self, request: Mapping[str, Any]) -> Any:
        def ask(facts: Facts) -> tuple[str, str]:
            self.asked += 1
            asked = changed(request, facts)
            return _said(self.one, asked), _said(self.other, asked)

        return ask

    def _told(
        self, route: str, request: Mapping[str, Any], found: Iterator[tuple[Facts, tuple[str, str]]]
    ) -> Iterator[Difference]:
        for facts, (before, after) in found:
            if (before == "allow") != (after == "allow"):
                yield Difference(route, before, after, changed(request, facts))
