"""Drives an ``Exchange`` with the requests library, from its hooks."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from signet_client.exchange import Exchange
from signet_client.messages import (
    CHALLENGE_FIELDS,
    PROVE,
    Answer,
    FetchChallenge,
    PostEvidence,
    SendRequest,
    Step,
    Wait,
)
from signet_client.signing import Plain
from signet_client.wire import Flow, advance, lowered, set_fields

if TYPE_CHECKING:
    import requests


def start(exchange: Exchange, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign or prepare a request, and go on when its answer is there."""
    body = _body_of(request)
    if request.body is not None:
        request.body = body
        request.headers.pop("Transfer-Encoding", None)
        request.prepare_content_length(body)
    # Before the first answer there is no connection a challenge could be fetched over.
    flow = exchange.run(_plain_requests(request), may_prefetch=False)
    first = next(flow)
    if isinstance(first, SendRequest):
        _dress(request, first)
    register: Any = request.register_hook  # untyped in requests' stubs
    register("response", partial(_resume, flow, request))
    return request


def _body_of(request: requests.PreparedRequest) -> bytes:
    body: Any = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    content = body.read() if hasattr(body, "read") else b"".join(body)
    return content.encode() if isinstance(content, str) else bytes(content)


def _plain_requests(request: requests.PreparedRequest) -> Plain:
    return Plain(request.method or "", request.url or "", lowered(request.headers.items()), _body_of(request))


def _dress(request: requests.PreparedRequest, step: SendRequest) -> None:
    request.url = step.request.url
    set_fields(request.headers, step.fields)
    setattr(request, PROVE, step.prove)


def _resume(
    flow: Flow, original: requests.PreparedRequest, response: requests.Response, **send_options: Any
) -> requests.Response:
    """Go on with a handshake when an answer is there; a response hook of requests.

    Steps are sent over the connection that answered, with the caller's own options. A redirect is left
    to requests, which calls this hook again with what comes after it.
    """
    sent: Step | None = None
    while True:
        aside = sent is not None and not isinstance(sent, SendRequest)
        if response.is_redirect and not aside:
            for request in (original, response.request):
                set_fields(request.headers, {})
            return response
        if not aside:
            original = response.request
        answer = _answer_requests(response, aside=aside)
        sent = advance(flow, answer)
        if isinstance(sent, Wait):
            time.sleep(sent.seconds)
            sent = advance(flow, answer)
        if sent is None:
            return response
        response = _send_requests(sent, original, response, send_options)


def _send_requests(
    step: Step, request: requests.PreparedRequest, answered: requests.Response, send_options: dict[str, Any]
) -> requests.Response:
    import requests  # whoever gets here has it; httpx users need not  # noqa: PLC0415

    _ = answered.content  # drained, so that its connection can be used again
    answered.close()
    if isinstance(step, FetchChallenge):
        prepared = requests.Request("GET", step.url).prepare()
    elif isinstance(step, PostEvidence):
        prepared = requests.Request("POST", step.url, headers=step.fields, data=step.bundle).prepare()
    elif isinstance(step, SendRequest):
        prepared = request.copy()
        _dress(prepared, step)
    else:  # the flow's caller has waited
        raise TypeError("there is nothing to send while waiting")
    response: requests.Response = answered.connection.send(prepared, **send_options)
    response.history = [*answered.history, answered]
    response.request = prepared
    return response


def _answer_requests(response: requests.Response, *, aside: bool) -> Answer:
    return Answer(
        status=response.status_code,
        challenges=[response.headers[name] for name in CHALLENGE_FIELDS if name in response.headers],
        request=_plain_requests(response.request),
        body=response.content if aside else b"",
        date=response.headers.get("Date"),
        retry_after=response.headers.get("Retry-After"),
    )
