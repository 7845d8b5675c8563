"""Asks a policy about every kind of request, and holds each answer against what the policy itself demands."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from signet.core.errors import PolicyError
from signet.core.vocabulary import (
    BINDING_TYPES,
    NO_BINDING,
    BreakerLevel,
    BreakerState,
    Role,
    bindings_at_least,
)
from signet.crypto.suites import NAMES
from signet.policy.alike import standing_for
from signet.policy.engine import PolicyEngine, challenge_routes
from signet.policy.explore import NO_HINTS, ORDINARY, PROBE, Facts, Hints, changed, filled, search
from signet.policy.rates import RATE_LIMIT, differing, rate_limits
from signet.policy.requirements import OutputError, Requirements
from signet.policy.routes import api_and_route, route_key

UNKNOWN_ROUTE: Final = "GET /a-route/that-is-not/listed"
#: How a finding begins about a route where all is refused.
UNUSABLE: Final = "no request can use this route"
_UNKNOWN_ALGORITHM: Final = "an-algorithm-that-is-not-listed"
_LEVELS: Final = tuple(BreakerLevel)
_STATES: Final = (*BreakerState, "")  # empty: the verifier asks so while the breaker is not known
_APART: Final = "differs by route, level or state, but one breaker serves all routes of a backend"
# For all routes together, and for each that comes after these are used up.
_MOST_QUESTIONS: Final = 4_000
_LEAST_QUESTIONS: Final = 40
_MOST_KEPT: Final = 16
_BOTH: Final = tuple(role.value for role in Role)


@dataclass(slots=True)
class Tried:
    """With what clients and circumstances requests are tried.

    Attributes:
        roles: groups of roles that clients have: none, some, all that the routes name.
        hints: what the policy names.
        cases: what a user's cases state of requests that pass: key of the route and facts.
        asked: how many questions went to looking for a client.
        passed: what has let requests for other routes pass, the latest first.
    """

    roles: tuple[tuple[str, ...], ...]
    hints: Hints = NO_HINTS
    cases: tuple[tuple[str, Facts], ...] = ()
    passed: list[Facts] = field(default_factory=list)
    asked: int = 0

    def budget(self) -> int:
        """Return how many questions may go to looking for a client on one more route."""
        return max(_LEAST_QUESTIONS, _MOST_QUESTIONS - self.asked)

    def of(self, route: str, role: Any) -> list[Facts]:
        """Return the facts to start from, the likely ones first; the route's own role is no fact of them."""
        own = [facts for key, facts in self.cases if key == route]
        return [_without_role(facts, role) for facts in (*own, *self.passed)]


def _without_role(facts: Facts, role: Any) -> Facts:
    who = facts.get("principal") or {}
    if role not in who.get("roles", ()):
        return facts
    return {**facts, "principal": {**who, "roles": [held for held in who["roles"] if held != role]}}


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something wrong in what a policy answers.

    Attributes:
        rule: name of the rule that answers so, for people to find it.
        message: one sentence.
        route: key of the first route that shows it, or empty.
    """

    rule: str
    message: str
    route: str = ""


def probe(
    engine: PolicyEngine,
    routes: Mapping[str, Any],
    hints: Hints = NO_HINTS,
    cases: Iterable[tuple[str, Facts]] = (),
) -> tuple[Wrong, ...]:
    """Return what is wrong, each thing once, with the first route that shows it.

    Of more than a hundred routes, those that the policy cannot tell apart stand for each other
    (``signet.policy.alike``); of the others what they require is read, and that strangers do not pass there.

    Args:
        engine: the policy.
        routes: the API's routes as the policy lists them: route → {"role", …}.
        hints: what the policy may tell requests apart by.
        cases: key of a route, and what a user's case states of a request that passes there.
    """
    tried = Tried(_groups(routes), hints, tuple(cases))
    found: dict[tuple[str, str], list[str]] = {}
    whole = standing_for(routes, hints.spelled, (key for key, _ in tried.cases))
    for route in (*routes, *challenge_routes(routes), UNKNOWN_ROUTE):
        asked = _of_route if route in whole or route not in routes else _of_one_alike
        for wrong in asked(engine, route, routes, tried):
            shown = found.setdefault((wrong.rule, wrong.message), [])
            if route not in shown:
                shown.append(route)
    asked_whole = [route for route in routes if route in whole]
    return (
        *(Wrong(rule, f"{message} ({_listed(shown)})", shown[0]) for (rule, message), shown in found.items()),
        *_in_challenges(engine, routes),
        *_apart(engine, asked_whole),
        *_in_the_rates(engine, asked_whole),
    )


def _groups(routes: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Return groups of roles: none, each of the two that every deployment knows, and all that routes name."""
    named = {role for route in routes if isinstance(role := _role(routes, route), str)}
    return ((), *((role,) for role in _BOTH), tuple(sorted({*named, *_BOTH})))


