"""``PCHAuth``: the handshake as an authentication scheme of httpx and of requests.

    client = httpx.Client(auth=PCHAuth("caller.pem", "caller-1"))
    requests.get(url, auth=PCHAuth("caller.pem", "caller-1"))

Both libraries, and httpx's async client, drive the one I/O-free ``Exchange``. A 503 with
``Retry-After`` (the server sheds load) is returned as it is.

Redirects: a request is signed again only for the origin the caller addressed. httpx itself decides what
header fields follow a redirect that it was told to follow (it removes ``Authorization`` only), so a
proof already made travels along; it is good for nothing but the very request it was made for. With
requests the proof is removed before a redirect is followed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from signet.errors import KeyFileError, UsageError
from signet.handshake.keyfiles import load_private
from signet.handshake.suites import PrivateKey
from signet_client.exchange import Clocks, Exchange
from signet_client.messages import (
    CHALLENGE_FIELDS,
    Answer,
    FetchChallenge,
    Observer,
    PostEvidence,
    SendRequest,
    Step,
)
from signet_client.relaxing import Relaxer, check_mode
from signet_client.signing import PROOF_FIELDS, Plain, Signer, canonical_evidence

if TYPE_CHECKING:
    import requests

BINDINGS = ("none", "tls-exporter", "tls-client-cert")
_Flow = Generator[Step, Answer, None]


class PCHAuth(httpx.Auth):
    """Signs requests with one key; give it to ``httpx`` or ``requests`` as ``auth``.

    One object may serve many requests, threads and tasks at once; it learns where each server hands out
    challenges, so that from the second request on none is sent unsigned (httpx).

    Args:
        key: the private key, or the path of its file (made by ``signet keygen``).
        keyid: the key id it is registered under; by default the key's own.
        alg: suite the key must be of; None for whichever it is.
        binding: channel binding; this version offers ``none``.
        evidence: JSON object to put on record with each request, signed.
        mode: ``inline`` puts everything into header fields, ``detached`` evidence and signature into a
            bundle that is posted first; ``auto`` moves there only what exceeds the server's header budget.
        challenge_url: where challenges are handed out, if the client shall not find out by itself.
        observer: called with each event of a handshake (``signet_client.messages``), for display.
        unix_clock: Unix seconds; a parameter for tests.

    Raises:
        UsageError: an option makes no sense, or this version cannot do it.
        KeyFileError: the key file cannot be used.
    """

    def __init__(
        self,
        key: PrivateKey | str | PathLike[str],
        keyid: str | None = None,
        *,
        alg: str | None = None,
        binding: str = "none",
        evidence: Mapping[str, Any] | None = None,
        mode: str = "auto",
        challenge_url: str | None = None,
        observer: Observer | None = None,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        check_binding(binding)
        check_mode(mode)
        private = key if isinstance(key, PrivateKey) else read_key(Path(key), alg)
        if alg is not None and private.alg != alg:
            raise UsageError(f"the key is of {private.alg}, not of {alg}; give another key or another alg")
        self._exchange = Exchange(
            Relaxer(
                Signer(private, keyid or private.key_id),
                None if evidence is None else canonical_evidence(evidence),
                mode,
            ),
            clocks=Clocks(unix_clock, time.monotonic),
            challenge_url=challenge_url,
            observer=observer,
        )

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See ``httpx.Auth``."""
        request.read()
        _state_length(request)
        flow = self._exchange.run(_plain_httpx(request), may_prefetch=True)
        step: Step | None = next(flow)
        while step is not None:
            response = yield _to_httpx(step, request)
            if not isinstance(step, SendRequest):
                response.read()
            elif response.request is not request:
                request = response.request
                request.read()
            step = _advance(flow, _answer_httpx(step, response))

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """See ``httpx.Auth``."""
        await request.aread()
        _state_length(request)
        flow = self._exchange.run(_plain_httpx(request), may_prefetch=True)
        step: Step | None = next(flow)
        while step is not None:
            response = yield _to_httpx(step, request)
            if not isinstance(step, SendRequest):
                await response.aread()
            elif response.request is not request:
                request = response.request
                await request.aread()
            step = _advance(flow, _answer_httpx(step, response))

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign or prepare a request of the ``requests`` library; its ``auth`` protocol."""
        body = _body_of(request)
        if request.body is not None:
            request.body = body
            request.headers.pop("Transfer-Encoding", None)
            request.prepare_content_length(body)
        # Before the first answer there is no connection a challenge could be fetched over.
        flow = self._exchange.run(_plain_requests(request), may_prefetch=False)
        first = next(flow)
        if isinstance(first, SendRequest):
            _dress(request, first)
        register: Any = request.register_hook  # untyped in requests' stubs
        register("response", partial(_resume, flow, request))
        return request


def check_binding(binding: str) -> None:
    """Refuse a channel binding that does not exist, or that this version's client cannot make.

    Raises:
        UsageError: it is not ``none``.
    """
    if binding not in BINDINGS:
        raise UsageError(f"there is no binding {binding!r}; use one of {', '.join(BINDINGS)}")
    if binding != "none":
        raise UsageError(
            f"this version's client cannot bind to the channel with {binding} yet "
            "(it comes with the TLS edge); use binding none"
        )


def read_key(path: Path, alg: str | None = None) -> PrivateKey:
    """Read a private key file.

    Raises:
        KeyFileError: it is missing, unreadable, or no key of that suite.
    """
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror or error}") from error
    try:
        return load_private(pem, alg)
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error}") from error


def _advance(flow: _Flow, answer: Answer) -> Step | None:
    try:
        return flow.send(answer)
    except StopIteration:
        return None


def _lowered(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return header fields by lower-case name, repeated ones joined, without those of an earlier proof."""
    found: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered not in PROOF_FIELDS:
            found[lowered] = f"{found[lowered]}, {value}" if lowered in found else value
    return found


