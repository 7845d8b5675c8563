"""The guard for ASGI applications (asgi.readthedocs.io, specification 3.0).

app = SignetGuard(app, assertion_keys=["…"], api="orders")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from signet.backend.answers import told, with_fields
from signet.backend.network import OWN_FIELD, NetworkGuard, Target, refusal
from signet.core.errors import SignetError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


class SignetGuard:
    """Let an application see verified requests only, with the facts in ``scope["signet"]``.

    The body is read as a whole before the application runs. WebSockets are refused: the authorizer does not
    verify them. ``lifespan`` passes; other kinds of scope are errors.
    """

    def __init__(self, app: Application, **settings: Any) -> None:
        """Wrap ``app``; ``settings`` are those of ``NetworkGuard``.

        Raises:
            UsageError: see ``NetworkGuard``.
        """
        self._app = app
        self._guard = NetworkGuard(**settings)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection scope."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            # Before it is accepted, a close makes the server answer 403.
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            raise ValueError("this guard knows the scopes http, websocket and lifespan")

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        facts: dict[str, Any] | None = None
        try:
            fields = [
                (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
            ]
            facts = self._guard.admit(_target(scope), fields)
            body = await self._body(receive)
            if body is None:
                return
            self._guard.check_body(facts, body)
        except SignetError as error:
            status, answer, text = refusal(error, facts)
            headers = [(name.encode(), value.encode()) for name, value in answer]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": text})
            return
        kept = [
            (name, value)
            for name, value in scope["headers"]
            if not OWN_FIELD.fullmatch(name.decode("latin-1"))
        ]
        watch, connection = self._guard.watch(facts), _Connection(body, receive)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                watch.answered(message["status"])
                message = {**message, "headers": _told(facts, message.get("headers", ()))}
            await send(message)

        try:
            await self._app({**scope, "headers": kept, "signet": facts}, connection.receive, watched)
        except Exception:
            if not connection.gone:  # what an application raises then is about its caller
                watch.failed()
            raise

    async def _body(self, receive: Receive) -> bytes | None:
        """Return the whole body, or None if the client went away."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            self._guard.check_length(len(body))
            if not message.get("more_body", False):
                return bytes(body)


def _told(facts: dict[str, Any], headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the answer's header lines with what the caller is told."""
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    added = told(facts, lines)
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in with_fields(lines, added)
    ]


def _target(scope: Message) -> Target:
    raw = scope.get("raw_path")
    path = scope["path"] if raw is None else raw.decode("latin-1").partition("?")[0]
    query = scope.get("query_string", b"").decode("latin-1")
    return Target(scope["method"], path, query, path_decoded=raw is None)


class _Connection:
    """Gives the body once, and then what the server says; knows whether the client went away."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self.gone = False

    async def receive(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        self.gone = self.gone or message["type"] == "http.disconnect"
        return message
