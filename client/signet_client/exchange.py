"""The client's side of the handshake, without any I/O (protocol section 1).

``Exchange.run`` is a generator: it yields what to send and is sent what came back, so that one piece
of code serves httpx, its async client and requests. For one request of the caller it goes

    a nonce at hand?  ── no ──▶ is the challenge's place known?  ── no ──▶ send unsigned ──▶ 401 / 403
           │ yes                       │ yes: fetch one                       │ challenge in the answer,
           ▼                           ▼                                      ▼ or found by its address
         send signed ◀─────────────────┴──────────────────────────────────────┘
           │ refused because of the nonce or the clock: once more with a fresh one, never twice

A 503 that names a short time (Retry-After) is waited for, once, and the whole is tried again, if the
request may be repeated.

A nonce is used once, by whichever thread takes it. Nothing is ever signed for another origin than the
one the caller addressed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import urlsplit

from signet.errors import NotFoundError, UsageError
from signet.handshake.challenge import Challenge
from signet_client.addresses import Locations, candidates, canonical_url, challenge_request, origin
from signet_client.answers import (
    REFUSALS,
    Patience,
    challenge_from_json,
    challenge_in,
    error_of,
    named_location,
    skew_of,
)
from signet_client.messages import (
    Answer,
    Answered,
    ChallengeTaken,
    FetchChallenge,
    Observer,
    RequestSigned,
    SendRequest,
    Step,
    Wait,
)
from signet_client.signing import Plain, Signer, binding_field, sign

#: Seconds after which a nonce at hand is not worth a try; the server's default lifetime is 300 s.
NONCE_FRESH_S = 240
MAX_NONCES_AT_HAND = 256

_SHED = frozenset({429, 503})
_OK = 200
_NONCE_ERRORS = frozenset({"nonce_expired", "nonce_invalid", "nonce_replayed"})

_Steps: TypeAlias = Generator[Step, Answer, Challenge | None]


@dataclass(frozen=True, slots=True)
class Channel:
    """How requests are bound to their connection.

    Attributes:
        field: ``PCH-Channel-Binding`` of every request, or None.
        late: whether each connection says its own when a request goes out on it (tls-exporter).
    """

    field: str | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two times an exchange needs: Unix seconds to sign, monotonic seconds to age nonces."""

    unix: Callable[[], float]
    monotonic: Callable[[], float]


