"""Folders and files as scanners and other programs leave them."""

from __future__ import annotations

import json
import shutil

import numpy as np

from tests.conftest import read_nifti
from tests.data_loaders.dti.formats.test_mif import write as write_mif


def test_a_folder_of_the_human_connectome_project(scan, denoise, tmp_path):
    folder = tmp_path / "T1w" / "Diffusion"
    folder.mkdir(parents=True)
    for source, name in (
        (scan.dwi, "data.nii.gz"),
        (scan.bval, "bvals"),
        (scan.bvec, "bvecs"),
        (scan.mask, "nodif_brain_mask.nii.gz"),
    ):
        shutil.copy(source, folder / name)
    result = denoise(folder / "data.nii.gz", "--bvec-frame", "voxel", "-o", tmp_path / "out", "--json")
    assert result.status == 0, result.err
    summary = json.loads(result.out)
    assert any("bvals and bvecs" in line for line in summary["messages"])
    assert any("nodif_brain_mask" in line for line in summary["messages"])
    assert summary["counts"]["voxels"] == (read_nifti(scan.mask).get_fdata() > 0).sum()


def test_a_dwi_without_gradients_is_told_from_a_tensor_image(scan, denoise, tmp_path):
    shutil.copy(scan.dwi, tmp_path / "data.nii.gz")
    status, _, err = denoise(tmp_path / "data.nii.gz", "-o", tmp_path / "out")
    assert status == 2 and "looks like a DWI of 13 volumes, expected --bval and --bvec" in err
    assert not (tmp_path / "out").exists()


def test_an_image_of_mrtrix_with_its_gradients(scan, denoise, tmp_path):
    dwi = np.asarray(read_nifti(scan.dwi).dataobj, dtype=np.float32)
    rows = np.c_[np.loadtxt(scan.bvec).T, np.loadtxt(scan.bval)]
    scheme = "\n".join(",".join(f"{x:.8g}" for x in row) for row in rows)
    path = write_mif(tmp_path / "sub-01_dwi.mif", dwi, dw_scheme=scheme)
    result = denoise(path, "-o", tmp_path / "out", "--json")
    assert result.status == 0, result.err
    assert any("dw_scheme" in line for line in json.loads(result.out)["messages"])
    tensor = read_nifti(tmp_path / "out" / "sub-01_model-DTI_param-tensor_dwimap.nii.gz")
    np.testing.assert_allclose(tensor.affine[:3, 3], [10, -20, 30])
    assert tensor.shape == (*dwi.shape[:3], 6)


def test_options_of_the_fit_reach_a_file_with_gradients(scan, denoise, tmp_path):
    dwi = np.asarray(read_nifti(scan.dwi).dataobj, dtype=np.float32)
    path = write_mif(tmp_path / "x.mif", dwi)
    status, _, err = denoise(path, "-o", tmp_path / "out", "--skip-volumes", "3")
    assert status == 2 and "expected a DWI" in err
