"""Proofs that were counted and keep their nonce: copies of one are counted once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

#: Most proofs that one memory holds: some 3 MB. It takes 50 different ones per second, for as long as a nonce
#: is good by default, to push one out before its end.
SIZE: Final = 16_384


class Presented(NamedTuple):
    """A proof that was presented and verified.

    Attributes:
        nonce_sha256: names it: its nonce is good once, and no stranger can make one.
        good_for_ms: for how long, from now, a copy of it could be verified at most.
    """

    nonce_sha256: bytes
    good_for_ms: int


class CountedProofs:
    """The proofs that one environment has counted; a fixed number of them, the oldest goes first.

    It fails towards sparing the backend: a proof that was pushed out, or forgotten because the wall clock
    went back, counts again. Then load, or failures, seem more than they are, and a smaller share of requests
    is let through. No request is let through because of it. Not safe to share between threads.
    """

    def __init__(self, size: int = SIZE) -> None:
        """Remember at most ``size`` proofs."""
        self._size = size
        self._good_until_s: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._good_until_s)

    def is_new(self, proof: Presented, *, at_s: float) -> bool:
        """Tell whether a proof is to be counted, and remember that it was.

        Args:
            proof: as presented.
            at_s: the present moment, in seconds that have passed by two clocks (``signet.core.clocks``).
        """
        remembered = self._good_until_s
        while remembered and next(iter(remembered.values())) <= at_s:
            remembered.popitem(last=False)
        if remembered.get(proof.nonce_sha256, at_s) > at_s:
            return False
        remembered[proof.nonce_sha256] = at_s + proof.good_for_ms / 1000
        if len(remembered) > self._size:
            remembered.popitem(last=False)
        return True
