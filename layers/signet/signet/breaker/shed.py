"""Proofs that were shed and are counted as load already: a copy of one is no load of its own."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

#: Most proofs that one environment remembers: some 3 MB. It takes 50 different ones per second, for as long
#: as a nonce is good by default, to push one out before its end.
SIZE: Final = 16_384


class ShedProofs:
    """What one environment has shed, by the nonce; a fixed number of them, the oldest goes first.

    It fails towards sparing the backend: a proof that was pushed out, or forgotten because the wall clock
    went back, counts again. Then the load seems larger than it is, and a smaller share is let through. No
    request is let through because of it. Not safe to share between threads.
    """

    def __init__(self, size: int = SIZE) -> None:
        """Remember at most ``size`` proofs."""
        self._size = size
        self._good_until_s: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._good_until_s)

    def is_new(self, nonce_sha256: bytes, *, at_s: float, good_for_s: float) -> bool:
        """Tell whether a proof counts as load, and remember that it did.

        Args:
            nonce_sha256: names the proof: its nonce is good once, and no stranger can make one.
            at_s: the present moment, in seconds that have passed by two clocks (``signet.core.clocks``).
            good_for_s: for how long, from now, a copy of it could be verified.
        """
        remembered = self._good_until_s
        while remembered and next(iter(remembered.values())) <= at_s:
            remembered.popitem(last=False)
        if remembered.get(nonce_sha256, at_s) > at_s:
            return False
        remembered[nonce_sha256] = at_s + good_for_s
        if len(remembered) > self._size:
            remembered.popitem(last=False)
        return True
