"""Pages in a headless Chromium: what a person can do with them, and what axe finds wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parent / "common/page/vendor/axe.min.js"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
WAIT = 120_000
"""Milliseconds that a viewer may take on a busy machine without a graphics card."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is not installed")
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, page: Path, **options: Any) -> Iterator[Any]:
    """The page from the disk. It must ask for nothing else and fail in nothing."""
    context = browser.new_context(viewport={"width": 640, "height": 480}, **options)
    tab = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.set_default_timeout(WAIT)
    try:
        tab.goto(page.as_uri())
        yield tab
        assert errors == []
        assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [page.as_uri()]
    finally:
        context.close()


def wait_for_viewer(tab: Any, kind: str) -> Any:
    """The figure of a viewer that works."""
    figure = tab.locator(f"figure.{kind}").first
    tab.locator(f"figure.{kind}[data-ready]").first.wait_for(state="attached")
    assert figure.get_attribute("data-ready") == "yes"
    return figure


def settle(tab: Any) -> None:
    """Until what was asked for is drawn."""
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def serious(tab: Any) -> list[str]:
    """Violations of accessibility rules that axe calls serious or critical."""
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run(document)")["violations"]
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
