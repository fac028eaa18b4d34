"""Outlier slices and volumes: found where they are, nowhere else, and without harm to small structures."""

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti.dwi import fit_signals
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi
from mvnet.linalg import sym3
from mvnet.metrics import fractional_anisotropy, mean_diffusivity, principal_direction


@pytest.fixture(scope="module")
def brain():
    """28 x 28 x 10 voxels of 4 mm."""
    return simulate_brain((28, 28, 10), voxel_size=4.0, seed=1)


def _scan(brain, directions=30, snr=20.0, seed=0, n_b0=2):
    bvals, bvecs = gradient_scheme(directions, n_b0=n_b0, seed=seed)
    dwi, _ = simulate_dwi(brain.tensors, 500 * brain.s0, bvals, bvecs, snr, torch.Generator().manual_seed(seed))
    return dwi.numpy(), bvals.double().numpy(), bvecs.double().numpy()


def _fit(brain, dwi, bvals, bvecs, **options):
    tensors, _, acquisition = fit_signals(dwi, bvals, bvecs, brain.mask, options=FitOptions(**options))
    return tensors[:, brain.mask], acquisition


def _errors(tensors, brain):
    """Root-mean-square errors of FA and MD, and the mean angle of V1 in white matter, in degrees."""
    truth = brain.tensors[:, brain.mask]
    white = fractional_anisotropy(truth, dim=0) > 0.4
    fa, md = (f(tensors, dim=0) - f(truth, dim=0) for f in (fractional_anisotropy, mean_diffusivity))
    angle = (principal_direction(tensors, dim=0) * principal_direction(truth, dim=0)).sum(0).abs().clamp_max(1)
    angle = angle.acos().rad2deg()[white].mean()
    return torch.stack([fa.square().mean().sqrt(), md.square().mean().sqrt(), angle])


def _spoiled(dwi):
    """A dropout of 40 % in three slices of two volumes, and a volume that is another image."""
    out = dwi.copy()
    out[:, :, 3:6, 5] *= 0.6
    out[:, :, 4:7, 9] *= 0.6
    out[..., 12] = out[::-1, :, :, 12]
    return out


def test_dropouts_and_a_bad_volume_are_found_and_mended(brain):
    dwi, bvals, bvecs = _scan(brain, 45)
    clean, a = _fit(brain, dwi, bvals, bvecs)
    assert a.outliers == ()
    robust, b = _fit(brain, _spoiled(dwi), bvals, bvecs)
    plain, _ = _fit(brain, _spoiled(dwi), bvals, bvecs, robust=False)
    found = {(o.volume, o.slice, o.kind) for o in b.outliers if o.volume != 12}
    assert found == {(5, z, "dropout") for z in (3, 4, 5)} | {(9, z, "dropout") for z in (4, 5, 6)}
    whole = next(o for o in b.outliers if o.volume == 12)
    assert whole.slice is None and all(o.weight < 0.05 and o.score > 6 for o in b.outliers)
    best, mended, spoiled = (_errors(x, brain) for x in (clean, robust, plain))
    assert bool((mended < 1.05 * best).all()) and bool((spoiled > 1.1 * best).any())
    assert b.used.all()  # they were fitted, with less weight
    torch.testing.assert_close(b.sigma[brain.mask].median(), a.sigma[brain.mask].median(), rtol=0.05, atol=0)


@pytest.mark.parametrize(("directions", "snr"), [(12, 5.0), (30, 5.0), (30, 15.0), (64, 60.0)])
def test_a_clean_scan_has_no_outliers(brain, directions, snr):
    for seed in range(2):
        _, a = _fit(brain, *_scan(brain, directions, snr, seed, n_b0=1 + seed))
        assert a.outliers == ()


def test_a_lesion_is_no_outlier(brain):
    """One voxel that is unlike all others is unlike them in every volume."""
    dwi, bvals, bvecs = _scan(brain, snr=100.0)
    spot = tuple(brain.mask.nonzero()[1500].tolist())
    lesion = torch.tensor([2.6, 0.3, 0.3, 0, 0, 0])
    design = torch.from_numpy(bvecs**2 @ lesion[:3].double().numpy() * bvals * 1e-3)
    dwi[spot] = 500 * (-design).exp().numpy()
    _, a = _fit(brain, dwi, bvals, bvecs)
    tensors, _, _ = fit_signals(dwi, bvals, bvecs, brain.mask)
    assert a.outliers == ()
    torch.testing.assert_close(sym3.eigvals(tensors[:, *spot][None])[0, 2].item(), 2.6, rtol=0.02, atol=0)


def test_six_directions_accuse_nobody(brain):
    dwi, bvals, bvecs = _scan(brain, 6)
    dwi[:, :, 4, 3] *= 0.6
    assert _fit(brain, dwi, bvals, bvecs)[1].outliers == ()


def test_what_is_empty_is_not_found_twice(brain):
    dwi, bvals, bvecs = _scan(brain)
    dwi = _spoiled(dwi)
    dwi[..., 20] = 0
    dwi[:, :, 2, 21] = np.nan
    outliers = _fit(brain, dwi, bvals, bvecs)[1].outliers
    kinds = [o.kind for o in outliers]
    assert kinds.count("empty") == 1 and kinds.count("not finite") == 1 and kinds.count("dropout") >= 6
