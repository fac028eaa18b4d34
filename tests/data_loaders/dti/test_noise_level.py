"""The noise level: residuals where they are noise, other sides where they are not."""

import nibabel
import numpy as np
import pytest
import torch
from nibabel.nifti1 import Nifti1Image
from scipy.ndimage import gaussian_filter, shift

from mvnet.data_loaders.dti import DataError, load_dwi
from mvnet.data_loaders.dti.dwi import fit_signals
from mvnet.data_loaders.dti.fit.noise_level import read_noise
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.fitting import design_matrix
from mvnet.data_loaders.dti.simulation import add_noise, gradient_scheme, simulate_brain, simulate_dwi

SIGMA = 20.0
EVERYTHING = FitOptions(all_shells=True)


@pytest.fixture(scope="module")
def brain():
    """24 x 24 x 16 voxels of 3.5 mm."""
    return simulate_brain((24, 24, 16), voxel_size=3.5, seed=2)


@pytest.fixture(scope="module")
def scan(brain):
    """30 directions, two b0; white matter of 600, noise of 20."""
    bvals, bvecs = gradient_scheme(30, n_b0=2)
    dwi, sigma = simulate_dwi(brain.tensors, 600 * brain.s0, bvals, bvecs, 30.0, torch.Generator().manual_seed(0))
    assert sigma == pytest.approx(SIGMA, rel=0.05)
    return dwi.numpy(), bvals.double().numpy(), bvecs.double().numpy()


def _level(brain, dwi, bvals, bvecs, options=EVERYTHING, mask=None):
    """Median noise level, its messages, and the acquisition."""
    inside = brain.mask if mask is None else mask
    _, report, acquisition = fit_signals(dwi.astype(np.float32), bvals, bvecs, inside, options=options)
    lines = [line for line in report.messages if "noise" in line]
    return acquisition.sigma[inside].median().item(), lines, acquisition


def test_white_noise_is_what_the_fit_leaves(brain, scan):
    level, lines, _ = _level(brain, *scan)
    assert level == pytest.approx(SIGMA, rel=0.05) and lines == []


@pytest.mark.parametrize("snr", [6.0, 100.0])
def test_neither_the_floor_nor_the_anatomy_is_noise(brain, snr):
    bvals, bvecs = gradient_scheme(30, n_b0=2)
    dwi, sigma = simulate_dwi(brain.tensors, 600 * brain.s0, bvals, bvecs, snr, torch.Generator().manual_seed(0))
    level, lines, _ = _level(brain, dwi.numpy(), bvals.double().numpy(), bvecs.double().numpy())
    assert level == pytest.approx(sigma, rel=0.06) and lines == []


@pytest.mark.parametrize("kind", ["Gaussian", "half a voxel"])
def test_interpolated_noise_is_what_the_fit_leaves(brain, scan, kind):
    dwi, bvals, bvecs = scan
    impulse = np.zeros((9, 9, 9))
    impulse[4, 4, 4] = 1
    if kind == "Gaussian":
        smooth, kernel = gaussian_filter(dwi, (0.6, 0.6, 0.6, 0)), gaussian_filter(impulse, 0.6)
    else:
        smooth, kernel = shift(dwi, (0.5, 0.5, 0.5, 0), order=1), shift(impulse, 0.5, order=1)
    mask = brain.mask & torch.from_numpy(smooth.min(-1) > 0)
    level, lines, _ = _level(brain, smooth, bvals, bvecs, mask=mask)
    assert level == pytest.approx(SIGMA * np.sqrt((kernel**2).sum()), rel=0.15) and lines == []


def _kurtosis(brain, sigma, n_b0=1):
    """Three shells with kurtosis 1: log S = log S0 - x + x^2 / 6."""
    parts = [gradient_scheme(30, b=b, n_b0=n_b0, seed=k) for k, b in enumerate((1000.0, 2000.0, 3000.0))]
    bvals, bvecs = (torch.cat([parts[0][i], parts[1][i][n_b0:], parts[2][i][n_b0:]]) for i in (0, 1))
    x = -(brain.tensors.movedim(0, -1) @ design_matrix(bvals, bvecs)[:, :6].T).clamp_min(-3)
    clean = 600 * brain.s0.unsqueeze(-1) * (-x + x**2 / 6).exp()
    dwi = add_noise(clean, sigma, torch.Generator().manual_seed(1)) + 1e-3
    return dwi.numpy(), bvals.double().numpy(), bvecs.double().numpy()


@pytest.mark.parametrize("n_b0", [1, 6])
def test_misfit_is_no_noise(brain, n_b0):
    level, lines, _ = _level(brain, *_kurtosis(brain, SIGMA, n_b0))
    assert level == pytest.approx(SIGMA, rel=0.05 if n_b0 > 1 else 0.4)
    assert len(lines) == 1 and lines[0].startswith("warning: noise: the residuals")
    assert ("repeated b0" if n_b0 > 1 else "differences of neighbours") in lines[0]


