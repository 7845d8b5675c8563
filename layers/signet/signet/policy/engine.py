"""Rego, evaluated in process: what a route requires, and whether a verified request may pass."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regopy import Bundle, Interpreter, RegoError, log_level_from_string

from signet.errors import PolicyError
from signet.policy.bundle import policy_bundle_sha256

_ALL = "data.signet"
# A query evaluates what it names and no more: a third of the time of asking for everything.
_VERDICT = "[data.signet.action, data.signet.reasons]"
_MAX_CACHED_ROUTES = 1024


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a route demands before anybody is authenticated.

    Attributes:
        minimum_binding: weakest channel binding that passes.
        allowed_algorithms: suites that may be used, in order of preference.
        ladder: rungs the route may step down, in order.
        header_budget: most bytes of header values.
    """

    minimum_binding: str
    allowed_algorithms: tuple[str, ...]
    ladder: tuple[str, ...]
    header_budget: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What policy says of a verified request; ``reasons`` is empty exactly when allowed."""

    allowed: bool
    reasons: tuple[str, ...]


class PolicyEngine:
    """One compiled policy bundle; safe to share between threads.

    Compiling takes some milliseconds, an evaluation about half of one: build one engine per process.

    Attributes:
        bundle_sha256: hex; names the policy in receipts and tree heads.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Compile the files of a policy: Rego modules, and JSON documents merged into ``data``.

        Raises:
            PolicyError: a file does not parse or compile.
        """
        self.bundle_sha256 = policy_bundle_sha256(files)
        self._interpreter = Interpreter()
        self._interpreter.log_level = log_level_from_string("None")  # it would print requests to stdout
        self._lock = threading.Lock()
        self._requirements: dict[tuple[str, str, str], Requirements] = {}
        try:
            for name, content in files.items():
                if name.endswith(".rego"):
                    self._interpreter.add_module(name, content.decode())
                else:
                    self._interpreter.add_data_json(content.decode())
            self._all = self._interpreter.build(_ALL)
            self._verdict = self._interpreter.build(_VERDICT)
        except (RegoError, UnicodeDecodeError) as error:
            raise PolicyError(f"the policy does not compile: {error}") from error
        if not (self._all.ok() and self._verdict.ok()):
            raise PolicyError("the policy does not compile")

    def requirements(self, route: str, *, state: str, level: str) -> Requirements:
        """Return what the route requires while the breaker is in this state and level.

        Raises:
            PolicyError: the policy does not answer in the expected shape.
        """
        key = (route, state, level)
        found = self._requirements.get(key)
        if found is None:
            answer = self._evaluate(self._all, {"route": route, "breaker": {"state": state, "level": level}})
            if not isinstance(answer, dict):
                raise PolicyError("the policy has no package 'signet'")
            found = _requirements(answer)
            if len(self._requirements) < _MAX_CACHED_ROUTES:
                self._requirements[key] = found
        return found

    def decide(self, request: Mapping[str, Any]) -> Verdict:
        """Judge a verified request; the input's shape is documented in ``policy/signet.rego``.

        Raises:
            PolicyError: the policy does not answer in the expected shape. The caller refuses.
        """
        answer = self._evaluate(self._verdict, request)
        if not isinstance(answer, list) or len(answer) != 2:  # noqa: PLR2004 - what the query asks for
            raise PolicyError("the policy answers without an action or reasons")
        action, reasons = answer
        if action not in ("allow", "deny") or not isinstance(reasons, list):
            raise PolicyError("the policy answers without an action or reasons")
        # Both have to agree: a policy that contradicts itself allows nothing.
        return Verdict(allowed=action == "allow" and not reasons, reasons=tuple(map(str, reasons)))

    def _evaluate(self, query: Bundle, document: Mapping[str, Any]) -> Any:
        try:
            with self._lock:  # input and query are two calls on one interpreter
                self._interpreter.set_input_term(json.dumps(document))
                output = str(self._interpreter.query_bundle(query))
            return json.loads(output)["expressions"][0]
        except (RegoError, ValueError, KeyError, IndexError, TypeError) as error:
            raise PolicyError("the policy does not evaluate") from error


def _requirements(answer: Mapping[str, Any]) -> Requirements:
    binding, algorithms = answer.get("minimum_binding"), answer.get("allowed_algorithms")
    ladder, budget = answer.get("ladder"), answer.get("header_budget")
    if (
        binding not in ("none", "tls-exporter", "tls-client-cert")
        or not _strings(algorithms)
        or not _strings(ladder)
        or type(budget) is not int
        or budget < 0
    ):
        raise PolicyError("the policy answers in the wrong shape")
    return Requirements(str(binding), tuple(algorithms or ()), tuple(ladder or ()), budget)


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
