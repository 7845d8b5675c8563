"""``PCHAuth``: the handshake as an authentication scheme of httpx and of requests.

    client = httpx.Client(auth=PCHAuth("caller.pem", "caller-1"))
    requests.get(url, auth=PCHAuth("caller.pem", "caller-1"))

Both libraries, and httpx's async client, drive the one I/O-free ``Exchange``. A 503 or 429 with a short
``Retry-After`` (the server sheds load) is waited for once; any other is returned as it is.

Redirects: no redirect is signed. A library that was told to follow them (requests does by default) goes there
without the proof; if the same origin then asks for one, ``UsageError`` names the address to call. What is
sent aside, for challenges and bundles, follows no redirect.

requests: ``Retry(status_forcelist=…)`` with 401 or 403 repeats a refusal as it is and never shows it to the
handshake (``RetryError: too many 401 error responses``); ``PCHAuth`` tries again by itself where that helps.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signet.core.clocks import Elapsed
from signet.core.errors import KeyFileError, UsageError
from signet.core.vocabulary import BINDING_TYPES, BindingType
from signet.crypto.keyfiles import load_private
from signet.crypto.keyforms import MAX_KEY_FILE_BYTES
from signet.crypto.suites import PrivateKey
from signet_client.answers import RetryPolicy, next_nonce_in
from signet_client.exchange import Clocks, Exchange
from signet_client.httpx_requests import aread_content, aside_request, own_request, read_content
from signet_client.messages import (
    CHALLENGE_FIELDS,
    NEXT_NONCE_FIELD,
    Answer,
    Observer,
    SendRequest,
    Step,
    Wait,
)
from signet_client.placement import Channel, ProofPlacement, check_mode
from signet_client.requests_flow import start
from signet_client.signing import Plain, Signer, binding_field, canonical_evidence, check_cover
from signet_client.sources import check_source
from signet_client.wire import advance, lowered

if TYPE_CHECKING:
    import requests

MAX_WAIT_S = 10.0
# PEM, a JSON Web Key, or base64 of DER (which begins with "M") in place of a path: secrets are often handed
# over in a variable of the environment, and SIGNET_KEY is one.
_KEY_ITSELF = re.compile(r"-----BEGIN |^\s*\{|^\s*M[A-Za-z0-9+/]{40,}={0,2}[\s\0]*$|\n")


class PCHAuth(httpx.Auth):
    """Signs requests with one key; give it to ``httpx`` or ``requests`` as ``auth``.

    One object may serve many requests, threads and tasks at once; it learns where each server hands out
    challenges, so that from the second request on none is sent unsigned, and keeps the nonces that come in
    batches and with answers, so that few are asked for: use one object for many requests.

    Args:
        key: the private key, or the path of its file (made by ``signet keygen``).
        keyid: the key id it is registered under; by default the key's own.
        alg: suite the key must be of; None for any suite.
        binding: channel binding: ``none``; ``tls-exporter``, for a client whose connections tell their
            exporter (``ExporterTransport`` and ``AsyncExporterTransport`` in httpx, ``ExporterAdapter`` in
            requests); ``tls-client-cert``, for one that presents ``certificate``.
        certificate: path of the TLS client certificate (PEM), with ``tls-client-cert``.
        evidence: JSON object to put on record with each request, signed.
        cover: names of header fields to sign if a request has them, beside ``Content-Type`` and
            ``Content-Encoding``, which always are, and what the server's challenge asks for. With
            ``content-digest`` requests without content have one too.
        mode: ``inline`` puts everything into header fields, ``detached`` evidence and signature into a
            bundle that is posted first; ``auto`` moves there only what exceeds the server's header budget.
            With ``tls-exporter`` the signature stays in its header field.
        challenge_url: where challenges are handed out, if the client shall not find out by itself. For an
            API whose gateway carries none (an HTTP API) it is the ChallengeUrl of the Signet that guards it,
            on another origin; evidence then goes there too. With requests, what is mounted for that origin
            also sends the request.
        api: name under which the API is registered at that Signet; None if it is Signet's own.
        discover: read from the API's own ``/.well-known/pch`` where its challenges come from, and believe it
            also if that is another origin; without ``challenge_url``.
        observer: called with each event of a handshake (``signet_client.messages``), for display.
        max_wait_s: longest ``Retry-After`` worth one more try, seconds; 0 for none.
        unix_clock: Unix seconds; a parameter for tests.

    Raises:
        UsageError: an option makes no sense.
        KeyFileError: the key file or the certificate cannot be used.
    """

    def __init__(
        self,
        key: PrivateKey | str | PathLike[str],
        keyid: str | None = None,
        *,
        alg: str | None = None,
        binding: str = "none",
        certificate: str | PathLike[str] | None = None,
        evidence: Mapping[str, Any] | None = None,
        cover: Collection[str] = (),
        mode: str = "auto",
        challenge_url: str | None = None,
        api: str | None = None,
        discover: bool = False,
        observer: Observer | None = None,
        max_wait_s: float = MAX_WAIT_S,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self._channel = _channel(binding, certificate)
        check_mode(mode)
        private = key if isinstance(key, PrivateKey) else read_key(Path(key), alg)
        if alg is not None and private.alg != alg:
            raise UsageError(f"the key is of {private.alg}, not of {alg}; give another key or another alg")
        self._exchange = Exchange(
            ProofPlacement(
                Signer(private, keyid or private.key_id),
                None if evidence is None else canonical_evidence(evidence),
                mode,
                self._channel,
                check_cover(cover),
            ),
            clocks=Clocks(unix_clock, Elapsed()),
            retry_policy=RetryPolicy(max_wait_s, random.random),
            source=check_source(challenge_url, api),
            discover=discover,
            observer=observer,
        )

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See ``httpx.Auth``."""
        read_content(request)
        flow = self._exchange.run(_plain_httpx(request))
        step: Step | None = next(flow)
        while step is not None:
            response = yield _to_httpx(step, request)
            if not isinstance(step, SendRequest):
                response.read()
            answer = _answer_httpx(step, response)
            step = advance(flow, answer)
            if isinstance(step, Wait):
                time.sleep(step.seconds)
                step = advance(flow, answer)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """See ``httpx.Auth``."""
        await aread_content(request)
        flow = self._exchange.run(_plain_httpx(request))
        step: Step | None = next(flow)
        while step is not None:
            response = yield _to_httpx(step, request)
            if not isinstance(step, SendRequest):
                await response.aread()
            answer = _answer_httpx(step, response)
            step = advance(flow, answer)
            if isinstance(step, Wait):
                await anyio.sleep(step.seconds)
                step = advance(flow, answer)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign or prepare a request of the ``requests`` library; its ``auth`` protocol."""
        return start(self._exchange, request)


def check_binding(binding: str, certificate: object = None) -> None:
    """Refuse a channel binding that does not exist, or one without what it binds to.

    Raises:
        UsageError: there is no such binding, or the certificate is missing or of no use with it.
    """
    if binding not in BINDING_TYPES:
        raise UsageError(f"there is no binding {binding!r}; use one of {', '.join(BINDING_TYPES)}")
    if (binding == BindingType.TLS_CLIENT_CERT) != (certificate is not None):
        raise UsageError("a TLS client certificate goes with the binding tls-client-cert, and it with one")


def _channel(binding: str, certificate: str | PathLike[str] | None) -> Channel:
    check_binding(binding, certificate)
    if certificate is None:
        return Channel(late=binding == BindingType.TLS_EXPORTER)
    try:
        der = x509.load_pem_x509_certificate(Path(certificate).read_bytes()).public_bytes(Encoding.DER)
    except OSError as error:
        raise KeyFileError(f"cannot read the certificate {certificate}: {error.strerror or error}") from error
    except ValueError as error:
        raise KeyFileError(f"{certificate} does not begin with a certificate in PEM") from error
    return Channel(binding_field(binding, hashlib.sha256(der).digest()))


def read_key(path: Path, alg: str | None = None) -> PrivateKey:
    """Read a private key file.

    Raises:
        KeyFileError: it is missing, unreadable, or no key of that suite.
    """
    try:
        with path.open("rb") as file:
            pem = file.read(MAX_KEY_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if _KEY_ITSELF.search(str(path)):
            raise KeyFileError(
                "this is a key where the path of its file belongs; write it to a file, and give its path "
                "(what was given is not shown)"
            ) from None
        raise KeyFileError(
            f"cannot read the key file {path}: {getattr(error, 'strerror', None) or error}"
        ) from error
    try:
        return load_private(pem, alg)
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error}") from error


def _plain_httpx(request: httpx.Request) -> Plain:
    return Plain(request.method, str(request.url), lowered(request.headers.multi_items()), request.content)


def _to_httpx(step: Step, request: httpx.Request) -> httpx.Request:
    if isinstance(step, Wait):  # the flow's caller has waited
        raise TypeError("there is nothing to send while waiting")
    return own_request(step, request) if isinstance(step, SendRequest) else aside_request(step, request)


def _answer_httpx(step: Step, response: httpx.Response) -> Answer:
    answered = response.request
    return Answer(
        status=response.status_code,
        challenges=[value for name in CHALLENGE_FIELDS for value in response.headers.get_list(name)],
        request=Plain(answered.method, str(answered.url), {}, b""),
        body=b"" if isinstance(step, SendRequest) else response.content,
        date=response.headers.get("date"),
        retry_after=response.headers.get("retry-after"),
        next_nonce=next_nonce_in(response.headers.get(NEXT_NONCE_FIELD))
        if isinstance(step, SendRequest)
        else None,
    )
