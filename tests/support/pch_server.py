"""A small HTTP server that challenges and verifies, with http-message-signatures doing the verifying.

It shares no code with the authorizer or with the client's signing, so that a mistake made in both of
those would not go unnoticed here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import rfc8785
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)

from signet.crypto import suites
from signet.crypto.suites import PrivateKey

#: For clients of these servers, which speak no TLS: reading the usual authorities takes longer than a test.
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ALGS = " ".join(suites.NAMES)
_COVERED_IF_SENT = (
    *("pch-evidence", "pch-evidence-digest", "pch-channel-binding", "content-digest"),
    *("content-type", "content-encoding"),
)


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    covered: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def signed(self) -> bool:
        return "signature-input" in self.headers


@dataclass
class Behaviour:
    """What the server does; tests change it.

    Attributes:
        refusal: ``challenge`` (401 with a nonce, as on AWS), ``named`` (401 that only names the
            challenge-uri), ``bare`` (403 with AWS's text, as on emulators).
        stage: path prefix under which the API lives.
        challenge_field: header field the challenge endpoint answers with, or None: in JSON only.
        fail_signed: decision codes with which the next signed requests are refused.
        shed_signed: how many of the next signed requests are answered 503.
        window_s: how far ``created`` may be from now, or None: it is not checked.
        max_age: seconds a signature may be good for, announced and enforced, or None.
        components, demanded: what challenges name as to be covered; what signed requests are refused
            without, by a challenge that names it.
        redirects: target path to Location.
        challenge_status: status of the challenge endpoint, if it shall not work.
        answers: what paths answer to any caller.
        behind: what further paths answer once a proof was verified.
        announced, budget: header budget that challenges name, and the one that is enforced.
        evidence_answers: statuses of the next bundles that are posted; 401 says ``nonce_expired``.
        evidence_uri: where bundles go.
        batches: the challenge endpoint hands out as many nonces as it is asked for.
        next_nonce: answers to requests that are let through bring the next nonce.
    """

    refusal: str = "challenge"
    stage: str = ""
    challenge_uri: str = "/pch/challenge"
    challenge_field: str | None = "WWW-Authenticate"
    fail_signed: list[str] = field(default_factory=list)
    shed_signed: int = 0
    window_s: int | None = None
    max_age: int | None = None
    components: str = ""
    demanded: str = ""
    redirects: dict[str, str] = field(default_factory=dict)
    challenge_status: int = 200
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    behind: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    announced: int = 8192
    budget: int = 10_240
    evidence_answers: list[int] = field(default_factory=list)
    evidence_uri: str = "/pch/evidence"
    batches: bool = False
    next_nonce: bool = False


class PchServer:
    """Runs in a thread; ``seen`` holds every request in order of arrival."""

    def __init__(self, keys: dict[str, PrivateKey]) -> None:
        self.keys = keys
        self.behaviour = Behaviour()
        self.seen: list[Seen] = []
        self.issued = 0
        self.spent: set[str] = set()
        self.bundles: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.authority = f"localhost:{self._server.server_address[1]}"
        self.origin = f"http://{self.authority}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        assert self._server.errors == []

    def close(self) -> None:
        """Give the port back, of a server that was never started."""
        self._server.server_close()

    @property
    def targets(self) -> list[str]:
        """Method, path and a mark for signed ones, of everything seen."""
        return [f"{s.method} {s.target}{' signed' if s.signed else ''}" for s in self.seen]

    def issue(self) -> str:
        with self._lock:
            self.issued += 1
            return f"nonce-{self.issued}"

    def challenge(self, error: str) -> str:
        named = self.behaviour.demanded if error == "component_missing" else self.behaviour.components
        asked = f'components="{named}", ' if named else ""
        asked += f"max-age={self.behaviour.max_age}, " if self.behaviour.max_age else ""
        return (
            f'PCH realm="signet", nonce="{self.issue()}", algs="{ALGS}", binding="none", {asked}'
            f'header-budget={self.behaviour.announced}, challenge-uri="{self.behaviour.challenge_uri}", '
            f'evidence-uri="{self.behaviour.evidence_uri}", error="{error}"'
        )

    def complete(self, seen: Seen) -> dict[str, str]:
        """Return the header fields with what the named bundle adds to them."""
        headers = dict(seen.headers)
        if "pch-proof" in headers:
            bundle = self.bundles[headers["pch-proof"]]
            assert ("signature" in bundle) != ("signature" in headers)
            assert headers.get("pch-evidence-digest") == digest_of(bundle.get("evidence"))
            if "signature" in bundle:
                headers["signature"] = f"pch=:{bundle['signature']}:"
        return headers

    def judge(self, seen: Seen) -> str | None:
        """Return why a request is refused, or None."""
        if not seen.signed:
            return "challenge_required"
        if sum(map(len, seen.headers.values())) > self.behaviour.budget:
            return "header_budget_exceeded"
        if not self._verified(seen):
            return "bad_signature"
        if not {f'"{name}"' for name in self.behaviour.demanded.split()} <= seen.covered.keys():
            return "component_missing"
        return self._judge_time(seen)

    def _judge_time(self, seen: Seen) -> str | None:
        if not self._in_window(seen.parameters["created"], seen.parameters["expires"]):
            return "created_out_of_window"
        if self.behaviour.fail_signed:
            return self.behaviour.fail_signed.pop(0)
        return None if self._spend(seen.parameters.get("nonce", "")) else "nonce_replayed"

    def _spend(self, nonce: str) -> bool:
        with self._lock:
            fresh = nonce.startswith("nonce-") and nonce not in self.spent
            self.spent.add(nonce)
            return fresh

    def _in_window(self, created: int, expires: int) -> bool:
        window_s, max_age = self.behaviour.window_s, self.behaviour.max_age
        if max_age is not None and expires > created + max_age:
            return False
        return window_s is None or abs(created - time.time()) <= window_s

    def _verified(self, seen: Seen) -> bool:
        """Verify the signature and note what it covers."""
        wanted = ["@method", "@authority", "@path", "@query"]
        due = {"content-digest"} if seen.method in {"POST", "PUT", "PATCH"} else set()
        wanted += [name for name in _COVERED_IF_SENT if name in seen.headers or name in due]
        headers = self.complete(seen)
        match = re.search(r';alg="([^"]+)"', seen.headers["signature-input"])
        assert match is not None
        verifier = HTTPMessageVerifier(
            signature_algorithm=_algorithm(match[1]), key_resolver=_Keys(self.keys)
        )
        verifier.max_clock_skew = timedelta(days=9)  # the window is this server's own affair
        message = _Message(seen.method, self.origin + seen.target, headers)
        try:
            (result,) = verifier.verify(
                message, expect_tag="pch-lite", expect_label="pch", require_components=wanted, body=seen.body
            )
        except InvalidSignature:
            return False
        seen.covered, seen.parameters = result.covered_components, result.parameters
        return True


class _Server(ThreadingHTTPServer):
    """Keeps what went wrong in its threads; a client that hangs up is not among it."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.errors: list[BaseException | None] = []

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.errors.append(error)


@contextmanager
def running(keys: dict[str, PrivateKey]) -> Iterator[PchServer]:
    """Run a server that knows these keys."""
    server = PchServer(keys)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class _Message:
    method: str
    url: str
    headers: dict[str, str]


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, keys: dict[str, PrivateKey]) -> None:
        self._keys = keys

    def resolve_public_key(self, key_id: str) -> bytes | None:
        key = self._keys.get(key_id)
        return None if key is None else key.public_key_bytes


