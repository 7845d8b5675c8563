"""The policy in force: what a route requires, and whether a verified request may pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from signet.errors import PolicyError
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.rego import PACKAGE, RegoProgram, merged_data
from signet.policy.requirements import Controls, Requirements, read_requirements
from signet.receipts.model import BreakerLevel, BreakerState

_ALL: Final = f"data.{PACKAGE}"
# A query evaluates what it names and no more: a third of the time of asking for everything.
_VERDICT: Final = f"[data.{PACKAGE}.action, data.{PACKAGE}.reasons]"
_MAX_CACHED_ROUTES: Final = 1024
#: Stands for whoever has not said yet which route is meant.
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
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Compile the files of a policy: Rego modules, and JSON documents merged into ``data``.

        Raises:
            PolicyError: a file does not parse or compile.
        """
        self.bundle_sha256 = policy_bundle_sha256(files)
        self.routes = tuple(listed_routes(merged_data(files)))
        self._program = RegoProgram(files, [_ALL, _VERDICT])
        self._requirements: dict[tuple[str, str, str], Requirements] = {}

    @property
    def epoch(self) -> str:
        """See ``PolicySource``."""
        return self.bundle_sha256

    def current(self) -> PolicyEngine:
        """See ``PolicySource``."""
        return self

    def requirements(self, route: str, *, state: str, level: str) -> Requirements:
        """Return what the route requires while the breaker is in this state and level.

        Raises:
            PolicyError: the policy does not answer in the expected shape.
        """
        key = (route, state, level)
        found = self._requirements.get(key)
        if found is None:
            answer = self._program.evaluate(
                _ALL, {"route": route, "breaker": {"state": state, "level": level}}
            )
            if not isinstance(answer, dict):
                raise PolicyError(f"no file has the package {PACKAGE!r}")
            found = read_requirements(answer)
            if len(self._requirements) < _MAX_CACHED_ROUTES:
                self._requirements[key] = found
        return found

    def controls(self) -> Controls:
        """Return what moves the breaker that all routes share.

        Raises:
            PolicyError: the policy does not answer in the expected shape.
        """
        rest = {"state": BreakerState.CLOSED.value, "level": BreakerLevel.FULL.value}
        needs = self.requirements(CHALLENGE_ROUTE, **rest)
        ladders = [self.requirements(route, **rest).ladder for route in self.routes]
        used = {BreakerLevel.FULL.value, BreakerLevel.SHED.value}.union(*ladders)
        return Controls(
            thresholds=needs.breaker,
            availability_floor_ppm=needs.availability_floor_ppm,
            rungs=tuple(rung for rung in BreakerLevel if rung.value in used),
        )

    def decide(self, request: Mapping[str, Any]) -> Verdict:
        """Judge a verified request; the input's shape is documented in ``policy/signet.rego``.

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


def listed_routes(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the routes that a policy's data lists: route → {"role", …}; empty if it lists none."""
    config = data.get("config")
    routes = config.get("routes") if isinstance(config, dict) else None
    return routes if isinstance(routes, dict) else {}