def test_without_noise_nothing_is_noise(brain):
    for options in (EVERYTHING, FitOptions()):
        level, _, a = _level(brain, *_kurtosis(brain, 0.0, 6), options=options)
        assert level < 0.2  # of 600
        assert 0 < a.noise[brain.mask].median() < 2e-3


def _principal_components(dwi, mask, kept=4):
    """Every voxel projected on the first components of its 5^3 neighbourhood, as MP-PCA denoisers do."""
    out = dwi.copy()
    for place in np.argwhere(mask):
        cube = tuple(slice(max(0, c - 2), c + 3) for c in place)
        patch = dwi[cube][mask[cube]]
        axes = np.linalg.eigh(patch.T @ patch)[1][:, -kept:]
        out[tuple(place)] = dwi[tuple(place)] @ axes @ axes.T
    return np.maximum(out, 1e-3)


def test_what_a_denoiser_left_in_is_noise(brain):
    bvals, bvecs = gradient_scheme(30, n_b0=2)
    dwi, sigma = simulate_dwi(brain.tensors, 600 * brain.s0, bvals, bvecs, 15.0, torch.Generator().manual_seed(0))
    clean = _principal_components(dwi.numpy(), brain.mask.numpy())
    found, lines, a = _level(brain, clean, bvals.double().numpy(), bvecs.double().numpy())
    assert len(lines) == 1 and "look denoised" in lines[0]
    assert 0.3 * sigma < found < 1.1 * sigma
    assert a.residual[brain.mask].median() < 0.8  # less is left than there is


@pytest.mark.parametrize("kind", ["number", "map", "file", "tensor"])
def test_the_noise_may_be_given(brain, scan, kind, tmp_path):
    values = np.full(brain.mask.shape, 22.0, dtype=np.float32)
    values[:12] = 18.0
    values[0] = np.nan
    values[12, 12] = 0.0
    given = {"number": 18.0, "map": values, "tensor": torch.from_numpy(values), "file": tmp_path / "noise.nii.gz"}
    nibabel.save(nibabel.Nifti1Image(values[..., None], np.eye(4)), tmp_path / "noise.nii.gz")  # pyright: ignore
    _, lines, a = _level(brain, *scan, options=FitOptions(noise=given[kind]))
    assert lines == [f"noise: {18 if kind == 'number' else 22} as given"] or kind != "number"
    inside = brain.mask[4:12]
    assert bool((a.sigma[4:12][inside] == 18.0).all())
    if kind != "number":
        assert bool((a.sigma[14:][brain.mask[14:]] == 22.0).all())
        holes = a.sigma[12, 12][brain.mask[12, 12]]  # where the map knows nothing the scan does
        assert len(holes) and bool(((holes > 15) & (holes < 25)).all())


def test_noise_that_the_scan_contradicts_is_told(brain, scan):
    level, lines, a = _level(brain, *scan, options=FitOptions(noise=100.0))
    assert level == 100.0 and lines[0].startswith("warning: noise 100 as given, while the scan itself says")
    assert a.residual[brain.mask].median() < 0.4


@pytest.mark.parametrize(
    ("noise", "match"), [(np.ones((3, 4, 5)), "expected .* or one number"), (-1.0, "no positive value")]
)
def test_noise_that_cannot_be_is_refused(noise, match):
    with pytest.raises(DataError, match=match):
        read_noise(noise, (3, 4, 6))


def test_a_noise_map_elsewhere_is_refused(tmp_path):
    """Where its affine says so; a file that says nothing lies on the grid of the image."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    moved = affine.copy()
    moved[0, 3] = 7

    def saved(name: str, where: np.ndarray) -> str:
        Nifti1Image(np.ones((3, 4, 6), dtype=np.float32), where).to_filename(tmp_path / name)
        return str(tmp_path / name)

    assert torch.equal(read_noise(saved("here.nii", affine), (3, 4, 6), affine), torch.ones(3, 4, 6))
    with pytest.raises(DataError, match=r"noise: found it up to 3\.5 voxels away"):
        read_noise(saved("there.nii", moved), (3, 4, 6), affine)
    assert read_noise(saved("nowhere.nii", np.eye(4)), (3, 4, 6), affine).shape == (3, 4, 6)


def test_more_noise_gives_larger_error_maps(brain, scan, write_dwi):
    files = write_dwi(*scan)
    small, large = (
        load_dwi(*files, mask=brain.mask, options=FitOptions(noise=noise, rician=False)).acquisition
        for noise in (10.0, 20.0)
    )
    assert small is not None and large is not None
    ratio = (large.noise / small.noise)[brain.mask]
    assert ratio.median() == pytest.approx(2, rel=0.02)
