"""The client's side of the handshake, without any I/O (protocol section 1).

``Exchange.run`` is a generator: it yields what to send and is sent what came back, so that one piece
of code serves httpx, its async client and requests. For one request of the caller it goes

    a nonce at hand?  ── no ──▶ is the challenge's place known?  ── no ──▶ send unsigned ──▶ 401 / 403
           │ yes                       │ yes: fetch one                       │ challenge in the answer,
           ▼                           ▼                                      ▼ or found by its address
         send signed ◀─────────────────┴──────────────────────────────────────┘
           │ refused because of the nonce or the header budget: once more with a fresh challenge, never twice

Signing may put bulk into a bundle (``signet_client.relaxing``), which is then posted before the request.
A nonce is used once, by whichever thread takes it. Nothing is ever signed for another origin than the
one the caller addressed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import urlsplit

from signet.errors import Denied, NotFoundError, UsageError
from signet.handshake.challenge import Challenge
from signet_client.addresses import (
    Locations,
    candidates,
    canonical_url,
    challenge_request,
    origin,
    resolved,
)
from signet_client.messages import (
    Answer,
    Answered,
    ChallengeTaken,
    EvidencePosted,
    FetchChallenge,
    Observer,
    PostEvidence,
    RequestSigned,
    SendRequest,
    Step,
)
from signet_client.relaxing import Form, Prepared, Relaxer
from signet_client.signing import Plain

#: Seconds after which a nonce at hand is not worth a try; the server's default lifetime is 300 s.
NONCE_FRESH_S = 240
MAX_NONCES_AT_HAND = 256

_UNAUTHORIZED, _FORBIDDEN = 401, 403  # emulators answer 403 where AWS maps the refusal to 401
_REFUSALS = frozenset({_UNAUTHORIZED, _FORBIDDEN})
_SHED = frozenset({429, 503})
_OK, _CREATED = 200, 201
_TOO_FAT = "header_budget_exceeded"
_NONCE_ERRORS = frozenset({"nonce_expired", "nonce_invalid", "nonce_replayed"})
_CHALLENGE_URI = re.compile(r'\bchallenge-uri="([^"\x00-\x20\x7f]{1,2048})"')


_Steps: TypeAlias = Generator[Step, Answer, Challenge | None]


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two times an exchange needs: Unix seconds to sign, monotonic seconds to age nonces."""

    unix: Callable[[], float]
    monotonic: Callable[[], float]


