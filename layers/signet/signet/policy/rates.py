"""The rate of one caller, as policies state it: {"per_second" or "per_minute", "burst", "group"?} or null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from signet.core.apis import NAME
from signet.core.errors import PolicyError
from signet.core.rates import RateLimit

#: Name of the rule, and of the member of config.json.
RATE_LIMIT: Final = "rate_limit"
#: Rule that says which routes share a caller's tokens, where the limit names no group.
RATE_GROUP: Final = "rate_limit_group"
#: Most tokens per second or minute, and in a bucket.
MAX_RATE: Final = 1_000_000
#: Longest time in which an empty bucket is full again, seconds: for so long tokens have to be remembered.
MAX_REFILL_S: Final = 3_600
_PERIODS: Final = {"per_second": 1, "per_minute": 60}
_FORM: Final = (
    'is no limit: write {"per_second": 10, "burst": 20}, or "per_minute" in place of "per_second"; '
    '"group" may name routes that share it; null is no limit'
)


def read_rate_limit(answer: Mapping[str, Any], api: str) -> RateLimit | None:
    """Read the rules ``rate_limit`` and ``rate_limit_group``; a policy without them limits nothing.

    Args:
        answer: rule → value.
        api: name of the route's API: its routes share a caller's tokens if no group is named.

    Raises:
        ValueError: it is none; the message goes on after the rule's name.
    """
    stated = answer.get(RATE_LIMIT)
    if stated is None:
        return None
    periods = _PERIODS.keys() & stated.keys() if isinstance(stated, dict) else ()
    if len(periods) != 1 or not {"burst", *periods} <= stated.keys() <= {"burst", "group", *periods}:
        raise ValueError(_FORM)
    [period] = periods
    for name in (period, "burst"):
        if type(stated[name]) is not int or not 1 <= stated[name] <= MAX_RATE:
            raise ValueError(f"has a {name} that is no whole number from 1 to {MAX_RATE}")
    limit = RateLimit(stated[period], _PERIODS[period], stated["burst"], _group(stated, answer, api))
    if limit.burst * limit.token_s > MAX_REFILL_S:
        raise ValueError("has a burst that takes longer than an hour to come back")
    return limit


def _group(stated: Mapping[str, Any], answer: Mapping[str, Any], api: str) -> str:
    if "group" in stated:
        if not isinstance(stated["group"], str) or not NAME.fullmatch(stated["group"]):
            raise ValueError("has a group that is no name: up to 32 lower-case letters, digits and -")
        return f"group {stated['group']}"
    place = answer.get(RATE_GROUP, "")
    if not isinstance(place, str):
        raise ValueError(f"has a {RATE_GROUP} that is no text")  # noqa: TRY004 - one error for a bad answer
    return f"{api} {place}"


def differing(limits: Mapping[str, tuple[str, list[RateLimit | None]]]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with limits beside each other: a message, and the route that shows it.

    Args:
        limits: of each route, its backend, and its limit in every state and at every level.
    """
    shared: dict[tuple[str, str], tuple[str, RateLimit]] = {}
    for route, (backend, found) in limits.items():
        limit = found[0]
        if any(other != limit for other in found):
            yield f"{RATE_LIMIT} differs by level or state ({route}): a limit is one for all loads", route
        if limit is None:
            continue
        first, other = shared.setdefault((backend, limit.group), (route, limit))
        if other != limit:
            told = f"{RATE_LIMIT} of {first} and {route} differs, but they share a caller's tokens"
            yield f"{told}; give one of them another group", route


def rate_limits(
    engine: Any, routes: Iterable[str], places: Iterable[tuple[str, str]]
) -> Mapping[str, tuple[str, list[RateLimit | None]]]:
    """Return what ``differing`` takes; nothing where the policy does not answer, which is found elsewhere.

    Args:
        engine: the policy (``signet.policy.engine.PolicyEngine``).
        routes: keys of routes.
        places: states and levels of the breaker.
    """
    places, limits = tuple(places), {}
    try:
        for route in routes:
            found = [engine.requirements(route, state=state, level=level) for state, level in places]
            limits[route] = (found[0].backend, [needs.rate_limit for needs in found])
    except PolicyError:
        return {}
    return limits
