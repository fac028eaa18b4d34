"""Pictures of three pages for the documentation, taken in a headless Chromium: a brain, an interferogram, a motion."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

_ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]


def draw_pages(brain: Path, interferogram: Path, work: Path, folder: Path) -> list[Path]:
    """Take them.

    Args:
        brain, interferogram: pages of `mvnet denoise dti` and `mvnet denoise insar`.
        work: for the motion, which is that of `mvnet demo`.
        folder: where the pictures go.
    Returns:
        their paths; none, with a word, where there is no Chromium or no playwright to drive it.
    """
    from mvnet.apps.common.console import Console
    from mvnet.apps.demo.walker import denoise_walk

    path = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]
    except ImportError:
        path = None
    if path is None:
        print("pictures of pages are left out: they need Chromium and the package playwright")
        return []
    motion = work / denoise_walk(work, Console(quiet=True)).report
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        shown = [
            _shot(browser, brain, "volumes", folder / "page_brain.png", _lines),
            _shot(browser, interferogram, "images", folder / "page_interferogram.png"),
            _shot(browser, motion, "skeletons", folder / "page_motion.png"),
        ]
        browser.close()
    return shown


def _lines(tab: Any) -> None:
    """The axial plane with V1 lines, drawn larger than the page does."""
    tab.locator('[data-role="view"]').select_option("axial")
    tab.locator('[data-role="lines"]').check()
    tab.wait_for_timeout(2000)


def _shot(browser: Any, page: Path, kind: str, path: Path, prepare: Any = None) -> Path:
    """The viewer of a page."""
    tab = browser.new_page(viewport={"width": 1000, "height": 800}, reduced_motion="reduce")
    tab.goto(page.as_uri())
    tab.locator(f"figure.{kind}[data-ready=yes]").first.wait_for(timeout=120_000)
    if prepare is not None:
        prepare(tab)
    tab.wait_for_timeout(500)
    tab.locator(f"figure.{kind}").first.screenshot(path=path)
    tab.close()
    return path
