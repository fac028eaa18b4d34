"""NRRD of 3D Slicer: tensors and diffusion-weighted images, in the world."""

import bz2
import gzip

import nrrd
import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti import load_dwi, load_tensors
from mvnet.data_loaders.dti.formats.contents import contents_of
from mvnet.data_loaders.dti.frames import rotate
from mvnet.data_loaders.dti.layouts import find_layout
from mvnet.data_loaders.dti.nifti import open_image, without_suffix
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_dwi
from mvnet.data_loaders.errors import DataError
from mvnet.linalg import sym3

TO_LPS = np.diag([-1.0, -1.0, 1.0])
TURN = np.linalg.qr(np.array([[1.0, 0.3, 0.1], [0.2, 1.0, -0.3], [0.1, 0.2, 1.0]]))[0]
TURN = TURN * np.sign(np.diag(TURN))
MEASUREMENT = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # its columns are axes in space
KINDS = {"3D-matrix": 9, "3D-symmetric-matrix": 6, "3D-masked-symmetric-matrix": 7}


def header_of(shape, kinds, space="left-posterior-superior", **more):
    """The header of a file whose voxels are 2 mm, turned, with its space and measurement frame."""
    directions = TO_LPS @ TURN * 2 if space.startswith("left-posterior") else TURN * 2
    rows = iter(directions.T)
    return {
        "space": space,
        "kinds": kinds,
        "space directions": np.array([next(rows) if kind == "domain" else [np.nan] * 3 for kind in kinds]),
        "space origin": TO_LPS @ [5.0, 6, 7] if space.startswith("left-posterior") else np.array([5.0, 6, 7]),
        "measurement frame": MEASUREMENT.T,
        **more,
    }


