"""Nonces at hand: what came with a refusal, with an answer, or in a batch, for requests to come.

Each is handed out once, and while it is fresh. Times are seconds that have passed, by two clocks
(``signet.core.clocks.Elapsed``): a computer that slept in between must not take an old one for fresh.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, TypeAlias

from signet.handshake.challenge import Challenge

#: Lifetime of a nonce whose challenge does not say it, seconds: what servers had before challenges said it.
LIFETIME_S: Final = 300
#: Share of its life after which a nonce at hand is not worth a try.
FRESH_SHARE: Final = 0.8
MAX_NONCES_AT_HAND: Final = 256
MAX_APIS: Final = 256
MAX_NONCES_OF_AN_API: Final = 64
#: For how long what a challenge says beside its nonce (budget, algorithms, components) is believed, seconds.
TOLD_S: Final = 900

#: One API of one origin: scheme and authority, and where its challenges come from, as far as that is known.
Place: TypeAlias = tuple[tuple[str, str], str]


class NoncesAtHand:
    """Keeps one challenge per URL; safe to share between threads."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Challenge, float]] = {}

    def keep(self, url: str, challenge: Challenge, now: float) -> None:
        """Keep a challenge for the next request to this URL."""
        if len(self._kept) >= MAX_NONCES_AT_HAND:
            self._kept.clear()
        self._kept[_without_query(url)] = (challenge, now)

    def take(self, url: str, now: float) -> Challenge | None:
        """Return the challenge kept for this URL, once and while it is fresh."""
        # dict.pop is atomic: of two threads one gets the nonce, the other none.
        challenge, since = self._kept.pop(_without_query(url), (None, 0.0))
        return challenge if challenge is not None and _fresh(challenge, since, now) else None


class NoncePool:
    """Keeps nonces that are good for every request to an API; safe to share between threads.

    They come with challenges, which say more than the nonce. A nonce that came with an answer came without
    one: it goes by the challenge before, but not for ever.
    """

    def __init__(self) -> None:
        self._kept: dict[Place, deque[tuple[Challenge, float]]] = {}
        self._told: dict[Place, float] = {}

    def told(self, place: Place, now: float) -> None:
        """Note that a whole challenge of this API was received."""
        if len(self._told) >= MAX_APIS:
            self._told.clear()
            self._kept.clear()
        self._told[place] = now

    def add(self, place: Place, challenges: Iterable[Challenge], since: float) -> None:
        """Keep challenges, each for one request; beyond a number the oldest go.

        Args:
            place: the API they are good for.
            challenges: each with a nonce of its own.
            since: when they were asked for: they are no older than that.
        """
        if len(self._kept) >= MAX_APIS:
            self._kept.clear()
        kept = self._kept.setdefault(place, deque(maxlen=MAX_NONCES_OF_AN_API))
        kept.extend((challenge, since) for challenge in challenges)

    def take(self, place: Place, now: float) -> Challenge | None:
        """Return the oldest challenge that is fresh, once; what is not fresh any more goes."""
        if now - self._told.get(place, now) > TOLD_S:
            self.drop(place)
        kept = self._kept.get(place, deque())
        while True:
            try:
                challenge, since = kept.popleft()  # atomic: no two threads get the same
            except IndexError:
                return None
            if _fresh(challenge, since, now):
                return challenge

    def drop(self, place: Place) -> None:
        """Forget the API's nonces: one of them was not taken, or what came with them is old."""
        self._kept.pop(place, None)
        self._told.pop(place, None)


def _fresh(challenge: Challenge, since: float, now: float) -> bool:
    return now - since <= FRESH_SHARE * (challenge.max_age or LIFETIME_S)


def _without_query(url: str) -> str:
    # A refusal's nonce is good for the binding its route requires, so it is kept for that route alone.
    return url.partition("?")[0]
