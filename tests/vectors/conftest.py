"""Published test vectors, read in place: they are other people's work and not part of this project."""

import os
from pathlib import Path

import pytest


def vectors_dir() -> Path:
    """Return ${SIGNET_VECTORS}, or the folder ``shared/vectors`` beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "vectors"
    return Path(os.environ.get("SIGNET_VECTORS", beside))


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of test vectors; without it the test is skipped, visibly."""
    path = vectors_dir()
    if not path.is_dir():
        pytest.skip(f"no test vectors in {path}; point SIGNET_VECTORS at a folder that has them")
    return path
