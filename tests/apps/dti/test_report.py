"""The page of `mvnet denoise dti`, opened and used in a browser."""

from __future__ import annotations

import numpy as np
import pytest

from mvnet.apps.dti.figures import Viewer
from tests.apps.browser import opened, serious, wait_for_viewer
from tests.apps.dti.test_denoise import inputs_of
from tests.apps.dti.test_figures import ORIENTATIONS, stored


@pytest.mark.parametrize(("permutation", "signs"), ORIENTATIONS[::7])
def test_volumes_and_directions_are_the_same_for_every_storage_order(permutation, signs) -> None:
    generator = np.random.default_rng(0)
    volume, vectors = generator.normal(size=(7, 8, 9)), generator.normal(size=(7, 8, 9, 3))
    mask = np.zeros((7, 8, 9), bool)
    mask[1:5, 2:8, 3:6] = True
    reference = Viewer(np.diag([2.0, 2, 2, 1]), mask, (2, 2, 2))
    array, affine = stored(volume, permutation, signs)
    turned = Viewer(affine, stored(mask, permutation, signs)[0], (2, 2, 2))
    assert np.array_equal(reference.box(volume), turned.box(array))
    assert turned.grid().affine == pytest.approx(reference.grid().affine)
    assert turned.grid().start == reference.grid().start
    along = np.moveaxis(stored(vectors, permutation, signs)[0], -1, 0)[list(permutation)] * np.reshape(
        signs, (3, 1, 1, 1)
    )
    assert turned.directions(np.moveaxis(along, 0, -1)) == pytest.approx(reference.directions(vectors))


def test_the_page_in_the_browser(browser, scan, denoise, tmp_path) -> None:
    assert denoise(*inputs_of(scan), "-o", tmp_path / "out", report=True).status == 0
    with opened(browser, next((tmp_path / "out").glob("*.html"))) as tab:
        figure = wait_for_viewer(tab, "volumes")
        assert serious(tab) == []
        names = figure.locator('[data-role="map"] option').all_inner_texts()
        assert names == ["colour FA", "FA", "FA change", "confidence", "residual of the fit"]
        assert "confidence" in figure.locator('[data-role="readout"]').inner_text()
        for name in names:
            figure.locator('[data-role="map"]').select_option(name)
            shown = "visible" if name in ("colour FA", "FA") else "hidden"
            figure.locator('[data-role="mix-label"]').wait_for(state=shown)
