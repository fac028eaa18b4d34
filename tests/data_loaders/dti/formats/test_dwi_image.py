"""Every form in which a DWI comes: dimensions, types, placement, gradients of its own, arrays."""

import nibabel
import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti import load_dwi, load_tensors
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.formats.dwi_image import open_dwi, open_scan
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_dwi
from mvnet.data_loaders.errors import DataError
from tests.conftest import AFFINE
from tests.data_loaders.dti.formats.test_mif import TURN
from tests.data_loaders.dti.formats.test_mif import write as write_mif
from tests.data_loaders.dti.formats.test_phase import phase_image

PLAIN = FitOptions(robust=False, rician=False)


@pytest.fixture(scope="module")
def scan(brain):
    """Signals (X, Y, Z, 14) about 500 at SNR 40, b-values and b-vectors."""
    bvals, bvecs = gradient_scheme(12, n_b0=2)
    generator = torch.Generator().manual_seed(0)
    dwi, _ = simulate_dwi(brain.tensors, 500 * brain.s0, bvals, bvecs, 40.0, generator)
    return dwi.numpy(), bvals.numpy().astype(float), bvecs.numpy().astype(float)


@pytest.fixture(scope="module")
def expected(scan, brain):
    return load_dwi(*scan, mask=brain.mask, options=PLAIN)


def load(path, scan, brain, frame="voxel"):
    return load_dwi(path, *scan[1:], mask=brain.mask, bvec_frame=frame, options=PLAIN)


@pytest.mark.parametrize("where", [3, 4])
def test_dimensions_of_length_one_are_dropped(where, scan, brain, expected, tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.expand_dims(scan[0], where), AFFINE), tmp_path / "x.nii.gz")
    volume = load(tmp_path / "x.nii.gz", scan, brain)
    torch.testing.assert_close(volume.tensors, expected.tensors)
    np.testing.assert_array_equal(volume.affine, AFFINE)
    assert np.allclose(volume.header.get_zooms()[:3], [2, 2, 2.5])


def test_one_slice_stays_one(scan, brain, tmp_path):
    nibabel.save(nibabel.Nifti1Image(scan[0][:, :, 6:7], AFFINE), tmp_path / "x.nii.gz")
    assert open_dwi(tmp_path / "x.nii.gz").shape == (*brain.mask.shape[:2], 1, 14)
    for shape in ((4, 4, 4), (4, 4, 4, 2, 3)):
        with pytest.raises(DataError, match=r"expected \(X, Y, Z, M\)"):
            open_dwi(nibabel.Nifti1Image(np.ones(shape, np.float32), AFFINE))


@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_scaled_integers_of_either_byte_order(version, scan, brain, expected, tmp_path):
    image = version(scan[0], AFFINE, version.header_class(endianness=">"))
    image.set_data_dtype(np.int16)
    image.header.set_slope_inter(0.1, 0)
    nibabel.save(image, tmp_path / "x.nii")
    volume = load(tmp_path / "x.nii", scan, brain)
    inside = brain.mask
    torch.testing.assert_close(volume.tensors[:, inside], expected.tensors[:, inside], rtol=0.02, atol=0.02)


def test_a_file_that_does_not_say_how_it_lies_is_read_with_a_warning(scan, brain, expected, tmp_path):
    image = nibabel.Nifti1Image(scan[0], None)
    image.header["pixdim"][1:4] = 2, 2, 2.5
    nibabel.save(image, tmp_path / "x.nii.gz")
    volume = load(tmp_path / "x.nii.gz", scan, brain, frame="fsl")
    torch.testing.assert_close(volume.tensors, expected.tensors)  # left-handed: the axes of FSL are those of the voxels
    assert any("does not say how it lies" in line and "warning" in line for line in volume.report.messages)
    nibabel.save(nibabel.Nifti1Image(scan[0], AFFINE), tmp_path / "x.nii.gz")
    assert not any("lies" in line for line in load(tmp_path / "x.nii.gz", scan, brain).report.messages)


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_complex_images_lose_their_phase(kind, scan, brain, expected, tmp_path):
    z = (scan[0] * np.exp(1j * 0.3 * phase_image(scan[0].shape))).astype(kind)
    nibabel.save(nibabel.Nifti1Image(z, AFFINE), tmp_path / "x.nii.gz")
    found = open_scan(tmp_path / "x.nii.gz", scan[1], scan[2], PLAIN)
    assert found.signed and any("real part" in line for line in found.messages)
    assert not open_scan(scan[0], scan[1], scan[2], PLAIN).signed and open_scan(z, scan[1], scan[2], PLAIN).signed
    volume = load(tmp_path / "x.nii.gz", scan, brain)
    error = (volume.tensors - expected.tensors)[:, brain.mask]
    assert error.square().mean().sqrt() < 0.06
    with pytest.raises(DataError, match="real numbers"):
        load_tensors(tmp_path / "x.nii.gz")


