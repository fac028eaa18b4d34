"""Tensor NIfTI files: deduction, round trips, geometry."""

import nibabel
import numpy as np
import pytest
import torch
from nibabel.affines import from_matvec

from mvnet.data_loaders.dti import LAYOUTS, UNITS, DataError, load_tensors, save_scalar, save_tensors
from mvnet.data_loaders.dti.detect_layout import detect_order, detect_unit
from mvnet.data_loaders.dti.frames import rotate, to_voxel
from tests.conftest import AFFINE, read_nifti

OBLIQUE = from_matvec(np.linalg.qr(np.array([[1.0, 0.2, 0.1], [0.3, 1.0, -0.2], [0.0, 0.1, 1.0]]))[0] * 2.0, [5, 6, 7])


def _in_file_axes(planes, frame, affine):
    return rotate(planes, to_voxel(frame, affine).T)


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["left-handed", "oblique"])
@pytest.mark.parametrize("order", LAYOUTS)
def test_every_layout_is_deduced_read_and_written_back(order, affine, brain, write_tensors, tmp_path):
    frame = LAYOUTS[order].frame
    clean = brain.tensors * brain.mask
    path = write_tensors(_in_file_axes(clean, frame, affine), order, affine=affine)
    volume = load_tensors(path, frame=frame)
    assert volume.order == order
    assert volume.unit == LAYOUTS[order].unit
    assert torch.equal(volume.mask, brain.mask)
    inside = volume.mask
    torch.testing.assert_close(volume.tensors[:, inside], brain.tensors[:, inside], rtol=1e-4, atol=1e-5)
    assert (volume.report.non_finite, volume.report.non_positive) == (0, 0)
    assert any(f"order {order}" in line for line in volume.report.messages)

    out = save_tensors(volume, volume.tensors, tmp_path / "out.nii.gz")
    before, after = read_nifti(path), read_nifti(out)
    a, b = before.get_fdata(), after.get_fdata()
    assert a.shape == b.shape and after.get_data_dtype() == np.float32
    np.testing.assert_allclose(b, a, atol=2e-6 * np.abs(a).max())


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_deduced_and_kept(unit, brain, write_tensors, tmp_path):
    path = write_tensors(brain.tensors * brain.mask, "dipy", unit)
    volume = load_tensors(path)
    assert volume.unit == unit
    torch.testing.assert_close(volume.tensors[:, volume.mask], brain.tensors[:, volume.mask], rtol=1e-4, atol=1e-5)
    out = save_tensors(volume, volume.tensors, tmp_path / "out.nii")
    np.testing.assert_allclose(read_nifti(out).get_fdata(), read_nifti(path).get_fdata(), rtol=1e-3, atol=0)


def test_writing_keeps_affine_codes_zooms_and_units(brain, write_tensors, tmp_path):
    path = write_tensors(brain.tensors * brain.mask, "fsl")
    volume = load_tensors(path)
    for out in (
        save_tensors(volume, volume.tensors, tmp_path / "t.nii.gz", order="symmatrix", unit="um2/ms"),
        save_scalar(volume, volume.tensors[0], tmp_path / "s.nii.gz"),
        save_scalar(volume, volume.mask, tmp_path / "m.nii.gz"),
    ):
        before, after = read_nifti(path), read_nifti(out)
        np.testing.assert_array_equal(before.affine, after.affine)
        for code in ("qform_code", "sform_code"):
            assert before.header[code] == after.header[code]
        assert before.header.get_zooms()[:3] == after.header.get_zooms()[:3]
        assert before.header.get_xyzt_units() == after.header.get_xyzt_units()
    assert read_nifti(tmp_path / "t.nii.gz").header.get_intent()[0] == "symmetric matrix"
    assert read_nifti(tmp_path / "m.nii.gz").get_data_dtype() == np.uint8


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair, nibabel.Nifti2Image])
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_pairs_other_versions_and_byte_orders(kind, endianness, brain, write_tensors, tmp_path):
    source = read_nifti(write_tensors(brain.tensors * brain.mask, "dipy"))
    header = kind.header_class(endianness=endianness)
    header.set_xyzt_units("mm", "sec")
    image = kind(source.get_fdata().astype(np.float32), source.affine, header)
    image.set_sform(source.affine, code=2)
    path = tmp_path / ("x.img" if "Pair" in kind.__name__ else "x.nii")
    nibabel.save(image, path)
    volume = load_tensors(path)
    torch.testing.assert_close(volume.tensors[:, volume.mask], brain.tensors[:, volume.mask], rtol=1e-4, atol=1e-5)
    out = read_nifti(save_tensors(volume, volume.tensors, tmp_path / "out.nii.gz"))
    np.testing.assert_allclose(out.get_fdata(), image.get_fdata(), atol=2e-9)
    np.testing.assert_array_equal(out.affine, image.affine)
    assert out.header.get_xyzt_units() == ("mm", "sec") and out.header["sform_code"] == 2


def test_a_few_absurd_tensors_do_not_hide_the_unit(brain, write_tensors):
    planes = brain.tensors * brain.mask
    planes[:, 10] *= 1e30
    volume = load_tensors(write_tensors(planes), order="fsl")
    assert volume.unit == "mm2/s" and volume.tensors.abs().max() < 10


def test_a_mask_of_another_place_is_told(brain, write_tensors, tmp_path):
    path = write_tensors(brain.tensors * brain.mask)
    for shift, told in ((0.0, False), (5.0, True)):
        affine = AFFINE.copy()
        affine[0, 3] += shift
        nibabel.save(nibabel.Nifti1Image(brain.mask.numpy().astype(np.uint8), affine), tmp_path / "mask.nii.gz")
        messages = load_tensors(path, mask=tmp_path / "mask.nii.gz").report.messages
        assert any("affine of the mask" in line for line in messages) == told


