"""Judges recorded decisions again: by the policy files in the pack, on the input in the transcript.

The policy is code out of the pack, and it is run: so this is for packs of a log that the reader knows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from signet.core.canonical import canonicalize
from signet.core.errors import PackError, PolicyError
from signet.core.vocabulary import BreakerLevel, bindings_at_least
from signet.pack import layout
from signet.pack.transcripts import Judged
from signet.policy.engine import PolicyEngine
from signet.policy.memory import Memory
from signet.policy.requirements import Requirements
from signet.policy.routes import route_key

_MAX_REMEMBERED: Final = 65_536
_CLASSICAL: Final = "ok_classical_fallback"


class Rejudge:
    """Judges decisions again, one after the other.

    Attributes:
        counts: decisions by what became of it.
    """

    def __init__(self, files_of: Callable[[str], Mapping[str, bytes] | None]) -> None:
        """Take what returns a bundle's files by its hex SHA-256; None where they are not at hand."""
        self._files_of = files_of
        self._engines: dict[str, PolicyEngine | None] = {}
        self._remembered: Memory[bytes, str] = Memory(_MAX_REMEMBERED)
        self.counts: Counter[Judged] = Counter()

    def take(self, receipt: Mapping[str, Any], asked: Any) -> None:
        """Judge one decision again.

        Args:
            receipt: members of its receipt, held to the transcript.
            asked: the input in the transcript.

        Raises:
            PackError: ``judged_otherwise``; the message says how.
        """
        action, bundle = receipt["policy"]["action"], receipt["policy"]["bundle_sha256"]
        if action is None or bundle is None:
            return
        engine = self._engine(bundle)
        if engine is None:
            self.counts[Judged.POLICY_ABSENT] += 1
            return
        told = {name: receipt[name] for name in ("reason", "covered", "route", "policy", "breaker", "api")}
        key = hashlib.sha256(
            canonicalize({"told": told, "asked": asked, "of": receipt["proof"]["binding"]})
        ).digest()
        reason = self._remembered.get(key)
        if reason is None:
            reason = _difference(engine, receipt, asked)
            self._remembered.put(key, reason)
        if reason:
            raise PackError(
                f"is not what the policy answers: {reason}", file=layout.RECEIPTS, code="judged_otherwise"
            )
        self.counts[Judged.SAME] += 1

    def _engine(self, bundle: str) -> PolicyEngine | None:
        if bundle not in self._engines:
            files = self._files_of(bundle)
            try:
                self._engines[bundle] = None if files is None else PolicyEngine(files)
            except PolicyError:
                self._engines[bundle] = None
        return self._engines[bundle]


def _difference(engine: PolicyEngine, receipt: Mapping[str, Any], asked: Any) -> str:
    """Return what the policy says otherwise than the receipt; empty if it says the same."""
    action = receipt["policy"]["action"]
    try:
        verdict = engine.decide(asked)
        if verdict.allowed != (action == "allow"):
            return f"it says {'allow' if verdict.allowed else 'deny'}, and on record is {action}"
        if not verdict.allowed:
            return ""
        key = route_key(receipt["api"]["name"], receipt["route"])
        if not engine.lists(key):
            return "it has no rule for the route"
        state, level = asked["breaker"]["state"] or "", asked["breaker"]["level"]
        return _demanded(engine.requirements(key, state=state, level=level), receipt, asked)
    except (PolicyError, KeyError, TypeError) as error:
        return f"it does not answer ({type(error).__name__})"


def _demanded(needs: Requirements, receipt: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Return what the route demands and the request did not bring; empty if that is nothing."""
    covered = {name[1:-1] for name in receipt["covered"]}
    if asked["algorithm"] not in needs.allowed_algorithms:
        return f"the route does not take {asked['algorithm']}"
    if asked["binding"]["type"] not in bindings_at_least(needs.minimum_binding):
        return f"the route demands the binding {needs.minimum_binding}"
    if missing := sorted(set(needs.required_components) - covered):
        return f"the route demands that {', '.join(missing)} is signed"
    if asked["header_bytes"] > needs.header_budget:
        return f"the route takes {needs.header_budget} bytes of header fields"
    if receipt["reason"] == _CLASSICAL and BreakerLevel.CLASSICAL not in needs.ladder:
        return "the route does not take one half of a signature"
    return ""