def test_an_array_is_in_voxel_axes(scan, brain, expected):
    assert expected.frame == "voxel" and expected.affine.tolist() == np.eye(4).tolist()
    again = load_dwi(torch.from_numpy(scan[0]), *scan[1:], mask=brain.mask, options=PLAIN)
    torch.testing.assert_close(again.tensors, expected.tensors)
    with pytest.raises(DataError, match="image: found shape"):
        load_dwi(scan[0][0], *scan[1:])


def test_gradients_of_the_file_or_those_given(scan, brain, expected, tmp_path):
    dwi, bvals, bvecs = scan
    path = write_mif(tmp_path / "x.mif", dwi)
    with pytest.raises(DataError, match="bval, bvec: found none"):
        load_dwi(path)
    rows = "\n".join(",".join(map(str, (*row, b))) for row, b in zip(bvecs @ TURN.T, bvals))
    path = write_mif(tmp_path / "x.mif", dwi, dw_scheme=rows)
    volume = load_dwi(path, mask=brain.mask, bvec_frame="world", options=PLAIN)
    torch.testing.assert_close(volume.tensors, expected.tensors, rtol=1e-3, atol=1e-4)
    assert any("dw_scheme" in line for line in volume.report.messages)
    given = open_scan(path, bvals, bvecs, PLAIN)
    assert given.frame is None and not any("dw_scheme" in line for line in given.messages)
    with pytest.raises(DataError, match="bvec: found none with bval"):
        load_dwi(path, bvals)


def test_a_trace_volume_takes_no_part(scan, brain, expected, write_dwi):
    dwi, bvals, bvecs = scan
    more = np.concatenate([dwi, dwi[..., 2:].mean(-1, keepdims=True)], -1)
    files = write_dwi(more, np.r_[bvals, 1000], np.r_[bvecs, np.zeros((1, 3))])
    volume = load_dwi(*files, mask=brain.mask, options=PLAIN)
    torch.testing.assert_close(volume.tensors, expected.tensors)
    assert any("left out volume 14" in line for line in volume.report.messages)
    assert volume.acquisition is not None and np.flatnonzero(~volume.acquisition.used).tolist() == [14]
    skipped = load_dwi(
        *write_dwi(more, np.r_[bvals, 1000], np.r_[bvecs, bvecs[-1:]]),
        mask=brain.mask,
        options=FitOptions(robust=False, rician=False, skip_volumes=(14,)),
    )
    torch.testing.assert_close(skipped.tensors, expected.tensors)


def test_b0_of_62_are_b0(scan, brain, write_dwi):
    """The weighting of the b0 is known: it biases nothing."""
    _, bvals, bvecs = scan
    bvals, bvecs = bvals + 62.5, bvecs.copy()
    bvecs[:2] = [1, 0, 0]
    tables = torch.tensor(bvals).float(), torch.tensor(bvecs).float()
    dwi, _ = simulate_dwi(brain.tensors, 500 * brain.s0, *tables, 1e4, torch.Generator().manual_seed(0))
    volume = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=brain.mask, options=PLAIN)
    error = (volume.tensors - brain.tensors)[:, brain.mask]
    assert error.abs().median() < 0.01
    assert any("62.5 count as not weighted" in line for line in volume.report.messages)
