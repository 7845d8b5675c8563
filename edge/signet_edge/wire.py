"""One side of an HTTP/1.1 conversation: h11 for the form, a stream for the bytes, a limit for each wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import h11


class Wire:
    """Sends and receives h11's events.

    Attributes:
        http: the state of the conversation.
    """

    def __init__(
        self,
        http: h11.Connection,
        *,
        receive: Callable[[], Awaitable[bytes]],
        send: Callable[[bytes], Awaitable[None]],
        wait_s: float,
    ) -> None:
        """Take a fresh conversation and the two directions of its stream.

        Args:
            http: in the role we play.
            receive: returns the next bytes, empty at the end.
            send: sends bytes at the peer's pace.
            wait_s: longest wait for either, seconds.
        """
        self.http = http
        self._receive = receive
        self._send = send
        self._wait_s = wait_s

    async def first_byte(self) -> bool:
        """Wait until something of the next message is there; False if the peer has closed instead.

        Raises:
            TimeoutError: nothing came.
        """
        if self.http.trailing_data[0]:
            return True  # the peer did not wait for our answer
        async with asyncio.timeout(self._wait_s):
            data = await self._receive()
        self.http.receive_data(data)
        return bool(data)

    async def next_event(self) -> Any:
        """Return the next event.

        Raises:
            h11.RemoteProtocolError: the peer does not speak HTTP/1.1.
            TimeoutError: nothing came.
        """
        while (event := self.http.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(self._wait_s):
                self.http.receive_data(await self._receive())
        return event

    async def send(self, event: h11.Event) -> None:
        """Send an event.

        Raises:
            TimeoutError: the peer does not take it.
        """
        data = self.http.send(event)
        if data:
            async with asyncio.timeout(self._wait_s):
                await self._send(data)
