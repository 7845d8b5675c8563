"""Reports outcomes to Signet over HTTP, on the side: ``POST /pch/outcomes`` (docs/backends.md).

A report never makes a request wait or fail. Outcomes lie in a queue of bounded length, the oldest make room,
and a thread of its own sends them in batches; what cannot be sent is dropped and counted.
"""

from __future__ import annotations

import atexit
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from signet.core.errors import UsageError
from signet.core.vocabulary import is_failure

#: Most outcomes that wait to be sent, and most in one batch (the server takes no more).
QUEUED: Final = 10_000
BATCH: Final = 100
#: How long outcomes come together before they are sent, seconds.
INTERVAL_S: Final = 1.0
#: How long one batch may take; and how long ``close`` waits for the rest.
TIMEOUT_S: Final = 3.0
_LONGEST_PAUSE_S: Final = 30.0
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})

#: Sends one body; raises ``OSError`` or ``HTTPException`` if that fails.
Post = Callable[[bytes], None]


class OutcomeSender:
    """Takes outcomes and sends them; safe to share between threads.

    Attributes:
        sent: outcomes that the server took.
        dropped: outcomes that were lost, because the queue was full or a batch could not be sent.
    """

    def __init__(
        self, url: str, *, post: Post | None = None, queued: int = QUEUED, interval_s: float = INTERVAL_S
    ) -> None:
        """Prepare; nothing runs before the first report, so a server may fork.

        Args:
            url: the stack's output ``OutcomesUrl``. https, or http on this machine: tickets are secrets.
            post: sends a body; by default to ``url``.
            queued: most outcomes that wait.
            interval_s: how long outcomes come together.

        Raises:
            UsageError: the URL cannot be used.
        """
        self._post = post or _poster(_checked(url))
        self._interval_s = interval_s
        self._queue: deque[Mapping[str, Any]] = deque(maxlen=queued)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.sent = self.dropped = 0
        atexit.register(self.close)

    def report(self, ticket: object, *, latency_ms: float, error: bool) -> None:
        """Queue one outcome; returns at once and never fails. Without a ticket nothing is wanted."""
        if not isinstance(ticket, str) or not ticket:
            return
        with self._lock:
            self.dropped += len(self._queue) == self._queue.maxlen
            self._queue.append({"ticket": ticket, "latency_ms": round(latency_ms, 1), "error": error})
            # In a process that was forked off, the thread of the one before is not alive.
            if not self._closing.is_set() and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="signet-outcomes", daemon=True)
                try:
                    self._thread.start()
                except (
                    RuntimeError
                ):  # no thread can be had: at the end of the process, or the limit is reached
                    self._thread = None

    def close(self) -> None:
        """Send what waits, for ``TIMEOUT_S`` at most; at the end of the process this is done by itself."""
        self._closing.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(TIMEOUT_S)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._closing.wait(max(self._interval_s, pause_s)):
            pause_s = 0.0 if self._flush() else min(max(1.0, 2 * pause_s), _LONGEST_PAUSE_S)
        self._flush()

    def _flush(self) -> bool:
        """Send all that waits; False after a batch that could not be sent, which is lost."""
        while batch := self._taken():
            try:
                self._post(json.dumps({"outcomes": batch}).encode())
            except (OSError, HTTPException):
                with self._lock:
                    self.dropped += len(batch)
                return False
            with self._lock:
                self.sent += len(batch)
        return True

    def _taken(self) -> list[Mapping[str, Any]]:
        with self._lock:
            return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]


class Watch:
    """Follows one request, and reports its outcome once.

    It ends when the application begins its answer: how fast a caller reads the rest is no word about the
    backend, and a caller who goes away is no failure of it.
    """

    def __init__(self, sender: OutcomeSender | None, ticket: object) -> None:
        """Start; without a sender nothing is reported."""
        self._sender = sender
        self._ticket = ticket
        self._started = time.perf_counter()

    def answered(self, status: int) -> None:
        """Report an answer with this status, unless something was reported before, or it says nothing."""
        self._tell(error=is_failure(status))

    def failed(self) -> None:
        """Report that the application raised, unless something was reported before."""
        self._tell(error=True)

    def _tell(self, *, error: bool | None) -> None:
        sender, self._sender = self._sender, None
        if sender is not None and error is not None:
            taken_ms = (time.perf_counter() - self._started) * 1000
            sender.report(self._ticket, latency_ms=taken_ms, error=error)


class _NoRedirects(HTTPRedirectHandler):
    """Tickets go to the place that was set, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
        good = good and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            "outcomes_url is an https URL: the stack's output OutcomesUrl (http on localhost only)"
        )
    return url


def _poster(url: str) -> Post:
    opener: OpenerDirector = build_opener(_NoRedirects)

    def post(body: bytes) -> None:
        request = Request(url, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310 - as checked
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                answer.read(1)
        except HTTPError as error:
            error.close()
            raise

    return post
