"""Which gradient files belong to an image."""

import json

import nibabel
import numpy as np
import pytest

from mvnet.data_loaders.dti.formats.gradient_files import find_gradient_files

VOLUMES = 8


def image(path, volumes=VOLUMES):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, volumes), np.float32), np.eye(4)), path)
    return path


def table(path, volumes=VOLUMES):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, np.zeros((1, volumes)) if "val" in path.name else np.zeros((3, volumes)))
    return path


@pytest.mark.parametrize(
    ("scan", "bval", "bvec"),
    [
        ("dwi.nii.gz", "dwi.bval", "dwi.bvec"),
        ("dwi.nii", "dwi.bvals", "dwi.bvecs"),
        ("data.nii.gz", "bvals", "bvecs"),
        ("x.nii.gz", "bvals.txt", "bvecs.txt"),
        ("scan.nii.gz", "scan_bvals", "scan_bvecs"),
        ("scan.nii.gz", "scan.bval.txt", "scan.bvec.txt"),
    ],
)
def test_beside_the_image(scan, bval, bvec, tmp_path):
    scan = image(tmp_path / scan)
    assert find_gradient_files(scan) is None
    first = table(tmp_path / bval)
    assert find_gradient_files(scan) is None
    second = table(tmp_path / bvec)
    assert find_gradient_files(scan) == (first, second)


def test_files_of_a_folder_belong_to_images_of_as_many_volumes(tmp_path):
    """A tensor image of six volumes, or a map, beside a scan is no DWI."""
    files = table(tmp_path / "bvals"), table(tmp_path / "bvecs")
    assert find_gradient_files(image(tmp_path / "data.nii.gz")) == files
    assert find_gradient_files(image(tmp_path / "tensor.nii.gz", 6)) is None
    assert find_gradient_files(image(tmp_path / "fa.nii.gz", 1)) is None
    assert find_gradient_files(image(tmp_path / "other.nii.gz", 9)) is None


def test_bids_inheritance(tmp_path):
    root = tmp_path / "set"
    scan = image(root / "sub-01" / "ses-1" / "dwi" / "sub-01_ses-1_dir-AP_run-1_dwi.nii.gz")
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x"}))
    table(tmp_path / "dwi.bval")  # above the data set
    table(tmp_path / "dwi.bvec")
    assert find_gradient_files(scan) is None
    top = table(root / "dwi.bval"), table(root / "dwi.bvec")
    assert find_gradient_files(scan) == top
    table(root / "dir-PA_dwi.bval")  # of the other direction
    table(root / "dir-PA_dwi.bvec")
    assert find_gradient_files(scan) == top
    of_direction = table(root / "dir-AP_dwi.bval"), table(root / "dir-AP_dwi.bvec")
    assert find_gradient_files(scan) == of_direction
    nearer = table(root / "sub-01" / "sub-01_dwi.bval")
    assert find_gradient_files(scan) == (nearer, of_direction[1])
    own = (
        table(scan.parent / "sub-01_ses-1_dir-AP_run-1_dwi.bval"),
        table(scan.parent / "sub-01_ses-1_dir-AP_run-1_dwi.bvec"),
    )
    assert find_gradient_files(scan) == own
    assert find_gradient_files(image(scan.parent / "sub-01_ses-1_T1w.nii.gz")) is None


def test_without_a_description_the_folder_above_the_subject_is_the_root(tmp_path):
    scan = image(tmp_path / "a" / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    table(tmp_path / "dwi.bval")
    table(tmp_path / "dwi.bvec")
    assert find_gradient_files(scan) is None
    files = table(tmp_path / "a" / "dwi.bval"), table(tmp_path / "a" / "dwi.bvec")
    assert find_gradient_files(scan) == files
