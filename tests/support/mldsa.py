"""ML-DSA providers for tests; what is not installed is skipped, with the reason a deployment would read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from signet.aws.liboqs import load_provider
from signet.core.errors import UsageError
from signet.crypto import suites
from signet.crypto.mldsa_provider import CRYPTOGRAPHY, MlDsaProvider


def provider_or_skip(name: str) -> MlDsaProvider:
    try:
        return load_provider(name)
    except UsageError as error:
        pytest.skip(str(error))


@contextmanager
def verifying_with(provider: MlDsaProvider) -> Iterator[MlDsaProvider]:
    """Let a provider verify in all suites, and the usual one again afterwards."""
    suites.use_mldsa_provider(provider)
    try:
        yield provider
    finally:
        suites.use_mldsa_provider(CRYPTOGRAPHY)
