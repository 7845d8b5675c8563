"""What is wrong with ``config.json`` and the data files of single APIs, told at the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from signet.core.client import ROLE
from signet.core.errors import PolicyError
from signet.core.vocabulary import SECRET_FIELDS, Role
from signet.policy.finding import Finding
from signet.policy.listing import APIS, CONFIG, ROUTES, Entry, as_object, entries, listed_apis, settings_path
from signet.policy.places import Path, lines_of
from signet.policy.requirements import component_trouble
from signet.policy.routes import wrong_in
from signet.policy.teams import DATA_SUFFIX, has_breaker, wrong_in_name
from signet.policy.wanted import INPUT_HEADERS, MAX_INPUT_HEADERS, MAX_TIME_ZONES, TIME_ZONES, zone

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
        if (role := as_object(entry.value).get("role", Role.CALLER)) and (wrong := _wrong_in_role(role)):
            yield placed(files, wrong, (*entry.path, "role"))
    yield from _in_the_input(files, data)


def _wrong_in_role(role: Any) -> str | None:
    """Say why no client has a role: its form, or a slip in one of the two that every deployment knows."""
    if not isinstance(role, str) or not ROLE.fullmatch(role):
        return f"no client has the role {role!r}: a role is a word of letters, digits and ._:/@-"
    known = [word for word in map(str, Role) if word != role]
    near = get_close_matches(role, known, n=1, cutoff=0.85) if role not in set(Role) else []
    return f"the role {role!r} is a slip away from {near[0]!r}; write that, or another word" if near else None


def _in_the_input(files: Mapping[str, bytes], data: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong with the header fields and time zones that the rules are to be told of."""
    config = as_object(data.get(CONFIG))
    for path in ((CONFIG,), *((CONFIG, APIS, api) for api in listed_apis(data))):
        names = as_object(_at(data, path)).get(INPUT_HEADERS, [])
        where: Path = (*path, INPUT_HEADERS)
        if not isinstance(names, list) or len(names) > MAX_INPUT_HEADERS:
            wrong = f"{INPUT_HEADERS} is no array of at most {MAX_INPUT_HEADERS} names of header fields"
            yield placed(files, wrong, where)
            continue
        for place, name in enumerate(names):
            if trouble := header_trouble(name):
                yield placed(files, f"{INPUT_HEADERS} cannot name this: {trouble}", (*where, place), where)
    zones = config.get(TIME_ZONES, [])
    if not isinstance(zones, list) or len(zones) > MAX_TIME_ZONES:
        wrong = f"{TIME_ZONES} is no array of at most {MAX_TIME_ZONES} names of time zones"
        yield placed(files, wrong, (CONFIG, TIME_ZONES))
        return
    for place, name in enumerate(zones):
        try:
            zone(name)
        except PolicyError as error:
            yield placed(files, str(error), (CONFIG, TIME_ZONES, place), (CONFIG, TIME_ZONES))


def _at(data: Mapping[str, Any], path: Path) -> Any:
    value: Any = data
    for name in path:
        value = as_object(value).get(str(name))
    return value


def header_trouble(name: object) -> str | None:
    """Say why rules cannot be told of a header field; None if they can."""
    if name in SECRET_FIELDS:
        return f"{name!r} holds a secret, and what rules are told may be kept on record"
    if name == "x-forwarded-for":
        return f"every caller can write {name!r}; read input.source.ip"
    if isinstance(name, str) and name.startswith("@"):
        return f"{name!r} is no header field; rules read input.method, input.path and input.query"
    return component_trouble(name)


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