def test_explicit_order_unit_and_mask_are_followed(brain, write_tensors):
    path = write_tensors(brain.tensors, "symmatrix")
    mask = brain.mask.numpy().copy()
    mask[:10] = False
    volume = load_tensors(path, order="symmatrix", unit="mm2/s", mask=mask)
    np.testing.assert_array_equal(volume.mask, mask)
    outside = volume.tensors[:, ~volume.mask]
    assert (outside[3:] == 0).all() and (outside[:3] == outside[0, 0]).all() and outside[0, 0] > 0.5


def test_order_of_isotropic_tensors_is_called_ambiguous_only_when_it_is(brain):
    stored = LAYOUTS["mrtrix"].from_mandel(brain.tensors[:, brain.mask][:, :, None, None])
    layout, messages = detect_order(stored, 4, 0)
    assert layout.name == "mrtrix" and not any("ambiguous" in line for line in messages)
    constant = np.ones((5, 5, 5, 6), dtype=np.float32)
    _, messages = detect_order(constant, 4, 0)
    assert any("ambiguous" in line for line in messages)


def test_unusual_diffusivity_is_reported():
    unit, messages = detect_unit(1e-4)  # fixed tissue in mm^2/s
    assert unit == "mm2/s" and any("unusual" in line for line in messages)


def test_flipped_axes_are_noticed(write_tensors):
    """Diagonal fibres, x reversed in the components: fibres no longer follow the voxels."""
    n = 24
    e = torch.tensor([1.0, 1.0, 0.3]) / (2.09**0.5)
    cell = 0.3 * torch.eye(3) + 1.4 * torch.outer(e, e)
    x, y, _ = torch.meshgrid(*[torch.arange(float(n))] * 3, indexing="ij")
    stripes = ((x - y) / 4).sin() > 0  # bands along the fibres, isotropic between
    matrices = torch.where(stripes[..., None, None], cell, 0.75 * torch.eye(3))
    from mvnet.linalg import sym3

    planes = sym3.pack(matrices, dim=0)
    flip = np.diag([-1.0, 1, 1])
    path = write_tensors(rotate(planes, flip), "dipy")
    assert any("warning" in m and "x flipped" in m for m in load_tensors(path).report.messages)
    assert not any("warning" in m for m in load_tensors(write_tensors(planes, "dipy")).report.messages)
    # right-handed voxels: FSL axes are the default for FSL order, voxel axes win when they fit
    right = np.diag([2.0, 2, 2, 1])
    assert load_tensors(write_tensors(rotate(planes, flip), "fsl", affine=right)).frame == "fsl"
    volume = load_tensors(write_tensors(planes, "fsl", affine=right))
    assert volume.frame == "voxel" and any("chosen" in m for m in volume.report.messages)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(brain, write_tensors, tmp_path, monkeypatch):
    volume = load_tensors(write_tensors(brain.tensors * brain.mask))
    target = tmp_path / "out.nii.gz"
    target.write_bytes(b"old")
    before = sorted(tmp_path.iterdir())

    def full(self, file, **kwargs):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nibabel.Nifti1Image, "to_stream", full)
    with pytest.raises(OSError, match="No space"):
        save_tensors(volume, volume.tensors, target)
    assert target.read_bytes() == b"old" and sorted(tmp_path.iterdir()) == before


def test_writers_name_what_is_wrong(brain, write_tensors, tmp_path):
    volume = load_tensors(write_tensors(brain.tensors * brain.mask))
    with pytest.raises(DataError, match="no such folder"):
        save_tensors(volume, volume.tensors, tmp_path / "missing" / "t.nii.gz")
    with pytest.raises(DataError, match="tensors: found shape"):
        save_tensors(volume, volume.tensors[:, 1:], tmp_path / "t.nii.gz")
    with pytest.raises(DataError, match=r"\.nii"):
        save_scalar(volume, volume.tensors[0], tmp_path / "t.mif")
    with pytest.raises(DataError, match="values: found shape"):
        save_scalar(volume, volume.tensors, tmp_path / "t.nii")


@pytest.mark.parametrize("order", list(LAYOUTS))
def test_tensors_that_nothing_changed_are_written_bit_for_bit(order, brain, write_tensors, tmp_path, generator):
    """Also where unit and axes are other ones inside, and beside tensors that were repaired."""
    turned = np.eye(4)
    turned[:3, :3] = 2 * np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    planes = brain.tensors * (1 + 0.01 * torch.randn(brain.mask.shape, generator=generator)) * brain.mask
    bad = tuple(brain.mask.nonzero()[50].tolist())
    planes[(slice(None), *bad)] = torch.tensor([1.0, 0.5, -0.1, 0, 0, 0])
    path = write_tensors(planes, order, affine=turned)
    volume = load_tensors(path, order=order, mask=brain.mask)
    assert volume.report.non_positive == 1
    changed = volume.tensors.clone()
    other = tuple(brain.mask.nonzero()[60].tolist())
    changed[(slice(None), *other)] *= 1.5
    out = save_tensors(volume, changed, tmp_path / "out.nii.gz")
    before, after = (np.asarray(read_nifti(p).dataobj, dtype=np.float32) for p in (path, out))
    same = brain.mask.numpy().copy()
    same[bad] = same[other] = False
    assert after.shape == before.shape and np.array_equal(after[same], before[same])
    np.testing.assert_allclose(after[other], 1.5 * before[other], rtol=1e-5, atol=1e-9)
    assert not np.array_equal(after[bad], before[bad])
