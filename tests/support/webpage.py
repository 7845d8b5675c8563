"""The verifier's page in the system's Chromium, loaded from its file as an auditor would."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "web" / "verify"
PAGE = SOURCES / "dist" / "verify.html"
#: Where tests leave what the page looked like.
PICTURES = ROOT / ".local" / "web"
_PATIENCE_MS = 120_000
#: Everything the verdict says, in one question: a corpus asks hundreds of times.
_VERDICT = """() => {
    const verdict = document.querySelector("#verdict[data-verdict]");
    if (!verdict) return null;
    const said = (list) => [...verdict.querySelectorAll(list + " li")].map((item) => ({ ...item.dataset }));
    const inflated = Number(document.querySelector("#timing")?.dataset.inflated ?? 0);
    const codes = said(".notices").map(({ code }) => code);
    return [verdict.dataset.verdict, said(".failures"), codes, verdict.dataset.kind, inflated];
}"""
_INSTALLED = "web/verify/node_modules/.package-lock.json"


def make(target: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}
    }
    command = ["make", "--silent", target]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=250
    )


@cache
def install() -> None:
    """Install what the page is built with; skip where that cannot be."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    done = make(_INSTALLED)
    if done.returncode != 0:
        pytest.skip(f"the page cannot be built here: {done.stderr.strip().splitlines()[-2:]}")


@cache
def built_page() -> Path:
    """Return the page, built from the sources as they are."""
    install()
    done = make("web")
    assert done.returncode == 0, done.stderr
    return PAGE


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the system's Chromium, headless; skip without one."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("chromium is not installed")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failed check, as the verdict shows it."""

    code: str
    file: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the page says of a pack.

    Attributes:
        mood: ``good``, ``remarks``, ``bad``, ``no-pack`` or ``obstacle``.
        failures: the checks that failed, in order.
        notices: codes of the remarks.
        kind: what the file is, as the library names it.
        inflated: plain bytes that came out of members.
    """

    mood: str
    failures: tuple[Refusal, ...]
    notices: tuple[str | None, ...]
    kind: str = "pack"
    inflated: int = 0


@dataclass(slots=True)
class VerifyPage:
    """The page, and everything it asked the outside for or complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    callers: bytes | None = None

    @classmethod
    def open(cls, browser: Browser, scheme: str = "light", width: int = 1240) -> VerifyPage:
        context = browser.new_context(
            color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 900}
        )
        opened = cls(context.new_page())
        context.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.goto(built_page().as_uri())
        return opened

    def close(self) -> None:
        self.page.context.close()

    def check(
        self,
        data: bytes,
        log_id: str | None = None,
        asked: str | None = None,
        callers: bytes | None = None,
    ) -> Verdict:
        """Choose a pack and wait for the verdict."""
        self.choose(data, log_id, asked, callers)
        return self.verdict()

    def choose(
        self,
        data: bytes,
        log_id: str | None = None,
        asked: str | None = None,
        callers: bytes | None = None,
    ) -> None:
        """Choose a pack, by the log id and the day that were asked for, and wait for nothing."""
        self._give_callers(callers)
        for label, text in (("Expected log id", log_id), ("Day you asked for", asked)):
            field = self.page.get_by_label(label)
            if field.input_value() != (text or ""):
                field.fill(text or "")
        pack: FilePayload = {"name": "pack.zip", "mimeType": "application/zip", "buffer": data}
        self.page.locator("#pack").set_input_files(pack)

    def _give_callers(self, callers: bytes | None) -> None:
        """Choose a file of callers' keys, or none, before the pack is chosen."""
        if callers == self.callers:
            return
        self.callers = callers
        files: list[FilePayload] = []
        if callers is not None:
            files = [{"name": "callers.json", "mimeType": "application/json", "buffer": callers}]
        self.page.locator("#callers").set_input_files(files)

    def verdict(self) -> Verdict:
        """Wait for the verdict of the pack that was chosen."""
        shown = self.page.wait_for_function(_VERDICT, timeout=_PATIENCE_MS)
        mood, failures, notices, kind, inflated = shown.json_value()
        return Verdict(
            mood,
            tuple(
                Refusal(item["code"], item["file"], int(item["line"]) if item["line"] else None)
                for item in failures
            ),
            tuple(notices),
            kind,
            inflated,
        )
