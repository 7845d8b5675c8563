"""A TLS client that knows its own exporter: pyOpenSSL below, h11 above."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h11
from OpenSSL import SSL

LABEL = b"EXPORTER-Channel-Binding"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def told(self) -> Any:
        """What the upstream tells of the request."""
        return json.loads(self.body)

    def received(self, name: str) -> list[str]:
        """The values with which a field arrived upstream."""
        return [value for key, value in self.told["headers"] if key == name]


class Client:
    """One TLS connection to an edge on this machine."""

    def __init__(
        self,
        port: int,
        *,
        resume: Client | None = None,
        alpn: list[bytes] | None = None,
        ciphersuites: bytes | None = None,
        version: int = SSL.TLS1_3_VERSION,
    ) -> None:
        context = self.context = resume.context if resume else SSL.Context(SSL.TLS_CLIENT_METHOD)
        if resume is None:
            context.set_max_proto_version(version)
            if ciphersuites:
                context.set_tls13_ciphersuites(ciphersuites)
            if alpn:
                context.set_alpn_protos(alpn)
        self.tcp = socket.create_connection(("127.0.0.1", port))
        self.tls = SSL.Connection(context, self.tcp)
        if resume is not None:
            session = resume.tls.get_session()
            assert session is not None
            self.tls.set_session(session)
        self.tls.set_tlsext_host_name(b"localhost")
        self.tls.set_connect_state()
        self.http = h11.Connection(h11.CLIENT)
        try:
            self.tls.do_handshake()
        except SSL.Error:
            self.tcp.close()
            raise
        self.exporter = self.tls.export_keying_material(LABEL, 32, b"")

    @property
    def resumed(self) -> bool:
        return bool(SSL._lib.SSL_session_reused(self.tls._ssl))

    def request(
        self,
        method: str = "GET",
        target: str = "/protected",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        host: str = "api.example.com",
    ) -> Answer:
        """Send a request and return its answer; the connection stays open if the edge lets it."""
        length = [("Content-Length", str(len(body)))] if body else []
        self.send(h11.Request(method=method, target=target, headers=[("Host", host), *headers, *length]))
        if body:
            self.send(h11.Data(data=body))
        self.send(h11.EndOfMessage())
        return self.answer()

    def send(self, event: h11.Event) -> None:
        self.tls.sendall(self.http.send(event) or b"")

    def event(self) -> Any:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(self.receive())
        return event

    def receive(self) -> bytes:
        try:
            return self.tls.recv(65_536)
        except SSL.ZeroReturnError:
            return b""

    def answer(self) -> Answer:
        while type(response := self.event()) is h11.InformationalResponse:
            pass
        body = b""
        while type(event := self.event()) is h11.Data:
            body += event.data
        if type(event) is h11.EndOfMessage and self.http.our_state is self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
        headers = [(name.decode(), value.decode()) for name, value in response.headers]
        return Answer(response.status_code, headers, body)

    def close(self) -> None:
        self.tcp.close()


@contextmanager
def connected(port: int, **options: Any) -> Iterator[Client]:
    client = Client(port, **options)
    try:
        yield client
    finally:
        client.close()
