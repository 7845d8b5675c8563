"""``AsyncExporterTransport``: what ``ExporterTransport`` is, for httpx's asynchronous client.

    httpx.AsyncClient(transport=AsyncExporterTransport(), auth=PCHAuth("me.pem", binding="tls-exporter"))

No threads: the loop that httpx runs on moves the bytes, pyOpenSSL works in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import anyio
import httpcore
import httpx
from httpcore import AnyIOBackend

from signet_client.memory_tls import MemoryTls
from signet_client.tls import make_context
from signet_client.transport import (
    KEEPALIVE_S,
    MAX_CONNECTIONS,
    Lifecycle,
    errors_of_httpcore,
    errors_of_httpx,
    outgoing_request,
    prove_over,
)

_NETWORK_BYTES = 65_536


class AsyncExporterTransport(httpx.AsyncBaseTransport):
    """A transport for ``httpx.AsyncClient``: https over TLS 1.3 and HTTP/1.1 only, without proxies.

    Args:
        verify: as for ``ExporterTransport``.
    """

    def __init__(self, *, verify: bool | str = True) -> None:
        self._pool = _Pool(make_context(verify=verify))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See ``httpx.AsyncBaseTransport``."""
        with errors_of_httpx():
            response = await self._pool.handle_async_request(outgoing_request(request))
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Content(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Pool(httpcore.AsyncConnectionPool):
    def __init__(self, context: Any) -> None:
        super().__init__(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_S)
        self._context = context

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        return _Connection(origin, self._context)


class _Connection(Lifecycle[httpcore.AsyncHTTP11Connection], httpcore.AsyncConnectionInterface):
    """One connection; opened by its first request."""

    def __init__(self, origin: httpcore.Origin, context: Any) -> None:
        super().__init__(origin)
        self._context = context
        self._lock = anyio.Lock()
        self._stream: _Stream | None = None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        async with self._lock:
            if self._http is None:
                try:
                    self._stream = await self._open(request)
                except BaseException:
                    self._failed = True
                    raise
                self._http = httpcore.AsyncHTTP11Connection(
                    self._origin, self._stream, keepalive_expiry=KEEPALIVE_S
                )
        if self._stream is not None:
            prove_over(request, self._stream)
        return await self._http.handle_async_request(request)

    async def _open(self, request: httpcore.Request) -> _Stream:
        timeout = request.extensions.get("timeout", {}).get("connect")
        host = self.host()
        plain = await AnyIOBackend().connect_tcp(host, self._origin.port, timeout=timeout)
        stream = _Stream(MemoryTls(self._context, host), plain)
        try:
            with (
                errors_of_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError),
                anyio.fail_after(timeout),
            ):
                await stream.shake_hands()
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()


class _Stream(httpcore.AsyncNetworkStream):
    """httpcore's view of a TLS connection."""

    def __init__(self, tls: MemoryTls, plain: httpcore.AsyncNetworkStream) -> None:
        self._tls = tls
        self._plain = plain

    @property
    def exporter(self) -> bytes:
        return self._tls.exporter

    async def shake_hands(self) -> None:
        """Open the TLS connection.

        Raises:
            OSError: it failed (``ssl.SSLError`` for what is TLS's own), or the network did.
        """
        try:
            while not self._tls.shake_hands():
                await self._flush(None)
                self._tls.receive(await self._plain.read(_NETWORK_BYTES))
            await self._flush(None)
        except httpcore.NetworkError as error:
            raise ConnectionError(str(error)) from error

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        with errors_of_httpcore(httpcore.ReadTimeout, httpcore.ReadError):
            while (data := self._tls.read(max_bytes)) is None:
                await self._flush(timeout)
                self._tls.receive(await self._plain.read(_NETWORK_BYTES, timeout))
            return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        with errors_of_httpcore(httpcore.WriteTimeout, httpcore.WriteError):
            self._tls.write(buffer)
            await self._flush(timeout)

    async def _flush(self, seconds: float | None) -> None:
        if data := self._tls.outgoing():
            await self._plain.write(data, seconds)

    async def aclose(self) -> None:
        await self._plain.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)


class _Content(httpx.AsyncByteStream):
    """The content of an answer, with httpx's exceptions."""

    def __init__(self, parts: Any) -> None:
        self._parts: AsyncIterable[bytes] = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with errors_of_httpx():
            async for part in self._parts:
                yield part

    async def aclose(self) -> None:
        if hasattr(self._parts, "aclose"):
            await self._parts.aclose()
