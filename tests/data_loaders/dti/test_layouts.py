"""Component orders, units and reference axes."""

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti.frames import mandel_rotation, rotate, to_voxel
from mvnet.data_loaders.dti.layouts import LAYOUTS, find_layout, unit_factor
from mvnet.data_loaders.errors import DataError
from mvnet.linalg import sym3

MATRIX = torch.tensor([[1.0, 0.2, 0.3], [0.2, 4.0, 0.5], [0.3, 0.5, 6.0]])
STORED = {  # what each tool writes for MATRIX
    "fsl": [1, 0.2, 0.3, 4, 0.5, 6],
    "mrtrix": [1, 4, 6, 0.2, 0.3, 0.5],
    "dipy": [1, 0.2, 4, 0.3, 0.5, 6],
    "symmatrix": [1, 0.2, 4, 0.3, 0.5, 6],
    "dti-tk": [1, 0.2, 4, 0.3, 0.5, 6],
}


@pytest.mark.parametrize("order", LAYOUTS)
def test_layout_reads_and_writes_the_components_of_its_tool(order):
    layout = LAYOUTS[order]
    stored = np.array(STORED[order], dtype=np.float32).reshape(1, 1, 1, 6)
    planes = layout.to_mandel(stored)
    torch.testing.assert_close(sym3.unpack(planes, dim=0)[0, 0, 0], MATRIX)
    written = layout.from_mandel(planes)
    assert written.shape == ((1, 1, 1, 6) if layout.ndim == 4 else (1, 1, 1, 1, 6))
    np.testing.assert_allclose(written.ravel(), STORED[order], rtol=1e-6)


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(DataError, match=r"order.*'afni'.*fsl, mrtrix, dipy"):
        find_layout("afni")
    with pytest.raises(DataError, match=r"unit.*'mm'.*mm2/s"):
        unit_factor("mm")
    with pytest.raises(DataError, match=r"frame.*'scanner'.*voxel, fsl, world"):
        to_voxel("scanner", np.eye(4))


@pytest.mark.parametrize("sign", [1, -1])
def test_fsl_axes_are_left_handed(sign):
    affine = np.diag([sign * 2.0, 2, 2, 1])
    np.testing.assert_array_equal(to_voxel("fsl", affine), np.diag([-sign, 1, 1]))


def test_world_axes_of_an_oblique_affine():
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([2.0, 2, 3])
    first_axis = to_voxel("world", affine) @ turn[:, 0]  # where the first voxel axis points in the world
    np.testing.assert_allclose(first_axis, [1, 0, 0], atol=1e-12)


def test_singular_affine_is_refused():
    with pytest.raises(DataError, match="affine"):
        to_voxel("fsl", np.diag([0.0, 1, 1, 1]))


def test_rotation_of_components_is_congruence_and_orthogonal():
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    planes = sym3.pack(MATRIX, dim=0)[:, None]
    turned = sym3.unpack(rotate(planes, q), dim=0)[0]
    torch.testing.assert_close(turned, torch.tensor(q, dtype=torch.float32) @ MATRIX @ torch.tensor(q.T).float())
    six = mandel_rotation(q)
    np.testing.assert_allclose(six @ six.T, np.eye(6), atol=1e-12)
    torch.testing.assert_close(rotate(rotate(planes, q), q.T), planes)
    flip = np.diag([-1.0, 1, 1])
    assert torch.equal(rotate(rotate(planes, flip), flip), planes)  # sign changes are exact
