"""The receipt of a breaker's transition: what changed, and the figures that caused it.

Its id follows from the breaker, the version that the transition made, and its time. An authorizer that
finds a transition whose receipt may not have been sent sends it again: the chain takes an id once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from signet.core.canonical import canonicalize
from signet.core.instants import UUID7_RANDOM_BYTES, utc_millis, uuid7
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.receipts.reading import read_receipt
from signet.receipts.shape import TRANSITION_TYPE

#: Causes that version 1 of the receipt knows; one with another is written as version 2.
_FIRST_CAUSES = frozenset({"tripped", "interval_over", "probes_failed", "recovered", "rung_up", "rung_down"})
_UNIT = re.compile(r"[a-z][a-z0-9_]*_(?:ppm|us|ms|milli)")


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """One transition, ready to be recorded.

    Attributes:
        breaker: the breaker's name.
        version: number of the state that the transition led to; the first one after the initial state is 1.
        decided_at_ms: Unix milliseconds, by the clock of the authorizer that made it.
        before: state and level that were left.
        after: state and level that were entered.
        cause: one word for what caused it, such as ``tripped``.
        policy_bundle: hex SHA-256 of the policy whose thresholds moved it; None if no policy set any.
        figures: what was measured, by names that end with their unit: ``_ppm``, ``_us``, ``_ms``,
            ``_milli`` (thousandths of one).
    """

    breaker: str
    version: int
    decided_at_ms: int
    before: tuple[BreakerState, BreakerLevel]
    after: tuple[BreakerState, BreakerLevel]
    cause: str
    policy_bundle: str | None
    figures: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The receipt's id: the same for the same transition, from every sender, and however often."""
        name = f"{TRANSITION_TYPE}\n{self.breaker}\n{self.version}".encode()
        return uuid7(self.decided_at_ms, hashlib.sha256(name).digest()[:UUID7_RANDOM_BYTES])

    def to_object(self) -> dict[str, Any]:
        """Return the receipt without ``chain``.

        Raises:
            ValueError: a figure's name does not end with its unit.
        """
        for name in self.figures:
            if _UNIT.fullmatch(name) is None:
                raise ValueError(f"the figure {name!r} does not name its unit")
        return {
            "v": 1 if self.cause in _FIRST_CAUSES else 2,
            "type": TRANSITION_TYPE,
            "id": self.id,
            "decided_at": utc_millis(self.decided_at_ms),
            "breaker": {"name": self.breaker, "version": self.version},
            "from": _place(self.before),
            "to": _place(self.after),
            "cause": self.cause,
            "policy": {"bundle_sha256": self.policy_bundle},
            "figures": dict(self.figures),
        }

    def encode(self) -> bytes:
        """Return the bytes for the queue, checked as the sink will check them.

        Raises:
            CanonicalError: a member cannot stand in a receipt.
            ValueError: a figure's name does not end with its unit.
        """
        encoded = canonicalize(self.to_object())
        read_receipt(encoded, chained=False)
        return encoded


def _place(place: tuple[BreakerState, BreakerLevel]) -> dict[str, str]:
    state, level = place
    return {"state": state.value, "level": level.value}
