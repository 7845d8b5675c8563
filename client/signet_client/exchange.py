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

A 503 or 429 that names a short time (Retry-After) is waited for, once, and the whole is tried again, if the
request may be repeated.

Signing may put bulk into a bundle (``signet_client.placement``), which is then posted before the request.
A nonce is used once, by the thread that takes it. Challenges come in batches, and answers bring the next
nonce (``Signet-Nonce``), so that in a session hardly any request is for a challenge alone.

A redirect is never signed, on the same origin no more than on another: a proof says that the caller wants
this very request, and the caller did not ask for what the redirect names. What a library follows by itself
goes there without a proof; where the same origin then asks for one, the caller is told to call that address.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace

from signet.core.errors import UsageError
from signet.core.vocabulary import BindingType
from signet.handshake.challenge import Challenge
from signet_client.addresses import canonical_url, origin
from signet_client.answers import (
    REFUSALS,
    REPEATABLE,
    SHED,
    RetryPolicy,
    challenge_in,
    error_of,
    let_through,
    refused_here,
    skew_of,
)
from signet_client.finding import Finder
from signet_client.messages import (
    Answer,
    Answered,
    EvidencePosted,
    Observer,
    PostEvidence,
    RequestSigned,
    SendRequest,
    Step,
    Wait,
)
from signet_client.placement import Form, Prepared, ProofPlacement
from signet_client.signing import Plain, binding_field
from signet_client.sources import Source

_CREATED = 201
_TOO_FAT = "header_budget_exceeded"
_NONCE_ERRORS = frozenset({"nonce_expired", "nonce_invalid", "nonce_replayed"})


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
        source: Source | None = None,
        discover: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self._placement = placement
        self._clocks = clocks
        self._retry_policy = retry_policy
        self._skew: dict[tuple[str, str], int] = {}
        self._observe: Observer = observer or (lambda _event: None)
        self._finder = Finder(source, discover=discover, observe=self._observe, passed=clocks.passed)

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
        challenge = self._finder.at_hand(request.url)
        reused = challenge is not None
        if challenge is None:
            challenge = yield from self._finder.before(request)
        if challenge is None:
            answer = yield from self._send(SendRequest(request, {}))
            if not refused_here(answer, request):
                return
            challenge = yield from self._finder.after(request.url, answer)
            if challenge is None:
                return
        yield from self._prove(request, challenge, reused=reused)

    def _prove(self, request: Plain, challenge: Challenge, *, reused: bool) -> Generator[Step, Answer, None]:
        """Send signed; for nonce, clock, size or coverage once more, with a fresh nonce."""
        prepared = self._prepare(request, challenge)
        answer = yield from self._present(request, challenge, prepared)
        if not refused_here(answer, request) or let_through(answer):
            return
        too_fat = error_of(answer) == _TOO_FAT and self._placement.has_smaller_form(prepared.form)
        skew = skew_of(answer, self._clocks.unix())
        if skew is not None:
            self._skew[origin(request.url)] = skew
        elif not (too_fat or _asks_for_more(answer, request, challenge)) and not self._worth_another_try(
            request, answer, reused=reused
        ):
            self._finder.keep_refused(request.url, answer)
            return
        if reused:  # what else is at hand came with the same challenge
            self._finder.drop(request.url)
        fresh = yield from self._finder.after(request.url, answer)
        if fresh is not None:
            # What was too much for one budget goes apart, also if the next one is larger.
            least = Form.DETACHED if too_fat else Form.INLINE
            answer = yield from self._present(request, fresh, self._prepare(request, fresh, least))
            if refused_here(answer, request):
                self._finder.keep_refused(request.url, answer)

    def _worth_another_try(self, request: Plain, answer: Answer, *, reused: bool) -> bool:
        error = error_of(answer)
        if error is not None:
            return error in _NONCE_ERRORS
        if not (reused and self._finder.bare_here(request.url)):
            return False
        # Either the nonce was refused, or the backend refuses, which has seen the request then.
        self._finder.drop(request.url)
        return request.method.upper() in REPEATABLE

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
        since = self._clocks.passed()
        if self._placement.channel.late:
            answer = yield from self._send_bound(request, challenge, prepared.form)
        else:
            answer = yield from self._send(SendRequest(request, prepared.signed.fields))
        self._finder.keep_next(request, challenge, answer, since)
        return answer

    def _post(self, request: Plain, challenge: Challenge, bundle: bytes) -> Generator[Step, Answer, Answer]:
        url = self._finder.evidence_url(request.url, challenge)
        if url is None:
            raise UsageError(
                "the header fields do not fit and the server does not say where evidence goes on its own "
                "origin; give the address of Signet's /pch/challenge (challenge_url), send less evidence, or "
                "use mode inline"
            )
        answer = yield PostEvidence(url, bundle, challenge.nonce)
        self._observe(EvidencePosted(url, len(bundle), answer.status))
        if answer.status not in {_CREATED, *REFUSALS, *SHED}:
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