def _algorithm(name: str) -> type[HTTPSignatureAlgorithm]:
    class Algorithm(HTTPSignatureAlgorithm):
        algorithm_id = name

        def __init__(self, public_key: Any = None, private_key: Any = None) -> None:
            self._public_key = public_key

        def verify(self, signature: bytes, message: bytes) -> None:
            suites.get(name).verify(self._public_key, message, signature)

    return Algorithm


def _handler(server: PchServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, self.path, headers, body)
            server.seen.append(seen)
            self._answer(*decide(server, seen))

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - names that http.server looks up

        def _answer(self, status: int, fields: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    return Handler


def decide(server: PchServer, seen: Seen) -> tuple[int, dict[str, str], bytes]:
    """Return status, header fields and content of the answer."""
    behaviour = server.behaviour
    path = urlsplit(seen.target).path
    if path in behaviour.redirects:
        return 307, {"Location": behaviour.redirects[path]}, b""
    if path in behaviour.answers:
        return behaviour.answers[path]
    return _enforce(server, seen, path)


def _enforce(server: PchServer, seen: Seen, path: str) -> tuple[int, dict[str, str], bytes]:
    behaviour = server.behaviour
    if path == f"{behaviour.stage}/pch/challenge":
        return _hand_out(server, seen)
    if path == behaviour.evidence_uri and seen.method == "POST":
        return _take_bundle(server, seen)
    if path not in behaviour.behind and not path.startswith(f"{behaviour.stage}/protected"):
        return 404, {}, b'{"message":"no such path"}'
    return _guarded(server, seen, path)


def _guarded(server: PchServer, seen: Seen, path: str) -> tuple[int, dict[str, str], bytes]:
    behaviour = server.behaviour
    if seen.signed and behaviour.shed_signed:
        behaviour.shed_signed -= 1
        return 503, {"Retry-After": "1"}, b""
    error = server.judge(seen)
    if error is not None:
        return _refuse(server, error)
    if path in behaviour.behind:
        return behaviour.behind[path]
    body = {"caller": seen.parameters["keyid"], "received_bytes": len(seen.body)}
    fields = {"Content-Type": "application/json"}
    if behaviour.next_nonce:
        fields["Signet-Nonce"] = server.issue()
    return 200, fields, json.dumps(body).encode()


def _refuse(server: PchServer, error: str) -> tuple[int, dict[str, str], bytes]:
    behaviour = server.behaviour
    if behaviour.refusal == "bare":
        text = b'{"Message":"User is not authorized to access this resource with an explicit deny"}'
        return 403, {"Content-Type": "application/json"}, text
    if behaviour.refusal == "named":
        return (
            401,
            {"WWW-Authenticate": f'PCH realm="signet", challenge-uri="{behaviour.challenge_uri}"'},
            b"",
        )
    return 401, {"WWW-Authenticate": server.challenge(error)}, b""


def _take_bundle(server: PchServer, seen: Seen) -> tuple[int, dict[str, str], bytes]:
    status = server.behaviour.evidence_answers.pop(0) if server.behaviour.evidence_answers else 201
    if status == 401:
        return 401, {"x-amzn-Remapped-WWW-Authenticate": server.challenge("nonce_expired")}, b"{}"
    if status != 201:
        return status, {"Retry-After": "7"}, b'{"error":"not_now"}'
    nonce = re.fullmatch(r'"(nonce-[0-9]+)"', seen.headers.get("pch-nonce", ""))
    assert nonce is not None
    assert nonce[1] not in server.spent
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(seen.body).digest()).decode()}:"
    server.bundles[digest] = json.loads(seen.body)
    assert rfc8785.dumps(server.bundles[digest]) == seen.body
    return 201, {}, json.dumps({"digest": digest, "expires_at": 0}).encode()


