"""Drives an ``Exchange`` with the requests library, from its hooks.

requests asks its ``auth`` once, before a request goes out, and there is no connection yet. So where a
challenge or a bundle comes first, the request that it is about to send is turned into that one; when its
answer is there, the caller's own request goes out over the same connection. For ``Session`` it is the
caller's request again by then.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from signet.core.errors import UsageError
from signet_client.addresses import origin
from signet_client.answers import REFUSALS, next_nonce_in
from signet_client.exchange import Exchange
from signet_client.messages import (
    CHALLENGE_FIELDS,
    NEXT_NONCE_FIELD,
    PROVE,
    Answer,
    FetchChallenge,
    PostEvidence,
    SendRequest,
    Step,
    Wait,
)
from signet_client.signing import Plain
from signet_client.wire import Flow, advance, as_bytes, lowered, set_fields

if TYPE_CHECKING:
    import requests


def start(exchange: Exchange, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign or prepare a request, and go on when its answer is there.

    Raises:
        UsageError: the request cannot be signed.
    """
    _hold_content(request)
    handshake = _Handshake(exchange, request)
    # Before the caller's own hooks: raise_for_status and its like shall see the last answer, not a challenge.
    request.hooks.setdefault("response", []).insert(0, handshake.resume)
    return request


class _Handshake:
    """One request of the caller's, and where its handshake stands."""

    def __init__(self, exchange: Exchange, request: requests.PreparedRequest) -> None:
        self._exchange = exchange
        self._sent_by_session = request
        self._own = request.copy()
        self._step: Step | None = self._begin()
        _turn_into(request, self._step, self._own)

    def _begin(self) -> Step:
        self._flow: Flow = self._exchange.run(_plain(self._own))
        return next(self._flow)

    def resume(self, response: requests.Response, **send_options: Any) -> requests.Response:
        """Go on when an answer is there; a response hook of requests.

        Steps are sent over the connection that answered, with the caller's own options. A redirect is left
        to requests, without the proof; it calls this hook again with what comes after it.
        """
        try:
            _check_retries(getattr(response, "connection", None))
            if self._step is None:  # the same prepared request was sent once more, unproven
                if response.status_code not in REFUSALS:
                    return response
                self._step = self._begin()
                if not isinstance(self._step, SendRequest) or self._step.fields or self._step.prove:
                    response = self._send(self._step, response, send_options)
            return self._run(response, send_options)
        except BaseException:
            response.close()
            raise

    def _run(self, response: requests.Response, send_options: dict[str, Any]) -> requests.Response:
        while True:
            aside = not isinstance(self._step, SendRequest)
            if response.is_redirect and not aside:
                return self._give_back(response)
            answer = _answer(response, aside=aside)
            self._step = advance(self._flow, answer)
            if isinstance(self._step, Wait):
                time.sleep(self._step.seconds)
                self._step = advance(self._flow, answer)
            if self._step is None:
                return self._give_back(response)
            response = self._send(self._step, response, send_options)

    def _give_back(self, response: requests.Response) -> requests.Response:
        """Make the request that ``Session`` sent, and would redirect, the caller's own again: unproven."""
        _turn_into(self._sent_by_session, SendRequest(_plain(self._own), {}), self._own)
        if response.is_redirect:
            set_fields(response.request.headers, {})
        return response

    def _send(
        self, step: Step, answered: requests.Response, send_options: dict[str, Any]
    ) -> requests.Response:
        _ = answered.content  # drained, so that its connection can be used again
        answered.close()
        prepared = self._own.copy()
        _turn_into(prepared, step, self._own)
        started = time.perf_counter()
        response: requests.Response = answered.connection.send(prepared, **send_options)
        response.elapsed = timedelta(seconds=time.perf_counter() - started)
        # From what is in the history, requests takes cookies for the origin of the caller's request.
        aside = origin(answered.request.url or "") != origin(self._own.url or "")
        response.history = [*answered.history, *([] if aside else [answered])]
        response.request = prepared
        return response


def _turn_into(request: requests.PreparedRequest, step: Step, own: requests.PreparedRequest) -> None:
    """Make a prepared request what a step wants sent."""
    aside: dict[str, str] | None = None
    if isinstance(step, SendRequest):
        request.method, request.url, request.body = own.method, step.request.url, own.body
        request.headers = own.headers.copy()
        set_fields(request.headers, step.fields)
    elif isinstance(step, FetchChallenge):
        aside, request.method, request.url, request.body = {}, "GET", step.url, None
    elif isinstance(step, PostEvidence):
        aside, request.method, request.url, request.body = step.fields, "POST", step.url, step.bundle
    else:  # the flow's caller has waited
        raise TypeError("there is nothing to send while waiting")
    if aside is not None:  # the caller's cookies and credentials stay away
        request.headers.clear()
        request.headers.update(aside)
        request.prepare_content_length(request.body)
    setattr(request, PROVE, step.prove if isinstance(step, SendRequest) else None)


def _hold_content(request: requests.PreparedRequest) -> None:
    """Read the content into memory: it is hashed, and may be sent twice."""
    if request.body is None:
        return
    body = as_bytes(request.body)
    request.body = body
    # The place in the file that requests would go back to before a redirect: there is no file any more.
    vars(request)["_body_position"] = None
    request.headers.pop("Transfer-Encoding", None)
    request.prepare_content_length(body)


def _plain(request: requests.PreparedRequest) -> Plain:
    return Plain(
        request.method or "", request.url or "", lowered(request.headers.items()), as_bytes(request.body)
    )


def _answer(response: requests.Response, *, aside: bool) -> Answer:
    answered = response.request
    return Answer(
        status=response.status_code,
        challenges=[response.headers[name] for name in CHALLENGE_FIELDS if name in response.headers],
        request=Plain(answered.method or "", answered.url or "", {}, b""),
        body=response.content if aside else b"",
        date=response.headers.get("Date"),
        retry_after=response.headers.get("Retry-After"),
        next_nonce=None if aside else next_nonce_in(response.headers.get(NEXT_NONCE_FIELD)),
    )


def _check_retries(adapter: Any) -> None:
    """Refuse an adapter that repeats refusals by itself.

    urllib3 would send the same proof again, which is good once, and turns the last refusal into an exception
    that no hook sees.

    Raises:
        UsageError: it does. Where the very first answer is such a refusal, requests raises ``RetryError``.
    """
    repeated = REFUSALS & set(getattr(getattr(adapter, "max_retries", None), "status_forcelist", None) or ())
    if repeated:
        raise UsageError(
            f"this session repeats requests answered with {' and '.join(map(str, sorted(repeated)))} "
            "(status_forcelist of its Retry), and a proof is good once; take them off the list: "
            "PCHAuth tries again by itself where that helps"
        )
