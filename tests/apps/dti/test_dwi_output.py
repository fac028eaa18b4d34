"""`mvnet denoise dti --dwi-output`: the denoised images as files."""

from __future__ import annotations

import json
import shutil

import nibabel
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from tests.conftest import read_nifti


def inputs_of(scan) -> list[object]:
    return [scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask]


def test_strength_zero_gives_the_input_back_bit_for_bit(scan, denoise, tmp_path):
    result = denoise(*inputs_of(scan), "--dwi-output", "--strength", 0, "-o", tmp_path / "out")
    assert result.status == 0, result.err
    image = read_nifti(tmp_path / "out" / "sub-01_desc-denoised_dwi.nii.gz")
    source = read_nifti(scan.dwi)
    assert image.get_data_dtype() == np.float32 and image.shape == source.shape
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(source.dataobj))
    assert np.array_equal(image.affine, source.affine)
    assert image.header.get_zooms() == source.header.get_zooms()
    for end, path in ((".bval", scan.bval), (".bvec", scan.bvec)):
        assert (tmp_path / "out" / f"sub-01_desc-denoised_dwi{end}").read_bytes() == path.read_bytes()


def test_images_hold_the_denoised_tensors(scan, denoise, tmp_path):
    from mvnet.data_loaders.dti import load_dwi, load_tensors

    out = tmp_path / "out"
    result = denoise(*inputs_of(scan), "--dwi-output", "--bvec-frame", "voxel", "-o", out, "--json")
    assert result.status == 0, result.err
    image = json.loads(result.out)["outputs"]["dwi"]
    gradients = [image.replace(".nii.gz", end) for end in (".bval", ".bvec")]
    again = load_dwi(image, *gradients, mask=scan.mask, bvec_frame="voxel")
    before = load_dwi(scan.dwi, scan.bval, scan.bvec, mask=scan.mask, bvec_frame="voxel")
    tensors = out / "sub-01_model-DTI_param-tensor_dwimap.nii.gz"
    denoised = load_tensors(tensors, order="fsl", mask=scan.mask, unit="mm2/s", frame="voxel")
    off, moved = ((x - denoised.tensors)[:, denoised.mask].norm(dim=0) for x in (again.tensors, before.tensors))
    assert off.median() < 0.3 * moved.median()  # this network moves tensors far
    fields = json.loads((out / "sub-01_desc-denoised_dwi.json").read_text())
    assert fields["UnchangedVolumes"] == [0] and fields["Sources"][0] == scan.dwi.name


def test_the_source_keeps_its_name_but_for_desc(scan, denoise, tmp_path):
    for source, end in ((scan.dwi, ".nii.gz"), (scan.bval, ".bval"), (scan.bvec, ".bvec")):
        shutil.copy(source, tmp_path / f"sub-01_dir-AP_desc-preproc_dwi{end}")
    source = tmp_path / "sub-01_dir-AP_desc-preproc_dwi.nii.gz"
    assert denoise(source, "--mask", scan.mask, "--dwi-output", "-o", tmp_path / "out").status == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "sub-01_dir-AP_desc-denoised_dwi.nii.gz" in names and "sub-01_dir-AP_desc-outliers.tsv" in names
    assert "sub-01_dir-AP_desc-preproc_model-DTI_param-FA_dwimap.nii.gz" in names


def test_tensors_have_no_images(scan, denoise, tmp_path):
    status, _, err = denoise(scan.tensors, "--dwi-output", "--mask", scan.mask, "-o", tmp_path / "out", "-q")
    assert status == 2 and err.count("\n") == 1 and "--dwi-output: found a tensor image as input" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_volumes_are_written_as_nibabel_would(order, endianness, tmp_path):
    from mvnet.apps.dti.dwi_out import write_volumes

    random = np.random.default_rng(0)
    data = np.asarray(random.normal(size=(5, 4, 3, 6)).astype(np.float32), order=order)
    header = nibabel.Nifti1Header(endianness=endianness)
    header.set_data_shape(data.shape)
    header.set_zooms((2, 2, 2.5, 3.3))
    header.extensions.append(Nifti1Extension("comment", b"a comment"))
    affine = np.diag([-2, 2, 2.5, 1.0])
    write_volumes((data[..., m] for m in range(6)), data.shape, affine, header, tmp_path / "out.nii.gz")
    image = read_nifti(tmp_path / "out.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj), data) and np.array_equal(image.affine, affine)
    assert image.header.get_zooms() == pytest.approx((2, 2, 2.5, 3.3))
    assert image.header.extensions[0].get_content() == b"a comment"


def test_gradients_that_were_changed_are_written_anew(scan, tmp_path):
    from dataclasses import replace

    from mvnet.apps.dti.dwi_out import write_gradients
    from mvnet.data_loaders.dti import load_dwi

    volume = load_dwi(scan.dwi, scan.bval, scan.bvec, mask=scan.mask, bvec_frame="fsl")
    acquisition = volume.acquisition
    assert acquisition is not None
    turned = replace(acquisition, bvecs=acquisition.bvecs[:, [1, 0, 2]], bvals=acquisition.bvals * 2)
    paths = tmp_path / "x.bval", tmp_path / "x.bvec"
    write_gradients(replace(volume, acquisition=turned), scan.bval, scan.bvec, *paths)
    assert np.loadtxt(paths[0]) == pytest.approx(turned.bvals)
    again = load_dwi(scan.dwi, *paths, mask=scan.mask, bvec_frame="fsl").acquisition
    assert again is not None and again.bvecs == pytest.approx(turned.bvecs, abs=1e-6)