def digest_of(evidence: Any) -> str | None:
    """The digest field of evidence; None of none."""
    if evidence is None:
        return None
    return f"sha-256=:{base64.b64encode(hashlib.sha256(rfc8785.dumps(evidence)).digest()).decode()}:"


def _hand_out(server: PchServer, seen: Seen) -> tuple[int, dict[str, str], bytes]:
    if server.behaviour.challenge_status != 200:
        return server.behaviour.challenge_status, {"Retry-After": "7"}, b""
    asked = parse_qs(urlsplit(seen.target).query)
    if not asked.get("target", [""])[0].startswith("/") and "authority" not in asked:
        return 400, {}, b""
    header = server.challenge("challenge_required")
    found = re.search(r'nonce="([^"]+)"', header)
    assert found is not None
    count = int(asked["count"][0]) if server.behaviour.batches else 1
    body = json.dumps(
        {
            "nonce": found[1],
            "nonces": [found[1], *(server.issue() for _ in range(count - 1))],
            "algs": ALGS.split(),
            "binding": "none",
            "header_budget": server.behaviour.announced,
            "evidence_uri": server.behaviour.evidence_uri,
            "components": server.behaviour.components.split(),
            "max_age": server.behaviour.max_age,
        }
    )
    fields = {"Cache-Control": "no-store", "Content-Type": "application/json"}
    if server.behaviour.challenge_field:
        fields[server.behaviour.challenge_field] = header
    return 200, fields, body.encode()
