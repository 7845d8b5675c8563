"""Files of a policy that belong to one API, so that the team behind it can own them.

NAME.api.json   {"config": {"apis": {"NAME": {…}}}} and nothing else
NAME.api.rego   package signet.apis.NAME, with _ for each -: no name of an API has a _, and none of a
                package a -. Its ``deny`` is added to the reasons, for requests of that API only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from signet.core.apis import NAME, RESERVED
from signet.policy.listing import APIS, CONFIG
from signet.policy.places import Path

#: The package whose rules are asked for.
PACKAGE: Final = "signet"
#: The rule of an API's own package.
DENY: Final = "deny"
DATA_SUFFIX: Final = ".api.json"
RULES_SUFFIX: Final = ".api.rego"


def owner_of(file: str) -> str | None:
    """Return the name of the API that a file belongs to; None for a file of the whole policy's."""
    for suffix in (DATA_SUFFIX, RULES_SUFFIX):
        if file.endswith(suffix):
            return file.removesuffix(suffix)
    return None


def package_of(api: str) -> tuple[str, ...]:
    """Return the package that an API's own rules are in."""
    return (PACKAGE, APIS, api.replace("-", "_"))


def is_of_an_api(package: tuple[str, ...]) -> bool:
    """Say whether a package is one of an API's own rules, or of all of them."""
    return package[:2] == (PACKAGE, APIS)


def elsewhere(api: str, document: Any) -> Path | None:
    """Return where an API's data file says something of anything else; None if it says nothing else.

    An empty path: it says nothing of the API.
    """
    way: Path = ()
    for name in (CONFIG, APIS, api):
        if not isinstance(document, dict):
            return way
        others = [member for member in document if member != name]
        if others or name not in document:
            return (*way, *others[:1])
        way, document = (*way, name), document[name]
    return None


def wrong_in_name(api: str) -> str | None:
    """Say why no attached API can have a name; None if one can."""
    if api in RESERVED:
        return f"no API can be called {api!r}: {', '.join(sorted(RESERVED))} are Signet's own names"
    if not NAME.fullmatch(api):
        return f"{api!r} is no name of an API: up to 32 of a-z, 0-9 and -, a letter first"
    return None


def has_breaker(api: str, backend: object, others: Iterable[str]) -> bool:
    """Say whether an API's own file may name a backend: ``NAME``, or ``NAME-…`` that is no other API's.

    Of two APIs ``pay`` and ``pay-eu``, ``pay-eu`` and ``pay-eu-…`` are the second one's.
    """
    if not isinstance(backend, str) or not f"{backend}-".startswith(f"{api}-"):
        return False
    closer = (other for other in others if len(other) > len(api))
    return not any(f"{backend}-".startswith(f"{other}-") for other in closer)
