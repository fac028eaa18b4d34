"""Images whose header declares more than the file holds are refused before memory is asked for."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from mvnet.data_loaders.dti import load_tensors
from mvnet.data_loaders.dti.formats import declared
from mvnet.data_loaders.dti.nifti import open_image
from mvnet.data_loaders.errors import DataError

SHAPE = (6, 5, 4, 6)
FULL = (32767, 32767, 32767, 6)


def nifti(name: str, shape: tuple[int, ...], version: int = 1) -> Callable[[Path], Path]:
    """A small image whose header declares another shape."""

    def write(folder: Path) -> Path:
        kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
        data = bytearray(kind(np.zeros(SHAPE, np.float32), np.eye(4)).to_bytes())
        form, place = ("<h", 42) if version == 1 else ("<q", 24)
        for k, length in enumerate(shape):
            struct.pack_into(form, data, place + k * struct.calcsize(form), length)
        (folder / name).write_bytes(gzip.compress(bytes(data)) if name.endswith(".gz") else data)
        return folder / name

    return write


def mif(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        sizes = "dim: 60000,60000,60000,6\nvox: 1,1,1,1\nlayout: +0,+1,+2,+3\ndatatype: Float32LE\n"
        text = f"mrtrix image\n{sizes}file: . 200\nEND\n".encode()
        content = text + bytes(200 - len(text)) + bytes(4000)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return folder / name

    return write


def nrrd(encoding: str, data: str = "") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        lines = ["NRRD0004", "type: float", "dimension: 4", "sizes: 6 60000 60000 60000", f"encoding: {encoding}"]
        lines += ["endian: little", *([f"data file: {data}"] if data else [])]
        text = "\n".join(lines) + "\n\n"
        (folder / "a.nrrd").write_bytes(text.encode() + gzip.compress(bytes(4000)))
        return folder / "a.nrrd"

    return write


FILES: dict[str, Callable[[Path], Path]] = {
    "full": nifti("a.nii", FULL),
    "full gz": nifti("a.nii.gz", FULL),
    "more than deflate": nifti("a.nii.gz", (700, 700, 700, 6)),
    "below zero": nifti("a.nii", (-7,)),
    "NIfTI-2": nifti("a.nii", (2**62,), 2),
    "NIfTI-2 below zero": nifti("a.nii", (-1, -1), 2),
    "NIfTI-2 gz": nifti("a.nii.gz", (2**62,), 2),
    "mif": mif("a.mif"),
    "mif gz": mif("a.mif.gz"),
    "nrrd raw": nrrd("raw"),
    "nrrd gz": nrrd("gzip"),
}


@pytest.mark.parametrize("write", FILES.values(), ids=FILES)
def test_a_header_that_declares_too_much(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(DataError, match=rf"{path.name}: found .*expected"):
        load_tensors(path)


def test_a_header_whose_data_are_in_another_file(tmp_path: Path) -> None:
    """The older pair of .hdr and .img has no extensions to end anywhere."""
    values = np.zeros(SHAPE, np.float32)
    values[..., [0, 3, 5]] = 1e-3
    nibabel.save(nibabel.Nifti1Pair(values, np.eye(4)), tmp_path / "a.img")
    assert open_image(tmp_path / "a.img").shape == SHAPE
    (tmp_path / "a.img").write_bytes((tmp_path / "a.img").read_bytes()[:-40])
    with pytest.raises(DataError, match=r"a\.img: found .*expected"):
        load_tensors(tmp_path / "a.img")


def test_nrrd_data_elsewhere_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "b.raw").write_bytes(bytes(4000))
    for name in ("../b.raw", str(tmp_path / "b.raw")):
        with pytest.raises(DataError, match=r"a\.nrrd: found .*expected"):
            load_tensors(nrrd("raw", name)(tmp_path / "in"))


def test_a_volume_of_zeros_is_packed_tightly_and_read(tmp_path: Path) -> None:
    values = np.zeros((40, 40, 40, 6), np.float32)
    values[..., [0, 3, 5]] = 1e-3
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii.gz")
    assert load_tensors(tmp_path / "a.nii.gz", order="fsl").mask.all()


def test_a_large_image_that_holds_nearly_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((64, 64, 64, 6), np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    assert open_image(tmp_path / "a.nii.gz").shape == (64, 64, 64, 6)
    monkeypatch.setattr(declared, "_MODEST", 1 << 20)
    with pytest.raises(DataError, match=r"a\.nii\.gz: found \d+ bytes that unpack into 6291808 for shape"):
        open_image(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("version, kind", [(1, nibabel.Nifti1Image), (2, nibabel.Nifti2Image)])
@pytest.mark.parametrize("name", ["t.nii", "t.nii.gz"])
@pytest.mark.parametrize("length", [2**31 - 16, 0, -64, None])
def test_extensions_end_inside_of_the_file(version, kind, name, length, tmp_path):
    image = kind(np.ones(SHAPE, np.float32), np.eye(4))
    image.header.extensions.append(Nifti1Extension("comment", b"as it is"))
    data = bytearray(image.to_bytes())
    if length is not None:
        struct.pack_into("<i", data, (348 if version == 1 else 540) + 4, length)
    path = tmp_path / name
    path.write_bytes(gzip.compress(bytes(data)) if name.endswith("gz") else bytes(data))
    if length is None:
        assert open_image(path).shape == SHAPE
        return
    with pytest.raises(DataError, match=f"found a header extension of {length} bytes"):
        open_image(path)


@pytest.mark.parametrize("version, kind", [(1, nibabel.Nifti1Image), (2, nibabel.Nifti2Image)])
def test_extensions_go_on_to_the_end_where_voxels_begin_inside_of_the_header(version, kind, tmp_path):
    image = kind(np.ones(SHAPE, np.float32), np.eye(4))
    image.header.extensions.append(Nifti1Extension("comment", b"as it is"))
    data, (place, form, length) = bytearray(image.to_bytes()), ((108, "<f", 348), (168, "<q", 540))[version - 1]
    struct.pack_into(form, data, place, 16)  # of the voxels
    struct.pack_into("<i", data, length + 4, 2**31 - 16)
    (tmp_path / "t.nii").write_bytes(data)
    with pytest.raises(DataError, match="found a header extension of 2147483632 bytes"):
        open_image(tmp_path / "t.nii")
