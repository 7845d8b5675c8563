"""What a caller or an auditor installs.

``PCHAuth`` plugs into ``httpx.Client(auth=…)``, ``httpx.AsyncClient(auth=…)`` and ``requests``; the
``signet`` command is ``signet_client.cli``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signet_client.auth import PCHAuth

__all__ = ["PCHAuth"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: most of the command's subcommands need no HTTP client.
    if name == "PCHAuth":
        from signet_client.auth import PCHAuth  # noqa: PLC0415 - see above

        return PCHAuth
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
