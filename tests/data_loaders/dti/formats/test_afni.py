"""Images of AFNI: placement, sub-bricks of a tensor."""

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti import load_tensors
from mvnet.data_loaders.dti.layouts import find_layout
from mvnet.data_loaders.dti.nifti import open_image, without_suffix
from mvnet.data_loaders.errors import DataError


def write(stem, values, labels):
    """A .HEAD and a .BRIK of float bricks, 2 mm, in the order of AFNI's description of its attributes."""
    x, y, z, count = values.shape
    attributes = {
        "DATASET_RANK": ("integer", [3, count, 0, 0, 0, 0, 0, 0]),
        "DATASET_DIMENSIONS": ("integer", [x, y, z, 0, 0]),
        "TYPESTRING": ("string", "3DIM_HEAD_FUNC"),
        "SCENE_DATA": ("integer", [0, 11, 1]),
        "ORIENT_SPECIFIC": ("integer", [0, 3, 4]),  # R-L, A-P, I-S
        "ORIGIN": ("float", [-10.0, -12.0, 5.0]),
        "DELTA": ("float", [2.0, 2.0, 2.0]),
        "IJK_TO_DICOM_REAL": ("float", [2.0, 0, 0, -10, 0, 2.0, 0, -12, 0, 0, 2.0, 5]),
        "BRICK_TYPES": ("integer", [3] * count),
        "BRICK_FLOAT_FACS": ("float", [0.0] * count),
        "BYTEORDER_STRING": ("string", "LSB_FIRST"),
        "BRICK_LABS": ("string", "~".join(labels)),
    }
    text = ""
    for name, (kind, value) in attributes.items():
        if kind == "string":
            text += f"\ntype = string-attribute\nname = {name}\ncount = {len(value) + 1}\n'{value}~\n"
        else:
            text += f"\ntype = {kind}-attribute\nname = {name}\ncount = {len(value)}\n {' '.join(map(str, value))}\n"
    stem.with_name(stem.name + ".HEAD").write_text(text)
    stem.with_name(stem.name + ".BRIK").write_bytes(values.astype("<f4").tobytes("F"))
    return stem.with_name(stem.name + ".HEAD")


def test_the_tensor_among_other_bricks(brain, tmp_path):
    stored = find_layout("dipy").from_mandel(brain.tensors * brain.mask)
    values = np.concatenate([stored, np.ones((*stored.shape[:3], 2), np.float32)], -1)
    labels = ["Dxx", "Dxy", "Dyy", "Dxz", "Dyz", "Dzz", "FA", "MD"]
    path = write(tmp_path / "dt+orig", values, labels)
    volume = load_tensors(path, frame="voxel")
    assert (volume.order, volume.unit) == ("dipy", "um2/ms")
    torch.testing.assert_close(volume.tensors[:, brain.mask], brain.tensors[:, brain.mask], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.diag(volume.affine), [-2, -2, 2, 1])  # AFNI counts towards left and back
    assert without_suffix(path) == "dt" and any("labelled" in line for line in volume.report.messages)
    path.with_name("dt+orig.BRIK").unlink()
    with pytest.raises((DataError, OSError)):
        load_tensors(path)


def test_another_image(tmp_path):
    values = np.arange(4 * 5 * 6 * 2, dtype=np.float32).reshape(4, 5, 6, 2)
    image = open_image(write(tmp_path / "x+orig", values, ["a", "b"]))
    np.testing.assert_array_equal(np.asarray(image.dataobj), values)