class Exchange:
    """Runs handshakes for one key; safe to share between threads."""

    def __init__(
        self,
        relaxer: Relaxer,
        *,
        clocks: Clocks,
        challenge_url: str | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._relaxer = relaxer
        self._clocks = clocks
        self._challenge_url = challenge_url
        self._observe: Observer = observer or (lambda _event: None)
        self._locations = Locations()
        self._at_hand: dict[str, tuple[Challenge, float]] = {}

    def run(self, request: Plain, *, may_prefetch: bool) -> Generator[Step, Answer, None]:
        """Yield what to send for one request of the caller; the last answer to it is the caller's.

        Args:
            request: the caller's request; its URL is canonicalised before it is sent.
            may_prefetch: whether anything else can be sent before the request was sent at all.

        Raises:
            UsageError: the request cannot be signed, or the server does not take its evidence.
            NotFoundError: the server refuses, but hands out no challenge.
        """
        request = replace(request, url=canonical_url(request.url))
        challenge = self._take(request.url)
        if (
            challenge is not None
            and not may_prefetch
            and self._prepare(request, challenge).bundle is not None
        ):
            challenge = None
        reused = challenge is not None
        if challenge is None and may_prefetch:
            challenge = yield from self._prefetch(request.url)
        if challenge is None:
            answer = yield from self._send(request, {})
            if not _refused_here(answer, request):
                return
            request = _after_redirects(request, answer)
            challenge = yield from self._challenge_for(request.url, answer)
            if challenge is None:
                return
        yield from self._prove(request, challenge, reused=reused)

    def _prove(self, request: Plain, challenge: Challenge, *, reused: bool) -> Generator[Step, Answer, None]:
        """Send signed; if nonce, size or a redirect was the trouble, once more with a fresh challenge."""
        prepared = self._prepare(request, challenge)
        answer = yield from self._present(request, challenge, prepared)
        if not _refused_here(answer, request):
            return
        too_fat = error_of(answer) == _TOO_FAT and self._relaxer.may_relax_beyond(prepared.form)
        if not too_fat and not _worth_another_try(answer, request, reused=reused):
            self._keep(request.url, answer)
            return
        request = _after_redirects(request, answer)
        fresh = yield from self._challenge_for(request.url, answer)
        if fresh is not None:
            # What was too much for one budget goes apart, whatever the next one says.
            least = Form.DETACHED if too_fat else Form.INLINE
            answer = yield from self._present(request, fresh, self._prepare(request, fresh, least))
            if _refused_here(answer, request):
                self._keep(request.url, answer)

    def _prepare(self, request: Plain, challenge: Challenge, least: Form = Form.INLINE) -> Prepared:
        return self._relaxer.prepare(
            request,
            nonce=challenge.nonce,
            now=int(self._clocks.unix()),
            budget=challenge.header_budget,
            least=least,
        )

    def _present(
        self, request: Plain, challenge: Challenge, prepared: Prepared
    ) -> Generator[Step, Answer, Answer]:
        """Send a proof, its bundle first if it has one; if that is refused, so is the request."""
        self._observe(RequestSigned(request, prepared.signed))
        if prepared.bundle is not None:
            answer = yield from self._post(request, challenge, prepared.bundle)
            if answer.status != _CREATED:
                return replace(answer, request=request)
        return (yield from self._send(request, prepared.signed.fields))

    def _post(self, request: Plain, challenge: Challenge, bundle: bytes) -> Generator[Step, Answer, Answer]:
        url = resolved(request.url, challenge.evidence_uri) if challenge.evidence_uri else None
        if url is None:
            raise UsageError(
                "the header fields do not fit and the server does not say where evidence goes; "
                "send less evidence, or use mode inline"
            )
        answer = yield PostEvidence(url, bundle, challenge.nonce)
        self._observe(EvidencePosted(url, len(bundle), answer.status))
        if answer.status not in {_CREATED, *_REFUSALS, *_SHED}:
            raise UsageError(
                f"the server did not take the evidence ({answer.status}); send less of it, or use mode inline"
            )
        return answer

    def _send(self, request: Plain, fields: Mapping[str, str]) -> Generator[Step, Answer, Answer]:
        answer = yield SendRequest(request, fields)
        self._observe(Answered(answer.request.url, answer.status, error_of(answer)))
        return answer

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
        places = list(candidates(url, _named_location(refusal)))
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
        challenge = challenge_in(answer) or _challenge_from_json(answer.body)
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


def challenge_in(answer: Answer) -> Challenge | None:
    """Return the complete challenge in an answer's header fields, or None."""
    for value in answer.challenges:
        try:
            return Challenge.from_header(value)
        except Denied:
            continue
    return None


def error_of(answer: Answer) -> str | None:
    """Return the decision code that a refusal names, or None."""
    challenge = challenge_in(answer) if answer.status in _REFUSALS else None
    return challenge.error if challenge else None


def _place(url: str) -> str:
    # A nonce is good for the binding its route requires, so it is kept for that route alone.
    return url.partition("?")[0]


def _named_location(answer: Answer) -> str | None:
    found = (_CHALLENGE_URI.search(value) for value in answer.challenges)
    return next((match[1] for match in found if match), None)


def _challenge_from_json(body: bytes) -> Challenge | None:
    """Read the challenge endpoint's JSON body, for gateways that lose its header field."""
    try:
        found = {str(name).replace("-", "_"): value for name, value in json.loads(body).items()}
        algs, nonce = found.get("algs", ()), found["nonce"]
        if not isinstance(nonce, str):
            return None
        return Challenge(
            realm=str(found.get("realm", "")),
            nonce=nonce,
            algs=tuple(algs.split() if isinstance(algs, str) else map(str, algs)),
            binding=str(found.get("binding", "none")),
            header_budget=int(found.get("header_budget", 0)),
            challenge_uri=str(found.get("challenge_uri", "")),
            evidence_uri=str(found.get("evidence_uri", "")),
            error=str(found.get("error", "challenge_required")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _refused_here(answer: Answer, request: Plain) -> bool:
    """Tell whether the origin that the caller addressed refuses; another origin's word counts nothing."""
    return answer.status in _REFUSALS and origin(answer.request.url) == origin(request.url)


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