def glance(engine: PolicyEngine, routes: Iterable[str]) -> None:
    """Check the least: the breaker has its shares, and every route has requirements.

    A request without a principal passes on no route, and no request passes on an unknown one.

    Raises:
        PolicyError: it is not so.
    """
    for backend in {engine.at_rest(route).backend for route in routes}:
        engine.controls(backend)
    for route in routes:
        needs = engine.at_rest(route)
        anonymous = _request(
            route, BINDING_TYPES[1], next(iter(needs.allowed_algorithms), _UNKNOWN_ALGORITHM)
        )
        del anonymous["principal"]
        if engine.decide(anonymous).allowed:
            raise PolicyError(f"the policy allows {route} without a principal")
    if engine.decide(_request(UNKNOWN_ROUTE, BINDING_TYPES[1], NAMES[0])).allowed:
        raise PolicyError("the policy allows a route that it does not list")


def _listed(routes: list[str]) -> str:
    more = len(routes) - 1
    return routes[0] + (f" and {more} more route{'s' * (more > 1)}" if more else "")


def _of_route(engine: PolicyEngine, route: str, routes: Mapping[str, Any], tried: Tried) -> Iterator[Wrong]:
    found: dict[tuple[str, str], Requirements] = {}
    for state, level in itertools.product(_STATES, _LEVELS):
        try:
            found[state, level] = engine.requirements(route, state=state, level=level)
        except OutputError as error:
            yield Wrong(error.output, str(error))
            return
        except PolicyError as error:
            yield Wrong("package", str(error))
            return
    yield from _under_load(found)
    needs: dict[str, Requirements] = {level: found[BreakerState.CLOSED, level] for level in _LEVELS}
    try:
        yield from _decisions(engine, route, routes, needs, tried)
    except PolicyError as error:
        yield Wrong("action", str(error))


def _of_one_alike(
    engine: PolicyEngine,
    route: str,
    routes: Mapping[str, Any],
    tried: Tried,  # noqa: ARG001 - as ``_of_route``
) -> Iterator[Wrong]:
    """Ask the least about a route for which others stand."""
    try:
        needs = engine.at_rest(route)
        usual = next(iter(needs.allowed_algorithms), NAMES[0])
        strangers = [_request(route, needs.minimum_binding, usual, roles=()) for _ in range(2)]
        del strangers[0]["principal"]
        for request in strangers:
            if engine.decide(request).allowed:
                yield from (Wrong("action", message) for message in _too_much(request, needs, routes))
    except OutputError as error:
        yield Wrong(error.output, str(error))
    except PolicyError as error:
        yield Wrong("package", str(error))


def _under_load(found: Mapping[tuple[str, str], Requirements]) -> Iterator[Wrong]:
    """Find what a route demands at rest and no longer under load, which a caller can bring about.

    Args:
        found: by the breaker's state and level.
    """
    rest = found[BreakerState.CLOSED, BreakerLevel.FULL]
    for state, (lower, upper) in itertools.product(_STATES, itertools.pairwise(_LEVELS)):
        below, above = found[state, lower].header_budget, found[state, upper].header_budget
        if above > below:
            yield Wrong(
                "header_budget",
                f"header_budget rises from {below} at the level {lower} to {above} at {upper}, where it has "
                "to shrink",
            )
    for (state, level), needs in found.items():
        there, full = f"at the level {level}", "at full"
        if state != BreakerState.CLOSED:
            there, full = f"in the breaker's state {state or 'that is not known'}", "at rest"
        if needs.minimum_binding not in bindings_at_least(rest.minimum_binding):
            yield Wrong("minimum_binding", f"minimum_binding is weaker {there} than {full}")
        if not set(rest.required_components) <= set(needs.required_components):
            yield Wrong("required_components", f"required_components lacks some {there} of those {full}")
        if needs.ladder != rest.ladder:
            yield Wrong("ladder", f"ladder is another one {there} than {full}: a ladder is one for all loads")
        if not set(needs.allowed_algorithms) <= set(rest.allowed_algorithms):
            yield Wrong("allowed_algorithms", f"more algorithms are allowed {there} than {full}")


