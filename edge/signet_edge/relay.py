"""One client's connection: request by request to the upstream and back, bodies streaming both ways.

Each request is attested on its own and goes upstream on a connection of its own. What the client sent and
what it gets are told apart by h11 on both sides, so no byte crosses whose meaning was not parsed.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import h11

from signet_edge.attestation import FIELD, Seen, attest
from signet_edge.fields import (
    Refused,
    authority_of,
    content_length,
    framing,
    onward,
    signature_input_of,
    without_forgeries,
)
from signet_edge.settings import Settings
from signet_edge.tls import TlsError, TlsStream
from signet_edge.wire import Wire

_CHUNK = 65_536
_CONNECT_S = 5.0
_LINGER_S = 1.0


class Relay:
    """Serves one connection.

    Attributes:
        idle: True while no request is under way, so that a stop may end it at once.
    """

    def __init__(
        self,
        stream: TlsStream,
        src: str,
        settings: Settings,
        *,
        upstream_tls: ssl.SSLContext | None,
        stopping: Callable[[], bool],
    ) -> None:
        """Take a connection whose handshake is done.

        Args:
            stream: the client's connection.
            src: the client's address.
            settings: where to send, what to sign with, limits.
            upstream_tls: context of the upstream connection; None for plain HTTP.
            stopping: tells whether this is to be the last request.
        """
        self.idle = True
        self._stream = stream
        self._src = src
        self._settings = settings
        self._upstream_tls = upstream_tls
        self._stopping = stopping
        self._client = Wire(
            h11.Connection(h11.SERVER, max_incomplete_event_size=settings.limits.header_bytes),
            receive=stream.receive,
            send=stream.send,
            wait_s=settings.limits.idle_s,
        )

    async def serve(self) -> None:
        """Serve requests until the client closes, something breaks, or a stop is under way."""
        http = self._client.http
        try:
            while not self._stopping() and await self._client.first_byte():
                self.idle = False
                if not await self._serve_one():
                    break
                http.start_next_cycle()
                self.idle = True
        except (TlsError, TimeoutError, h11.ProtocolError):
            pass  # the client is gone: no answer can reach it
        finally:
            whole = http.our_state in {h11.IDLE, h11.DONE, h11.MUST_CLOSE, h11.CLOSED}
            if whole and http.their_state is h11.SEND_BODY:
                await self._linger()
            await self._stream.close(orderly=whole)

    async def _serve_one(self) -> bool:
        """Serve one request; True if the connection is good for another."""
        http = self._client.http
        try:
            async with asyncio.timeout(self._settings.limits.header_s):
                request = await self._client.next_event()
            if type(request) is not h11.Request:
                return False
            await self._exchange(request)
        except Refused as refusal:
            await self._answer(refusal.status)
        except TimeoutError:
            await self._answer(408)
        except h11.RemoteProtocolError as error:
            await self._answer(error.error_status_hint)
        return http.our_state is h11.DONE and http.their_state is h11.DONE

    async def _exchange(self, request: h11.Request) -> None:
        onward_request = self._attested(request)
        async with self._upstream() as upstream:
            upload = asyncio.create_task(self._upload(onward_request, upstream))
            download = asyncio.create_task(self._download(upstream))
            try:
                done, _ = await asyncio.wait({upload, download}, return_when=asyncio.FIRST_COMPLETED)
                if download not in done:
                    upload.result()  # raises what the client did wrong
                await download  # the upstream may well answer before it has heard everything
            finally:
                upload.cancel()
                download.cancel()
                await asyncio.gather(upload, download, return_exceptions=True)

    def _attested(self, request: h11.Request) -> h11.Request:
        """Return the request as it goes upstream."""
        settings, headers = self._settings, list(request.headers)
        authority, ends = authority_of(headers), framing(headers)
        if not request.target.startswith(b"/") or b"#" in request.target:
            raise Refused(400, "the target is no path")
        if content_length(ends) > settings.limits.body_bytes:
            raise Refused(413, "the body is larger than API Gateway takes")
        method = request.method.decode("ascii")
        kept = without_forgeries(onward(headers))
        proof = signature_input_of(kept)
        seen = Seen(self._stream.exporter, method, authority, request.target, self._src, proof)
        said = attest(seen, kid=settings.kid, key=settings.key, now_s=int(time.time()))
        return h11.Request(
            method=request.method,
            target=settings.upstream_prefix.encode() + request.target,
            headers=[
                (b"host", settings.upstream_host.encode()),
                *kept,
                *ends,
                (FIELD, said.encode()),
                (b"connection", b"close"),
            ],
        )

    async def _upload(self, request: h11.Request, upstream: Wire) -> None:
        """Send the request upstream while the client sends it to us."""
        taken, listening = 0, await _offered(upstream, request)
        if self._client.http.they_are_waiting_for_100_continue:
            await self._client.send(h11.InformationalResponse(status_code=100, headers=[]))
        while True:
            event = await self._client.next_event()
            if type(event) is h11.Data:
                taken += len(event.data)
                if taken > self._settings.limits.body_bytes:
                    raise Refused(413, "the body is larger than API Gateway takes")
                listening = listening and await _offered(upstream, h11.Data(data=event.data))
            elif type(event) is h11.EndOfMessage:
                if listening:
                    await _offered(upstream, h11.EndOfMessage())
                return
            else:
                raise TlsError("the client hung up in the middle of its request")

    async def _download(self, upstream: Wire) -> None:
        """Send the answer to the client while the upstream sends it to us."""
        while True:
            event = await _heard(upstream)
            if type(event) is h11.Response:
                last = [(b"connection", b"close")] if self._stopping() else []
                headers = [*onward(event.headers), *_framed(event), *last]
                answer = h11.Response(status_code=event.status_code, reason=event.reason, headers=headers)
                await self._client.send(answer)
            elif type(event) is h11.Data:
                await self._client.send(h11.Data(data=event.data))
            elif type(event) is h11.EndOfMessage:
                await self._client.send(h11.EndOfMessage())
                return
            elif type(event) is not h11.InformationalResponse:
                raise Refused(502, "the upstream hung up")

    @asynccontextmanager
    async def _upstream(self) -> AsyncIterator[Wire]:
        settings, tls = self._settings, self._upstream_tls
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    *settings.upstream, ssl=tls, server_hostname=settings.upstream_host if tls else None
                )
        except (OSError, TimeoutError) as error:
            raise Refused(502, "the upstream cannot be reached") from error

        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            yield Wire(
                h11.Connection(h11.CLIENT, max_incomplete_event_size=settings.limits.header_bytes),
                receive=lambda: reader.read(_CHUNK),
                send=send,
                wait_s=settings.limits.upstream_s,
            )
        finally:
            writer.close()

    async def _answer(self, status: int) -> None:
        """Answer in the upstream's place, unless its answer has begun."""
        if self._client.http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        headers = [(b"content-length", b"0"), (b"cache-control", b"no-store"), (b"connection", b"close")]
        await self._client.send(h11.Response(status_code=status, headers=headers))
        await self._client.send(h11.EndOfMessage())

    async def _linger(self) -> None:
        """Let the client read our answer: closing while it still sends would take the answer away."""
        with suppress(TlsError, TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while await self._stream.receive():
                    pass


async def _offered(upstream: Wire, event: h11.Event) -> bool:
    """Send upstream; False if it does not listen any more, which is no fault while it still may answer."""
    try:
        await upstream.send(event)
    except (OSError, TimeoutError):
        return False
    return True


async def _heard(upstream: Wire) -> object:
    try:
        return await upstream.next_event()
    except TimeoutError as error:
        raise Refused(504, "the upstream does not answer") from error
    except (OSError, h11.RemoteProtocolError) as error:
        raise Refused(502, "the upstream broke off or does not speak HTTP/1.1") from error


def _framed(answer: h11.Response) -> list[tuple[bytes, bytes]]:
    try:
        return framing(answer.headers)
    except Refused as refusal:
        raise Refused(502, str(refusal)) from refusal
