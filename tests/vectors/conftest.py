"""Published test vectors, read in place: they are other people's work and not part of this project."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from signet.aws.liboqs import NAMES
from signet.crypto.mldsa_provider import MlDsaProvider
from tests.support.mldsa import provider_or_skip, verifying_with


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


@pytest.fixture(params=NAMES)
def mldsa(request: pytest.FixtureRequest) -> Iterator[MlDsaProvider]:
    """Each ML-DSA provider in turn, in force in all suites; one that is not installed is skipped, visibly."""
    with verifying_with(provider_or_skip(request.param)) as provider:
        yield provider
