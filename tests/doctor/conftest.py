from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doctor.world import REGION, World, healthy
from tests.handlers.conftest import models_are_read_once

__all__ = ["models_are_read_once", "world"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with healthy() as deployed:
        yield deployed
