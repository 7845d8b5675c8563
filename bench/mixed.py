"""Figure 1, second part: decisions on mixed traffic, where hardly two requests are alike.

Many callers on many routes, with header fields whose size varies. What counts here is the mean, with the
evaluations of policy in it: an environment remembers verdicts, and how often it finds one is measured too.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from typing import Any, Final

from bench.authorizer import Bench, TimedPolicy, bare_verification
from bench.figures import Figure, Section, ratio
from bench.timing import Report
from tests.support.world import policy_files

LIMIT: Final = 4.0
HIT_LIMIT: Final = 95.0
_ROUTES: Final = 20
_ALG: Final = "ed25519"
_NOTE: Final = (
    "Referer, User-Agent and a cookie vary from request to request. 'Fresh' is an environment's first "
    "requests, as many as there are pairs of a caller and a route; 'warm' is the third such number."
)


class CountingPolicy(TimedPolicy):
    """Counts what is asked and what had to be evaluated."""

    asked = evaluated = 0

    def evaluate(self, facts: Any) -> Any:
        """See ``PolicyEngine.evaluate``."""
        self.asked += 1
        return super().evaluate(facts)

    def decide(self, request: Any) -> Any:
        """See ``PolicyEngine.decide``."""
        self.evaluated += 1
        return super().decide(request)


def measure(report: Report, *, quick: bool) -> Section:
    """Decide on requests drawn at random (always the same ones)."""
    callers = 20 if quick else 100
    pairs = callers * _ROUTES
    bench = Bench(requests=1)
    policy = bench.policy = CountingPolicy(_files())
    bench.world.__dict__["policy"] = policy  # nonces are bound to it
    verifier = replace(bench.verifier, issuer=replace(bench.verifier.issuer, policy=policy))
    bench.authorizer = replace(bench.authorizer, verifier=verifier)
    for number in range(callers):
        bench.world.register(f"mixed-{number}", _ALG)
    draw = random.Random(20)  # noqa: S311 - which requests, no secret
    figures: list[Figure] = []
    for phase in ("fresh", "", "warm"):
        report(f"mixed traffic: {phase or 'between'}, {pairs} requests")
        policy.asked = policy.evaluated = 0
        own, bare = _mean_us(bench, draw, callers, pairs)
        if phase:
            hits = 100 * (1 - policy.evaluated / policy.asked)
            limits = (LIMIT, HIT_LIMIT) if phase == "warm" else (None, None)
            beside = f"mean {own:.0f} µs, policy included, beside {bare:.0f} µs bare verification"
            name = f"{phase}, {callers} callers, {_ROUTES} routes"
            figures.append(ratio(name, own, bare, limit=limits[0], beside=beside))
            beside = f"{policy.evaluated} of {policy.asked} evaluated"
            figures.append(
                Figure(f"{name}: verdicts remembered", hits, "%", limits[1], beside, at_least=True)
            )
    return Section("1. Authorizer, mixed traffic: mean CPU time of a decision", figures, [_NOTE])


def _files() -> dict[str, bytes]:
    """Return the shipped policy with as many routes as are called."""
    files = policy_files()
    [name] = [n for n in files if n.endswith("config.json")]
    document = json.loads(files[name])
    routes = document["config"]["routes"]
    for number in range(_ROUTES):
        routes[f"GET /mixed/{number}"] = routes["GET /protected"]
    return files | {name: json.dumps(document).encode()}


def _mean_us(bench: Bench, draw: random.Random, callers: int, requests: int) -> tuple[float, float]:
    """Return mean microseconds of a decision with its policy, and of bare verifications in between."""
    own = bare = checked = 0
    world = bench.world
    for number in range(requests):
        event = world.event(
            path=f"/mixed/{draw.randrange(_ROUTES)}",
            headers={
                "Referer": "https://app.example/" + "r" * draw.randrange(60),
                "Cookie": "s=" + "c" * draw.randrange(400),
                "User-Agent": "u" * draw.randrange(10, 150),
            },
        )
        world.sign(event, _ALG, keyid=f"mixed-{draw.randrange(callers)}")
        taken, policy = bench.decide(event)
        own += taken + policy
        if number % 10 == 0:
            [proof] = bench.proofs([event])
            verify = bare_verification(world.keys[_ALG], proof)
            started = time.thread_time_ns()
            verify()
            bare += time.thread_time_ns() - started
            checked += 1
    world.nonces.spent.clear()
    return own / requests / 1e3, bare / checked / 1e3
