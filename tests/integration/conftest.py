"""The deployed embedded stack, one for the whole test session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack, embedded


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Return a freshly deployed stack; it is gone when the session ends, however it ends."""
    with embedded() as running:
        yield running
