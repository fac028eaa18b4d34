"""Which axes b-vectors and tensors refer to: fibres tell, of 24 ways to permute and reverse them."""

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti import load_dwi
from mvnet.data_loaders.dti.fibre_coherence import axis_changes, check_frame
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.frames import candidate_axes, rotate
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_dwi
from mvnet.linalg import sym3

ZOOMS = (2.0, 2.0, 2.0)


@pytest.fixture(scope="module")
def bundles():
    """Straight bundles across the axes, with isotropic tissue between them: no axis is like another."""
    n = 24
    along = torch.tensor([1.0, 0.65, 0.35])
    frame = torch.linalg.qr(torch.stack([along, torch.eye(3)[1], torch.eye(3)[2]], 1)).Q
    place = torch.stack(torch.meshgrid(*[torch.arange(float(n))] * 3, indexing="ij"), -1) @ frame
    fibre = (torch.sin(place[..., 1] / 1.3) > -0.3) & (torch.sin(place[..., 2] / 1.3) > -0.3)
    matrices = torch.where(
        fibre[..., None, None],
        0.3 * torch.eye(3) + 1.3 * torch.outer(frame[:, 0], frame[:, 0]),
        0.75 * torch.eye(3),
    )
    return sym3.pack(matrices, dim=0), torch.ones(n, n, n, dtype=torch.bool)


def test_the_24_changes_are_all_there_are():
    changes = axis_changes()
    assert len(changes) == 24 and next(iter(changes)) == "as given"
    up_to_sign = {tuple((q * np.sign(q[0, np.abs(q[0]).argmax()])).ravel()) for q in changes.values()}
    assert len(up_to_sign) == 24
    np.testing.assert_array_equal(changes["x and y swapped"] @ [1, 2, 3], [2, 1, 3])
    np.testing.assert_array_equal(changes["x, y, z taken from y, z, x"] @ [1, 2, 3], [2, 3, 1])
    np.testing.assert_array_equal(np.abs(changes["z flipped"] @ [1, 2, 3] - [1, 2, 3]), [0, 0, 6])


@pytest.mark.parametrize("name", axis_changes())
def test_every_change_is_named_and_undone(bundles, name):
    planes, mask = bundles
    q = axis_changes()[name]
    in_file = rotate(planes, q.T)  # read in wrong axes: q leads back
    axes = candidate_axes("voxel", "fsl", np.eye(4))
    frame, matrix, messages = check_frame(in_file, mask, ZOOMS, axes, given=True)
    assert frame == "voxel" and np.array_equal(matrix, np.eye(3))
    if name == "as given":
        assert messages == []
        return
    assert len(messages) == 1 and f"more coherent with {name} than in frame voxel" in messages[0]
    fixed = check_frame(in_file, mask, ZOOMS, axes, given=True, fix=True)
    assert f"warning: b-vectors changed, {name}" in fixed.messages[0]
    torch.testing.assert_close(rotate(in_file, fixed.to_voxel), planes)


def test_of_changes_that_fit_alike_the_simplest_is_named():
    """Fibres along x: neither the sense of an axis matters, nor which of the others is which."""
    n = 16
    matrices = 0.75 * torch.eye(3).expand(n, n, n, 3, 3).clone()
    matrices[:, ::3, ::3] = torch.diag(torch.tensor([1.6, 0.3, 0.3]))
    planes = sym3.pack(matrices, dim=0)
    mask = torch.ones(n, n, n, dtype=torch.bool)
    axes = candidate_axes("voxel", "fsl", np.eye(4))
    swapped = rotate(planes, axis_changes()["x and y swapped"])
    _, _, messages = check_frame(swapped, mask, ZOOMS, axes, given=True)
    assert "with x and y swapped than" in messages[0] and "the simplest of" in messages[0]


def test_b_vectors_are_fixed_when_asked(bundles, write_dwi):
    planes, mask = bundles
    bvals, bvecs = gradient_scheme(20)
    generator = torch.Generator().manual_seed(0)
    dwi, _ = simulate_dwi(planes, torch.ones(mask.shape), bvals, bvecs, 40.0, generator)
    wrong = bvecs.numpy() @ axis_changes()["y and z swapped"]
    files = write_dwi(dwi, bvals, wrong)
    right = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=mask)
    files = write_dwi(dwi, bvals, wrong)
    told = load_dwi(*files, mask=mask)
    assert any("y and z swapped" in line and "check the b-vectors" in line for line in told.report.messages)
    fixed = load_dwi(*files, mask=mask, options=FitOptions(fix_bvecs=True))
    torch.testing.assert_close(fixed.tensors, right.tensors, rtol=1e-3, atol=1e-4)
    assert fixed.acquisition is not None and right.acquisition is not None
    np.testing.assert_allclose(
        np.abs((fixed.acquisition.bvecs * right.acquisition.bvecs).sum(1))[bvals > 0], 1, atol=1e-5
    )
