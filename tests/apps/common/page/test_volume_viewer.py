"""The viewer of volumes: what the page holds, and what a person sees and does."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re

import nibabel
import numpy as np
import pytest

from mvnet.apps.common import page
from mvnet.apps.common.page import volume_viewer
from tests.apps.browser import opened, serious, settle, wait_for_viewer

SIDE = 16


def ball() -> tuple[np.ndarray, np.ndarray]:
    """FA 0.8 in a ball, NaN outside; and directions along (1, 0, 1) / sqrt 2."""
    x = np.indices((SIDE, SIDE, SIDE)) - (SIDE - 1) / 2
    fa = np.where(np.square(x).sum(0) < 49, 0.8, np.nan)
    return fa, np.broadcast_to(np.array([1.0, 0, 1]) / 2**0.5, (*fa.shape, 3))


def viewer() -> str:
    fa, directions = ball()
    maps = [
        page.ScalarMap("FA", fa, (0, 1), before=0.5 * fa),
        page.ScalarMap("FA change", 0.5 * fa, (-1, 1), colours="RdBu_r"),
    ]
    grid = page.Grid(np.diag([2.0, 2, 2, 1]), (8, 8, 8))
    return page.volumes(grid, maps, (directions, directions), page.paragraph("still picture"), "A ball & <b>.")


def files(html: str) -> list[nibabel.Nifti1Image]:
    found = re.findall(r'class="file">([^<]+)<', html)
    return [nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text))) for text in found]


def test_the_files_hold_the_maps() -> None:
    fa, directions = ball()
    html = viewer()
    held = files(html)
    spec = json.loads(re.findall(r'class="spec">([^<]+)<', html)[0])
    assert "A ball &amp; &lt;b&gt;." in html
    before, after = (np.asarray(held[k].dataobj).astype(float) for k in spec["maps"][0]["files"])
    for stored, values in ((before, 0.5 * fa), (after, fa)):
        assert np.array_equal(stored == 0, np.isnan(values))
        assert (stored[stored > 0] - 1) / 254 == pytest.approx(values[stored > 0], abs=1 / 500)
    triple = np.asarray(held[spec["directions"][1]].dataobj)
    vectors = np.stack([triple[name].astype(float) for name in "RGB"], -1) - 128
    assert vectors / 124 == pytest.approx(directions, abs=1 / 62)
    assert all(np.array_equal(np.asarray(image.affine), np.diag([2.0, 2, 2, 1])) for image in held)


def test_a_large_volume_is_shown_coarser_and_says_so(monkeypatch) -> None:
    monkeypatch.setattr(volume_viewer, "MOST_VOXELS", SIDE**3 // 8)
    html = viewer()
    assert "One voxel of 2 along each axis" in html
    assert files(html)[0].shape[:3] == (8, 8, 8)
    assert files(html)[0].affine == pytest.approx(np.diag([4.0, 4, 4, 1]))


def pixels(tab) -> np.ndarray:
    from PIL import Image

    shot = tab.locator("figure.volumes canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(float)


def slope(picture: np.ndarray) -> float:
    """Direction of the stripes of a picture in degrees, by its structure tensor; 45 runs up to the right."""
    middle = picture.sum(-1)[tuple(slice(n // 2 - n // 8, n // 2 + n // 8) for n in picture.shape[:2])]
    down, right = np.gradient(middle)
    angle = 0.5 * np.arctan2(2 * (right * down).sum(), (right**2 - down**2).sum())  # across the stripes
    return float(np.degrees(-angle + np.pi / 2) % 180)


def test_the_viewer_in_the_browser(browser, tmp_path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page.document("Ball", "volumes", [viewer()]), encoding="utf-8")
    with opened(browser, path) as tab:
        figure = wait_for_viewer(tab, "volumes")
        assert serious(tab) == []
        assert not tab.get_by_text("still picture").is_visible()

        canvas = figure.locator("canvas")
        canvas.focus()
        for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "PageUp"):
            tab.keyboard.press(key)
        assert canvas.get_attribute("data-position") == "9,7,10"  # right is on the left
        figure.locator('[data-role="z"]').focus()
        tab.keyboard.press("ArrowRight")
        assert canvas.get_attribute("data-position") == "9,7,11"
        assert "FA 0.40 → 0.80" in figure.locator('[data-role="readout"]').inner_text()

        figure.locator('[data-role="view"]').select_option("coronal")
        figure.locator('[data-role="map"]').select_option("FA")
        settle(tab)
        bright = pixels(tab).mean()
        figure.locator('[data-role="flip"]').click()
        assert figure.locator('[data-role="mix"]').input_value() == "0"
        settle(tab)
        assert 0.3 * bright < pixels(tab).mean() < 0.8 * bright

        figure.locator('[data-role="lines"]').check()
        settle(tab)
        # (1, 0, 1) points up and to the right of the body, which is on the left of the picture
        assert slope(pixels(tab)) == pytest.approx(135, abs=25)
        tab.emulate_media(media="print")
        assert tab.get_by_text("still picture").is_visible() and not canvas.is_visible()


def test_pictures_stand_in_where_there_is_no_webgl(browser, tmp_path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page.document("Ball", "volumes", [viewer()]), encoding="utf-8")
    with opened(browser, path, java_script_enabled=False) as tab:
        assert tab.get_by_text("still picture").is_visible() and not tab.locator("canvas").is_visible()