@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_slicer(kind, space, brain, tmp_path):
    world = rotate(brain.tensors, TURN)  # voxel axes to RAS
    to_space = TO_LPS if space.startswith("left-posterior") else np.eye(3)
    measured = rotate(world, MEASUREMENT.T @ to_space).double() * 1e-3
    full = sym3.unpack(measured, dim=0)  # (X, Y, Z, 3, 3)
    stored = {
        "3D-matrix": full.flatten(-2),
        "3D-symmetric-matrix": torch.stack([full[..., i, j] for i in range(3) for j in range(i, 3)], -1),
    }
    mask = brain.mask[..., None].double()
    stored["3D-masked-symmetric-matrix"] = torch.cat([mask, stored["3D-symmetric-matrix"]], -1)
    values = stored[kind].movedim(-1, 0).float().numpy()
    path = tmp_path / "dt.nhdr" if kind == "3D-matrix" else tmp_path / "dt.nrrd"
    nrrd.write(str(path), values, header_of(values.shape, [kind, "domain", "domain", "domain"], space))
    volume = load_tensors(path, mask=brain.mask, frame="world")
    assert (volume.order, volume.unit, volume.frame) == ("fsl", "mm2/s", "world")
    torch.testing.assert_close(volume.tensors[:, brain.mask], brain.tensors[:, brain.mask], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(volume.affine[:3], np.c_[TURN * 2, [5, 6, 7]], atol=1e-6)
    assert without_suffix(path) == "dt"
    image = open_image(path)
    outside = np.asarray(image.dataobj)[~brain.mask.numpy()]
    assert (kind == "3D-masked-symmetric-matrix") == (not outside.any())
    in_world = find_layout("fsl").to_mandel(np.asarray(image.dataobj)) * 1e3
    torch.testing.assert_close(in_world[:, brain.mask], world[:, brain.mask].float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("first", [True, False])
def test_a_dwi_of_slicer(first, brain, tmp_path):
    bvals, bvecs = (x.numpy().astype(float) for x in gradient_scheme(12, n_b0=2))
    bvals[2:8] = 500
    generator = torch.Generator().manual_seed(0)
    scheme = torch.tensor(bvals).float(), torch.tensor(bvecs).float()
    dwi, _ = simulate_dwi(brain.tensors, 500 * brain.s0, *scheme, 1e4, generator)
    measured = (bvecs * np.sqrt(bvals / 1000)[:, None]) @ (MEASUREMENT.T @ TO_LPS @ TURN).T
    keys = {"modality": "DWMRI", "DWMRI_b-value": "1000"}
    keys |= {f"DWMRI_gradient_{k:04d}": " ".join(f"{x:.9f}" for x in g) for k, g in enumerate(measured)}
    kinds = ["list", "domain", "domain", "domain"] if first else ["domain", "domain", "domain", "list"]
    values = np.moveaxis(dwi.numpy(), -1, 0) if first else dwi.numpy()
    nrrd.write(str(tmp_path / "x.nrrd"), values, header_of(values.shape, kinds, **keys))
    contents = contents_of(open_image(tmp_path / "x.nrrd"))
    assert contents.bvals is not None and contents.bvecs is not None
    np.testing.assert_allclose(contents.bvals, bvals, atol=1e-3)
    volume = load_dwi(tmp_path / "x.nrrd", mask=brain.mask, bvec_frame="world")
    expected = load_dwi(dwi.numpy(), bvals, bvecs, mask=brain.mask)
    assert expected.frame == "voxel" and any("DWMRI" in line for line in volume.report.messages)
    torch.testing.assert_close(volume.tensors, expected.tensors, rtol=2e-3, atol=2e-3)


def test_matrices_of_the_weighting_and_repeated_volumes(tmp_path):
    directions = np.array([[0.6, 0.8, 0], [0, 0.6, -0.8], [1, 0, 0]])
    shells = np.array([1000, 500, 1000])
    keys = {"DWMRI_b-value": "1000", "DWMRI_NEX_0000": "2", "DWMRI_gradient_0000": "0 0 0"}
    for k, (g, b) in enumerate(zip(directions, shells), start=2):
        matrix = b * np.outer(g, g)[np.triu_indices(3)]
        keys[f"DWMRI_B-matrix_{k:04d}"] = " ".join(f"{x:.6f}" for x in matrix)
    values = np.ones((5, 4, 4, 4), np.float32)
    header = header_of(values.shape, ["vector", "space", "space", "space"], **keys)
    header["space directions"] = np.array([[np.nan] * 3, [2, 0, 0], [0, 2, 0], [0, 0, 2]])
    header["measurement frame"] = np.diag([-1.0, -1, 1])  # LPS to RAS: gradients are in RAS
    nrrd.write(str(tmp_path / "x.nrrd"), values, header)
    contents = contents_of(open_image(tmp_path / "x.nrrd"))
    assert contents.bvals is not None and contents.bvecs is not None
    np.testing.assert_allclose(contents.bvals, [0, 0, *shells], atol=1e-6)
    np.testing.assert_allclose(np.abs((contents.bvecs[2:] * directions).sum(1)), 1, atol=1e-6)


def test_what_cannot_be_right_is_one_line(tmp_path):
    values = np.ones((7, 4, 4, 4), np.float32)
    kinds = ["list", "domain", "domain", "domain"]
    keys = {"DWMRI_b-value": "1000", "DWMRI_gradient_0000": "1 0 0"}
    nrrd.write(str(tmp_path / "few.nrrd"), values, header_of(values.shape, kinds, **keys))
    with pytest.raises(DataError, match="found 1 DWMRI gradients, expected 7"):
        open_image(tmp_path / "few.nrrd")
    nrrd.write(str(tmp_path / "flat.nrrd"), values[0, 0], {})
    with pytest.raises(DataError, match=r"found axes of kinds|2-D"):
        open_image(tmp_path / "flat.nrrd")
    nrrd.write(str(tmp_path / "none.nrrd"), values, header_of(values.shape, kinds, modality="DWMRI"))
    assert contents_of(open_image(tmp_path / "none.nrrd")).bvals is None
    nrrd.write(str(tmp_path / "long.nrrd"), values[0].astype(np.int64), {"spacings": [2.0, 2.0, 3.0]})
    assert open_image(tmp_path / "long.nrrd").get_data_dtype() == np.float32
    (tmp_path / "text.nrrd").write_text("not an image")
    with pytest.raises(DataError, match="cannot be read as an NRRD image"):
        open_image(tmp_path / "text.nrrd")
    nrrd.write(str(tmp_path / "bare.nrrd"), values[0], {"spacings": [2.0, 2.0, 3.0]})
    image = open_image(tmp_path / "bare.nrrd")
    np.testing.assert_allclose(np.diag(image.affine), [2, 2, 3, 1])
    assert any("no anatomical space" in line for line in contents_of(image).messages)


@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("bzip2", bz2.compress)])
@pytest.mark.parametrize("dtype", ["f4", "i8", "u1"])
def test_packed_data_hold_no_more_than_the_header_declares(encoding, pack, dtype, tmp_path):
    values = np.ones((6, 4, 4, 4), dtype)
    path = tmp_path / "a.nrrd"
    nrrd.write(str(path), values, header_of(values.shape, ["list", "domain", "domain", "domain"], encoding=encoding))
    assert open_image(path).shape == (4, 4, 4, 6)
    head, _, _ = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head + b"\n\n" + pack(values.tobytes() + bytes(1 << 22)))
    with pytest.raises(DataError, match=r"a\.nrrd: found packed data of more than the \d+ bytes declared"):
        open_image(path)
