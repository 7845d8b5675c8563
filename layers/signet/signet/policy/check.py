"""Looks for mistakes in a policy before it is in force: pure, no network, some hundred evaluations.

First the rules are read without running them (``signet.policy.lint``), then they are asked (``probes``).

A finding is a mistake, not a matter of taste: a policy with one is not pushed, and a function that is told to
load one keeps what it has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from signet.core.errors import PolicyError
from signet.policy.bundle import FILE_NAME
from signet.policy.cases import Case, whole
from signet.policy.configured import (
    COMPONENTS,
    in_the_backends,
    in_the_components,
    in_the_routes,
    placed,
    placed_by_name,
)
from signet.policy.engine import PolicyEngine
from signet.policy.explore import Facts, hints_of
from signet.policy.finding import Finding
from signet.policy.indexed import indexed
from signet.policy.lint.lint import escaped, lint, marked, read, spoken
from signet.policy.lint.scope import nearest
from signet.policy.lint.syntax import Module
from signet.policy.listing import CONFIG, ROUTES, Entry, entries, listed_apis, listed_routes, settings_path
from signet.policy.loading import MAX_BYTES, MAX_FILES, MAX_INTERPRETED_BYTES
from signet.policy.probes import UNUSABLE, Wrong, probe
from signet.policy.rego import IMPURE, SourceError, code_of, merged_data
from signet.policy.routes import api_and_route, route_key
from signet.policy.teams import RULES_SUFFIX, is_of_an_api, package_of, wrong_in_name

_PACKAGE: Final = re.compile(r"^[ \t]*package\b", re.MULTILINE)
# What a case states beside what each probe has of its own.
_CIRCUMSTANCES: Final = (
    *("path", "path_parameters", "query", "headers", "covered", "principal"),
    *("evidence", "content", "source", "time"),
)
_IMPURE: Final = re.compile(rf"\b({'|'.join(map(re.escape, sorted(IMPURE)))})\s*\(")


def check(files: Mapping[str, bytes], cases: Iterable[Case] = ()) -> tuple[Finding, ...]:
    """Return the mistakes in a policy; empty if there is none.

    A file that does not parse hides what only shows when the rules are evaluated.

    Args:
        files: name → bytes.
        cases: a user's, whose requests are tried too.
    """
    modules, unreadable = read(files)
    findings = [*_in_the_bundle(files), *_in_the_sources(files), *marked(files), *escaped(files)]
    try:
        data = merged_data(files)
        routes = listed_routes(data)
        findings += (*in_the_routes(files, data), *in_the_backends(files, data))
        components = [*in_the_components(files, data)]
        findings += (*_in_the_files_of_apis(files, modules, data), *in_the_text(files, modules, data))
        findings += _in_what_is_loaded(files, data)
        if any(module.withs for module in modules.values()):
            return _once(findings, *components)  # running it would end the process, and all would be lost
        engine = PolicyEngine(files)
    except SourceError as error:
        placed_there = error.file in files
        known = (
            findings and not placed_there
        )  # the interpreter stumbles over what was found, and says no place
        return _once(findings, *([] if known else [Finding(error.reason, error.file, error.line)]))
    except PolicyError as error:
        told = {finding.message for finding in findings}
        return _once(findings, *([Finding(str(error))] if str(error) not in told else []))
    words = spoken(modules, data)
    asked = probe(engine, routes, hints_of(files, data, words), _passing(engine, cases))
    wrongs = (
        wrong
        for wrong in asked
        if not (components and wrong.rule == COMPONENTS)
        # A rule that was found wrong already may be what stands in the way.
        and not (findings and wrong.message.startswith(UNUSABLE))
    )
    return _once(findings, *unreadable, *components, *(_placed(files, wrong) for wrong in wrongs))


def _passing(engine: PolicyEngine, cases: Iterable[Case]) -> Iterator[tuple[str, Facts]]:
    """Yield what a user's cases state of requests that pass: key of the route and facts."""
    for case in cases:
        if case.action == "allow":
            with suppress(PolicyError):  # running the cases says so
                request = whole(engine, case.input)
                key = route_key(request["api"], request["route"])
                yield key, {name: request[name] for name in _CIRCUMSTANCES if name in request}


