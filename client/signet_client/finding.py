"""Finds a challenge for a request, without any I/O: at hand, by its place, or by a refusal.

Each method that may have to ask is a generator of steps, as ``signet_client.exchange`` is one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Final, TypeAlias

from signet.core.errors import NotFoundError
from signet.handshake.challenge import Challenge
from signet_client.addresses import Labels, Locations, candidates, origin, resolved
from signet_client.answers import (
    SHED,
    challenge_from_json,
    challenge_in,
    json_error_in,
    let_through,
    moved,
    named_location,
    nonces_in,
)
from signet_client.messages import Answer, ChallengeTaken, FetchChallenge, Observer, Step
from signet_client.nonces import NoncePool, NoncesAtHand, Place
from signet_client.signing import Plain
from signet_client.sources import Source, discovery_url, source_in

_OK: Final = 200
#: Code of the ``NotFoundError`` of a refusal without a challenge: what answers is not guarded by Signet.
NO_CHALLENGE: Final = "no_challenge"
#: From this size on a content is worth more requests than one to be sent only once.
LARGE_CONTENT_BYTES: Final = 65_536
#: Most origins of which something is remembered, of each kind.
MAX_ORIGINS: Final = 256
#: For how long an origin's word about its challenges counts, and for how long its silence, seconds.
_DISCOVERED_S: Final = 3600.0
_SILENT_S: Final = 300.0

Steps: TypeAlias = Generator[Step, Answer, Challenge | None]


class Finder:
    """Remembers nonces, and where servers hand them out; safe to share between threads."""

    def __init__(
        self, source: Source | None, *, discover: bool, observe: Observer, passed: Callable[[], float]
    ) -> None:
        """Take the caller's settings.

        Args:
            source: where challenges come from; None to find out.
            discover: without a source, read it from the API's ``/.well-known/pch``.
            observe: told of each challenge that is taken.
            passed: seconds that have passed, by two clocks.
        """
        self._given = source
        self._discover = discover
        self._observe = observe
        self._passed = passed
        self._locations = Locations()
        self._apis = Locations()
        self._labels = Labels()
        self._at_hand = NoncesAtHand()
        self._pool = NoncePool()
        self._silent: set[tuple[str, str]] = set()
        self._carrying: set[tuple[str, str]] = set()
        self._discovered: dict[tuple[str, str], tuple[Source | None, float]] = {}

    def at_hand(self, url: str) -> Challenge | None:
        """Return a challenge whose nonce is unused, if there is one."""
        now = self._passed()
        challenge = self._at_hand.take(url, now) or self._pool.take(self._place(url), now)
        if challenge is not None:
            self._observe(ChallengeTaken(url, challenge))
        return challenge

    def before(self, request: Plain) -> Steps:
        """Ask for a challenge before the request goes out, if it is known where."""
        url = request.url
        source = yield from self._source(url)
        location = self._locations.find(url) if source is None else source.url
        if location is None:
            return (yield from self._ask_around(url)) if len(request.body) >= LARGE_CONTENT_BYTES else None
        challenge, shed = yield from self._fetch(source or Source(location), url)
        if challenge is None and not shed:
            self._locations.forget(location)
        return challenge

    def after(self, url: str, refusal: Answer) -> Steps:
        """Find a fresh challenge: in the refusal itself, where it says, or along the path's parents.

        Returns None if the server sheds load instead; its 503 is then the caller's answer.

        Raises:
            NotFoundError: code ``no_challenge``: there is none.
        """
        source = yield from self._source(url)
        foreign = source is not None and source.foreign(url)
        challenge = challenge_in(refusal)
        if challenge is not None:
            self._carries(url)
            if not foreign:
                self._locations.suggest(url, challenge.challenge_uri)
                named = resolved(url, challenge.challenge_uri)
                if named is not None:
                    self._apis.remember(url, named)
                else:  # on another origin: not asked, but each API has its own
                    self._labels.remember(url, challenge.challenge_uri)
            self._pool.told(self._place(url), self._passed())
            self._observe(ChallengeTaken(url, challenge))
            return challenge
        for place in self._places(url, source, refusal):
            challenge, shed = yield from self._fetch(place, url)
            if challenge is not None:
                if not foreign:
                    self._locations.remember(url, place.url)
                return challenge
            if shed:
                return None
        raise NotFoundError(
            f"the server answered {refusal.status} and no challenge was found for {url}; "
            "give the address of its /pch/challenge (challenge_url): an HTTP API never says it in a refusal",
            code=NO_CHALLENGE,
        )

    def keep_refused(self, url: str, refusal: Answer) -> None:
        """Keep the nonce that came with a final refusal for the next request to the same place."""
        challenge = challenge_in(refusal)
        if challenge is not None:
            self._carries(url)
            self._at_hand.keep(url, challenge, self._passed())

    def keep_next(self, request: Plain, answered: Challenge, answer: Answer, since: float) -> None:
        """Keep the nonce that came with an answer for the next request to the same API.

        Args:
            request: what was sent.
            answered: the challenge it was signed for: the next one asks for the same.
            answer: the answer; that of another request (a redirect was followed) says nothing.
            since: when the request was sent.
        """
        if answer.next_nonce is None or not let_through(answer):
            return
        if origin(answer.request.url) != origin(request.url) or moved(request, answer):
            return
        following = replace(answered, nonce=answer.next_nonce, further=())
        self._pool.add(self._place(request.url), [following], since)

    def bare_here(self, url: str) -> bool:
        """Tell whether a refusal without a challenge may be Signet's: on this origin none has carried one.

        False too where no other challenge could be had.
        """
        known = self._known_source(url) is not None or self._locations.find(url) is not None
        return known and origin(url) not in self._carrying

    def drop(self, url: str) -> None:
        """Forget the nonces for an API: one was not taken, so the others will not be either."""
        self._pool.drop(self._place(url))

    def evidence_url(self, url: str, challenge: Challenge) -> str | None:
        """Return where a bundle goes, or None if that is not said.

        Where the caller's settings, or the API's own document, name another origin, it goes there, not where
        a challenge says.
        """
        source = self._known_source(url)
        elsewhere = None if source is None else source.takes_evidence(url)
        if elsewhere is not None:
            return elsewhere
        return resolved(url, challenge.evidence_uri) if challenge.evidence_uri else None

    def _carries(self, url: str) -> None:
        if len(self._carrying) >= MAX_ORIGINS:
            self._carrying.clear()
        self._carrying.add(origin(url))

    def _place(self, url: str) -> Place:
        source = self._known_source(url)
        where = f"{source.url} {source.api}" if source else self._labels.find(url) or self._apis.find(url)
        return origin(url), where or ""

    def _known_source(self, url: str) -> Source | None:
        return self._given or self._discovered.get(origin(url), (None, 0.0))[0]

    def _source(self, url: str) -> Generator[Step, Answer, Source | None]:
        """Return what the caller's settings say, or the origin itself, if it shall be asked."""
        if self._given is not None or not self._discover:
            return self._given
        found, until = self._discovered.get(origin(url), (None, 0.0))
        if self._passed() < until:
            return found
        asked = discovery_url(url)
        answer = yield FetchChallenge(asked)
        here = answer.status == _OK and answer.request.url == asked
        found = source_in(answer.body, url) if here else None
        if len(self._discovered) >= MAX_ORIGINS:
            self._discovered.clear()
        counts = _SILENT_S if found is None else _DISCOVERED_S
        self._discovered[origin(url)] = (found, self._passed() + counts)
        return found

    def _places(self, url: str, source: Source | None, refusal: Answer) -> list[Source]:
        if source is not None and source.foreign(url):
            return [source]
        known = self._locations.find(url) if source is None else source.url
        others = [Source(place) for place in candidates(url, named_location(refusal)) if place != known]
        return others if known is None else [source or Source(known), *others]

    def _ask_around(self, url: str) -> Steps:
        """Ask for a challenge where one usually is, once per origin if there is none."""
        if origin(url) in self._silent:
            return None
        for location in candidates(url, None):
            challenge, shed = yield from self._fetch(Source(location), url)
            if challenge is not None:
                self._locations.remember(url, location)
            if challenge is not None or shed:
                return challenge
        if len(self._silent) >= MAX_ORIGINS:
            self._silent.clear()
        self._silent.add(origin(url))
        return None

    def _fetch(self, source: Source, url: str) -> Generator[Step, Answer, tuple[Challenge | None, bool]]:
        """Ask for challenges; keep all but the first. Returns that, and whether the server sheds load."""
        target, since = source.asks(url), self._passed()
        answer = yield FetchChallenge(target)
        if answer.status != _OK or origin(answer.request.url) != origin(target):
            if source.foreign(url) and answer.status not in SHED:
                raise NotFoundError(_none_there(source, url, answer), code=NO_CHALLENGE)
            return None, answer.status in SHED
        challenge = challenge_in(answer) or challenge_from_json(answer.body)
        if challenge is not None:
            if not source.foreign(url):
                self._apis.remember(url, source.url)
            self._pool.told(self._place(url), since)
            further = nonces_in(answer.body) - {challenge.nonce}
            self._pool.add(self._place(url), (replace(challenge, nonce=nonce) for nonce in further), since)
            self._observe(ChallengeTaken(target, challenge))
        return challenge, False


def _none_there(source: Source, url: str, answer: Answer) -> str:
    said = json_error_in(answer.body)
    because = f", {said}" if said else ""
    named = "" if source.api is None else f" (api {source.api})"
    return (
        f"the challenge URL {source.url}{named} answers {answer.status}{because} for {origin(url)[1]}; "
        "signet apis list shows under which name an API is registered, and which authorities it has"
    )
