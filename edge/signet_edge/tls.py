"""The server side of TLS 1.3 as an asyncio stream.

OpenSSL works on memory here and asyncio moves the bytes: so every wait has a time limit, and the exporter,
which Python's own ``ssl`` does not give, can be asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from OpenSSL import SSL

from signet_edge.attestation import EXPORTER_BYTES, EXPORTER_LABEL

_CHUNK = 65_536
T = TypeVar("T")


class TlsError(Exception):
    """The peer does not speak TLS 1.3, broke off, or sent something that is no TLS."""


def server_context(certificate: Path) -> SSL.Context:
    """Return a context that takes TLS 1.3 and nothing else, HTTP/1.1 and no early data.

    Raises:
        OpenSSL.SSL.Error, OSError: the file cannot be read or does not hold certificate and key.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(certificate))
    context.check_privatekey()
    context.set_session_id(b"signet-edge")
    context.set_alpn_select_callback(_choose)
    return context


def _choose(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
    if b"http/1.1" in offered:
        return b"http/1.1"
    # No answer, rather than a refusal: a client that offers HTTP/2 alone finds out by its own means.
    return SSL.NO_OVERLAPPING_PROTOCOLS  # type: ignore[return-value]  # documented; the stub says bytes


class TlsStream:
    """One client's connection.

    Attributes:
        exporter: RFC 9266 ``tls-exporter`` value, 32 bytes, once the handshake is done.
    """

    def __init__(
        self, context: SSL.Context, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take the two ends of a TCP connection."""
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._reader = reader
        self._writer = writer
        self.exporter = b""

    async def handshake(self) -> None:
        """Shake hands.

        Raises:
            TlsError: it did not come to TLS 1.3.
        """
        await self._driven(self._tls.do_handshake)
        self.exporter = self._tls.export_keying_material(EXPORTER_LABEL, EXPORTER_BYTES, b"")

    async def receive(self) -> bytes:
        """Return the next bytes; empty when the peer has closed in order.

        Raises:
            TlsError: the connection broke.
        """
        try:
            return await self._driven(lambda: self._tls.recv(_CHUNK))
        except SSL.ZeroReturnError:
            return b""

    async def send(self, data: bytes) -> None:
        """Send all of the bytes, at the peer's pace.

        Raises:
            TlsError: the connection broke.
        """
        view = memoryview(data)
        while view:
            try:
                sent = self._tls.send(bytes(view[:_CHUNK]))
            except SSL.Error as error:
                raise TlsError("the connection broke while sending") from error
            view = view[sent:]
            await self._flush()

    async def close(self, *, orderly: bool) -> None:
        """Close; ``orderly`` tells the peer that nothing is missing, so it is for complete answers only."""
        try:
            if orderly:
                self._tls.shutdown()
                await self._flush()
        except (SSL.Error, TlsError):
            pass  # the peer has gone already
        finally:
            self._writer.close()

    async def _driven(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except SSL.WantReadError:
                await self._flush()
                self._tls.bio_write(await self._more())
            except SSL.ZeroReturnError:
                raise
            except SSL.Error as error:
                await self._flush()  # the alert that says why
                raise TlsError("the peer does not speak TLS 1.3, or broke off") from error
            else:
                await self._flush()
                return result

    async def _more(self) -> bytes:
        try:
            raw = await self._reader.read(_CHUNK)
        except OSError as error:
            raise TlsError("the connection broke") from error
        if not raw:
            raise TlsError("the peer hung up without closing TLS")
        return raw

    async def _flush(self) -> None:
        try:
            while True:
                try:
                    self._writer.write(self._tls.bio_read(_CHUNK))
                except SSL.WantReadError:
                    break
            await self._writer.drain()
        except OSError as error:
            raise TlsError("the connection broke") from error
