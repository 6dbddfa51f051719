"""An explorer of a small study, and a browser with no network to open it in."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vaescape import Study
from vaescape.explore.page import save

CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
SWITCHES = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
PATIENCE = 60_000
"""Milliseconds; a page is there in a few seconds on an idle machine."""


@pytest.fixture(scope="session")
def study() -> Study:
    """A plane of shapes."""
    return Study("first-look", limit=600, epochs=2, batch=50, threads=1).fit()


@pytest.fixture(scope="session")
def saved(study, tmp_path_factory) -> Path:
    """Its page."""
    return save(study, tmp_path_factory.mktemp("explorer") / "explorer.html")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("There is no chromium, and this run must see the page. Install it.")
        pytest.skip("needs chromium: apt-get install chromium, or set CHROMIUM to its path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=SWITCHES, timeout=PATIENCE
        )
        yield opened
        opened.close()


class Visit:
    """A page that was opened, with all that it complained of or asked for outside itself."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
        self.context = browser.new_context(**(settings | context), offline=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(path.as_uri())

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("file:", "blob:", "data:")):
            self.complaints.append(f"asked for {request.url}")

    def ready(self) -> Any:
        """Return the page when its decoder has passed its own test."""
        self.page.get_by_role("application").wait_for()
        self.page.get_by_role("progressbar", name="Opening the decoder").wait_for(state="detached")
        return self.page


@pytest.fixture
def visit(browser) -> Iterator[Any]:
    """Open a page; at the end, nothing was asked for and nothing complained of."""
    visits: list[Visit] = []

    def opened(path: Path, **context: Any) -> Visit:
        visits.append(Visit(browser, path, **context))
        return visits[-1]

    yield opened
    complaints = [complaint for each in visits for complaint in each.complaints]
    for each in visits:
        each.context.close()
    assert not complaints
