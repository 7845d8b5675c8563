"""Figure 10: the page that checks packs, in Chromium, on a large day."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bench.figures import Figure, Section
from bench.timing import MeasurementError, Report, in_subprocess
from tests.support.webpage import VerifyPage, chromium

PROMISED = 100_000
#: An answer within a tenth of a second is felt as immediate (Nielsen, Usability Engineering, 1993).
GAP_LIMIT_MS = 100.0

# Timers run on the page's own thread: where it is busy, they are late.
_WATCH = """() => {
    window.longest = 0;
    let last = performance.now();
    setInterval(() => {
        const now = performance.now();
        window.longest = Math.max(window.longest, now - last);
        last = now;
    }, 5);
}"""


def measure(report: Report, *, quick: bool) -> Section:
    """Check one large pack in the page.

    Raises:
        MeasurementError: Chromium or Node.js are not installed, or the pack is refused.
    """
    count = 20_000 if quick else PROMISED
    try:
        with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
            for step in ("log", "build"):
                report(f"page, pack of {count:,} receipts: {step}")
                in_subprocess("bench.packs", step, "--folder", scratch, "--receipts", str(count))
            report(f"page, pack of {count:,} receipts: check")
            seconds, gap_ms = _check(browser, Path(scratch), count)
    except pytest.skip.Exception as missing:
        raise MeasurementError(f"the page was not measured: {missing.msg}") from missing
    figures = [
        Figure("the page checks the pack", seconds, "s", beside="until the verdict shows; wall time"),
        Figure(
            "longest time it answers nothing", gap_ms, "ms", GAP_LIMIT_MS, "longest gap between its timers"
        ),
    ]
    return Section(f"10. The page, {count:,} receipts", figures, ["Absolute, so it depends on the machine."])


def _check(browser: Browser, folder: Path, count: int) -> tuple[float, float]:
    page = VerifyPage.open(browser)
    page.page.get_by_label("Expected log id").fill((folder / "log_id").read_text())
    page.page.evaluate(_WATCH)
    started = time.monotonic()
    page.page.locator("#pack").set_input_files(folder / "pack.zip")
    verdict = page.verdict()
    seconds = time.monotonic() - started
    page.page.locator("#row-0").wait_for()
    if verdict.failures or f"{count:,} receipts" not in page.page.locator("#verdict").inner_text():
        raise MeasurementError(f"a good pack was refused: {verdict}")
    return seconds, float(page.page.evaluate("window.longest"))
