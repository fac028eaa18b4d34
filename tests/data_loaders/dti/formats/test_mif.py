"""Images of MRtrix: layouts, types, placement, gradients."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.dti.formats.contents import contents_of
from mvnet.data_loaders.dti.nifti import open_image, without_suffix
from mvnet.data_loaders.errors import DataError

VALUES = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(np.float32) - 17
TURN = Rotation.from_euler("xyz", [0.1, 0.2, 0.3]).as_matrix()
NAMES = {
    "Float32LE": "<f4",
    "Float32BE": ">f4",
    "Float64LE": "<f8",
    "Float16LE": "<f2",
    "Int16BE": ">i2",
    "Int32LE": "<i4",
    "Int64LE": "<i8",
    "Int8": "i1",
    "UInt8": "u1",
    "UInt16LE": "<u2",
}


def write(path: Path, values=VALUES, layout=("+0", "+1", "+2", "+3"), kind="Float32LE", **more: str) -> Path:
    """A file as mrconvert writes it, from the format's description."""
    header = {
        "dim": ",".join(map(str, values.shape)),
        "vox": ",".join(["2", "1.5", "3", "nan", "1"][: values.ndim]),
        "layout": ",".join(layout),
        "datatype": kind,
    }
    lines = ["mrtrix image", *(f"{key}: {value}" for key, value in header.items())]
    lines += ["transform: " + ",".join(f"{x:.10f}" for x in (*row, t)) for row, t in zip(TURN, (10, -20, 30))]
    lines += [f"{key}: {line}" for key, value in more.items() for line in value.splitlines()]
    stored = values[tuple(slice(None, None, -1 if word[0] == "-" else 1) for word in layout)]
    order = sorted(range(values.ndim), key=lambda axis: int(layout[axis][1:]))
    stored = stored.transpose(order)
    if kind == "Bit":
        data = np.packbits(stored.ravel(order="F").astype(bool)).tobytes()
    else:
        data = stored.astype(NAMES[kind]).tobytes("F")
    if path.suffix == ".mih":
        path.with_suffix(".dat").write_bytes(data)
        path.write_text("\n".join([*lines, f"file: {path.stem}.dat", "END\n"]))
        return path
    text = "\n".join([*lines, "file: . 2048", "END\n"]).encode().ljust(2048, b"\0")
    content = text + data
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["x.mif", "x.mif.gz", "x.mih"])
@pytest.mark.parametrize("layout", [("+0", "+1", "+2", "+3"), ("-0", "-1", "+2", "+3"), ("+1", "-2", "+3", "+0")])
def test_layouts(name, layout, tmp_path):
    image = open_image(write(tmp_path / name, layout=layout))
    np.testing.assert_array_equal(np.asarray(image.dataobj), VALUES)
    expected = np.eye(4)
    expected[:3, :3], expected[:3, 3] = TURN * [2, 1.5, 3], (10, -20, 30)
    np.testing.assert_allclose(image.affine, expected, atol=1e-6)
    np.testing.assert_allclose(image.header.get_zooms()[:3], [2, 1.5, 3])
    assert image.header["sform_code"] == 1 and not contents_of(image).is_dwi
    assert without_suffix(tmp_path / name) == "x"


@pytest.mark.parametrize("kind", [*NAMES, "Bit"])
def test_types(kind, tmp_path):
    values = VALUES % 2 if kind == "Bit" else np.abs(VALUES)
    image = open_image(write(tmp_path / "x.mif", values, kind=kind))
    np.testing.assert_array_equal(np.asarray(image.dataobj, dtype=np.float32), values)
    assert nibabel.Nifti1Image.from_bytes(image.to_bytes()).shape == values.shape  # a type that NIfTI has


def test_scaling_and_gradients(tmp_path):
    scheme = "0 0 0 0\n1,0,0,1000\n0,1,0,1000\n0,0,1,1000\n0.6,0.8,0,1000"
    path = write(tmp_path / "x.mif", kind="Int16BE", scaling="1,0.5", dw_scheme=scheme, comments="one\ntwo")
    image = open_image(path)
    np.testing.assert_allclose(np.asarray(image.dataobj), 1 + 0.5 * VALUES)
    contents = contents_of(image)
    assert contents.is_dwi and contents.frame == "world" and contents.bvals is not None and contents.bvecs is not None
    np.testing.assert_array_equal(contents.bvals, [0, 1000, 1000, 1000, 1000])
    np.testing.assert_array_equal(contents.bvecs[-1], [0.6, 0.8, 0])


def broken(path, how):
    whole = write(path).read_bytes()
    path.write_bytes(how(whole))
    return path


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda whole: whole[:-7], "found 473 bytes of data, expected 480"),
        (lambda whole: b"hello" + whole, "no header that begins with 'mrtrix image'"),
        (lambda whole: whole.replace(b"\nEND", b"\nend"), "ends with END"),
        (lambda whole: whole.replace(b"layout", b"lavout"), "found no layout in the header"),
        (lambda whole: whole.replace(b"Float32LE", b"Float31LE"), "values of type float31le"),
        (lambda whole: whole.replace(b"+0,+1,+2,+3", b"+0,+1,+2   "), "strides|cannot be read"),
        (lambda whole: whole.replace(b"dim: 2", b"dim: x"), "cannot be read as an MRtrix image"),
        (lambda whole: whole.replace(b"file: .", b"file: y"), "no such file"),
        (lambda whole: whole.replace(b"file: .", b"file: a[0:3].dat"), "data in several files, expected one"),
    ],
)
def test_damaged_files_are_one_line(how, words, tmp_path):
    with pytest.raises(DataError, match=words) as caught:
        open_image(broken(tmp_path / "x.mif", how))
    assert "\n" not in str(caught.value)
