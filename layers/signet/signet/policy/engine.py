"""The policy in force: what a route requires, and whether a verified request may pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from signet.core.apis import OWN_API, OWN_BACKEND
from signet.core.errors import PolicyError
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.policy.alike import ALL_APART, spelled, standing_for
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.facts import Facts
from signet.policy.listing import listed_routes
from signet.policy.memory import VerdictMemory
from signet.policy.rego import IMPURE_NAMESPACE, RegoProgram, code_of, merged_data
from signet.policy.requirements import OUTPUTS, Controls, Requirements, read_requirements
from signet.policy.routes import api_and_route, route_key
from signet.policy.teams import PACKAGE
from signet.policy.wanted import wanted

# A query evaluates what it names and no more: a third of the time of asking for everything, and what is
# wrong with the rules of one API's own package (``signet.policy.teams``) is wrong for requests of that API
# only. Each output is in an array of its own: one without a value leaves the others theirs.
_REQUIRED: Final = (
    "{" + ", ".join(f'"{name}": [value | value := data.{PACKAGE}.{name}]' for name in OUTPUTS) + "}"
)
_VERDICT: Final = f"[data.{PACKAGE}.action, data.{PACKAGE}.reasons]"
_MAX_CACHED_ROUTES: Final = 1024
_MAX_VERDICTS: Final = 4096
#: Stands for the route in a challenge, before the caller has named one, with the API whose challenge it is.
CHALLENGE_ROUTE: Final = "GET /pch/challenge"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What policy says of a verified request; ``reasons`` is empty exactly when allowed."""

    allowed: bool
    reasons: tuple[str, ...]


class PolicySource(Protocol):
    """Says which policy is in force; it may change from one decision to the next, never within one."""

    @property
    def epoch(self) -> str:
        """What challenges are bound to: the same in all functions of a deployment."""
        ...

    def current(self) -> PolicyEngine:
        """Return the policy to decide by.

        Raises:
            PolicyError: there is none that could be loaded. The caller refuses.
            UnavailableError: it is not known which one is in force. The caller refuses.
        """
        ...


