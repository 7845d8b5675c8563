"""The routes that a policy's data lists, each with the API it belongs to and the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from signet.core.apis import OWN_API
from signet.policy.places import Path
from signet.policy.routes import api_and_route, route_key

CONFIG: Final = "config"
APIS: Final = "apis"
ROUTES: Final = "routes"


@dataclass(frozen=True, slots=True)
class Entry:
    """A route of one API, as a policy lists it.

    Attributes:
        api: name of the API; ``signet`` for Signet's own.
        route: ``METHOD /resource``, as it is written there.
        value: what it says of the route: {"role", …}.
        path: where it stands in ``data``.
    """

    api: str
    route: str
    value: Any
    path: Path


def entries(data: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the routes that a policy's data lists.

    Those of Signet's own API are in ``config.routes``, those of others in ``config.apis.NAME.routes``.
    """
    config = as_object(data.get(CONFIG))
    for route, value in as_object(config.get(ROUTES)).items():
        yield Entry(OWN_API, route, value, (CONFIG, ROUTES, route))
    for api, settings in as_object(config.get(APIS)).items():
        for route, value in as_object(as_object(settings).get(ROUTES)).items():
            yield Entry(api, route, value, (CONFIG, APIS, api, ROUTES, route))


def listed_routes(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the listed routes by their keys (``signet.policy.routes``): key → {"role", …}."""
    found = ((route_key(entry.api, entry.route), entry) for entry in entries(data))
    # One that reads as the key of another API's route lists nothing: the check finds it, and it opens no way.
    return {key: entry.value for key, entry in found if api_and_route(key)[0] == entry.api}


def listed_apis(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names under ``config.apis``: the attached APIs that a policy knows."""
    return tuple(as_object(as_object(data.get(CONFIG)).get(APIS)))


def settings_path(api: str) -> Path:
    """Return where in ``data`` an API's settings stand; those of Signet's own API are those of ``config``."""
    return (CONFIG,) if api == OWN_API else (CONFIG, APIS, api)


def as_object(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}