def _plain_httpx(request: httpx.Request) -> Plain:
    return Plain(request.method, str(request.url), _lowered(request.headers.multi_items()), request.content)


def _state_length(request: httpx.Request) -> None:
    # The content was read to be signed; sent again, it need not be cut into chunks of unknown length.
    if request.headers.pop("transfer-encoding", None) is not None:
        request.headers["content-length"] = str(len(request.content))


def _to_httpx(step: Step, request: httpx.Request) -> httpx.Request:
    # The caller's timeouts hold for challenge and bundle too; its cookies and credentials stay away.
    if isinstance(step, FetchChallenge):
        return httpx.Request("GET", step.url, extensions=request.extensions)
    if isinstance(step, PostEvidence):
        return httpx.Request(
            "POST", step.url, headers=step.fields, content=step.bundle, extensions=request.extensions
        )
    request.url = httpx.URL(step.request.url)
    _set_fields(request.headers, step.fields)
    return request


def _answer_httpx(step: Step, response: httpx.Response) -> Answer:
    aside = not isinstance(step, SendRequest)
    request = response.request
    return Answer(
        status=response.status_code,
        challenges=[value for name in CHALLENGE_FIELDS for value in response.headers.get_list(name)],
        request=Plain(request.method, str(request.url), {}, b"") if aside else _plain_httpx(request),
        body=response.content if aside else b"",
    )


def _set_fields(headers: Any, fields: Mapping[str, str]) -> None:
    for name in PROOF_FIELDS:
        headers.pop(name, None)
    headers.update(fields)


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
    return Plain(
        request.method or "", request.url or "", _lowered(request.headers.items()), _body_of(request)
    )


def _dress(request: requests.PreparedRequest, step: SendRequest) -> None:
    request.url = step.request.url
    _set_fields(request.headers, step.fields)


def _resume(
    flow: _Flow, original: requests.PreparedRequest, response: requests.Response, **send_options: Any
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
                _set_fields(request.headers, {})
            return response
        if not aside:
            original = response.request
        sent = _advance(flow, _answer_requests(response, aside=aside))
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
    else:
        prepared = request.copy()
        _dress(prepared, step)
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
    )
