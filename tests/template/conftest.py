from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.template import cloudformation


@pytest.fixture(scope="session")
def transformed() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        return cloudformation.transformed()


@pytest.fixture(scope="session")
def resources(transformed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = transformed["Resources"]
    return found


@pytest.fixture(scope="session")
def of_type(resources: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Return the properties of all resources of a type, by logical name; never none."""

    def find(kind: str) -> dict[str, Any]:
        found = {name: r.get("Properties", {}) for name, r in resources.items() if r["Type"] == kind}
        assert found, f"the template has no {kind}"
        return found

    return find
