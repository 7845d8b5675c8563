"""Looks for mistakes in a policy before it is in force: pure, no network, some hundred evaluations.

First the rules are read without running them (``signet.policy.lint``), then they are asked (``probes``).

A finding is a mistake, not a matter of taste: a policy with one is not pushed, and a function that is told to
load one keeps what it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from signet.core.apis import OWN_API
from signet.core.errors import PolicyError
from signet.core.vocabulary import Role
from signet.policy.bundle import FILE_NAME
from signet.policy.engine import PolicyEngine, listed_routes
from signet.policy.finding import Finding
from signet.policy.lint.lint import lint, marked, read, spoken
from signet.policy.lint.syntax import Module
from signet.policy.loading import MAX_BYTES, MAX_FILES
from signet.policy.probes import Wrong, probe
from signet.policy.rego import IMPURE, SourceError, code_of, line_of, merged_data
from signet.policy.requirements import component_trouble
from signet.policy.routes import api_and_route, wrong_in

_COMPONENTS: Final = "required_components"
_IMPURE: Final = re.compile(rf"\b({'|'.join(map(re.escape, sorted(IMPURE)))})\s*\(")


def check(files: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """Return the mistakes in a policy (name → bytes); empty if there is none.

    A file that does not parse hides what only shows when the rules are evaluated.
    """
    modules, unreadable = read(files)
    findings = [*_in_the_bundle(files), *_in_the_sources(files), *marked(files)]
    try:
        data = merged_data(files)
        routes = listed_routes(data)
        findings += _in_the_routes(files, data, routes)
        components = [*_in_the_components(files, data, routes)]
        findings += in_the_text(files, modules, data)
        if any(module.withs for module in modules.values()):
            return _once(findings, *components)  # running it would end the process, and all would be lost
        engine = PolicyEngine(files)
    except SourceError as error:
        return _once(findings, Finding(error.reason, error.file, error.line))
    except PolicyError as error:
        return _once(findings, Finding(str(error)))
    words = spoken(modules.values(), data)
    wrongs = (
        wrong for wrong in probe(engine, routes, words) if not (components and wrong.rule == _COMPONENTS)
    )
    return _once(findings, *unreadable, *components, *(_placed(files, wrong) for wrong in wrongs))


def listed(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the routes that a policy lists; none if its data cannot be read, which ``check`` finds."""
    try:
        return tuple(listed_routes(merged_data(files)))
    except PolicyError:
        return ()


def in_the_text(
    files: Mapping[str, bytes], modules: Mapping[str, Module], data: Mapping[str, Any]
) -> tuple[Finding, ...]:
    """Return what reading the rules tells without running them, by file and line."""
    found = lint(
        modules, files, data, listed_routes(data), lambda name, text: placed_in_data(files, text, name)
    )
    return tuple(sorted(found, key=lambda finding: (finding.file or "", finding.line or 0)))


def _once(findings: Iterable[Finding], *more: Finding) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys((*findings, *more)))


def _in_the_bundle(files: Mapping[str, bytes]) -> Iterator[Finding]:
    if not any(name.endswith(".rego") for name in files):
        yield Finding("there is no .rego file, so there are no rules")
    if len(files) > MAX_FILES:
        yield Finding(f"there are {len(files)} files; a bundle has at most {MAX_FILES}")
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        yield Finding(f"the files have {size} bytes; a bundle has at most {MAX_BYTES}")
    for name in files:
        if not FILE_NAME.fullmatch(name):
            yield Finding("this name cannot stand in a compliance pack; use letters, digits and ._-", name)


def _in_the_sources(files: Mapping[str, bytes]) -> Iterator[Finding]:
    for name, content in files.items():
        if not name.endswith(".rego"):
            continue
        code = code_of(content.decode(errors="replace"))
        for found in _IMPURE.finditer(code):
            line = code.count("\n", 0, found.start()) + 1
            yield Finding(f"{found[1]} is not allowed: a decision follows from its input alone", name, line)


def _in_the_routes(
    files: Mapping[str, bytes], data: Mapping[str, Any], routes: Mapping[str, Any]
) -> Iterator[Finding]:
    if not routes:
        yield Finding("data.config.routes names no route: list every route of the API there")
    roles = sorted(map(str, Role))
    config = data.get("config")
    own = config.get("routes") if isinstance(config, dict) else None
    for route in own if isinstance(own, dict) else ():
        if api_and_route(route)[0] != OWN_API:
            yield placed_in_data(
                files, f"{route!r} is no route of Signet's own API; list it under config.apis", route
            )
    for route, entry in routes.items():
        _api, declared = api_and_route(route)
        for wrong in wrong_in(declared):
            yield placed_in_data(files, wrong, declared)
        if not isinstance(entry, dict):
            yield placed_in_data(
                files, f"the entry of {route!r} is no object with a role and a minimum_binding", declared
            )
        elif "role" in entry and entry["role"] not in roles:
            wrong = f"no client has the role {entry['role']!r}; there are {', '.join(roles)}"
            yield placed_in_data(files, wrong, declared, "role")


def _in_the_components(
    files: Mapping[str, bytes], data: Mapping[str, Any], routes: Mapping[str, Any]
) -> Iterator[Finding]:
    """Find components that no signature can cover, at the place where each stands."""
    config = data.get("config")
    entries = [((), config), *(((api_and_route(route)[1],), entry) for route, entry in routes.items())]
    for path, entry in entries:
        names = entry.get(_COMPONENTS, []) if isinstance(entry, dict) else []
        if not isinstance(names, list):
            yield placed_in_data(files, f"{_COMPONENTS} is no array of component names", *path, _COMPONENTS)
            continue
        for name in names:
            if trouble := component_trouble(name):
                message = f"{_COMPONENTS} cannot demand this: {trouble}"
                yield placed_in_data(
                    files, message, *path, _COMPONENTS, *([name] if isinstance(name, str) else [])
                )


def _placed(files: Mapping[str, bytes], wrong: Wrong) -> Finding:
    """Say where it stands: in the data if a member there is named so, else where the rule begins."""
    named = placed_in_data(files, wrong.message, wrong.rule)
    if named.file is not None:
        return named
    rule = re.compile(rf"^(?:default )?{re.escape(wrong.rule)}\b", re.MULTILINE)
    for name, content in files.items():
        if name.endswith(".rego"):
            text = content.decode()
            places = [found.start() for found in rule.finditer(text)]
            if places:
                return Finding(wrong.message, name, text.count("\n", 0, places[-1]) + 1)
    return Finding(wrong.message)


def placed_in_data(files: Mapping[str, bytes], message: str, *names: str) -> Finding:
    """Say on which line of a data file a member stands, by the last names on the way to it."""
    for name, content in files.items():
        if name.endswith(".json") and (line := line_of(content.decode(), *names)):
            return Finding(message, name, line)
    return Finding(message)
