"""Runs a policy's own tests, ``*_test.rego`` (each rule ``test_…`` is one) and ``*_cases.json`` (``cases``).

A rule holds if its value is true, as for ``opa test``; or if it is an array of cases that all hold. A case is
an object:

    input   what the policy is asked; ``api`` is ``signet`` if it does not say
    expect  members of package ``signet``, each with the value that it must have (null: undefined)
    config  optional: members that take the place of those in ``data.config``
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from signet.core.apis import OWN_API
from signet.core.errors import PolicyError
from signet.policy.cases import SUFFIX, read_cases, run_cases
from signet.policy.engine import PolicyEngine
from signet.policy.finding import Finding
from signet.policy.lint.parser import parse
from signet.policy.lint.syntax import Module
from signet.policy.rego import RegoProgram, SourceError, merged_data
from signet.policy.teams import PACKAGE
from signet.policy.tokens import Unreadable

_ALL: Final = f"data.{PACKAGE}"
_PREFIX: Final = "test_"
_MEMBERS: Final = frozenset({"input", "expect", "config"})
_MAX_SHOWN: Final = 120


def run_tests(files: Mapping[str, bytes], tests: Mapping[str, bytes]) -> tuple[int, tuple[Finding, ...]]:
    """Return how many tests were run, and what does not hold.

    Args:
        files: the policy, name → bytes, which has no findings.
        tests: its tests, likewise.
    """
    modules: dict[str, Module] = {}
    findings = []
    for name, content in tests.items():
        if name in files:
            findings.append(Finding("this file stands among the policy's too", name))
        if name.endswith(SUFFIX):
            continue
        try:
            modules[name] = parse(content.decode())
        except (Unreadable, UnicodeDecodeError, RecursionError) as error:
            findings.append(Finding(f"the check cannot read this ({error})", name, getattr(error, "line", 1)))
            continue
        findings += (Finding(_WITH, name, line) for line in modules[name].withs)
        if not _tests_in(modules[name]):
            findings.append(
                Finding("this file holds no test; a test is a rule whose name begins with test_", name)
            )
    cases, wrong_in_cases = read_cases(tests)
    findings += wrong_in_cases
    if findings:
        return 0, tuple(findings)
    findings += run_cases(PolicyEngine(files), cases) if cases else ()
    tests = {name: content for name, content in tests.items() if name in modules}
    places = [
        (name, rule, line) for name, module in modules.items() for rule, line in _tests_in(module).items()
    ]
    queries = {(name, rule): f"data.{'.'.join(modules[name].package)}.{rule}" for name, rule, _ in places}
    try:
        program = RegoProgram({**files, **tests}, list(dict.fromkeys(queries.values())))
    except SourceError as error:
        return 0, (Finding(error.reason, error.file, error.line),)
    policy = RegoProgram(files, [_ALL])
    for name, rule, line in places:
        wrong = _outcome(program, queries[name, rule], files, policy)
        findings += [Finding(f"{rule} {wrong}", name, line)] if wrong else []
    return len(places) + len(cases), tuple(findings)


def asked_in(files: Mapping[str, bytes], tests: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    """Yield the inputs of the cases in ``*_test.rego``, but for those with a config; all tests hold."""
    rego = {name: content for name, content in tests.items() if not name.endswith(SUFFIX)}
    modules = {name: parse(content.decode()) for name, content in rego.items()}
    asked = [
        f"data.{'.'.join(module.package)}.{rule}" for module in modules.values() for rule in _tests_in(module)
    ]
    if not asked:
        return
    program = RegoProgram({**files, **rego}, asked)
    for query in asked:
        value = program.evaluate(query, {"api": OWN_API})
        for case in value if isinstance(value, list) else ():
            if isinstance(case, dict) and isinstance(case.get("input"), dict) and "config" not in case:
                yield {"api": OWN_API, **case["input"]}


_WITH: Final = (
    "`with` makes the interpreter abort; write the test as an array of cases: "
    'test_x := [{"input": {…}, "expect": {"action": "deny"}}]'
)


def _tests_in(module: Module) -> dict[str, int]:
    found: dict[str, int] = {}
    for rule in module.rules:
        if rule.name.startswith(_PREFIX):
            found.setdefault(rule.name, rule.line)
    return found


def _outcome(program: RegoProgram, query: str, files: Mapping[str, bytes], policy: RegoProgram) -> str:
    """Say what is wrong with a test; nothing if it holds."""
    try:
        value = program.evaluate(query, {"api": OWN_API})
    except PolicyError as error:
        return f"fails: {error}"
    if value is True:
        return ""
    if value is None or value is False:
        return "does not hold"
    if not isinstance(value, list) or not all(isinstance(case, dict) for case in value):
        return "is neither true nor an array of cases"
    return _of_cases(value, files, policy) if value else "has no cases, so it shows nothing"


def _of_cases(cases: list[dict[str, Any]], files: Mapping[str, bytes], policy: RegoProgram) -> str:
    try:
        for number, case in enumerate(cases, 1):
            for wrong in _of_case(number, case, files, policy):
                return wrong
    except PolicyError as error:
        return f"fails: {error}"
    return ""


def _of_case(
    number: int, case: Mapping[str, Any], files: Mapping[str, bytes], policy: RegoProgram
) -> Iterator[str]:
    unknown = sorted(case.keys() - _MEMBERS)
    expected, config = case.get("expect"), case.get("config")
    if unknown or not isinstance(case.get("input"), dict) or not isinstance(expected, dict) or not expected:
        yield (
            f"has a case ({number}) that is not {{input, expect, config}}"
            + f": {', '.join(unknown)}" * bool(unknown)
        )
        return
    if config is not None:
        policy = RegoProgram(_with_config(files, config), [_ALL])
    answer = policy.evaluate(_ALL, {"api": OWN_API, **case["input"]})
    answer = answer if isinstance(answer, dict) else {}
    for name, value in expected.items():
        if answer.get(name) != value:
            yield f"fails in case {number}: {name} is {_shown(answer.get(name))}, not {_shown(value)}"


def _with_config(files: Mapping[str, bytes], config: Any) -> dict[str, bytes]:
    """Return a policy with members of ``data.config`` replaced."""
    data = merged_data(files)
    if not isinstance(config, dict) or not isinstance(data.get("config"), dict):
        raise PolicyError("a case's config is an object, and so is the policy's")
    data["config"] = {**data["config"], **config}
    rules = {name: body for name, body in files.items() if name.endswith(".rego")}
    return {**rules, "data.json": json.dumps(data).encode()}


def _shown(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
