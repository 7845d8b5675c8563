"""The client's side of the handshake, without any I/O (docs/protocol.md).

``Exchange.run`` is a generator: it yields what to send and is sent what came back, so that one piece
of code serves httpx, its async client and requests. For one request of the caller it goes

    a nonce at hand?  ── no ──▶ is the challenge's place known?  ── no ──▶ send unsigned ──▶ 401 / 403
           │ yes                       │ yes: fetch one                       │ challenge in the answer,
           ▼                           ▼                                      ▼ or found by its address
         send signed ◀─────────────────┴──────────────────────────────────────┘
           │ refused for its nonce, the clock, the header budget or what it does not cover:
           ▼ once more with a fresh one, never twice

A large content is not sent for a challenge alone: where the place is not known yet, the usual ones are
asked first.

A 503 that names a short time (Retry-After) is waited for, once, and the whole is tried again, if the
request may be repeated.

Signing may put bulk into a bundle (``signet_client.placement``), which is then posted before the request.
A nonce is used once, by the thread that takes it.

A redirect is never signed, on the same origin no more than on another: a proof says that the caller wants
this very request, and the caller did not ask for what the redirect names. What a library follows by itself
goes there without a proof; where the same origin then asks for one, the caller is told to call that address.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from signet.core.errors import NotFoundError, UsageError
from signet.core.vocabulary import BindingType
from signet.handshake.challenge import Challenge
from signet_client.addresses import (
    Locations,
    candidates,
    canonical_url,
    challenge_request,
    origin,
    resolved,
)
from signet_client.answers import (
    REFUSALS,
    RetryPolicy,
    challenge_from_json,
    challenge_in,
    error_of,
    named_location,
    refused_here,
    skew_of,
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
    Wait,
)
from signet_client.nonces import NoncesAtHand
from signet_client.placement import Form, Prepared, ProofPlacement
from signet_client.signing import Plain, binding_field

_SHED = frozenset({429, 503})
_OK, _CREATED = 200, 201
_TOO_FAT = "header_budget_exceeded"
_NONCE_ERRORS = frozenset({"nonce_expired", "nonce_invalid", "nonce_replayed"})

#: Code of the ``NotFoundError`` of a refusal without a challenge: what answers is not guarded by Signet.
NO_CHALLENGE: Final = "no_challenge"
#: From this size on a content is worth more requests than one to be sent only once.
LARGE_CONTENT_BYTES: Final = 65_536
MAX_SILENT_ORIGINS: Final = 256

_Steps: TypeAlias = Generator[Step, Answer, Challenge | None]


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two times an exchange needs: Unix seconds to sign, and those that have passed, to age nonces."""

    unix: Callable[[], float]
    passed: Callable[[], float]


