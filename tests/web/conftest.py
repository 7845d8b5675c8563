"""The browser and the page, for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.packs import PackLog, log_with_days
from tests.support.webpage import VerifyPage, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One a file: until it ends, Playwright's event loop runs in this thread, and no other can."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[VerifyPage]:
    """One page for many packs, as an auditor who checks many would use it."""
    page = VerifyPage.open(browser)
    yield page
    page.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[VerifyPage]:
    page = VerifyPage.open(browser)
    yield page
    assert page.complaints == []
    page.close()


@pytest.fixture(scope="module")
def log() -> PackLog:
    return log_with_days(30, 300)
