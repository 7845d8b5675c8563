"""Checks a policy in a process of its own: on some rules rego-cpp aborts, or does not come back."""

# ruff: noqa: PLC0415 - Rego is loaded when a command runs, not for --help

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from signet.core.apis import OWN_API
from signet.policy.finding import Finding

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from signet_client.declared_routes import Declared

#: How long a check may take. The shipped policy takes a second or two; each further route a fraction of one.
LIMIT_S = 120
_ABORTED = "the Rego interpreter aborts on these {what}; undo what was added last"
_TOO_LONG = (
    "the check was not done after {limit} s, and an authorizer has milliseconds: look for rules that run "
    "through large sets"
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        findings: mistakes; with one, the policy is not pushed.
        tests: how many of the policy's tests were run.
    """

    findings: tuple[Finding, ...]
    tests: int = 0


def check_apart(files: Mapping[str, bytes], tests: Mapping[str, bytes]) -> Checked:
    """Check a policy; then, if it has no findings, run its tests and look for rules that never fire.

    Args:
        files: name → bytes.
        tests: its ``*_test.rego`` and ``*_cases.json``, likewise.
    """
    from multiprocessing import get_context

    processes = get_context("spawn")
    results, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_apart, args=(files, tests, sender), daemon=True)
    process.start()
    sender.close()  # or its end would not show when the process dies
    try:
        findings: tuple[Finding, ...] | None = _received(results)
        if findings is None:
            return Checked((Finding(_ABORTED.format(what="rules")),))
        if findings:
            return Checked(findings)
        done: tuple[int, tuple[Finding, ...]] | None = _received(results)
        return Checked(done[1], done[0]) if done else Checked((Finding(_ABORTED.format(what="tests")),))
    except TimeoutError:
        return Checked((Finding(_TOO_LONG.format(limit=LIMIT_S)),))
    finally:
        process.kill()
        process.join()


def _received(results: Connection) -> Any:
    """Return what the other process sends; None if it ended instead."""
    if not results.poll(LIMIT_S):
        raise TimeoutError
    try:
        return results.recv()
    except EOFError:
        return None


def _apart(files: Mapping[str, bytes], tests: Mapping[str, bytes], results: Connection) -> None:
    from signet.policy.cases import read_cases
    from signet.policy.check import check
    from signet.policy.reach import unreached
    from signet.policy.selftest import asked_in, run_tests

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # rego-cpp complains there
    cases, _ = read_cases(tests)
    findings = check(files, cases)
    results.send(findings)
    if findings:
        return
    count, findings = run_tests(files, tests)
    if not findings:
        findings = unreached(files, cases, asked_in(files, tests))
    results.send((count, findings))


def against_routes(
    files: Mapping[str, bytes], declared: Declared, api: str = OWN_API
) -> tuple[list[Finding], list[str]]:
    """Hold the routes that a policy lists for an API against those that it has.

    Args:
        files: the policy, name → bytes.
        declared: the routes that the API has.
        api: name of the API; by default Signet's own.

    Returns:
        What is refused: rules for routes that are not declared; and what is only worth knowing: routes behind
        an authorizer without a rule, rules for routes that no authorizer guards, and what was not read.
    """
    from signet.policy.check import listed
    from signet.policy.configured import placed

    findings, notices = [], [f"not read: {what}" for what in declared.unread]
    paths = {entry.route: entry.path for entry in listed(files) if entry.api == api}
    if not paths and api != OWN_API:
        findings.append(
            Finding(f"the policy lists no route of an API {api!r}: write them into {_where(api)}")
        )
    for route, path in paths.items():
        guarded = declared.guards(route)
        if guarded is None:
            sentence = f"{declared.source} declares no route {route!r}{_nearest(route, declared.routes)}"
            if declared.unread:
                notices.append(sentence)
            else:
                findings.append(placed(files, sentence, path))
        elif not guarded:
            notices.append(f"no authorizer guards {route!r} in {declared.source}, so its rule is never asked")
    for route, guarded in declared.routes.items():
        if guarded:
            notices += _without_a_rule(route, paths, api)
    return findings, notices


def _where(api: str) -> str:
    """Return where the routes of an API stand."""
    return "routes in config.json" if api == OWN_API else f"config.apis[{api!r}].routes"


def _without_a_rule(route: str, listed: Collection[str], api: str) -> Iterator[str]:
    from signet.core.vocabulary import METHOD_NAMES

    method, _, path = route.partition(" ")
    if path == "$default":
        yield "no rule can name $default: signed requests are refused there as no_rule; declare each route"
        return
    of_it = [route] if method != "ANY" else [f"{one} {path}" for one in METHOD_NAMES]
    without = [one for one in of_it if one not in listed]
    if not without:
        return
    entry = f'"{without[0]}": {{"role": "caller", "minimum_binding": "none"}} under {_where(api)}'
    instead = (
        f"write {entry}" if len(without) == len(of_it) else "declare the others one by one instead of ANY"
    )
    yield f"no rule for {', '.join(without)}: signed requests are refused there as no_rule; {instead}"


def _nearest(route: str, declared: Collection[str]) -> str:
    """Return what to write instead."""
    from difflib import get_close_matches

    method, _, path = route.partition(" ")
    for other in declared:
        verb, _, resource = other.partition(" ")
        start, greedy, _ = resource.partition("{")
        # A rule names the resource as declared, not the path that a request has.
        if greedy and resource.endswith("+}") and path.startswith(start) and verb in {method, "ANY"}:
            return f"; its requests come in by {other!r}: write {f'{method} {resource}'!r}"
    found = get_close_matches(route, declared, n=1)
    return f"; did you mean {found[0]!r}?" if found else "; take it out, or declare the route"