class Exchange:
    """Runs handshakes for one key; safe to share between threads."""

    def __init__(
        self,
        placement: ProofPlacement,
        *,
        clocks: Clocks,
        retry_policy: RetryPolicy,
        challenge_url: str | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._placement = placement
        self._clocks = clocks
        self._retry_policy = retry_policy
        self._skew: dict[tuple[str, str], int] = {}
        self._challenge_url = challenge_url
        self._observe: Observer = observer or (lambda _event: None)
        self._locations = Locations()
        self._at_hand = NoncesAtHand()
        self._silent: set[tuple[str, str]] = set()

    def run(self, request: Plain) -> Generator[Step, Answer, None]:
        """Yield what to send for one request of the caller; the last answer to it is the caller's.

        Args:
            request: the caller's request; its URL is canonicalised before it is sent.

        Raises:
            UsageError: the request cannot be signed, or not be bound to its connection, or the server does
                not take its evidence, or it redirects to an address that asks for a proof.
            NotFoundError: code ``no_challenge``: the server refuses, but hands out no challenge.
        """
        request = replace(request, url=canonical_url(request.url))
        answer = yield from _last(self._attempt(request))
        pause = self._retry_policy.pause(request.method, answer)
        if pause is not None:
            yield Wait(pause)
            yield from self._attempt(request)

    def _attempt(self, request: Plain) -> Generator[Step, Answer, None]:
        challenge = self._take(request.url)
        reused = challenge is not None
        if challenge is None:
            challenge = yield from self._prefetch(request)
        if challenge is None:
            answer = yield from self._send(SendRequest(request, {}))
            if not refused_here(answer, request):
                return
            challenge = yield from self._challenge_for(request.url, answer)
            if challenge is None:
                return
        yield from self._prove(request, challenge, reused=reused)

    def _prove(self, request: Plain, challenge: Challenge, *, reused: bool) -> Generator[Step, Answer, None]:
        """Send signed; for nonce, clock, size or coverage once more, with a fresh nonce."""
        prepared = self._prepare(request, challenge)
        answer = yield from self._present(request, challenge, prepared)
        if not refused_here(answer, request):
            return
        too_fat = error_of(answer) == _TOO_FAT and self._placement.has_smaller_form(prepared.form)
        skew = skew_of(answer, self._clocks.unix())
        if skew is not None:
            self._skew[origin(request.url)] = skew
        elif not (too_fat or _asks_for_more(answer, request, challenge)) and not _worth_another_try(
            answer, reused=reused
        ):
            self._keep(request.url, answer)
            return
        fresh = yield from self._challenge_for(request.url, answer)
        if fresh is not None:
            # What was too much for one budget goes apart, also if the next one is larger.
            least = Form.DETACHED if too_fat else Form.INLINE
            answer = yield from self._present(request, fresh, self._prepare(request, fresh, least))
            if refused_here(answer, request):
                self._keep(request.url, answer)

    def _prepare(self, request: Plain, challenge: Challenge, least: Form = Form.INLINE) -> Prepared:
        return self._placement.prepare(request, challenge, now=self._server_time(request), least=least)

    def _server_time(self, request: Plain) -> int:
        return int(self._clocks.unix()) + self._skew.get(origin(request.url), 0)

    def _present(
        self, request: Plain, challenge: Challenge, prepared: Prepared
    ) -> Generator[Step, Answer, Answer]:
        """Send a proof, its bundle first if it has one; if that is refused, so is the request."""
        if not self._placement.channel.late:
            self._observe(RequestSigned(request, prepared.signed))
        if prepared.bundle is not None:
            answer = yield from self._post(request, challenge, prepared.bundle)
            if answer.status != _CREATED:
                return replace(answer, request=request)
        if self._placement.channel.late:
            return (yield from self._send_bound(request, challenge, prepared.form))
        return (yield from self._send(SendRequest(request, prepared.signed.fields)))

    def _post(self, request: Plain, challenge: Challenge, bundle: bytes) -> Generator[Step, Answer, Answer]:
        url = resolved(request.url, challenge.evidence_uri) if challenge.evidence_uri else None
        if url is None:
            raise UsageError(
                "the header fields do not fit and the server does not say where evidence goes; "
                "send less evidence, or use mode inline"
            )
        answer = yield PostEvidence(url, bundle, challenge.nonce)
        self._observe(EvidencePosted(url, len(bundle), answer.status))
        if answer.status not in {_CREATED, *REFUSALS, *_SHED}:
            raise UsageError(
                f"the server did not take the evidence ({answer.status}); send less of it, or use mode inline"
            )
        return answer

    def _send(self, step: SendRequest) -> Generator[Step, Answer, Answer]:
        answer = yield step
        self._observe(Answered(answer.request.url, answer.status, error_of(answer)))
        return answer

    def _send_bound(
        self, request: Plain, challenge: Challenge, form: Form
    ) -> Generator[Step, Answer, Answer]:
        """Have the request signed when its connection is known."""
        proven = False

        def prove(url: str, exporter: bytes) -> Mapping[str, str]:
            nonlocal proven
            if canonical_url(url) != request.url:
                return {}
            proven = True
            signed = self._placement.in_form(
                form,
                request,
                challenge,
                now=self._server_time(request),
                binding=binding_field(BindingType.TLS_EXPORTER, exporter),
            ).signed
            self._observe(RequestSigned(request, signed))
            return signed.fields

        answer = yield from self._send(SendRequest(request, {}, prove))
        if not proven:
            raise UsageError(
                "the HTTP client cannot bind requests to their TLS channel; give httpx.Client "
                "transport=ExporterTransport(), httpx.AsyncClient transport=AsyncExporterTransport(), "
                "or mount ExporterAdapter() in the session of requests"
            )
        return answer

    def _prefetch(self, request: Plain) -> _Steps:
        url = request.url
        location = self._challenge_url or self._locations.find(url)
        if location is None:
            return (yield from self._ask_around(url)) if len(request.body) >= LARGE_CONTENT_BYTES else None
        challenge, shed = yield from self._fetch(location, url)
        if challenge is None and not shed:
            self._locations.forget(location)
        return challenge

    def _ask_around(self, url: str) -> _Steps:
        """Ask for a challenge where one usually is, once per origin if there is none."""
        if origin(url) in self._silent:
            return None
        for location in candidates(url, None):
            challenge, shed = yield from self._fetch(location, url)
            if challenge is not None:
                self._locations.remember(url, location)
            if challenge is not None or shed:
                return challenge
        if len(self._silent) >= MAX_SILENT_ORIGINS:
            self._silent.clear()
        self._silent.add(origin(url))
        return None

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
            "give the address of its /pch/challenge (challenge_url)",
            code=NO_CHALLENGE,
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
            self._at_hand.keep(url, challenge, self._clocks.passed())

    def _take(self, url: str) -> Challenge | None:
        challenge = self._at_hand.take(url, self._clocks.passed())
        if challenge is not None:
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


def _asks_for_more(answer: Answer, request: Plain, answered: Challenge) -> bool:
    """Tell whether a refusal names components that the challenge before did not, and that can be covered."""
    challenge = challenge_in(answer)
    if challenge is None or challenge.error != "component_missing":
        return False
    new = set(challenge.components) - set(answered.components)
    return not new.isdisjoint((*request.headers, "content-digest"))


def _worth_another_try(answer: Answer, *, reused: bool) -> bool:
    error = error_of(answer)
    return error in _NONCE_ERRORS or (error is None and reused)
