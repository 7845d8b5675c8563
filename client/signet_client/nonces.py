"""Nonces at hand: they came with a refusal and are good for the next request to the same place."""

from __future__ import annotations

from typing import Final

from signet.handshake.challenge import Challenge

#: Lifetime of a nonce whose challenge does not say it, seconds: what servers had before challenges said it.
LIFETIME_S: Final = 300
#: Share of its life after which a nonce at hand is not worth a try.
FRESH_SHARE: Final = 0.8
MAX_NONCES_AT_HAND: Final = 256


class NoncesAtHand:
    """Keeps one challenge per place; safe to share between threads. Times are seconds by two clocks."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Challenge, float]] = {}

    def keep(self, url: str, challenge: Challenge, now: float) -> None:
        """Keep a challenge for the next request to this URL."""
        if len(self._kept) >= MAX_NONCES_AT_HAND:
            self._kept.clear()
        self._kept[_place(url)] = (challenge, now)

    def take(self, url: str, now: float) -> Challenge | None:
        """Return the challenge kept for this URL, once and while it is fresh."""
        # dict.pop is atomic: of two threads one gets the nonce, the other none.
        challenge, since = self._kept.pop(_place(url), (None, 0.0))
        if challenge is None:
            return None
        return None if now - since > FRESH_SHARE * (challenge.max_age or LIFETIME_S) else challenge


def _place(url: str) -> str:
    # A nonce is good for the binding its route requires, so it is kept for that route alone.
    return url.partition("?")[0]
