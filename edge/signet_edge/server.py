"""Accepts connections, limits them, and stops in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable

from OpenSSL import SSL

from signet_edge.relay import Relay
from signet_edge.settings import Settings, SettingsError, host_and_port
from signet_edge.tls import TlsError, TlsStream, server_context

logger = logging.getLogger("signet_edge")


class Edge:
    """Serves until told to stop."""

    def __init__(self, settings: Settings) -> None:
        """Read certificate and authorities.

        Raises:
            SettingsError: one of them cannot be used.
        """
        self._settings = settings
        try:
            self._tls = server_context(settings.certificate)
        except (SSL.Error, OSError) as error:
            raise SettingsError(
                f"SIGNET_EDGE_CERT={settings.certificate} is no PEM file with a certificate and its key."
            ) from error
        self._upstream_tls = _upstream_tls(settings)
        self._relays: dict[asyncio.Task[None], Relay | None] = {}
        self._stop = asyncio.Event()

    async def run(self, *, ready: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT; then let requests under way end, and return.

        Args:
            ready: called once with ``host:port`` when connections are taken.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        listener = listen(self._settings.bind)
        server = await asyncio.start_server(self._accept, sock=listener)
        host, port = listener.getsockname()[:2]
        ready(f"{host}:{port}")
        await self._stop.wait()
        server.close()
        for task, relay in self._relays.items():
            if relay is None or relay.idle:
                task.cancel()
        if self._relays:
            await asyncio.wait(list(self._relays), timeout=self._settings.limits.drain_s)
        for task in self._relays:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._stop.is_set() or len(self._relays) >= self._settings.limits.connections:
            writer.close()
            return
        self._relays[task] = None
        try:
            await self._serve(
                task, TlsStream(self._tls, reader, writer), writer.get_extra_info("peername")[0]
            )
        except (TlsError, TimeoutError):
            pass  # a port scan, a health check, a client that wants TLS 1.2
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
        except Exception:
            logger.exception("a connection ended in an error of ours")
        finally:
            del self._relays[task]
            writer.close()

    async def _serve(self, task: asyncio.Task[None], stream: TlsStream, src: str) -> None:
        async with asyncio.timeout(self._settings.limits.handshake_s):
            await stream.handshake()
        relay = Relay(
            stream, src, self._settings, upstream_tls=self._upstream_tls, stopping=self._stop.is_set
        )
        self._relays[task] = relay
        await relay.serve()


def listen(bind: str) -> socket.socket:
    """Return the listening socket: ``host:port``, or ``fd@<number>`` for one that was handed over.

    Raises:
        SettingsError: it cannot be had.
    """
    try:
        if bind.startswith("fd@") and bind[3:].isdecimal():
            return socket.socket(fileno=int(bind[3:]))
        host, port = host_and_port(bind, "SIGNET_EDGE_BIND")
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise SettingsError(f"SIGNET_EDGE_BIND={bind} cannot be used: {error.strerror}.") from error


def _upstream_tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.upstream_tls:
        return None
    try:
        return ssl.create_default_context(cafile=settings.upstream_ca)
    except OSError as error:
        raise SettingsError(
            f"SIGNET_EDGE_UPSTREAM_CA={settings.upstream_ca} is no PEM file of certificates."
        ) from error
