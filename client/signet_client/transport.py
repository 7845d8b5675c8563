"""``ExporterTransport``: connections of httpx whose TLS exporter can be signed.

    httpx.Client(transport=ExporterTransport(), auth=PCHAuth("me.pem", "me", binding="tls-exporter"))

httpcore does the pooling and HTTP/1.1; each connection is asked for its own exporter right before a request
goes out on it, so that reuse, reconnects and retries always sign the connection they use.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

import httpcore
import httpx

from signet_client.httpx_requests import ProvenFields
from signet_client.messages import PROVE, Prove
from signet_client.tls import exporter_of, in_plain_words, make_context, start_tls

KEEPALIVE_S = 5.0
MAX_CONNECTIONS = 100  # as in httpx

_Http = TypeVar("_Http", httpcore.HTTP11Connection, httpcore.AsyncHTTP11Connection)


class ExporterTransport(httpx.BaseTransport):
    """A transport for ``httpx.Client``: https over TLS 1.3 and HTTP/1.1 only, without proxies.

    Args:
        verify: as for ``httpx``: True, or the path of a file with trusted authorities; False checks neither
            authority nor host name and is for local tests only.
    """

    def __init__(self, *, verify: bool | str = True) -> None:
        self._pool = _Pool(make_context(verify=verify))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See ``httpx.BaseTransport``."""
        with errors_of_httpx():
            response = self._pool.handle_request(outgoing_request(request))
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Content(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Pool(httpcore.ConnectionPool):
    def __init__(self, context: Any) -> None:
        super().__init__(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_S)
        self._context = context

    def create_connection(self, origin: httpcore.Origin) -> httpcore.ConnectionInterface:
        return _Connection(origin, self._context)


class Lifecycle(Generic[_Http]):
    """What a pool asks a connection that is opened by its first request, blocking or asynchronous.

    See ``httpcore.ConnectionInterface`` for what the questions mean.
    """

    def __init__(self, origin: httpcore.Origin) -> None:
        self._origin = origin
        self._http: _Http | None = None
        self._failed = False

    def host(self) -> str:
        """Return where to connect to.

        Raises:
            httpcore.UnsupportedProtocol: that would not be TLS.
        """
        if self._origin.scheme != b"https":
            raise httpcore.UnsupportedProtocol("the channel binding tls-exporter needs an https URL")
        return self._origin.host.decode("ascii")

    def info(self) -> str:  # noqa: D102 - httpcore says it
        return self._http.info() if self._http is not None else "CONNECTING"

    def can_handle_request(self, origin: httpcore.Origin) -> bool:  # noqa: D102 - httpcore says it
        return origin == self._origin

    def is_available(self) -> bool:  # noqa: D102 - httpcore says it
        return self._http is not None and self._http.is_available()

    def has_expired(self) -> bool:  # noqa: D102 - httpcore says it
        return self._failed if self._http is None else self._http.has_expired()

    def is_idle(self) -> bool:  # noqa: D102 - httpcore says it
        return self._failed if self._http is None else self._http.is_idle()

    def is_closed(self) -> bool:  # noqa: D102 - httpcore says it
        return self._failed if self._http is None else self._http.is_closed()


class _Connection(Lifecycle[httpcore.HTTP11Connection], httpcore.ConnectionInterface):
    """One connection; opened by its first request."""

    def __init__(self, origin: httpcore.Origin, context: Any) -> None:
        super().__init__(origin)
        self._context = context
        self._lock = Lock()
        self._stream: _Stream | None = None

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        with self._lock:
            if self._http is None:
                try:
                    self._stream = self._open(request)
                except BaseException:
                    self._failed = True
                    raise
                self._http = httpcore.HTTP11Connection(
                    self._origin, self._stream, keepalive_expiry=KEEPALIVE_S
                )
        if self._stream is not None:
            prove_over(request, self._stream)
        return self._http.handle_request(request)

    def _open(self, request: httpcore.Request) -> _Stream:
        timeout = request.extensions.get("timeout", {}).get("connect")
        host = self.host()
        plain = httpcore.SyncBackend().connect_tcp(host, self._origin.port, timeout=timeout)
        try:
            with errors_of_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
                plain_socket = plain.get_extra_info("socket")
                plain_socket.settimeout(timeout)
                return _Stream(start_tls(plain_socket, self._context, host), plain)
        except BaseException:
            plain.close()
            raise

    def close(self) -> None:
        if self._http is not None:
            self._http.close()


class _Stream(httpcore.NetworkStream):
    """httpcore's view of a TLS connection."""

    def __init__(self, wrapped: Any, plain: httpcore.NetworkStream) -> None:
        self._wrapped = wrapped
        self._plain = plain

    @property
    def exporter(self) -> bytes:
        return exporter_of(self._wrapped)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with errors_of_httpcore(httpcore.ReadTimeout, httpcore.ReadError):
            self._wrapped.settimeout(timeout)
            data: bytes = self._wrapped.recv(max_bytes)
            return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with errors_of_httpcore(httpcore.WriteTimeout, httpcore.WriteError):
            self._wrapped.settimeout(timeout)
            self._wrapped.sendall(buffer)

    def close(self) -> None:
        self._plain.close()

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)


class _Content(httpx.SyncByteStream):
    """The content of an answer, with httpx's exceptions."""

    def __init__(self, parts: Any) -> None:
        self._parts: Iterable[bytes] = parts

    def __iter__(self) -> Iterator[bytes]:
        with errors_of_httpx():
            yield from self._parts

    def close(self) -> None:
        if hasattr(self._parts, "close"):
            self._parts.close()


class Bindable(Protocol):
    """A connection that tells its exporter."""

    @property
    def exporter(self) -> bytes: ...  # noqa: D102 - RFC 9266, 32 bytes


def outgoing_request(request: httpx.Request) -> httpcore.Request:
    """Return httpcore's form of a request, which takes httpx's along to be signed late."""
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions={**request.extensions, "signet_request": request},
    )


def prove_over(outgoing: httpcore.Request, stream: Bindable) -> None:
    """Have the request signed for this very connection, if it waits for that."""
    prove: Prove | None = outgoing.extensions.get(PROVE)
    if prove is None:
        return
    request: httpx.Request = outgoing.extensions["signet_request"]
    # Not among the request's own fields: httpx would take them along to where a redirect leads.
    outgoing.headers = ProvenFields(request.headers, prove(str(request.url), stream.exporter)).raw


@contextmanager
def errors_of_httpcore(timeout: type[Exception], other: type[Exception]) -> Iterator[None]:
    """Raise httpcore's exceptions for those of sockets and TLS."""
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except (OSError, ssl.SSLError) as error:
        # An SSLError of one argument shows it as a tuple.
        raise other(in_plain_words(str(error.args[0] if len(error.args) == 1 else error))) from error


@contextmanager
def errors_of_httpx() -> Iterator[None]:
    """Raise httpx's exception of the same name for each of httpcore's."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
    except httpcore.UnsupportedProtocol as error:
        raise httpx.UnsupportedProtocol(str(error)) from error
