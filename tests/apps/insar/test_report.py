"""The page of `mvnet denoise insar`, opened and used in a browser."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from tests.apps.browser import opened, serious, settle, wait_for_viewer
from tests.data_loaders.insar.files import tiff


def test_the_page_in_the_browser(browser, filtered, tmp_path) -> None:
    y, x = np.mgrid[:96, :128]
    noise = np.random.default_rng(0).normal(scale=0.5, size=x.shape)
    source = tiff(tmp_path / "in.tif", np.angle(np.exp(1j * (0.2 * x + 0.1 * y + noise))).astype(np.float32))
    assert filtered(source, "-o", tmp_path / "out.tif", "--report").status == 0
    with opened(browser, tmp_path / "out_report.html") as tab:
        figure = wait_for_viewer(tab, "images")
        assert serious(tab) == []
        canvas = figure.locator("canvas")

        def state() -> tuple[float, list[float], int]:
            settle(tab)
            told = {name: canvas.get_attribute(f"data-{name}") for name in ("zoom", "centre", "shown")}
            return float(told["zoom"]), [float(c) for c in told["centre"].split(",")], int(told["shown"])

        assert state() == (1, [64, 48], -1)
        canvas.focus()
        for key in ("+", "+", "ArrowRight", "ArrowDown"):
            tab.keyboard.press(key)
        zoom, centre, _ = state()
        assert zoom == pytest.approx(2.25) and centre[0] > 64 and centre[1] > 48
        tab.keyboard.press("0")
        assert state()[:2] == (1, [64, 48])

        canvas.hover()
        tab.mouse.wheel(0, -200)
        zoom = state()[0]
        assert zoom > 1.2
        box = canvas.bounding_box()
        tab.mouse.down()
        tab.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2)
        tab.mouse.up()
        assert state()[1][0] < 64  # the picture follows the pointer

        def middle() -> list[int]:
            settle(tab)
            read = "c => [...c.getContext('2d').getImageData(c.width / 2 + 9, c.height / 2, 1, 1).data]"
            return canvas.evaluate(read)

        divider = figure.locator('[data-role="divider"]')
        seen = []
        for end in ("Home", "End"):
            divider.focus()
            tab.keyboard.press(end)
            seen.append(middle())
        assert seen[0] != seen[1]  # the denoised phase, then the phase as read
        figure.locator('[data-role="show"]').select_option("quality")
        divider.wait_for(state="hidden")
        assert state()[2] == 2
        assert figure.locator(".legend:visible").count() == 1
