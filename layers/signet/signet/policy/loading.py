"""Makes an engine of a policy that was checked before it came here: what every fresh environment does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from signet.core.errors import PolicyError
from signet.policy.engine import PolicyEngine
from signet.policy.probes import glance

#: Bounds of a bundle; it is loaded while a caller waits. Data that rules find by a member of the input costs
#: little (``signet.policy.indexed``); the rest takes the interpreter some seconds a megabyte.
MAX_FILES: Final = 64
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_INTERPRETED_BYTES: Final = 256 * 1024


def load(files: Mapping[str, bytes]) -> PolicyEngine:
    """Compile a policy that was checked before it came here, and make sure of the least: in milliseconds.

    A caller waits for it, so of many routes it looks at those that stand for others.

    Raises:
        PolicyError: it does not compile, does not answer for one of its routes, or allows a route not listed.
    """
    engine = PolicyEngine(files)
    if not engine.routes:
        raise PolicyError("the policy lists no routes")
    glance(engine, engine.standing)
    return engine
