"""Kept connections to one place of AWS's: one POST at a time over HTTP/1.1, with short timeouts.

``http.client`` takes twice the time for the same bytes: it sends head and body apart, and reads the head as
an e-mail's. What is understood of an answer is what AWS's services send (RFC 9112): a status, fields, and a
body whose length is told by ``Content-Length`` or by chunks. Anything else ends the connection.
"""

from __future__ import annotations

import os
import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

_MAX_HEAD: Final = 64 << 10
_MAX_BODY: Final = 32 << 20  # bytes; a batch of DynamoDB's has at most 16 MiB
_READ: Final = 64 << 10
_IDLE: Final = 4
# RFC 9112, section 4; an interim answer (1xx) has its final one behind it, which the next request would get.
_STATUS_LINE: Final = re.compile(r"HTTP/1\.([01]) ([2-5][0-9]{2})(?: .*)?")
# RFC 9110, section 5.6.2: a space before the colon would hide a length from this side only.
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection and a read may take, in seconds, and how often a call is tried."""

    connect_s: float
    read_s: float
    tries: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _UnreadableError(Exception):
    """What came is not an answer, or not all of it."""


class Connections:
    """Posts to the root of one place. Safe for threads: each uses a connection of its own."""

    def __init__(self, url: str, patience: Patience) -> None:
        """Connect at the first request.

        Args:
            url: ``https://…`` or ``http://…`` with no path.
            patience: how long a connection, and each read, may take.
        """
        parts = urlsplit(url)
        self._url, self._patience = url, patience
        self._tls = parts.scheme == "https"
        self._place = parts.hostname or "", parts.port or (443 if self._tls else 80)
        self._idle: deque[socket.socket] = deque()
        self._context: ssl.SSLContext | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request, once, and return the answer.

        Args:
            body: as it is sent.
            headers: all but the length; printable ASCII.

        Raises:
            EndpointConnectionError: nothing was sent, also for a header that would end its line and begin
                another. ``ConnectTimeoutError`` likewise.
            ReadTimeoutError: the effect is unknown. ``ConnectionClosedError`` likewise.
        """
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            # Not which: it may be the session's token.
            raise EndpointConnectionError(endpoint_url=self._url, error="a header that cannot be sent")
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        # As botocore: without it, any coding of the answer would be allowed (RFC 9110, section 12.5.3).
        head = f"POST / HTTP/1.1\r\n{fields}accept-encoding: identity\r\ncontent-length: {len(body)}\r\n\r\n"
        connection = self._connect()
        try:
            connection.sendall(head.encode("latin-1") + body)
            answer, reusable = _read(connection)
        except TimeoutError as error:
            self._give_up(connection)
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (OSError, ValueError, _UnreadableError) as error:
            self._give_up(connection)
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        if reusable and len(self._idle) < _IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close the connections that are kept; the next call opens one."""
        with suppress(IndexError):  # another thread may take the last one
            while True:
                self._idle.pop().close()

    def _give_up(self, connection: socket.socket) -> None:
        """Close a connection that failed, and those kept beside it: what ended it may have ended them too.

        The next try would take one of them, and be lost with it.
        """
        connection.close()
        self.close()

    def _connect(self) -> socket.socket:
        """Return a connection that is open as far as this side can tell."""
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            # Bytes or an end that nothing asked for: the other side has closed it, perhaps while Lambda had
            # this environment frozen. What is sent there would be lost, and could not be told from done.
            if not select.select([kept], [], [], 0)[0]:
                return kept
            kept.close()
        try:
            fresh = socket.create_connection(self._place, timeout=self._patience.connect_s)
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                self._context = self._context or _tls_context()
                fresh = self._context.wrap_socket(fresh, server_hostname=self._place[0])
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        fresh.settimeout(self._patience.read_s)
        return fresh


def _read(connection: socket.socket) -> tuple[Answer, bool]:
    """Return the answer, and whether the connection may carry another request."""
    held = b""
    while (end := held.find(b"\r\n\r\n")) < 0:
        if len(held) > _MAX_HEAD:
            raise _UnreadableError("too long a head")
        held += _more(connection)
    first, *lines = held[:end].decode("latin-1").split("\r\n")
    answered = _STATUS_LINE.fullmatch(first)
    if answered is None:
        raise _UnreadableError("no final answer of HTTP")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        twice = name in headers and name in {"content-length", "transfer-encoding"}
        if not colon or twice or not _NAME.fullmatch(name):
            raise _UnreadableError("a field that cannot be read")
        headers[name] = value.strip()
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _UnreadableError("a coding that was not asked for")
    held = held[end + 4 :]
    if "transfer-encoding" in headers:
        body, held = _chunks(connection, headers, held)
    else:
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > _MAX_BODY:
            raise _UnreadableError("no length, or too great a one")
        body, held = _exactly(connection, held, int(length))
    reusable = answered[1] == "1" and "close" not in headers.get("connection", "").lower() and not held
    return Answer(int(answered[2]), headers, body), reusable


def _chunks(connection: socket.socket, headers: Mapping[str, str], held: bytes) -> tuple[bytes, bytes]:
    if headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers:
        raise _UnreadableError("a coding that AWS does not use")
    body = b""
    while True:
        while (end := held.find(b"\r\n")) < 0:
            if len(held) > _MAX_HEAD:
                raise _UnreadableError("too long a line")
            held += _more(connection)
        digits = held[:end].partition(b";")[0].strip(b" \t")
        if not _CHUNK_SIZE.fullmatch(digits) or len(body) + int(digits, 16) > _MAX_BODY:
            raise _UnreadableError("a chunk without a length, or too great a one")
        chunk, held = _exactly(connection, held[end + 2 :], int(digits, 16) + 2)
        if not chunk.endswith(b"\r\n"):
            raise _UnreadableError("a chunk of another length")
        if len(chunk) == len(b"\r\n"):  # the last one; fields after it are none of AWS's
            return body, held
        body += chunk[:-2]


def _exactly(connection: socket.socket, held: bytes, size: int) -> tuple[bytes, bytes]:
    if len(held) >= size:
        return held[:size], held[size:]
    parts, missing = [held], size - len(held)
    while missing > 0:
        part = _more(connection)
        parts.append(part)
        missing -= len(part)
    whole = b"".join(parts)
    return whole[:size], whole[size:]


def _more(connection: socket.socket) -> bytes:
    got = connection.recv(_READ)
    if not got:
        raise _UnreadableError("closed before the answer ended")
    return got


def _tls_context() -> ssl.SSLContext:
    """Trust what botocore would: ``AWS_CA_BUNDLE``, or the authorities that it brings."""
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    if not bundle:
        spec = find_spec("botocore")
        brought = Path(spec.origin).parent / "cacert.pem" if spec is not None and spec.origin else None
        bundle = str(brought) if brought is not None and brought.exists() else None
    return ssl.create_default_context(cafile=bundle)
