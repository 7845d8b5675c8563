"""Makes an engine of a policy that was checked before it came here: what every fresh environment does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from signet.core.errors import PolicyError
from signet.policy.engine import PolicyEngine
from signet.policy.probes import glance

#: Bounds of a bundle; it is loaded while a caller waits.
MAX_FILES: Final = 64
MAX_BYTES: Final = 256 * 1024


def load(files: Mapping[str, bytes]) -> PolicyEngine:
    """Compile a policy that was checked before it came here, and make sure of the least: in milliseconds.

    Raises:
        PolicyError: it does not compile, does not answer for one of its routes, or allows a route not listed.
    """
    engine = PolicyEngine(files)
    if not engine.routes:
        raise PolicyError("the policy lists no routes")
    glance(engine, engine.routes)
    return engine
