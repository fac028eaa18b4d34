"""Diffusion-weighted images: fit, frames, mask, noise maps."""

import numpy as np
import pytest
import torch
from dipy.core.gradients import gradient_table
from dipy.reconst.dti import TensorModel

from mvnet.data_loaders.dti import load_dwi, load_tensors, save_tensors
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.layouts import find_layout
from mvnet.data_loaders.dti.masks import brain_mask
from mvnet.data_loaders.dti.simulation import add_noise, gradient_scheme, simulate_dwi
from mvnet.linalg import sym3
from tests.conftest import read_nifti

RIGHT = np.diag([2.0, 2, 2, 1])


@pytest.fixture(scope="module")
def scan(brain):
    """40 directions, two b0 that stand last and in the middle, SNR 25, signals about 500."""
    bvals, bvecs = gradient_scheme(40, n_b0=2)
    order = torch.cat([torch.arange(2, 20), torch.tensor([0]), torch.arange(20, 42), torch.tensor([1])])
    bvals, bvecs = bvals[order], bvecs[order]
    generator = torch.Generator().manual_seed(1)
    dwi, sigma = simulate_dwi(brain.tensors, 500 * brain.s0, bvals, bvecs, 25.0, generator)
    return dwi, bvals, bvecs, sigma


@pytest.mark.parametrize("columns", [False, True])
def test_the_fit_recovers_the_truth_wherever_the_b0_stands(scan, brain, write_dwi, columns):
    dwi, bvals, bvecs, sigma = scan
    seen = []
    volume = load_dwi(
        *write_dwi(dwi, bvals, bvecs, columns=columns),
        mask=brain.mask,
        progress=lambda done, total: seen.append((done, total)),
    )
    inside = brain.mask
    error = (volume.tensors - brain.tensors)[:, inside].square().sum(0).mean().sqrt()
    assert error < 0.3
    assert sym3.eigvals(volume.tensors, dim=0).min() > 0
    a = volume.acquisition
    assert a is not None
    torch.testing.assert_close(a.b0[inside], 500 * brain.s0[inside], rtol=0.25, atol=20)
    assert a.sigma[inside].median() == pytest.approx(sigma, rel=0.1)
    assert a.residual[inside].square().mean() == pytest.approx(1, abs=0.1)
    assert (a.noise[inside] > 0).all() and not a.noise[~inside].any() and not a.b0[~inside].any()
    assert a.dwi.shape == (*inside.shape, 42) and a.dwi.dtype == np.float32
    assert seen[-1] == (int(inside.sum()),) * 2


