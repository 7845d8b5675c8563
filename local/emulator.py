"""Serves the emulator. Runs with the emulator's interpreter, as a program: ``emulator.py FD PARALLEL``.

Why not the emulator's own command: API requests have to wait for their turn. The emulator starts a process
for every function call that finds none idle, so 200 requests at once would be 400 interpreters importing
their libraries on two cores. Its own limits (account and reserved concurrency) refuse calls where these
should wait.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app

_API_PREFIX = "/_aws/execute-api/"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Turnstile:
    """Lets so many API requests in at a time; everything else passes.

    What functions call in turn (tables, queues, buckets) never waits here, so nothing waits for itself.
    """

    def __init__(self, parallel: int) -> None:
        self._places = asyncio.Semaphore(parallel)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and scope["path"].startswith(_API_PREFIX):
            async with self._places:
                await app(scope, receive, send)
        else:
            await app(scope, receive, send)


async def main(descriptor: int, parallel: int) -> None:
    """Serve on a listening socket until a signal comes, or until the holder of our standard input is gone."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    if os.environ.get("SIGNET_LOCAL_LIFELINE") == "1":
        loop.add_reader(sys.stdin.fileno(), done.set)  # readable means closed: it is never written to

    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    await serve(Turnstile(parallel), config, shutdown_trigger=done.wait)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