class PolicyEngine:
    """One compiled policy bundle; safe to share between threads. As a source it never changes.

    Compiling takes some milliseconds, an evaluation a fraction of one: build one engine per bundle.

    Attributes:
        bundle_sha256: hex; names the policy in receipts and tree heads.
        routes: what the policy lists.
        standing: those of them that stand for others (``signet.policy.alike``), and all where they are few.
        wanted: which members of the input its rules read, of those that are not told to all.
        version: number of the pushed version, 0 for the deployed one; None where its source has no numbers.
    """

    version: int | None = None

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Compile the files of a policy: Rego modules, and JSON documents merged into ``data``.

        Raises:
            PolicyError: a file does not parse or compile.
        """
        self.bundle_sha256 = policy_bundle_sha256(files)
        data = merged_data(files)
        listed = listed_routes(data)
        self.routes = tuple(listed)
        self._listed = frozenset(listed)
        self._program = RegoProgram(files, [_REQUIRED, _VERDICT])
        rules = {name: body.decode() for name, body in files.items() if name.endswith(".rego")}
        self.wanted = wanted(rules, data)
        standing = standing_for(listed, spelled(rules.values(), data) if len(listed) > ALL_APART else (), ())
        self.standing = tuple(route for route in listed if route in standing)
        self._requirements: dict[tuple[str, str, str], Requirements] = {}
        self._verdicts: VerdictMemory[Verdict] = VerdictMemory(self.wanted, _MAX_VERDICTS)
        self._controls: dict[str, Controls] = {}
        self._bindings: dict[str, str] = {}
        self._is_function = not any(
            IMPURE_NAMESPACE.search(code_of(content.decode()))
            for name, content in files.items()
            if name.endswith(".rego")
        )

    @property
    def epoch(self) -> str:
        """See ``PolicySource``."""
        return self.bundle_sha256

    def current(self) -> PolicyEngine:
        """See ``PolicySource``."""
        return self

    def lists(self, route: str) -> bool:
        """Say whether the policy has an entry for a route; without one nothing passes there."""
        return route in self._listed

    def requirements(self, route: str, *, state: str, level: str) -> Requirements:
        """Return what the route requires while the breaker is in this state and level.

        Args:
            route: its key.
            state: the breaker's.
            level: the rung of the ladder.

        Raises:
            PolicyError: the policy does not answer in the expected shape.
        """
        key = (route, state, level)
        found = self._requirements.get(key)
        if found is None:
            api, declared = api_and_route(route)
            asked = {"api": api, "route": declared, "breaker": {"state": state, "level": level}}
            values = self._program.evaluate(_REQUIRED, asked)
            answer = {name: value[0] for name, value in (values or {}).items() if value}
            if not answer:
                raise PolicyError(f"no file has the package {PACKAGE!r}")
            found = read_requirements(answer, api)
            if len(self._requirements) < _MAX_CACHED_ROUTES:
                self._requirements[key] = found
        return found

    def at_rest(self, route: str) -> Requirements:
        """Return what the route requires while nothing is wrong with what it calls.

        Raises:
            PolicyError: the policy does not answer in the expected shape.
        """
        return self.requirements(route, state=BreakerState.CLOSED.value, level=BreakerLevel.FULL.value)

    def strongest_binding(self, api: str) -> str | None:
        """Return the strongest channel binding that an API demands on any route; None if it is not said."""
        if api not in self._bindings:
            try:
                bound = self.at_rest(route_key(api, CHALLENGE_ROUTE)).minimum_binding
            except PolicyError:
                return None
            self._bindings[api] = bound
        return self._bindings[api]

    def controls(self, backend: str = OWN_BACKEND) -> Controls:
        """Return what moves the breaker of a backend, which all routes that call it share.

        Raises:
            PolicyError: the policy does not answer in the expected shape, or no route calls that backend.
        """
        found = self._controls.get(backend)
        if found is None:  # a breaker asks twice a second
            found = self._controls[backend] = self._read_controls(backend)
        return found

    def _read_controls(self, backend: str) -> Controls:
        found = self._calling(backend, self.standing)
        ladders = [needs.ladder for needs in found]
        found += self._calling(backend, challenge_routes(self.routes))
        if not found:
            raise PolicyError(f"no route of the policy calls the backend {backend!r}")
        needs = found[0]
        used = {BreakerLevel.FULL.value, BreakerLevel.SHED.value}.union(*ladders)
        return Controls(
            thresholds=needs.breaker,
            availability_floor_ppm=needs.availability_floor_ppm,
            rungs=tuple(rung for rung in BreakerLevel if rung.value in used),
        )

    def _calling(self, backend: str, routes: Iterable[str]) -> list[Requirements]:
        """Return what those routes require that call a backend; one without an answer stops no breaker."""
        found = []
        for route in routes:
            with suppress(PolicyError):
                needs = self.at_rest(route)
                if needs.backend == backend:
                    found.append(needs)
        return found

    def evaluate(self, facts: Facts) -> Verdict:
        """Return the verdict on a verified request, evaluated now or for one with the same facts.

        The facts are the same where no member differs that a rule reads (``signet.policy.memory``).

        A policy that could answer the same question differently (by a clock, say) is asked each time.

        Raises:
            PolicyError: as ``decide``; nothing is remembered then.
        """
        if not self._is_function:
            return self.decide(facts.document())
        key = self._verdicts.key(facts)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self.decide(facts.document())
            self._verdicts.put(key, verdict)
        return verdict

    def decide(self, request: Mapping[str, Any]) -> Verdict:
        """Evaluate the policy for a request; the input's shape is documented in ``policy/signet.rego``.

        Raises:
            PolicyError: the policy does not answer in the expected shape. The caller refuses.
        """
        answer = self._program.evaluate(_VERDICT, request)
        if not isinstance(answer, list) or len(answer) != 2:  # noqa: PLR2004 - what the query asks for
            raise PolicyError("the policy answers without an action or reasons")
        action, reasons = answer
        if action not in ("allow", "deny") or not isinstance(reasons, list):
            raise PolicyError("the policy answers with an action or reasons in the wrong shape")
        # Both have to agree: a policy that contradicts itself allows nothing.
        return Verdict(allowed=action == "allow" and not reasons, reasons=tuple(map(str, reasons)))


def challenge_routes(routes: Iterable[str]) -> list[str]:
    """Return what stands for the route in challenges of these routes' APIs, and of Signet's own."""
    apis = dict.fromkeys((OWN_API, *(api_and_route(route)[0] for route in routes)))
    return [route_key(api, CHALLENGE_ROUTE) for api in apis]