def test_without_the_floor_of_magnitudes_the_fit_is_dipys(scan, brain, write_dwi):
    dwi, bvals, bvecs, _ = scan
    volume = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=brain.mask, options=FitOptions(rician=False))
    table = gradient_table(bvals.numpy(), bvecs=bvecs.numpy().astype(float))
    fit = TensorModel(table, fit_method="WLS").fit(dwi[brain.mask].numpy())
    theirs = sym3.pack(torch.tensor(fit.quadratic_form * 1e3).float(), dim=1)
    ours = volume.tensors[:, brain.mask].T
    values = sym3.eigvals(theirs)
    normal = (values > 0.12).all(1) & (values < 3.5).all(1)
    assert normal.float().mean() > 0.8
    torch.testing.assert_close(ours[normal], theirs[normal], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("frame", ["voxel", "fsl", "world"])
def test_tensors_are_in_voxel_axes_whatever_the_axes_of_the_bvecs(scan, brain, write_dwi, frame, tmp_path):
    from mvnet.data_loaders.dti.frames import to_voxel

    dwi, bvals, bvecs, _ = scan
    in_file = bvecs.numpy() @ to_voxel(frame, RIGHT)  # g_frame = Q^T g_voxel
    volume = load_dwi(*write_dwi(dwi, bvals, in_file, affine=RIGHT), mask=brain.mask, bvec_frame=frame)
    reference = load_dwi(*write_dwi(dwi, bvals, bvecs, affine=RIGHT), mask=brain.mask, bvec_frame="voxel")
    assert volume.frame == frame
    torch.testing.assert_close(volume.tensors, reference.tensors, rtol=1e-3, atol=1e-4)
    assert volume.acquisition is not None
    np.testing.assert_allclose(volume.acquisition.bvecs, bvecs.numpy(), atol=1e-6)
    # written as FSL components in the axes of the b-vectors, and read again
    out = save_tensors(volume, volume.tensors, tmp_path / "t.nii.gz")
    again = load_tensors(out, frame=frame)
    assert (again.order, again.unit) == ("fsl", "mm2/s")
    torch.testing.assert_close(again.tensors[:, brain.mask], volume.tensors[:, brain.mask], rtol=1e-3, atol=1e-4)


def test_noise_maps_do_not_depend_on_the_slabs(scan, brain, write_dwi, monkeypatch):
    from mvnet.data_loaders.dti.fit import scan as module

    files = write_dwi(*scan[:3])
    whole = load_dwi(*files, mask=brain.mask).acquisition
    monkeypatch.setattr(module, "_SLAB", 4)
    slabs = load_dwi(*files, mask=brain.mask).acquisition
    assert whole is not None and slabs is not None
    for name in ("sigma", "noise", "residual", "b0"):
        torch.testing.assert_close(getattr(slabs, name), getattr(whole, name), rtol=1e-4, atol=1e-5)


def test_a_mask_is_made_from_the_b0(scan, brain, write_dwi):
    volume = load_dwi(*write_dwi(*scan[:3]))
    overlap = 2 * (volume.mask & brain.mask).sum() / (volume.mask.sum() + brain.mask.sum())
    assert overlap > 0.85


@pytest.mark.parametrize("noise", [0.0, 0.08])
def test_masks_leave_out_background_and_keep_water(noise, generator):
    b0 = torch.full((24, 24, 12), 0.0)
    b0[4:20, 4:20] = 1.0
    b0[9:15, 9:15] = 4.0  # water over half as many voxels would win a plain threshold
    b0 = add_noise(b0, noise, generator)
    mask = brain_mask(b0.numpy())
    truth = torch.zeros_like(mask)
    truth[4:20, 4:20] = True
    assert (mask == truth).float().mean() > 0.97
    assert brain_mask(b0[5:19, 5:19].numpy()).all()  # a crop without background


def test_voxels_without_signal_are_filled_and_counted(scan, brain, write_dwi):
    """A voxel without any signal is filled in; one that lacks a volume keeps the fit of the others."""
    dwi = scan[0].clone()
    inner = brain.mask.nonzero()[[400, 700]]
    dwi[inner[0, 0], inner[0, 1], inner[0, 2]] = 0
    dwi[inner[1, 0], inner[1, 1], inner[1, 2], 5] = torch.nan
    volume = load_dwi(*write_dwi(dwi, *scan[1:3]), mask=brain.mask)
    assert volume.report.non_finite == 1
    assert any("1 voxels" in line and "keep the fit" in line for line in volume.report.messages)
    assert volume.tensors.isfinite().all()
    assert volume.acquisition is not None and volume.acquisition.b0.isfinite().all()


def test_a_mask_may_cover_the_background(scan, brain, write_dwi):
    dwi = scan[0].clone()
    dwi[:3] = 0
    dwi[3:5, :, :, 7] = 3e4  # spikes over an empty signal
    volume = load_dwi(*write_dwi(dwi, *scan[1:3]), mask=np.ones(brain.mask.shape))
    assert volume.tensors.isfinite().all() and sym3.eigvals(volume.tensors, dim=0).min() > 0
    assert volume.acquisition is not None
    for name in ("b0", "noise", "residual", "sigma"):
        assert getattr(volume.acquisition, name).isfinite().all()


def test_six_directions_tell_their_noise_but_no_residual(brain, write_dwi, generator):
    bvals, bvecs = gradient_scheme(6)
    dwi, _ = simulate_dwi(brain.tensors, brain.s0, bvals, bvecs, 30.0, generator)
    a = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=brain.mask).acquisition
    assert a is not None and not a.residual.any() and a.noise[brain.mask].median() > 0
    assert (a.sigma / a.b0)[brain.mask].median() == pytest.approx(1 / 30, rel=0.5)


def test_layout_of_the_output_is_fsl_upper_rows(scan, brain, write_dwi, tmp_path):
    volume = load_dwi(*write_dwi(*scan[:3]), mask=brain.mask)
    stored = np.asarray(read_nifti(save_tensors(volume, volume.tensors, tmp_path / "t.nii")).dataobj)
    assert stored.shape == (*brain.mask.shape, 6)
    planes = find_layout("fsl").to_mandel(stored) * 1e3
    torch.testing.assert_close(planes[:, brain.mask], volume.tensors[:, brain.mask])
    assert not stored[~brain.mask.numpy()].any()


@pytest.mark.parametrize("gain", [1e-7, 1e7])
def test_the_gain_of_the_scanner_changes_nothing(scan, brain, write_dwi, gain):
    dwi, bvals, bvecs, _ = scan
    plain = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=brain.mask)
    scaled = load_dwi(*write_dwi(gain * dwi, bvals, bvecs), mask=brain.mask)
    torch.testing.assert_close(scaled.tensors, plain.tensors, rtol=1e-3, atol=1e-3)
    assert scaled.acquisition is not None and plain.acquisition is not None
    torch.testing.assert_close(scaled.acquisition.noise, plain.acquisition.noise, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(scaled.acquisition.sigma / gain, plain.acquisition.sigma, rtol=1e-2, atol=1e-3)