def _decisions(
    engine: PolicyEngine,
    route: str,
    routes: Mapping[str, Any],
    needs: Mapping[str, Requirements],
    tried: Tried,
) -> Iterator[Wrong]:
    """Ask about requests of a client without a name in the rules, or else of one that the rules let pass."""
    roles = tried.roles
    if route in routes and (own := _role(routes, route)) is not None and (own,) not in roles:
        roles = ((), (own,), tuple(role for role in roles[-1] if role != own), roles[-1])
    for facts in itertools.chain(({},), _of_their_own(engine, route, routes, needs, tried)):
        passes = False
        for request in _requests(route, needs, roles):
            request = changed(request, facts)  # noqa: PLW2901 - the same one, of another client
            if not engine.decide(request).allowed:
                continue
            passes = True
            demanded = needs[request["breaker"]["level"]]
            yield from (Wrong("action", message) for message in _too_much(request, demanded, routes))
        if passes or route not in routes:
            return
    yield Wrong("action", f"{UNUSABLE}, with any role, algorithm or binding")


def _of_their_own(
    engine: PolicyEngine,
    route: str,
    routes: Mapping[str, Any],
    needs: Mapping[str, Requirements],
    tried: Tried,
) -> Iterator[Facts]:
    """Yield the first client and circumstances with which a request passes: some rules demand some."""
    demanded = needs[BreakerLevel.FULL]
    role = _role(routes, route) if route in routes else None
    usual = next(iter(demanded.allowed_algorithms), NAMES[0])
    held = tried.roles[-1] if role is None else (role,)
    request = _request(route, demanded.minimum_binding, usual, roles=held)
    starts = tried.of(route, role)

    def ask(facts: Facts) -> tuple[bool, frozenset[str]]:
        tried.asked += 1
        verdict = engine.decide(changed(request, facts))
        return verdict.allowed, frozenset(verdict.reasons)

    most = tried.budget() if route in routes else _LEAST_QUESTIONS
    for facts, (passes, _) in search(
        ask, request["route"], tried.hints, starts, most=most, score=lambda a: len(a[1])
    ):
        if passes:
            tried.passed.insert(0, facts)
            del tried.passed[_MOST_KEPT:]
            yield facts
            return
    if route not in routes:
        return
    for bound, algorithm in itertools.product(BINDING_TYPES, demanded.allowed_algorithms):
        if engine.decide(_request(route, bound, algorithm, roles=tried.roles[-1])).allowed:
            yield {"principal": {"roles": list(tried.roles[-1])}}
            return


def _requests(
    route: str, needs: Mapping[str, Requirements], groups: tuple[tuple[str, ...], ...]
) -> Iterator[dict[str, Any]]:
    """Yield requests of each group of roles with each binding, level and state, then of every algorithm.

    Then one without a principal.
    """
    algorithms = needs[BreakerLevel.FULL].allowed_algorithms or NAMES[:1]
    for level, roles, bound in itertools.product(_LEVELS, groups, BINDING_TYPES):
        usual = next(iter(needs[level].allowed_algorithms), algorithms[0])
        yield _request(route, bound, usual, level=level, roles=roles, size=needs[level].header_budget)
    bound = needs[BreakerLevel.FULL].minimum_binding
    for state, roles in itertools.product((*BreakerState, None), groups):  # null: the breaker is not known
        asked = _request(route, bound, algorithms[0], roles=roles)
        yield {**asked, "breaker": {**asked["breaker"], "state": state and state.value}}
    for bound, algorithm in itertools.product(BINDING_TYPES, (*NAMES, _UNKNOWN_ALGORITHM)):
        yield _request(route, bound, algorithm, roles=groups[-1])
    for bound in BINDING_TYPES:
        anonymous = _request(route, bound, algorithms[0], roles=groups[-1])
        del anonymous["principal"]
        yield anonymous


