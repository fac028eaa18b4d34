"""Maps and pictures do not depend on how the slices lie in the file."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mvnet.apps.common import page
from mvnet.apps.common.figures import png
from mvnet.apps.dti.figures import Viewer, histogram, slice_grid
from mvnet.data_loaders.dti.frames import rotate
from mvnet.models.dti.maps import TensorMaps

ORIENTATIONS = [
    (p, s) for p in itertools.permutations(range(3)) for s in itertools.product((1, -1), repeat=3)
]  # voxel axis k runs along s[k] times world axis p[k]


def stored(volume: np.ndarray, permutation, signs) -> tuple[np.ndarray, np.ndarray]:
    """A volume in right-anterior-superior order as another scanner would store it, and its affine (2 mm)."""
    array = volume.transpose(*permutation, *range(3, volume.ndim))
    affine = np.eye(4)
    affine[:3, :3] = 0
    for k in range(3):
        affine[permutation[k], k] = 2 * signs[k]
        if signs[k] < 0:
            array = np.flip(array, k)
            affine[permutation[k], 3] += 2 * (array.shape[k] - 1)
    return array, affine


@pytest.mark.parametrize(("permutation", "signs"), ORIENTATIONS)
def test_slices_are_the_same_for_every_storage_order(permutation, signs):
    volume = np.random.default_rng(0).normal(size=(7, 8, 9))
    mask = np.zeros((7, 8, 9), bool)
    mask[1:5, 2:8, 3:6] = True
    reference = Viewer(np.diag([2.0, 2, 2, 1]), mask, (2, 2, 2)).slices(volume)
    array, affine = stored(volume, permutation, signs)
    turned = Viewer(affine, stored(mask, permutation, signs)[0], (2, 2, 2)).slices(array)
    assert all(np.array_equal(a, b) for a, b in zip(reference, turned, strict=True))


def test_right_is_on_the_left_and_up_is_up():
    volume, mask = np.zeros((5, 6, 7)), np.ones((5, 6, 7), bool)
    volume[4, :, :] = 1  # right
    volume[:, :, 6] += 2  # superior
    sagittal, coronal, axial = Viewer(np.eye(4), mask, (1, 1, 1)).slices(volume)
    assert coronal[-1, 0] == 1 and coronal[-1, -1] == 0 and coronal[0, 2] == 2
    assert axial[3, 0] == 1 and sagittal[0, 0] == 2


@pytest.mark.parametrize(("permutation", "signs"), ORIENTATIONS[::5])
def test_colours_follow_the_scanner_axes(permutation, signs):
    generator = torch.Generator().manual_seed(1)
    planes = 0.2 * torch.randn((6, 4, 5, 6), generator=generator)
    planes[:3] += 1.5
    mask = torch.ones((4, 5, 6), dtype=torch.bool)
    reference = TensorMaps.of(planes, mask).colour_fa(np.eye(4)).numpy()
    array, affine = stored(np.moveaxis(planes.numpy(), 0, -1), permutation, signs)
    _, box = stored(mask.numpy(), permutation, signs)
    assert np.array_equal(affine, box)
    turn = (affine[:3, :3] / 2).T  # world -> voxel axes
    turned = rotate(torch.from_numpy(np.moveaxis(array, -1, 0).copy()), turn)
    shape = torch.ones(turned.shape[1:], dtype=torch.bool)
    expected = stored(reference, permutation, signs)[0]
    assert TensorMaps.of(turned, shape).colour_fa(affine).numpy() == pytest.approx(expected, abs=1e-5)


def test_maps_are_zero_outside_the_mask():
    planes = torch.tensor([2.0, 1, 1, 0, 0, 0])[:, None, None, None].expand(6, 3, 3, 3).clone()
    mask = torch.zeros((3, 3, 3), dtype=torch.bool)
    mask[1] = True
    colours = TensorMaps.of(planes, mask).colour_fa(np.eye(4))
    assert TensorMaps.of(planes, mask).fa[1, 1, 1] == pytest.approx(6**-0.5, abs=1e-6)  # FA of (2, 1, 1)
    assert colours[1, 1, 1].tolist() == pytest.approx([6**-0.5, 0, 0], abs=1e-6)
    assert not colours[~mask].any()


def test_figures_become_png():
    mask = np.ones((4, 5, 6), bool)
    viewer = Viewer(np.diag([1.0, 1, 3, 1]), mask, (1, 1, 3))
    assert viewer.aspect(0) == viewer.aspect(1) == 3 and viewer.aspect(2) == 1
    grid = slice_grid(viewer, [("a", mask.astype(float), {"cmap": "gray", "colorbar": "x"})])
    bars = histogram([("a", np.linspace(0, 1, 9), "#123456")], "x", (0, 1))
    assert all(png(figure, dpi=40).startswith(b"\x89PNG") for figure in (grid, bars))


def test_text_is_escaped():
    html = page.document("<a>", "b & c", [page.table(("x", "y", "z"), [("<d>", "1", "2")]), page.paragraph("<e>")])
    assert "<a>" not in html and "<d>" not in html and "<e>" not in html and "b &amp; c" in html
