"""A server in the place of API Gateway: tells what arrived, and goes step by step where a test asks it to."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STEP_SECONDS = 20


class Upstream(ThreadingHTTPServer):
    """Answers every request with a JSON description of it.

    Attributes:
        seen: set when a request under ``/steps/…`` has arrived (for ``up``: when its first piece has).
        go_on: what such a request waits for before it goes on.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen = threading.Event()
        self.go_on = threading.Event()
        self.requests = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of trouble, but not of an edge that hangs up on an idle connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, *args: Any) -> None:
        """Stay silent."""

    def _serve(self) -> None:
        self.server.requests += 1
        match self.path.removeprefix("/prod"):
            case "/steps/up":
                self._up()
            case "/steps/down":
                self._down()
            case "/steps/wait":
                self._step()
                self._describe(b"".join(self._body()))
            case "/early":
                self._answer(b"enough", status=403, close=True)
            case "/hang-up":
                self.close_connection = True
            case "/break-off":
                self._head(200, [("Content-Length", "10")])
                self.wfile.write(b"half")
                self.close_connection = True
            case _:
                self._describe(b"".join(self._body()))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of the base class

    def _up(self) -> None:
        pieces = self._body()
        first = next(pieces)
        self._step()
        self._describe(first + b"".join(pieces))

    def _down(self) -> None:
        self._head(200, [("Transfer-Encoding", "chunked")])
        self.wfile.write(b"3\r\none\r\n")
        self._step()
        self.wfile.write(b"3\r\ntwo\r\n0\r\n\r\n")

    def _step(self) -> None:
        self.server.seen.set()
        if not self.server.go_on.wait(STEP_SECONDS):
            self.close_connection = True

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        elif length := int(self.headers.get("Content-Length", "0")):
            yield self.rfile.read(length)

    def _describe(self, body: bytes) -> None:
        described = {
            "method": self.command,
            "target": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body_bytes": len(body),
            "body": body[:64].decode("latin-1"),
        }
        self._answer(json.dumps(described).encode())

    def _answer(self, body: bytes, *, status: int = 200, close: bool = False) -> None:
        headers = [("Content-Length", str(len(body))), ("X-Upstream", "yes")]
        self._head(status, headers + ([("Connection", "close")] if close else []))
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = close

    def _head(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
