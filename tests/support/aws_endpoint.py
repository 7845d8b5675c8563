"""A local endpoint that answers calls of AWS's services as a test says, or closes, or says nothing."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO
from zlib import crc32


@dataclass(frozen=True, slots=True)
class Says:
    """One answer.

    Attributes:
        status: of HTTP.
        body: what is sent as JSON, or bytes as they are.
        headers: beside the usual ones.
        effect: whether the call is carried out (and counted) first.
        close: end the connection: "before" instead of an answer, "after" it without saying so.
        silent: never answer.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    effect: bool = True
    close: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes


class Endpoint:
    """What was asked, and what is to be answered; when the script has ended, ``otherwise``."""

    def __init__(self, script: Sequence[Says], otherwise: Says) -> None:
        self.script = deque(script)
        self.otherwise = otherwise
        self.seen: list[Seen] = []
        self.connections = 0
        self.effects = 0
        self.over = threading.Event()
        self.url = ""
        self.closed = threading.Semaphore(0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else each answer waits 40 ms for an acknowledgement
    endpoint: Endpoint

    def setup(self) -> None:
        super().setup()
        self.endpoint.connections += 1

    def do_POST(self) -> None:
        """Do what the script says next."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.endpoint.seen.append(Seen({k.lower(): v for k, v in self.headers.items()}, body))
        says = self.endpoint.script.popleft() if self.endpoint.script else self.endpoint.otherwise
        self.endpoint.effects += says.effect
        if says.silent:
            self.endpoint.over.wait(30)
        if says.silent or says.close == "before":
            self.close_connection = True
            return
        content = says.body if isinstance(says.body, bytes) else json.dumps(says.body).encode()
        self.send_response(says.status)
        given = {
            "Content-Type": "application/x-amz-json-1.0",
            "Content-Length": str(len(content)),
            **says.headers,
        }
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        if says.close == "after":
            self.close_connection = True

    def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    endpoint: Endpoint

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.endpoint.closed.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that has gone is no error here."""


@contextmanager
def endpoint(*script: Says, otherwise: Says | None = None) -> Iterator[Endpoint]:
    """Run one on a free port of this machine."""
    found = Endpoint(script, otherwise or Says())
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"endpoint": found}))
    server.endpoint = found
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def spoken(*connections: Sequence[bytes]) -> Iterator[str]:
    """Run an endpoint that answers with bytes as they are; gives its URL.

    Args:
        connections: for each connection in turn what it says to its first request, its second …; then it
            reads one more, and ends without an answer.
    """
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket, answers: Sequence[bytes]) -> None:
        with connection, connection.makefile("rb") as asked:
            for answer in (*answers, b""):
                if _skip_request(asked):
                    connection.sendall(answer)

    def accept() -> None:
        with suppress(OSError):  # the listener is closed at the end
            for answers in connections:
                threading.Thread(target=serve, args=(listening.accept()[0], answers), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        with suppress(OSError):  # wakes the thread that accepts
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _skip_request(asked: BinaryIO) -> bool:
    """Read a request to its end; whether there was one."""
    length, found = 0, False
    while (line := asked.readline()).strip():
        found = True
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return found and len(asked.read(length)) == length


def checked(body: object) -> tuple[bytes, dict[str, str]]:
    """Return an answer's bytes and the checksum that DynamoDB sends with them."""
    content = json.dumps(body).encode()
    return content, {"x-amz-crc32": str(crc32(content))}
