"""The real verifier behind a plain HTTP server that tells it about requests as API Gateway would."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from signet.gateway import registered
from signet.handshake.asked import read_asked
from signet.handshake.digest import check_content_digest
from signet.handshake.registry import CachedApis
from signet.handshake.request import Site
from signet.handshake.verifier import RequestVerifier
from tests.support.world import OWN, FixedApis, World, issuing
from tests.support.world import own as decode

STAGE = "/prod"


class Gateway(ThreadingHTTPServer):
    """Listens on ``localhost``; ``reasons`` holds what the verifier decided, in order.

    ``challenge_field`` names the field of fetched challenges: a REST API renames ``WWW-Authenticate`` where a
    function sets it. (docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html)
    ``requests`` counts all that arrive. ``tells_next``: answers bring the next nonce, as the demo backend's
    do. ``http_api``: refusals carry no challenge, as HTTP APIs' do. Beside the world's API, which may be an
    attached one, it answers as Signet's own: where challenges are.
    """

    def __init__(self, world: World) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        authority = f"localhost:{self.server_address[1]}"
        self.world = world
        self.authority = authority
        self.site = Site("", "eu-central-1")
        self.verifier: RequestVerifier = issuing(world.verifier, site=self.site)
        self.reasons: list[str] = []
        self.challenge_field = "WWW-Authenticate"
        self.requests = 0
        self.tells_next = self.http_api = False
        own = replace(OWN, authorities=OWN.authorities | {authority})
        self.api = replace(world.api, authorities=world.api.authorities | {authority})
        self.apis = CachedApis(lambda _: own, FixedApis((own, self.api)), lambda: 0.0)
        self.url = f"http://{authority}{STAGE}/protected"
        self.challenge_url = f"http://{authority}{STAGE}/pch/challenge"

    def event(self, handler: BaseHTTPRequestHandler) -> dict[str, Any]:
        """Tell about a request as API Gateway does: nothing of the length of its content."""
        target = urlsplit(handler.path)
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(target.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        path = target.path.removeprefix(STAGE)
        resource = "/protected/{item}" if path.startswith("/protected/") else path
        event = self.world.event(handler.command, path, query, resource=resource)
        names = {n for n in handler.headers if n.lower() not in {"content-length", "transfer-encoding"}}
        event["multiValueHeaders"] = {name: handler.headers.get_all(name) for name in names}
        event["headers"] = {name: values[-1] for name, values in event["multiValueHeaders"].items()}
        event["requestContext"]["path"] = target.path
        return event


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        self.server.requests += 1
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        event = self.server.event(self)
        now_ms = time.time_ns() // 1_000_000
        if event["path"] == "/pch/challenge":
            inbound, issuer = decode(event, self.server.authority), self.server.verifier.issuer
            asked = read_asked(inbound, self.server.apis, issuer.site)
            offered = issuer.issue(inbound, asked, now_ms=now_ms)
            nonces = [offered.nonce, *offered.further]
            body = {"nonce": offered.nonce, "nonces": nonces, "max_age": offered.max_age}
            self._answer(200, {self.server.challenge_field: offered.to_header()}, body)
            return
        decision = self.server.verifier.judge(registered.decode(event, self.server.api), now_ms=now_ms)
        self.server.reasons.append(decision.reason.value)
        if decision.challenge and self.server.http_api:
            self._answer(403, {}, {"message": "Forbidden"})
            return
        if decision.challenge:
            self._answer(401, {"WWW-Authenticate": decision.challenge}, {"message": decision.message})
            return
        if content or self.command == "POST":  # as a backend has to
            assert decision.context.content_digest is not None
            check_content_digest(decision.context.content_digest, content)
        fields = {"Signet-Nonce": decision.context.next_nonce} if self.server.tells_next else {}
        self._answer(200, fields, {"caller": decision.context.proof.keyid, "received_bytes": len(content)})

    do_POST = do_GET  # noqa: N815 - a name that http.server looks up

    def _answer(self, status: int, fields: dict[str, str], body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (*fields.items(), ("Content-Length", str(len(content)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@contextmanager
def serving(world: World) -> Iterator[Gateway]:
    """Serve the world's verifier in a thread."""
    with Gateway(world) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()
