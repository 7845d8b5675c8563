"""``python -m signet_edge``: run the reference edge with settings from the environment."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from signet_edge.server import Edge
from signet_edge.settings import Settings, SettingsError


def main() -> int:
    """Run until a signal comes; return the exit code."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    try:
        asyncio.run(_run())
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


async def _run() -> None:
    edge = Edge(Settings.from_environment(os.environ))
    await edge.run(ready=_say)


def _say(address: str) -> None:
    sys.stderr.write(f"signet edge on {address}\n")


if __name__ == "__main__":
    sys.exit(main())
