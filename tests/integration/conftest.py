"""The deployed embedded stack, one for the whole test session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack, embedded
from local.tools import ROOT


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Return a freshly deployed stack; it is gone when the session ends, however it ends."""
    with embedded() as running:
        yield running


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the orders example's commands read: they write keys where they run."""
    folder = tmp_path_factory.mktemp("orders")
    for name in ("examples", "policy"):
        shutil.copytree(ROOT / name, folder / name)
    return folder