class Exchange:
    """Runs handshakes for one key; safe to share between threads."""

    def __init__(
        self,
        signer: Signer,
        *,
        clocks: Clocks,
        patience: Patience,
        channel: Channel,
        evidence: str | None = None,
        challenge_url: str | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._signer = signer
        self._clocks = clocks
        self._patience = patience
        self._channel = channel
        self._skew: dict[tuple[str, str], int] = {}
        self._evidence = evidence
        self._challenge_url = challenge_url
        self._observe: Observer = observer or (lambda _event: None)
        self._locations = Locations()
        self._at_hand: dict[str, tuple[Challenge, float]] = {}

    def run(self, request: Plain, *, may_prefetch: bool) -> Generator[Step, Answer, None]:
        """Yield what to send for one request of the caller; the last answer to it is the caller's.

        Args:
            request: the caller's request; its URL is canonicalised before it is sent.
            may_prefetch: whether a challenge can be fetched before the request was sent at all.

        Raises:
            UsageError: the request cannot be signed, or not be bound to its connection.
            NotFoundError: the server refuses, but hands out no challenge.
        """
        request = replace(request, url=canonical_url(request.url))
        answer = yield from _last(self._attempt(request, may_prefetch=may_prefetch))
        pause = self._patience.pause(request.method, answer)
        if pause is not None:
            yield Wait(pause)
            yield from self._attempt(request, may_prefetch=True)

    def _attempt(self, request: Plain, *, may_prefetch: bool) -> Generator[Step, Answer, None]:
        challenge = self._take(request.url)
        reused = challenge is not None
        if challenge is None and may_prefetch:
            challenge = yield from self._prefetch(request.url)
        if challenge is None:
            answer = yield from self._send(request, None)
            if not _refused_here(answer, request):
                return
            request = _after_redirects(request, answer)
            challenge = yield from self._challenge_for(request.url, answer)
            if challenge is None:
                return
        yield from self._prove(request, challenge, reused=reused)

    def _prove(self, request: Plain, challenge: Challenge, *, reused: bool) -> Generator[Step, Answer, None]:
        """Send signed; if nonce, clock or a redirect was the trouble, once more with a fresh nonce."""
        answer = yield from self._send(request, challenge)
        if not _refused_here(answer, request):
            return
        skew = skew_of(answer, self._clocks.unix())
        if skew is not None:
            self._skew[origin(request.url)] = skew
        elif not _worth_another_try(answer, request, reused=reused):
            self._keep(request.url, answer)
            return
        request = _after_redirects(request, answer)
        fresh = yield from self._challenge_for(request.url, answer)
        if fresh is not None:
            answer = yield from self._send(request, fresh)
            if _refused_here(answer, request):
                self._keep(request.url, answer)

    def _send(self, request: Plain, challenge: Challenge | None) -> Generator[Step, Answer, Answer]:
        if challenge is None:
            answer = yield SendRequest(request, {})
        elif self._channel.late:
            answer = yield from self._send_bound(request, challenge)
        else:
            answer = yield SendRequest(request, self._sign(request, challenge, self._channel.field))
        self._observe(Answered(answer.request.url, answer.status, error_of(answer)))
        return answer

    def _send_bound(self, request: Plain, challenge: Challenge) -> Generator[Step, Answer, Answer]:
        """Have the request signed when its connection is known."""
        proven = False

        def prove(url: str, exporter: bytes) -> Mapping[str, str]:
            nonlocal proven
            if canonical_url(url) != request.url:
                return {}
            proven = True
            return self._sign(request, challenge, binding_field("tls-exporter", exporter))

        answer = yield SendRequest(request, {}, prove)
        if not proven:
            raise UsageError(
                "the HTTP client cannot bind requests to their TLS channel; give httpx.Client "
                "transport=ExporterTransport(), or mount ExporterAdapter() in the session of requests"
            )
        return answer

    def _sign(self, request: Plain, challenge: Challenge, binding: str | None) -> Mapping[str, str]:
        signed = sign(
            request,
            self._signer,
            nonce=challenge.nonce,
            now=int(self._clocks.unix()) + self._skew.get(origin(request.url), 0),
            evidence=self._evidence,
            binding=binding,
        )
        self._observe(RequestSigned(request, signed))
        return signed.fields

    def _prefetch(self, url: str) -> _Steps:
        location = self._challenge_url or self._locations.find(url)
        if location is None:
            return None
        challenge, shed = yield from self._fetch(location, url)
        if challenge is None and not shed:
            self._locations.forget(location)
        return challenge

    def _challenge_for(self, url: str, refusal: Answer) -> _Steps:
        """Find a fresh challenge: in the refusal itself, where it says, or along the path's parents.

        Returns None if the server sheds load instead; its 503 is then the caller's answer.
        """
        challenge = challenge_in(refusal)
        if challenge is not None:
            self._locations.suggest(url, challenge.challenge_uri)
            self._observe(ChallengeTaken(url, challenge))
            return challenge
        known = self._challenge_url or self._locations.find(url)
        places = list(candidates(url, named_location(refusal)))
        for location in places if known is None else [known, *(p for p in places if p != known)]:
            challenge, shed = yield from self._fetch(location, url)
            if challenge is not None:
                self._locations.remember(url, location)
                return challenge
            if shed:
                return None
        raise NotFoundError(
            f"the server answered {refusal.status} and no challenge was found for {url}; "
            "give the address of its /pch/challenge (challenge_url)"
        )

    def _fetch(self, location: str, url: str) -> Generator[Step, Answer, tuple[Challenge | None, bool]]:
        target = challenge_request(location, url)
        answer = yield FetchChallenge(target)
        if answer.status != _OK or origin(answer.request.url) != origin(url):
            return None, answer.status in _SHED
        challenge = challenge_in(answer) or challenge_from_json(answer.body)
        if challenge is not None:
            self._observe(ChallengeTaken(target, challenge))
        return challenge, False

    def _keep(self, url: str, refusal: Answer) -> None:
        """Keep the nonce that came with a final refusal for the next request to the same place."""
        challenge = challenge_in(refusal)
        if challenge is not None:
            if len(self._at_hand) >= MAX_NONCES_AT_HAND:
                self._at_hand.clear()
            self._at_hand[_place(url)] = (challenge, self._clocks.monotonic())

    def _take(self, url: str) -> Challenge | None:
        # dict.pop is atomic: of two threads one gets the nonce, the other none.
        challenge, since = self._at_hand.pop(_place(url), (None, 0.0))
        if challenge is None or self._clocks.monotonic() - since > NONCE_FRESH_S:
            return None
        self._observe(ChallengeTaken(url, challenge))
        return challenge


def _last(steps: Generator[Step, Answer, None]) -> Generator[Step, Answer, Answer]:
    """Run steps and return the last answer; there is at least one."""
    step = next(steps)
    while True:
        answer = yield step
        try:
            step = steps.send(answer)
        except StopIteration:
            return answer


def _place(url: str) -> str:
    # A nonce is good for the binding its route requires, so it is kept for that route alone.
    return url.partition("?")[0]


def _refused_here(answer: Answer, request: Plain) -> bool:
    """Tell whether the origin that the caller addressed refuses; another origin's word counts nothing."""
    return answer.status in REFUSALS and origin(answer.request.url) == origin(request.url)


def _after_redirects(request: Plain, answer: Answer) -> Plain:
    return (
        replace(answer.request, url=canonical_url(answer.request.url)) if _moved(request, answer) else request
    )


def _moved(request: Plain, answer: Answer) -> bool:
    sent, answered = urlsplit(request.url), urlsplit(answer.request.url)
    return (sent.path, sent.query) != (answered.path or "/", answered.query)


def _worth_another_try(answer: Answer, request: Plain, *, reused: bool) -> bool:
    error = error_of(answer)
    stale = error in _NONCE_ERRORS or (error is None and reused)
    return stale or _moved(request, answer)
