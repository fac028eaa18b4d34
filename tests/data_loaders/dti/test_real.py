"""Real scans, cropped; skipped without MVNET_DATA."""

import nibabel
import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti import load_dwi, load_tensors, save_tensors
from mvnet.linalg import sym3
from mvnet.metrics import fractional_anisotropy, mean_diffusivity
from tests.conftest import read_nifti

SHERBROOKE = "dti/invivo_sherbrooke_1p8mm"
PHANTOM = "dti/phantom_sense3_mb3"


@pytest.fixture(scope="module")
def sherbrooke(data_root, tmp_path_factory):
    """Eight slices of the brain, as files."""
    folder = data_root / SHERBROOKE
    image = read_nifti(folder / "dwi.nii.gz")
    path = tmp_path_factory.mktemp("dwi") / "crop.nii.gz"
    crop = np.asarray(image.dataobj[20:108, 20:108, 34:42], dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(crop, image.affine), path)
    return path, folder / "dwi.bval", folder / "dwi.bvec"


@pytest.fixture(scope="module")
def fitted(sherbrooke):
    return load_dwi(*sherbrooke)


def test_brain_is_fitted_with_its_b0_last_and_its_axes_found(fitted):
    inside = fitted.mask
    assert 0.3 < inside.float().mean() < 0.9
    assert 0.7 < mean_diffusivity(fitted.tensors, dim=0)[inside].median() < 0.85
    assert 0.2 < fractional_anisotropy(fitted.tensors, dim=0)[inside].median() < 0.35
    assert sym3.eigvals(fitted.tensors, dim=0).min() > 0
    # the b-vectors follow the voxel axes although det(affine) > 0
    assert fitted.frame == "voxel" and any("chosen" in line for line in fitted.report.messages)
    assert fitted.report.non_positive < 0.02 * fitted.report.voxels
    a = fitted.acquisition
    assert np.flatnonzero(a.bvals < 50).tolist() == [64]
    white = inside & (fractional_anisotropy(fitted.tensors, dim=0) > 0.4)
    assert 8 < (a.b0[white] / a.sigma[white]).median() < 40
    assert 0.7 < a.residual[inside].median() < 1.2


def test_the_wrong_axes_raise_a_warning(sherbrooke, fitted):
    wrong = load_dwi(*sherbrooke, mask=fitted.mask, bvec_frame="fsl")
    assert any("warning" in line and "x flipped" in line for line in wrong.report.messages)
    right = load_dwi(*sherbrooke, mask=fitted.mask, bvec_frame="voxel")
    assert not any("warning" in line for line in right.report.messages)
    torch.testing.assert_close(right.tensors, fitted.tensors)


def test_brain_tensors_go_through_every_layout(fitted, tmp_path):
    for order in ("fsl", "mrtrix", "dipy", "symmatrix", "dti-tk"):
        unit = "um2/ms" if order == "dti-tk" else "mm2/s"
        path = save_tensors(fitted, fitted.tensors, tmp_path / "t.nii.gz", order=order, unit=unit, frame="voxel")
        again = load_tensors(path, frame="voxel")
        assert (again.order, again.unit) == (order, unit)
        assert not any("ambiguous" in line for line in again.report.messages)
        torch.testing.assert_close(again.tensors[:, fitted.mask], fitted.tensors[:, fitted.mask], rtol=1e-3, atol=1e-3)


def test_camino_slice(data_root, tmp_path):
    path = data_root / "dti/mvirt_spd/camino_slice28_symmatrix.nii.gz"
    volume = load_tensors(path)
    assert (volume.order, volume.unit) == ("symmatrix", "mm2/s")
    assert 4100 < volume.report.voxels < 4139 and 5 <= volume.report.non_positive <= 11
    md = mean_diffusivity(volume.tensors, dim=0)[volume.mask].median().item()
    assert md == pytest.approx(0.807, abs=0.01)
    out = read_nifti(save_tensors(volume, volume.tensors, tmp_path / "out.nii.gz"))
    before = read_nifti(path)
    assert out.shape == before.shape and out.header["intent_code"] == 1005
    change = np.abs(out.get_fdata() - before.get_fdata())[volume.mask.numpy()].max(axis=(1, 2))
    assert (change < 1e-9).mean() > 0.98  # all but the repaired ones


def test_phantom_is_isotropic_water(data_root):
    folder = data_root / PHANTOM
    volume = load_dwi(folder / "dwi.nii.gz", folder / "dwi.bval", folder / "dwi.bvec")
    assert 1.9 < mean_diffusivity(volume.tensors, dim=0)[volume.mask].median() < 2.4
    assert fractional_anisotropy(volume.tensors, dim=0)[volume.mask].median() < 0.1
    assert not any("coherent" in line for line in volume.report.messages)