def _request(
    route: str,
    bound: str,
    algorithm: str,
    *,
    level: str = BreakerLevel.FULL,
    roles: Iterable[str] = _BOTH,
    size: int = 0,
) -> dict[str, Any]:
    api, declared = api_and_route(route)
    return {
        "api": api,
        "route": declared,
        "method": declared.partition(" ")[0],
        **filled(declared, PROBE),
        **ORDINARY,
        "principal": {"keyid": PROBE, "roles": list(roles), "labels": {}},
        "algorithm": algorithm,
        "binding": {"type": bound},
        "evidence": None,
        "breaker": {"state": BreakerState.CLOSED.value, "level": str(level)},
        "header_bytes": size,
    }


def _too_much(request: Mapping[str, Any], demanded: Requirements, routes: Mapping[str, Any]) -> Iterator[str]:
    """Say what an allowed request should have been refused for."""
    roles = request.get("principal", {}).get("roles", ())
    if "principal" not in request:
        yield "allows a request that has no verified principal"
    elif not roles:
        yield "allows a client that has no role"
    key = route_key(request["api"], request["route"])
    if key not in routes:
        yield "allows a route that is not listed"
    elif roles and (role := _role(routes, key)) not in roles:
        yield f"allows a client that has not the role {role!r}, which its entry demands"
    if request["binding"]["type"] not in bindings_at_least(demanded.minimum_binding):
        yield f"allows the binding {NO_BINDING!r} where minimum_binding demands {demanded.minimum_binding!r}"
    if request["algorithm"] not in demanded.allowed_algorithms:
        yield "allows an algorithm that is not among allowed_algorithms"


def _role(routes: Mapping[str, Any], route: str) -> Any:
    entry = routes[route]
    return entry.get("role") if isinstance(entry, dict) else None


def _in_challenges(engine: PolicyEngine, routes: Mapping[str, Any]) -> Iterator[Wrong]:
    """Hold what a challenge announces before the caller has named a route against what the routes demand."""
    for challenge in challenge_routes(routes):
        yield from _in_challenge(
            engine, challenge, [route for route in routes if _same_api(route, challenge)]
        )


def _in_challenge(engine: PolicyEngine, challenge: str, routes: Iterable[str]) -> Iterator[Wrong]:
    states = {"state": BreakerState.CLOSED.value, "level": BreakerLevel.FULL.value}
    try:
        announced = engine.requirements(challenge, **states)
        demanded = [engine.requirements(route, **states) for route in routes]
    except PolicyError:
        return  # found already
    if not announced.allowed_algorithms:
        empty = f"is empty for {challenge}, so challenges announce no algorithm"
        yield Wrong("allowed_algorithms", empty, challenge)
    for needs in demanded:
        if announced.minimum_binding not in bindings_at_least(needs.minimum_binding):
            yield Wrong(
                "minimum_binding",
                f"is {announced.minimum_binding!r} for {challenge}, so its nonces are refused where "
                f"{needs.minimum_binding!r} is demanded",
                challenge,
            )
            return


def _in_the_rates(engine: PolicyEngine, routes: Iterable[str]) -> Iterator[Wrong]:
    """Find limits of one group of routes that are not the same for all of them, states and levels."""
    limits = rate_limits(engine, routes, itertools.product(BreakerState, _LEVELS))
    yield from (Wrong(RATE_LIMIT, message, route) for message, route in differing(limits))


def _same_api(route: str, other: str) -> bool:
    return api_and_route(route)[0] == api_and_route(other)[0]


def _apart(engine: PolicyEngine, routes: Iterable[str]) -> Iterator[Wrong]:
    """Find what moves a breaker and is not the same for all routes, levels and states, which share it."""
    of_backend: dict[str, list[Requirements]] = {}
    try:
        for route in (*routes, *challenge_routes(routes)):
            places = itertools.product(BreakerState, _LEVELS)
            found = [engine.requirements(route, state=state, level=level) for state, level in places]
            of_backend.setdefault(found[0].backend, []).extend(found)
            if len({needs.backend for needs in found}) > 1:
                told = f"backend differs by level or state ({route}): a route has one"
                yield Wrong("backend", told, route)
    except PolicyError:
        return  # found already
    for shared in of_backend.values():
        if len({needs.breaker for needs in shared}) > 1:
            yield Wrong("breaker", f"breaker {_APART}")
        if len({needs.availability_floor_ppm for needs in shared}) > 1:
            yield Wrong("availability_floor_ppm", f"availability_floor_ppm {_APART}")
