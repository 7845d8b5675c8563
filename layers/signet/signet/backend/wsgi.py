"""The guard for WSGI applications (PEP 3333).

app = SignetGuard(app, assertion_keys=["…"], api="orders")
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

from signet.backend.answers import told, with_fields
from signet.backend.network import OWN_FIELD, NetworkGuard, Target, refusal
from signet.core.errors import SignetError

Environ: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_LENGTH = re.compile(r"[0-9]{1,19}")
_CHUNK = 65_536


class SignetGuard:
    """Let an application see verified requests only, with the facts in ``environ["signet"]``.

    The body is read as a whole before the application runs, and never beyond ``CONTENT_LENGTH``. A body
    without a length is read only where the server promises to end it (``wsgi.input_terminated``).
    """

    def __init__(self, app: Application, **settings: Any) -> None:
        """Wrap ``app``; ``settings`` are those of ``NetworkGuard``.

        Raises:
            UsageError: see ``NetworkGuard``.
        """
        self._app = app
        self._guard = NetworkGuard(**settings)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        facts: dict[str, Any] | None = None
        try:
            facts = self._guard.admit(_target(environ), _fields(environ))
            body = self._body(environ)
            self._guard.check_body(facts, body)
        except SignetError as error:
            status, headers, text = refusal(error, facts)
            start_response(f"{status} {HTTPStatus(status).phrase}", headers)
            return [text]
        kept = {key: value for key, value in environ.items() if not _is_own(key)}
        kept.pop("HTTP_TRANSFER_ENCODING", None)
        length = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        watch = self._guard.watch(facts)

        def watched(status: str, headers: list[tuple[str, str]], *rest: Any, **named: Any) -> Any:
            watch.answered(int(status[:3]) if status[:3].isdecimal() else HTTPStatus.OK)
            return start_response(status, with_fields(headers, told(facts, headers)), *rest, **named)

        try:
            return self._app({**kept, **length, "signet": facts}, watched)
        except Exception:
            watch.failed()
            raise

    def _body(self, environ: Environ) -> bytes:
        given = environ.get("CONTENT_LENGTH") or None
        terminated = bool(environ.get("wsgi.input_terminated"))
        if environ.get("HTTP_TRANSFER_ENCODING"):
            # RFC 9112 section 6.3: a length beside a transfer coding may hide a second request.
            if given is not None or not terminated:
                raise SignetError("this server cannot tell where the body ends", code="malformed")
            return self._read(environ["wsgi.input"], self._guard.max_body + 1)
        if given is None:
            return b""
        if not _LENGTH.fullmatch(given):
            raise SignetError("Content-Length is no number", code="malformed")
        self._guard.check_length(int(given))
        body = self._read(environ["wsgi.input"], int(given))
        if len(body) != int(given):
            raise SignetError("the body is shorter than its Content-Length", code="malformed")
        return body

    def _read(self, stream: Any, limit: int) -> bytes:
        body = bytearray()
        while len(body) < limit and (part := stream.read(min(_CHUNK, limit - len(body)))):
            body += part
        self._guard.check_length(len(body))
        return bytes(body)


def _target(environ: Environ) -> Target:
    # PEP 3333: these texts are bytes in Latin-1, with escapes decoded.
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    decoded = path.encode("latin-1", errors="replace").decode(errors="replace")
    return Target(environ["REQUEST_METHOD"], decoded, environ.get("QUERY_STRING", ""), path_decoded=True)


def _fields(environ: Environ) -> Iterable[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key.removeprefix("HTTP_").replace("_", "-").lower(), value


def _is_own(key: str) -> bool:
    return key.startswith("HTTP_") and OWN_FIELD.fullmatch(key.removeprefix("HTTP_")) is not None
