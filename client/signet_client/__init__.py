"""What a caller or an auditor installs.

``PCHAuth`` plugs into ``httpx.Client(auth=…)``, ``httpx.AsyncClient(auth=…)`` and ``requests``;
``ExporterTransport`` and ``AsyncExporterTransport`` (httpx) and ``ExporterAdapter`` (requests) let it bind
requests to their TLS channel;
the ``signet`` command is ``signet_client.cli``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signet_client.adapter import ExporterAdapter
    from signet_client.async_transport import AsyncExporterTransport
    from signet_client.auth import PCHAuth
    from signet_client.transport import ExporterTransport

__all__ = ["AsyncExporterTransport", "ExporterAdapter", "ExporterTransport", "PCHAuth"]

_HOMES = {
    "AsyncExporterTransport": "async_transport",
    "ExporterAdapter": "adapter",
    "ExporterTransport": "transport",
    "PCHAuth": "auth",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: most of the command's subcommands need no HTTP client.
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