def listed(files: Mapping[str, bytes]) -> tuple[Entry, ...]:
    """Return the routes that a policy lists; none if its data cannot be read, which ``check`` finds."""
    try:
        return tuple(entries(merged_data(files)))
    except PolicyError:
        return ()


def in_the_text(
    files: Mapping[str, bytes], modules: Mapping[str, Module], data: Mapping[str, Any]
) -> tuple[Finding, ...]:
    """Return what reading the rules tells without running them, by file and line."""
    found = lint(modules, files, data, listed_routes(data), lambda path, text: placed(files, text, path))
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


def _in_what_is_loaded(files: Mapping[str, bytes], data: Mapping[str, Any]) -> Iterator[Finding]:
    """Find data that is too large for the interpreter, and not looked up for it."""
    rules = {name: body.decode() for name, body in files.items() if name.endswith(".rego")}
    sizes = {name: len(json.dumps(value)) for name, value in indexed(rules, data).data.items()}
    if sum(sizes.values()) > MAX_INTERPRETED_BYTES:
        largest = max(sizes, key=lambda name: sizes[name])
        yield placed(
            files,
            f"the interpreter would have to load {sum(sizes.values())} bytes of data, and takes at most "
            f"{MAX_INTERPRETED_BYTES}: where data.{largest} is large, let rules use nothing of it but "
            f"members found by the input, as in data.{largest}[input.principal.keyid]",
            (largest,),
        )


def _in_the_sources(files: Mapping[str, bytes]) -> Iterator[Finding]:
    for name, content in files.items():
        if not name.endswith(".rego"):
            continue
        code = code_of(content.decode(errors="replace"))
        for found in _IMPURE.finditer(code):
            line = code.count("\n", 0, found.start()) + 1
            better = "; read input.time" if found[1] == "time.now_ns" else ""
            told = f"{found[1]} is not allowed: a decision follows from its input alone{better}"
            yield Finding(told, name, line)


def _in_the_files_of_apis(
    files: Mapping[str, bytes], modules: Mapping[str, Module], data: Mapping[str, Any]
) -> Iterator[Finding]:
    """Hold the rules of single APIs to their own packages."""
    apis = listed_apis(data)
    for name, module in modules.items():
        package = ".".join(module.package)
        if name.endswith(RULES_SUFFIX):
            api = name.removesuffix(RULES_SUFFIX)
            own = package_of(api)
            line = _line_of_package(files[name].decode())
            if trouble := wrong_in_name(api):
                yield Finding(f"{trouble}; so no file is called {name}", name, 1)
            elif module.package != own:
                only = f"a file of this name holds rules of that API only: write `package {'.'.join(own)}`"
                yield Finding(f"this is the package {package}; {only}", name, line)
            elif api not in apis:
                yield Finding(f"config.apis has no API {api!r}{nearest(api, apis)}", name, line)
        elif is_of_an_api(module.package):
            wrong = f"rules of the package {package} stand in a file of their own, NAME{RULES_SUFFIX}"
            yield Finding(wrong, name, _line_of_package(files[name].decode()))


def _line_of_package(text: str) -> int:
    found = _PACKAGE.search(code_of(text))
    return 1 if found is None else text.count("\n", 0, found.start()) + 1


def _placed(files: Mapping[str, bytes], wrong: Wrong) -> Finding:
    """Say where it stands: in the data if a member there is named so, else where the rule begins."""
    api, route = api_and_route(wrong.route)
    settings = settings_path(api)
    nearer = ((*settings, ROUTES, route, wrong.rule), (*settings, wrong.rule), (CONFIG, wrong.rule))
    for named in (placed(files, wrong.message, *nearer), placed_by_name(files, wrong.message, wrong.rule)):
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
