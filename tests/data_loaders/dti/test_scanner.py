"""A simulated brain in a simulated scanner."""

import numpy as np
import pytest
import torch

pytest.importorskip("trxscan", reason="needs mvnet[scanner]")
from mvnet.apps.demo import peers as compare
from mvnet.data_loaders.dti.simulation import gradient_scheme, scanner
from mvnet.data_loaders.dti.simulation.scanner import Scanner, scan_brain
from mvnet.errors import MvnetError

SHAPE, VOXEL = (24, 24, 2), 2.5
SIMPLE = Scanner(coils=1, accel=1)


@pytest.fixture(scope="module")
def scans():
    return scan_brain(3, SHAPE, VOXEL, *gradient_scheme(12, n_b0=1, seed=3), snr=(80, 20), scanner=SIMPLE)


def test_levels_of_noise(scans):
    mask = scans[0].mask
    assert 0.2 < mask.mean() < 0.7
    for scan, wanted in zip(scans, (80, 20), strict=True):
        assert scan.dwi.shape == scan.clean.shape == (*SHAPE, 13) and scan.dwi.dtype == np.float32
        assert scan.snr == pytest.approx(wanted, rel=0.1)
        assert (scan.dwi >= 0).all() and np.array_equal(scan.clean, scans[0].clean)
        assert np.allclose(np.abs(np.diag(scan.affine)[:3]), VOXEL)
    deviations = [(scan.dwi - scan.clean)[mask].std() for scan in scans]
    assert deviations[1] / deviations[0] == pytest.approx(4, rel=0.15)


def test_same_seed_same_scan(scans):
    again = scan_brain(3, SHAPE, VOXEL, *gradient_scheme(12, n_b0=1, seed=3), snr=(80,), scanner=SIMPLE)
    assert np.array_equal(again[0].dwi, scans[0].dwi)
    other = scan_brain(4, SHAPE, VOXEL, *gradient_scheme(12, n_b0=1, seed=3), snr=(80,), scanner=SIMPLE)
    assert not np.array_equal(other[0].mask, scans[0].mask)


def test_principal_directions_are_those_of_the_fibres(scans):
    """Fibres, b-vectors and images share their axes: the clean fit points along the bundles of the anatomy."""
    scan = scans[0]
    x, y, z = SHAPE
    voxels, directions, amounts = scanner._fibres(scanner._anatomy(3, SHAPE, VOXEL), 3)
    dyads = np.zeros((4 * x * y * z, 3, 3))
    np.add.at(dyads, voxels, amounts[:, None, None] * directions[:, :, None] * directions[:, None, :])
    # x runs fastest on the finer grid
    dyads = dyads.reshape(z, y, 2, x, 2, 3, 3).sum((2, 4)).transpose(2, 1, 0, 3, 4)
    w, v = np.linalg.eigh(compare.fit(scan.clean, scan.bvals, scan.bvecs, scan.mask))
    clear = compare.fractional_anisotropy(w) > 0.5
    cosine = np.abs((v[..., 2] * np.linalg.eigh(dyads[scan.mask])[1][..., 2]).sum(-1))[clear]
    assert clear.sum() > 30 and np.degrees(np.arccos(np.median(cosine.clip(0, 1)))) < 8


def test_what_is_refused():
    with pytest.raises(MvnetError, match="snr: found"):
        scan_brain(3, SHAPE, VOXEL, *gradient_scheme(6), snr=(0.0,), scanner=SIMPLE)
    with pytest.raises(MvnetError, match="bvals: found no b0"):
        scan_brain(3, SHAPE, VOXEL, torch.full((6,), 1000.0), torch.eye(3).repeat(2, 1), scanner=SIMPLE)
