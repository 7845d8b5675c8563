"""The numbers of one execution environment's decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from signet.receipts.facts import Emitter

_EMITTER_ID_BYTES: Final = 16


class EmitterCounter:
    """Numbers the decisions of one execution environment, so that a lost one leaves a gap.

    The id is drawn at the first decision, not at import: a snapshot of an initialised environment is
    cloned, and clones must not share an id. An environment decides on one request at a time.

    Attributes:
        folded: refusals that were counted in summaries so far.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """Take a source of unpredictable bytes."""
        self._random = random
        self._id = ""
        self._next = 0
        self.folded = 0

    def draw(self) -> Emitter:
        """Return the next number; it is used up even if the decision is lost afterwards."""
        self._id = self._id or self._random(_EMITTER_ID_BYTES).hex()
        self._next += 1
        return Emitter(id=self._id, n=self._next - 1, folded=self.folded)

    def give_back(self, drawn: Emitter) -> None:
        """Take back the number that was drawn last: a refusal that is folded has none."""
        self._next -= drawn.n == self._next - 1
