"""A TLS 1.3 client connection without a socket, for the asynchronous transport.

Bytes go in, bytes come out; the caller moves them and may wait in between.
"""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from typing import Any

from OpenSSL import SSL
from urllib3.contrib.pyopenssl import WrappedSocket

from signet_client.tls import check_host, exporter_of, in_words

_CHUNK_BYTES = 16_384  # one TLS record


class MemoryTls:
    """The client's end of one connection.

    Args:
        context: of ``make_context``.
        host: name or address that the certificate has to be for, unless the context checks nothing.
    """

    def __init__(self, context: Any, host: str) -> None:
        # What urllib3 wraps: it makes connections of it over sockets only.
        self._connection = SSL.Connection(context._ctx, None)  # noqa: SLF001 - there is no public way
        self._view = WrappedSocket(self._connection, None)  # type: ignore[arg-type] # it moves no bytes here
        self._host = host if context.verify_mode == ssl.CERT_REQUIRED else None
        if not _is_address(host):
            self._connection.set_tlsext_host_name(host.encode("ascii"))
        self._connection.set_connect_state()

    @property
    def exporter(self) -> bytes:
        """The tls-exporter binding of this connection (RFC 9266), 32 bytes.

        Raises:
            ssl.SSLError: the connection is not TLS 1.3.
        """
        return exporter_of(self._view)

    def shake_hands(self) -> bool:
        """Take one more step; False while the server's answer is awaited.

        Raises:
            ssl.SSLError: no TLS 1.3, or a certificate that is not trusted or not for the host.
        """
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise in_words(error) from error
        if self._host is not None:
            check_host(self._view, self._host)
        return True

    def receive(self, data: bytes) -> None:
        """Take what came from the network; nothing stands for its end."""
        if data:
            self._connection.bio_write(data)
        else:
            self._connection.bio_shutdown()

    def outgoing(self) -> bytes:
        """Return what has to go to the network now; may be nothing."""
        parts = []
        while True:
            try:
                parts.append(self._connection.bio_read(_CHUNK_BYTES))
            except SSL.WantReadError:
                return b"".join(parts)

    def read(self, max_bytes: int) -> bytes | None:
        """Return content, nothing at its end, or None while more has to come from the network first.

        Raises:
            ssl.SSLError: what came is not TLS.
        """
        try:
            return self._connection.recv(max_bytes)
        except SSL.WantReadError:
            return None
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return b""  # with a goodbye or without: whether anything is missing, HTTP knows
        except SSL.Error as error:
            raise in_words(error) from error

    def write(self, data: bytes) -> None:
        """Encrypt content; ``outgoing`` has it afterwards.

        Raises:
            ssl.SSLError: the connection is closed.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[self._connection.send(bytes(view[:_CHUNK_BYTES])) :]
        except SSL.Error as error:
            raise in_words(error) from error


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
