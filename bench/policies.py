"""Figure 15: a policy of a large API, 1,000 routes and 10,000 entries of data: load, verdict, check."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from bench.figures import Figure, Section
from bench.timing import Report
from signet.core.errors import PolicyError
from signet.policy.cases import whole
from signet.policy.check import check
from signet.policy.loading import load
from tests.support.world import policy_files

_ROLES: Final = 40
_METHODS: Final = ("GET", "POST", "PUT", "DELETE")
_RULES: Final = b"""package signet

import rego.v1

grant := data.grants[input.principal.keyid]

reasons contains "no grant" if {
	input.api == "large"
	not grant
}

reasons contains "the grant has ended" if {
	input.api == "large"
	input.time.unix > grant.until
}
"""


def measure(report: Report, *, quick: bool) -> Section:
    """Load it as a fresh environment does, ask it what was not asked before, and check it as a push does."""
    routes, entries = (100, 1_000) if quick else (1_000, 10_000)
    files = large_policy(routes, entries)
    report(f"policy of {routes} routes and {entries} entries: load")
    load_s = min(_cpu_s(lambda: load(files)) for _ in range(3))
    engine = load(files)
    report("verdicts")
    requests = [
        whole(engine, _stated(number * routes // 100, number * entries // 100)) for number in range(100)
    ]
    verdicts = [_cpu_s(partial(_allowed, engine, request)) for request in requests]
    report("check")
    findings: list[Any] = []
    check_s = _cpu_s(lambda: findings.extend(check(files)))
    if findings:
        raise PolicyError(f"the large policy is not good: {findings[0].message}")
    size = sum(map(len, files.values()))
    return Section(
        "15. Policy of a large API: CPU time",
        [
            Figure("load", load_s, "s", 1.0, f"{routes} routes, {entries} entries, {size:,} bytes"),
            Figure("verdict, median", statistics.median(verdicts) * 1e3, "ms", 1.0, "100 routes and clients"),
            Figure("check", check_s, "s", 30.0, f"{_ROLES} roles, so as many kinds of routes"),
        ],
        ["A load compiles, and takes a glance at a route of each kind. Every verdict is evaluated."],
    )


def large_policy(routes: int, entries: int) -> dict[str, bytes]:
    """Return the shipped policy with a large API, and rules that look its clients up."""
    files = dict(policy_files(""))
    document = json.loads(files["config.json"])
    document["config"]["apis"] = {
        "large": {"routes": {_route(number): _entry(number) for number in range(routes)}}
    }
    grants = {f"client-{number}": {"tenant": f"t{number % 500}", "until": 2**32} for number in range(entries)}
    grants["probe"] = {"tenant": "t0", "until": 2**32}
    return files | {
        "config.json": json.dumps(document).encode(),
        "grants.json": json.dumps({"grants": grants}).encode(),
        "grants.rego": _RULES,
    }


def _route(number: int) -> str:
    return f"{_METHODS[number % 4]} /things{number // 4}/{{id}}"


def _entry(number: int) -> dict[str, str]:
    return {"role": f"role-{number // 4 % _ROLES}", "minimum_binding": "none"}


def _stated(route: int, client: int) -> dict[str, Any]:
    return {
        "api": "large",
        "route": _route(route),
        "path_parameters": {"id": "7"},
        "principal": {"keyid": f"client-{client}", "roles": [_entry(route)["role"]]},
    }


def _allowed(engine: Any, request: dict[str, Any]) -> None:
    if not engine.decide(request).allowed:
        raise PolicyError("the large policy refuses what it should let through")


def _cpu_s(action: Callable[[], Any]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started
