"""What is wrong with ``config.json`` and the data files of single APIs, told at the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from signet.core.vocabulary import Role
from signet.policy.finding import Finding
from signet.policy.listing import APIS, CONFIG, ROUTES, Entry, as_object, entries, listed_apis, settings_path
from signet.policy.places import Path, lines_of
from signet.policy.requirements import component_trouble
from signet.policy.routes import wrong_in
from signet.policy.teams import DATA_SUFFIX, has_breaker, wrong_in_name

COMPONENTS: Final = "required_components"
_BACKEND: Final = "backend"


def placed(files: Mapping[str, bytes], message: str, *paths: Path) -> Finding:
    """Say on which line of a data file a member of ``data`` stands: the first of the paths that does."""
    lines = {name: lines_of(body.decode()) for name, body in files.items() if name.endswith(".json")}
    for path in paths:
        for name, known in lines.items():
            if path in known:
                return Finding(message, name, known[path])
    return Finding(message)


def placed_by_name(files: Mapping[str, bytes], message: str, name: str) -> Finding:
    """Say on which line of a data file the first member of a name stands."""
    for file, body in files.items():
        if file.endswith(".json"):
            for path, line in lines_of(body.decode()).items():
                if path[-1] == name:
                    return Finding(message, file, line)
    return Finding(message)


def in_the_routes(files: Mapping[str, bytes], data: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong with the APIs and the routes that are listed."""
    listed = [*entries(data)]
    if not listed:
        yield Finding("data.config.routes names no route: list every route of the API there")
    yield from _in_the_apis(files, data)
    for entry in listed:
        yield from (placed(files, wrong, entry.path) for wrong in _in_entry(entry))
        role = as_object(entry.value).get("role", Role.CALLER)
        roles = sorted(map(str, Role))
        if role not in roles:
            wrong = f"no client has the role {role!r}; there are {', '.join(roles)}"
            yield placed(files, wrong, (*entry.path, "role"))


def _in_entry(entry: Entry) -> Iterator[str]:
    yield from wrong_in(entry.route)
    if not isinstance(entry.value, dict):
        yield f"the entry of {entry.route!r} is no object with a role and a minimum_binding"


def _in_the_apis(files: Mapping[str, bytes], data: Mapping[str, Any]) -> Iterator[Finding]:
    config = as_object(data.get(CONFIG))
    if not isinstance(config.get(APIS, {}), dict):
        wrong = f'{CONFIG}.{APIS} is no object; write it as in {{"orders": {{"routes": {{…}}}}}}'
        yield placed(files, wrong, (CONFIG, APIS))
    for api, settings in as_object(config.get(APIS)).items():
        path: Path = (CONFIG, APIS, api)
        if trouble := wrong_in_name(api):
            yield placed(files, trouble, path)
        if not isinstance(settings, dict):
            yield placed(files, f"the entry of the API {api!r} is no object with its routes", path)
        elif not isinstance(settings.get(ROUTES), dict) or not settings[ROUTES]:
            wrong = f"the API {api!r} lists no route: list every route of it under {ROUTES}"
            yield placed(files, wrong, (*path, ROUTES), path)


def in_the_components(files: Mapping[str, bytes], data: Mapping[str, Any]) -> Iterator[Finding]:
    """Find components that no signature can cover, at the place where each stands."""
    config = as_object(data.get(CONFIG))
    stated = [
        ((CONFIG,), config),
        *(((CONFIG, APIS, api), settings) for api, settings in as_object(config.get(APIS)).items()),
        *((entry.path, entry.value) for entry in entries(data)),
    ]
    for path, value in stated:
        names = as_object(value).get(COMPONENTS, [])
        where = (*path, COMPONENTS)
        if not isinstance(names, list):
            yield placed(files, f"{COMPONENTS} is no array of component names", where)
            continue
        for place, name in enumerate(names):
            if trouble := component_trouble(name):
                yield placed(files, f"{COMPONENTS} cannot demand this: {trouble}", (*where, place), where)


def _named_elsewhere(data: Mapping[str, Any], api: str) -> list[Any]:
    """Return the backends that routes and settings of others name."""
    others = [as_object(entry.value) for entry in entries(data) if entry.api != api]
    apis = as_object(as_object(data.get(CONFIG)).get(APIS))
    others += [as_object(settings) for name, settings in apis.items() if name != api]
    return [value[_BACKEND] for value in others if _BACKEND in value]


def in_the_backends(files: Mapping[str, bytes], data: Mapping[str, Any]) -> Iterator[Finding]:
    """Find backends that an API's own file names, and that are not its own: their breakers are others'."""
    apis = listed_apis(data)
    for api in apis:
        if f"{api}{DATA_SUFFIX}" not in files:
            continue
        path = settings_path(api)
        settings = as_object(as_object(as_object(data[CONFIG])[APIS])[api])
        routes = [(entry.path, as_object(entry.value)) for entry in entries(data) if entry.api == api]
        elsewhere = _named_elsewhere(data, api)
        for where, value in ((path, settings), *routes):
            if _BACKEND in value and (
                value[_BACKEND] in elsewhere or not has_breaker(api, value[_BACKEND], apis)
            ):
                wrong = (
                    f"a file of the API {api!r} names breakers of its own only: {api!r}, or one that begins "
                    f"with '{api}-' and is no other API; a breaker that APIs share is named in config.json"
                )
                yield placed(files, wrong, (*where, _BACKEND))
