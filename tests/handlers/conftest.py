from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader, Loader


@pytest.fixture(scope="session", autouse=True)
def models_are_read_once() -> Iterator[None]:
    """botocore reads its models anew in each session, and moto begins one per test: a fifth of their time.

    It looks through its folders for services, too.
    """
    read, look = JSONFileLoader().load_file, Loader.list_available_services

    @cache
    def once(path: str) -> Any:
        return read(path)

    @cache
    def services(type_name: str) -> list[str]:
        return look(Loader(), type_name=type_name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _loader, path: once(path))
        patch.setattr(Loader, "list_available_services", lambda _loader, type_name: list(services(type_name)))
        yield
